"""What is no batch of normalised images, and what backbones give that is no map: each says the way out."""

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

import landmarkzoo as lz


@pytest.fixture(scope="module")
def model():
    return lz.create_model("efficientnet_lite0_gem", backbone="test_efficientnet", embedding_dim=8).eval()


IMAGES = torch.zeros(2, 3, 64, 64)


@pytest.mark.parametrize(
    ("images", "error", "message"),
    [
        (np.zeros((2, 3, 64, 64)), TypeError, r"got ndarray: lz\.embed"),
        (Image.new("RGB", (64, 64)), TypeError, r"got Image: lz\.embed"),
        (None, TypeError, "got NoneType"),
        (IMAGES.to(torch.uint8), TypeError, r"got torch.uint8: apply lz\.create_transform"),
        (IMAGES.permute(0, 2, 3, 1), ValueError, r"images\.permute\(0, 3, 1, 2\) puts channels first"),
        (IMAGES[0], ValueError, r"one image is images\[None\]"),
        (IMAGES[:, :1], ValueError, r"RGB images \(B, 3, H, W\), got \(2, 1, 64, 64\)"),
        (
            IMAGES.double(),
            TypeError,
            r"torch.float64, the model is torch.float32: images\.to\(model\.dtype",
        ),
        (IMAGES.half(), TypeError, r"or model\.to\(torch.float16\)"),
    ],
)
def test_wrong_images(model, images, error, message):
    with pytest.raises(error, match=message):
        model(images)


@pytest.mark.parametrize("name", ["dolg_efficientnet_lite0", "hybrid_efficientnet_b0_swin_tiny_224"])
def test_images_of_another_type_than_the_weights(name):
    model = lz.create_model(name, dtype=torch.float64).eval()
    images = torch.zeros(1, *model.cfg.input_size)
    with pytest.raises(TypeError, match=r"the images are torch.float32, the model is torch.float64"):
        model(images)
    with torch.no_grad():
        assert model(images.double()).dtype == torch.float64


def test_autocast_takes_images_of_other_types(model):
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        assert model(IMAGES.bfloat16()).shape == (2, 8)


def test_shapes_can_be_asked_of_a_model_without_weights():
    model = lz.create_model("efficientnet_lite0_gem", device="meta").eval()
    assert model(IMAGES.to("meta")).shape == (2, 512)


@pytest.mark.parametrize("name", ["coat_tiny", "crossvit_tiny_240", "efficientvim_m1"])
def test_backbones_that_give_no_map_are_refused_when_they_are_built(name):
    for _ in range(2):  # no model is remembered as one that gives a map
        with pytest.raises(ValueError, match=f"timm's '{name}' cannot be a backbone: .* got list for images"):
            lz.GlobalDescriptor(name, pool="avg")


def test_volo_has_a_class_token_in_front_of_its_grid():
    model = lz.GlobalDescriptor("volo_d1_224", pool="avg", neck="none").eval()
    images = torch.randn(1, 3, 224, 224)
    with torch.no_grad():
        tokens = model.backbone.forward_features(images)  # (1, 1 + 14 * 14, 384)
        torch.testing.assert_close(model(images), tokens[:, 1:].mean(1))
        torch.testing.assert_close(model.forward_features(images)[0, :, 0, 1], tokens[0, 2])


def test_looking_at_a_backbone_changes_nothing_of_it():
    torch.manual_seed(0)
    model = lz.GlobalDescriptor("resnet18", pool="avg", neck="none")
    torch.manual_seed(0)
    again = lz.GlobalDescriptor("resnet18", pool="avg", neck="none")  # known by now: not looked at
    assert model.backbone.training
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, again.state_dict()[name])


class Give(nn.Module):
    """A backbone that gives what a function makes of the images."""

    def __init__(self, make, channels=8):
        super().__init__()
        self.make, self.num_features = make, channels

    def forward(self, images):
        return self.make(images)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda x: torch.ones(1, 8, 4, 5), ValueError, "must give one map an image"),
        (lambda x: torch.ones(2 * len(x), 8, 4, 5), ValueError, "must give one map an image"),
        (lambda x: torch.ones(len(x), 8, 0, 5), ValueError, "H and W at least 1"),
        (lambda x: torch.ones(len(x), 4, 5, 8), ValueError, "it must give"),
        (
            lambda x: torch.ones(len(x), 8, 4, 5, dtype=torch.int64),
            TypeError,
            "floating-point one is",
        ),
        (lambda x: [torch.ones(len(x), 8, 4, 5)], ValueError, "neither a feature map nor tokens, got list"),
        (lambda x: torch.ones(len(x), 3, 8), ValueError, "3 tokens do not form a grid"),
    ],
)
def test_maps_of_a_module_that_cannot_be(make, error, message):
    with pytest.raises(error, match=message):
        lz.GlobalDescriptor(Give(make), embedding_dim=8).eval()(IMAGES)


@pytest.mark.parametrize("shape", [(2, 8, 8, 8), (2, 8, 4, 8)])
def test_a_map_as_wide_as_deep_has_its_channels_first_like_any_other(shape):
    x = torch.rand(shape)
    model = lz.GlobalDescriptor(Give(lambda images: x), pool="avg", neck="none").eval()
    torch.testing.assert_close(model(IMAGES), x.mean((2, 3)))


def test_a_map_may_say_what_it_is():
    x = torch.rand(2, 8, 8, 8)
    for layout, given in (("NCHW", x), ("NHWC", x.permute(0, 2, 3, 1))):
        backbone = Give(lambda images, given=given: given)
        backbone.output_fmt = layout
        model = lz.GlobalDescriptor(backbone, pool="avg", neck="none").eval()
        torch.testing.assert_close(model(IMAGES), x.mean((2, 3)))


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.bfloat16])
def test_maps_of_other_types_are_cast_to_that_of_the_images(dtype):
    model = lz.GlobalDescriptor(Give(lambda x: torch.ones(len(x), 8, 4, 5, dtype=dtype)), embedding_dim=8)
    assert model.eval()(IMAGES).dtype == torch.float32


def test_levels_of_the_backbone_are_those_of_timm():
    model = lz.GlobalDescriptor("resnet18").eval()
    images = torch.randn(1, 3, 64, 96)
    with torch.no_grad():
        theirs = model.backbone.forward_intermediates(images, intermediates_only=True)
        ours = model.forward_intermediates(images)
        assert all(torch.equal(a, b) for a, b in zip(ours, theirs, strict=True))
        assert torch.equal(model.forward_intermediates(images, 1)[0], model.forward_features(images))
        swin = lz.GlobalDescriptor("swin_tiny_patch4_window7_224", pool="avg").eval()  # NHWC in timm
        assert swin.forward_intermediates(torch.zeros(1, 3, 224, 224), [0])[0].shape == (1, 96, 56, 56)
    with pytest.raises(TypeError, match=r"Give does not give its inner maps: .* forward_intermediates"):
        lz.GlobalDescriptor(Give(lambda x: x)).forward_intermediates(images)
    with pytest.raises(ValueError, match="RGB images"):
        model.forward_intermediates(images[0])
