"""Photos that keep their aspect ratio: sizes by exact fractions, pixels by Pillow's own resize."""

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from torchvision.transforms import v2

import landmarkzoo as lz
from landmarkzoo.backbones import ImageSizeRule
from landmarkzoo.photos.resizing import KeepAspect, fitting_sides, size_text

CFG = replace(lz.get_model_cfg("efficientnet_lite0_gem"), interpolation="lanczos")
SIDES = st.integers(1, 400)


def cfg_of(resize, side=224):
    return replace(CFG, resize=resize, input_size=(3, side, side))


def noise(width, height):
    pixels = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(pixels)


@given(width=SIDES, height=SIDES, side=st.integers(1, 300), resize=st.sampled_from(["longest", "shortest"]))
def test_sides_by_fractions(width, height, side, resize):
    scale = Fraction(side, max(width, height) if resize == "longest" else min(width, height))
    if resize == "longest" and scale > 1:
        scale = Fraction(1)
    expected = (max(1, int(width * scale)), max(1, int(height * scale)))
    photo = Image.new("RGB", (width, height))
    if max(expected) <= 16_384:
        assert KeepAspect(resize, side)(photo).size == expected
    assert KeepAspect("none")(photo) is photo


@pytest.mark.parametrize("size", [(640, 480), (480, 641), (333, 333), (1000, 77)])
def test_sides_are_those_of_torchvision(size):
    photo = Image.new("RGB", size)
    assert KeepAspect("longest", 300)(photo).size == v2.Resize(None, max_size=300)(photo).size
    assert KeepAspect("shortest", 50)(photo).size == v2.Resize(50)(photo).size


@pytest.mark.parametrize(
    ("resize", "size", "expected"),
    [
        ("longest", (90, 61), (64, 43)),
        ("longest", (61, 90), (43, 64)),
        ("longest", (60, 50), (60, 50)),  # never enlarged
        ("shortest", (90, 61), (94, 64)),
        ("shortest", (30, 20), (96, 64)),
        ("none", (90, 61), (90, 61)),
    ],
)
@pytest.mark.parametrize(
    ("name", "pillow"), [("lanczos", Image.Resampling.LANCZOS), ("bilinear", Image.Resampling.BILINEAR)]
)
def test_pixels_are_those_of_pillow(resize, size, expected, name, pillow):
    cfg = replace(cfg_of(resize, 64), interpolation=name)
    image = lz.create_transform(cfg)(noise(*size))
    resized = np.asarray(noise(*size).resize(expected, pillow), np.float32) / 255
    assert image.shape == (3, expected[1], expected[0])
    np.testing.assert_allclose(image.permute(1, 2, 0), (resized - cfg.mean) / cfg.std, atol=1e-5)


def test_uint8_tensors_go_through_every_filter():
    tensor = torch.from_numpy(np.asarray(noise(90, 61)).copy()).permute(2, 0, 1)
    for name in ("lanczos", "bicubic"):
        transform = lz.create_transform(replace(cfg_of("longest", 64), interpolation=name))
        torch.testing.assert_close(transform(tensor), transform(noise(90, 61)), atol=0.02, rtol=0)


def test_image_size():
    photo = noise(90, 60)
    for resize, expected in (("longest", (20, 30)), ("shortest", (30, 45)), ("none", (20, 30))):
        cfg = cfg_of(resize)
        assert lz.create_transform(cfg, image_size=30)(photo).shape[1:] == expected
        with pytest.raises(ValueError, match=rf"must be one number.*resize='{resize}'\), got \(30, 40\)"):
            lz.create_transform(cfg, image_size=(30, 40))
        with pytest.raises(ValueError, match="at most 16,384 pixels a side"):
            lz.create_transform(cfg, image_size=20_000)
    assert lz.create_transform(cfg_of("none"), image_size=200)(photo).shape[1:] == (60, 90)


def test_training_squashes():
    for resize in ("longest", "shortest", "none"):
        assert lz.create_transform(cfg_of(resize, 64), training=True)(noise(90, 60)).shape == (3, 64, 64)
        transform = lz.create_transform(cfg_of(resize), training=True, image_size=(32, 48))
        assert transform(noise(90, 60)).shape == (3, 32, 48)


@given(
    height=st.floats(1, 3000),
    width=st.floats(1, 3000),
    multiple=st.integers(1, 40),
    minimum=st.integers(1, 300),
)
def test_fitting_sides_are_the_nearest_that_a_model_takes(height, width, multiple, minimum):
    rule = ImageSizeRule(minimum=minimum, multiple=multiple)
    taken = np.arange(multiple, 3000 + 400, multiple)
    taken = taken[taken >= minimum]
    for side, given_ in zip(fitting_sides(height, width, rule), (height, width)):
        assert side in taken
        assert abs(side - given_) == pytest.approx(np.abs(taken - given_).min())
    rule.check_size(*fitting_sides(height, width, rule))


def test_a_transformer_gets_multiples_of_its_patch_and_no_photo_is_too_small():
    model = lz.create_model("dinov2_vit_small")
    model.cfg = replace(model.cfg, resize="longest", input_size=(3, 100, 100))
    transform = lz.create_transform(torch.nn.DataParallel(model))
    assert transform(noise(200, 150)).shape == (3, 70, 98)
    assert transform(noise(300, 4)).shape == (3, 14, 98)
    convolutional = lz.GlobalDescriptor("test_resnet", neck="none")
    convolutional.cfg = replace(convolutional.cfg, resize="none")
    assert lz.create_transform(convolutional)(noise(50, 4)).shape == (3, 32, 50)


def test_models_of_one_size_squash():
    model = lz.GlobalDescriptor("mixer_s32_224")
    model.cfg = replace(model.cfg, resize="shortest")
    with pytest.raises(ValueError, match=r"takes 224x224 px only: it needs resize='squash'"):
        lz.create_transform(model)
    assert lz.create_transform(model, training=True)(noise(30, 20)).shape == (3, 224, 224)


def test_a_strip_that_would_become_huge_is_a_photo_that_cannot_be_read(tiny_model):
    transform = lz.create_transform(cfg_of("shortest", 64))
    strip, photo = Image.new("RGB", (5000, 10)), noise(90, 60)
    with pytest.raises(lz.PhotoError, match=r"5000 x 10 and would become 32000 x 64, .* 16,384 pixels"):
        transform(strip)
    d = lz.embed(tiny_model, [strip, photo], transform=transform, on_error="skip", progress=False)
    assert (d.ids, d.skipped[0][0]) == (["1"], "0")


def test_sizes_in_words():
    words = {
        "squash": "224 x 224",
        "longest": "longest 224",
        "shortest": "shortest 224",
        "none": "original",
    }
    for resize, text in words.items():
        assert size_text(lz.create_transform(cfg_of(resize))) == text
    for other in (None, torch.nn.Identity(), v2.Compose([v2.Resize(224)]), v2.Compose([v2.ToImage()])):
        assert size_text(other) is None
