"""The architectures on the families of timm: convolutional, hierarchical and plain transformers."""

import pytest
import torch

import landmarkzoo as lz
from landmarkzoo.backbones.pyramid import pyramid_maps

# backbone, side in pixels, width of its last map, another side that it takes, the error at 102 px
WHOLE = [
    ("resnet10t", 64, 512, 100, None),
    ("test_resnet", 64, 96, 100, None),
    ("convnext_atto", 64, 320, 100, None),
    ("mobilenetv4_conv_small_050", 64, 480, 100, None),
    ("test_efficientnet", 64, 256, 100, None),
    ("test_vit", 64, 64, 96, "sides that are multiples of 16, such as 96x96"),
    # older timm: one size only
    ("swin_tiny_patch4_window7_224", 224, 768, 224, "multiples of 4, such as 104x104|takes 224x224 px only"),
]


def check_model(model, size, other, message):
    """What every model must do, at two sizes."""
    model.train()
    model(torch.randn(2, 3, size, size)).square().sum().backward()
    assert [n for n, p in model.named_parameters() if p.grad is None] == []
    assert all(torch.isfinite(p.grad).all() for p in model.parameters())
    model.eval()
    with torch.no_grad():
        assert model(torch.randn(1, 3, other, size)).shape == (1, model.embedding_dim)
        if message is None:
            assert model(torch.randn(1, 3, 102, 102)).shape == (1, model.embedding_dim)
        else:
            with pytest.raises(ValueError, match=message):
                model(torch.randn(1, 3, 102, 102))


def check_reload(model, size, folder):
    model.eval().save_pretrained(folder)
    loaded = lz.create_model(f"local-dir:{folder}").eval()
    assert loaded.cfg == model.cfg
    x = torch.randn(2, 3, size, size)
    with torch.no_grad():
        assert torch.equal(loaded(x), model(x))


@pytest.mark.parametrize(("backbone", "size", "width", "other", "message"), WHOLE)
@pytest.mark.parametrize("pool", ["gem", "avg"])
def test_global_descriptor(backbone, size, width, other, message, pool, tmp_path):
    model = lz.GlobalDescriptor(backbone, pool=pool, embedding_dim=16)
    check_model(model, size, other, message)
    with torch.no_grad():
        maps = model.forward_features(torch.randn(2, 3, size, size))
    assert maps.shape == (2, width, *[size // (16 if "vit" in backbone else 32)] * 2)
    check_reload(model, size, tmp_path)


def test_class_token(tmp_path):
    model = lz.GlobalDescriptor("test_vit", pool="cls", embedding_dim=16)
    check_model(model, 64, 96, "multiples of 16")
    check_reload(model, 96, tmp_path)


@pytest.mark.parametrize("stem_stride", [2, 1])
@pytest.mark.parametrize("backbone", ["resnet10t", "test_resnet", "resnet18"])
def test_dolg_on_resnets(backbone, stem_stride, tmp_path):
    model = lz.DOLG(backbone, hidden_dim=16, dilations=(1, 2), embedding_dim=8, stem_stride=stem_stride)
    check_model(model, 64, 96, None)
    x = torch.randn(2, 3, 64, 96)
    with torch.no_grad():
        strides = [64 // m.shape[2] for m in pyramid_maps(model.backbone, x)]
        local, global_ = model.forward_features(x)
    assert strides == [8 * stem_stride, 16 * stem_stride]
    assert local.shape == (2, 16, 64 // strides[0], 96 // strides[0])
    assert global_.shape == (2, 16, 64 // strides[1], 96 // strides[1])
    with pytest.raises(ValueError, match=f"at least {16 * stem_stride}x{16 * stem_stride} px"):
        model(torch.randn(1, 3, 16 * stem_stride - 1, 64))
    check_reload(model, 64, tmp_path)


@pytest.mark.parametrize("backbone", ["convnext_atto", "test_efficientnet"])
def test_dolg_on_others(backbone, tmp_path):
    model = lz.DOLG(backbone, hidden_dim=16, dilations=(1, 2), embedding_dim=8)
    check_model(model, 64, 96, None)
    check_reload(model, 64, tmp_path)


@pytest.mark.parametrize("backbone", ["test_vit", "vit_tiny_patch16_224"])
def test_dolg_needs_two_strides(backbone):
    with pytest.raises(ValueError, match=r"strides \[16, 32\] are needed.*resnet50, or lz.GlobalDescriptor"):
        lz.DOLG(backbone)


@pytest.mark.parametrize("cnn", ["resnet10t", "test_resnet"])
def test_hybrid_on_resnets(cnn, tmp_path):
    swin = "swin_tiny_patch4_window7_224"
    model = lz.HybridSwin(cnn, swin, image_size=224, cnn_level=4, aggregation="avg", embedding_dim=8)
    check_model(model, 224, 222, "takes sides from 221 to 224 px")
    check_reload(model, 224, tmp_path)
