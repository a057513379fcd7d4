import numpy as np
import pytest
import torch
from torch.nn import functional as F

import landmarkzoo as lz
from landmarkzoo.backbones.last_map import create_backbone

HEAD = {"global_map": "head"}


def head_model(backbone: str = "resnet18", channels: int = 512, **arguments) -> lz.DOLG:
    return lz.DOLG(backbone, dilations=(1, 2), hidden_dim=channels, **HEAD, **arguments)


@pytest.mark.parametrize(("backbone", "channels"), [("resnet18", 512), ("tf_efficientnet_lite0", 1280)])
@torch.no_grad()
def test_global_half_is_the_unit_descriptor_of_the_whole_backbone(backbone, channels):
    model = head_model(backbone, channels).eval()
    whole = create_backbone(backbone).eval()
    whole.load_state_dict(model.backbone.state_dict())
    images = torch.randn(2, 3, 96, 64)
    pooled = whole.forward_features(images).clamp(min=1e-6).pow(3).mean((2, 3)).pow(1 / 3)
    unit = pooled / pooled.norm(dim=1, keepdim=True)
    local, _ = model.forward_features(images)
    assert local.shape == (2, channels, 6, 4)
    mean = local.mean((2, 3))
    expected = torch.cat([mean - (mean * unit).sum(1, keepdim=True) * unit, unit], 1)
    torch.testing.assert_close(model.forward_pooled(images), expected)


@torch.no_grad()
def test_local_branch_reads_the_same_map_as_with_the_stage():
    head = head_model("tf_efficientnet_lite0", 1280).eval()
    stage = lz.DOLG("tf_efficientnet_lite0", dilations=(1, 2), hidden_dim=1280).eval()
    report = lz.transfer_weights(head, stage)
    assert {name.split(".")[0] for name in report.unexpected_keys} == {"backbone"}  # conv_head and its norm
    images = torch.randn(2, 3, 64, 64)
    torch.testing.assert_close(stage.forward_features(images)[0], head.forward_features(images)[0])
    torch.testing.assert_close(stage.attention(images), head.attention(images))


@torch.no_grad()
def test_transformers_give_their_tokens_as_a_map():
    model = head_model("vit_tiny_patch16_224", 192).eval()
    local, global_ = model.forward_features(torch.randn(1, 3, 224, 224))
    assert local.shape == global_.shape == (1, 192, 14, 14)


@torch.no_grad()
def test_a_backbone_that_would_stop_at_the_level_goes_on_to_its_last_map():
    model = head_model("hiera_tiny_224", 768).eval()
    assert model.forward_features(torch.randn(1, 3, 224, 224))[1].shape == (1, 768, 7, 7)


def test_every_parameter_gets_a_gradient_and_low_precision_works():
    model = head_model("tf_efficientnet_lite0", 1280).to(memory_format=torch.channels_last)
    images = torch.randn(4, 3, 64, 64).contiguous(memory_format=torch.channels_last)
    with lz.layers.mixed_precision("cpu", torch.bfloat16):
        out = model(images)
    out.float().square().sum().backward()
    assert [
        name for name, p in model.named_parameters() if p.grad is None or not p.grad.isfinite().all()
    ] == []


def test_saved_and_loaded_it_is_the_same(tmp_path):
    model = head_model(stem_stride=1).eval()
    model.save_pretrained(tmp_path)
    again = lz.create_model(f"local-dir:{tmp_path}").eval()
    assert again.cfg.args["global_map"] == "head"
    images = torch.randn(2, 3, 64, 64)
    assert torch.equal(again(images), model(images))
    assert model.forward_features(images)[0].shape == (2, 512, 8, 8)  # stride 8 with a stem of stride 1
    assert model(images[:, :, :16, :16]).shape == (2, 512)


@torch.no_grad()
def test_whitening_starts_at_the_pooled_features():
    """The neck is an isometry of what the photos span, up to the whitening: nothing is lost or added."""
    model, images = head_model(), torch.randn(12, 3, 64, 64)
    lz.whiten_neck(model, images, shrinkage=0, progress=False)
    pooled = F.normalize(model.eval().forward_pooled(images), dim=1).double()
    centered = pooled - pooled.mean(0)
    u, s, _ = torch.linalg.svd(centered, full_matrices=False)
    expected = (u[:, :11] @ u[:, :11].T) * len(images)  # whitened: all directions of the same variance
    out = model(images).double()
    np.testing.assert_allclose(out @ out.T, expected, atol=2e-2)
    assert s[10] > 1e-6


def test_wrong_arguments_say_what_is_right():
    with pytest.raises(ValueError, match="use hidden_dim=512, got 1024"):
        lz.DOLG("resnet18", **HEAD)
    with pytest.raises(ValueError, match=r"global_map must be one of .*, got 'neck'"):
        lz.DOLG("resnet18", global_map="neck")
    with pytest.raises(ValueError, match="has feature maps at strides"):
        lz.DOLG("vit_small_patch14_dinov2", hidden_dim=384, **HEAD)
    with pytest.raises(ValueError, match="stem_stride must be 1 or 2"):
        head_model(stem_stride=3)
