"""Scales, mirrors and crops: what embed makes of one photo before it is one descriptor."""

from itertools import combinations

import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn import functional as F

import landmarkzoo as lz
from landmarkzoo.embedding.tta import TestTimeAugmentation


@pytest.fixture
def photos():
    random = np.random.default_rng(0)
    return [Image.fromarray(random.integers(0, 256, (90, 120, 3), dtype=np.uint8)) for _ in range(3)]


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return lz.create_model("efficientnet_lite0_gem", embedding_dim=16).eval()


def embed(model, photos, **options):
    transform = lz.create_transform(model, image_size=64)
    return lz.embed(model, photos, transform=transform, progress=False, **options)


def test_the_mean_of_the_normalised_views(model, photos):
    d = embed(model, photos, scales=(0.75, 1.0, 1.5), flip=True)
    images = torch.stack([lz.create_transform(model, image_size=64)(photo) for photo in photos])
    total = 0
    with torch.no_grad():
        for side in (48, 64, 96):
            view = F.interpolate(images, (side, side), mode="bicubic", antialias=True)
            view = images if side == 64 else view
            for seen in (view, torch.flip(view, dims=[3])):
                total = total + F.normalize(model(seen), dim=1)
    np.testing.assert_allclose(d.vectors, F.normalize(total, dim=1), atol=1e-5)
    assert d.provenance["views"] == "scales (0.75, 1.0, 1.5), flip True"


def test_a_flipped_descriptor_is_that_of_the_mirrored_photo(model, photos):
    mirrored = [photo.transpose(Image.Transpose.FLIP_LEFT_RIGHT) for photo in photos]
    one, other = embed(model, photos, flip=True), embed(model, mirrored, flip=True)
    np.testing.assert_allclose(one.vectors, other.vectors, atol=1e-5)
    plain = embed(model, photos, scales=[1])
    assert "views" not in plain.provenance
    assert not np.allclose(one.vectors, plain.vectors, atol=1e-3)


def test_boxes_crop_before_resizing(model, photos):
    boxes = [(10.4, 5, 70.2, 55), None, (-20, 40, 500, 400)]
    d = embed(model, photos, boxes=boxes)
    cropped = [photos[0].crop((10, 5, 70, 55)), photos[1], photos[2].crop((0, 40, 120, 90))]
    np.testing.assert_array_equal(d.vectors, embed(model, cropped).vectors)


def test_wrong_boxes(model, photos):
    whole = (0, 0, 9, 9)
    for boxes, message in (
        ([whole], "got 1 boxes for 3 photos"),
        ([whole, whole, (0, 0, 9)], r"box 2 must be \(x1, y1, x2, y2\)"),
        ([whole, (9, 0, 0, 9), whole], "box 1 is empty"),
        ([(0, 0, np.nan, 9), whole, whole], "box 0 must be"),
    ):
        with pytest.raises(ValueError, match=message):
            embed(model, photos, boxes=boxes)
    outside = [whole, whole, (500, 0, 600, 9)]
    with pytest.raises(lz.PhotoError, match=r"2.*lies outside of the photo, which is 120 x 90"):
        embed(model, photos, boxes=outside)
    d = embed(model, photos, boxes=outside, on_error="skip")
    assert (d.ids, d.skipped[0][0]) == (["0", "1"], "2")
    with pytest.raises(TypeError, match="boxes are for photos"):
        lz.embed(model, torch.zeros(1, 3, 64, 64), boxes=[whole])


def test_wrong_scales(model, photos):
    for scales in ((), (0.0,), (1.0, -2.0), (float("inf"),)):
        with pytest.raises(ValueError, match="scales must be positive numbers"):
            embed(model, photos, scales=scales)


def test_scales_apart_are_one_call_each(model, photos):
    scales = (0.75, 1.0, 1.5)
    apart = [embed(model, photos, scales=(scale,)).vectors for scale in scales]
    together = embed(model, photos, scales=scales).vectors
    np.testing.assert_allclose(F.normalize(torch.tensor(np.mean(apart, axis=0))), together, atol=1e-5)
    assert min(np.abs(one - other).max() for one, other in combinations(apart, 2)) > 1e-3


def test_scales_of_a_transformer_are_multiples_of_its_patches(photos):
    model = lz.create_model("dinov2_vit_small")
    transform = lz.create_transform(model, image_size=(70, 98))
    d = lz.embed(model, photos, transform=transform, scales=(0.7071, 1, 1.4142, 0.01), progress=False)
    images = torch.stack([transform(photo) for photo in photos])
    total = 0
    with torch.no_grad():
        for size in ((56, 70), (70, 98), (98, 140), (14, 14)):
            view = F.interpolate(images, size, mode="bicubic", antialias=True)
            total = total + F.normalize(model.eval()(images if size == (70, 98) else view), dim=1)
    np.testing.assert_allclose(d.vectors, F.normalize(total, dim=1), atol=1e-5)


def test_models_of_one_size_say_so(photos):
    hybrid = lz.create_model("hybrid_efficientnet_b0_swin_tiny_224")
    mixer = lz.GlobalDescriptor("mixer_s32_224")
    for model, scale, message in (
        (hybrid, 1.4, r"scale 1\.4 does not fit: .* to 448 px"),
        (torch.nn.DataParallel(hybrid), 0.5, r"scale 0\.5 does not fit: .* to 448 px"),
        (mixer, 0.5, r"scale 0\.5 does not fit: .* takes 224x224 px only"),
    ):
        with pytest.raises(ValueError, match=rf"{message}.*\. Leave scales out \(flip=True works\)"):
            lz.embed(model, photos[:1], scales=(scale,), progress=False)
    assert len(lz.embed(mixer, photos[:1], flip=True, progress=False)) == 1


def test_other_boxes_are_another_job(model, photos, tmp_path):
    paths = []
    for n, photo in enumerate(photos):
        photo.save(tmp_path / f"{n}.png")
        paths.append(tmp_path / f"{n}.png")
    out = tmp_path / "d.safetensors"

    class StopError(Exception):
        pass

    def stopping(photo):
        if calls.append(photo) or len(calls) == 3:
            raise StopError
        return lz.create_transform(model, image_size=64)(photo)

    calls = []
    with pytest.raises(StopError):
        lz.embed(model, paths, transform=stopping, batch_size=1, progress=False, out=out)
    calls = [None] * 10  # and now it does not stop: one photo is left of the same job, all three of another
    lz.embed(
        model, paths, transform=stopping, batch_size=1, progress=False, out=out, boxes=[(0, 0, 60, 60)] * 3
    )
    assert len(calls) == 13


@pytest.mark.parametrize("views", ["scales (1,,), flip True", "scales (), flip True", "scales (1.0,)", "__"])
def test_damaged_views_of_a_provenance(views):
    with pytest.raises(ValueError, match=r"views|float"):
        TestTimeAugmentation.from_provenance({"views": views})
