"""Scales, mirror and their combination, as the cfg of a model says: against plain torch."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from torch.nn import functional as F

import landmarkzoo as lz
from landmarkzoo.embedding.tta import TestTimeAugmentation

ROOT = 2**0.5


@pytest.fixture
def model():
    torch.manual_seed(0)
    model = lz.GlobalDescriptor("test_resnet", neck="fc-bn", embedding_dim=16).eval()
    model.cfg = replace(
        model.cfg,
        resize="none",
        scales=(1 / ROOT, 1.0, ROOT),
        flip=True,
        combine="max",
        scale_resize="bilinear",
    )
    return model


@pytest.fixture
def photos():
    random = np.random.default_rng(0)
    sizes = ((63, 85), (91, 77), (63, 85))
    return [Image.fromarray(random.integers(0, 256, (*size, 3), dtype=np.uint8)) for size in sizes]


def resized_as_opencv(image, scale):
    """INTER_AREA to smaller sizes and INTER_LINEAR to larger ones, pixel by pixel, with ``fx`` and ``fy``."""

    def shares(new, old):
        """How much of each old pixel there is in a new one."""
        if scale < 1:
            begin, end = new / scale, min((new + 1) / scale, old)
            return [max(0.0, min(end, i + 1) - max(begin, i)) / (end - begin) for i in range(old)]
        position = min(max((new + 0.5) / scale - 0.5, 0), old - 1)
        return [max(0.0, 1 - abs(position - i)) for i in range(old)]

    rows, columns = (
        torch.tensor([shares(new, old) for new in range(round(old * scale))]) for old in image.shape[2:]
    )
    return torch.einsum("hi,bcij,wj->bchw", rows, image, columns)


def by_hand(model, photo, scales, flip, combine, mode):
    image = lz.create_transform(model)(photo)[None]
    vectors = []
    for scale in scales:
        if mode == "bilinear":
            view = F.interpolate(image, scale_factor=scale, mode="bilinear", align_corners=False)
        elif mode.startswith("bilinear"):
            whole = round if mode == "bilinear-rounded" else math.floor
            sides = [whole(side * scale) for side in image.shape[2:]]
            view = F.interpolate(image, sides, mode="bilinear", align_corners=False)
        elif mode == "area":
            view = resized_as_opencv(image, scale)
        else:
            sides = [round(side * scale) for side in image.shape[2:]]
            view = F.interpolate(image, sides, mode="bicubic", antialias=True)
        for seen in [view, torch.flip(view, (3,))][: 1 + flip]:
            with torch.no_grad():
                vector = model(image if scale == 1 and seen is view else seen)[0]
            vectors.append(vector / vector.norm())
    both = torch.stack(vectors)
    both = both.max(dim=0).values if combine == "max" else both.sum(dim=0)
    return both / both.norm()


@pytest.mark.parametrize("combine", ["mean", "max"])
@pytest.mark.parametrize("mode", ["bilinear", "bilinear-rounded", "bilinear-cut", "area", "bicubic"])
def test_the_views_of_the_cfg_by_hand(model, photos, combine, mode):
    model.cfg = replace(model.cfg, combine=combine, scale_resize=mode)
    d = lz.embed(model, photos, progress=False)
    scales = model.cfg.scales
    expected = [by_hand(model, photo, scales, True, combine, mode).numpy() for photo in photos]
    np.testing.assert_allclose(d.vectors, expected, atol=1e-6)
    text = f"scales {scales}, flip True"
    text += ", combine max" * (combine == "max") + f", resize {mode}" * (mode != "bicubic")
    assert d.provenance["views"] == text


def test_the_call_overrides_the_cfg(model, photos):
    plain = lz.embed(model, photos, progress=False, scales=(1,), flip=False)
    assert "views" not in plain.provenance
    expected = [by_hand(model, photo, (1,), False, "mean", "bicubic").numpy() for photo in photos]
    np.testing.assert_allclose(plain.vectors, expected, atol=1e-6)
    mirrored = lz.embed(model, photos, progress=False, scales=[1])
    assert mirrored.provenance["views"] == "scales (1.0,), flip True, combine max"
    scaled = lz.embed(model, photos, progress=False, flip=False)
    expected = [by_hand(model, photo, model.cfg.scales, False, "max", "bilinear").numpy() for photo in photos]
    np.testing.assert_allclose(scaled.vectors, expected, atol=1e-6)


def test_wrapped_models_have_the_views_of_their_cfg_and_others_one(model, photos):
    wrapped = lz.embed(torch.nn.DataParallel(model), photos, progress=False)
    assert wrapped.provenance["views"].endswith("flip True, combine max, resize bilinear")
    pool = torch.nn.Sequential(torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten())
    d = lz.embed(pool, photos, transform=lz.create_transform(model), progress=False)
    assert "views" not in d.provenance


def test_like_takes_the_views_of_the_index_not_of_the_cfg(model, photos):
    for options in ({"scales": (1,), "flip": False}, {"flip": False}, {"scales": (0.8,)}, {}):
        index = lz.embed(model, photos, progress=False, **options)
        queries = lz.embed(model, photos, progress=False, like=index)
        assert queries.provenance == index.provenance
        np.testing.assert_array_equal(queries.vectors, index.vectors)
        again = lz.embed(model, photos, progress=False, like=index, **options)
        assert again.provenance == index.provenance
    index = lz.embed(model, photos, progress=False, scales=(1,), flip=False)
    with pytest.raises(ValueError, match=r"index has scales \(1\.0,\), flip False, and these would"):
        lz.embed(model, photos, progress=False, like=index, flip=True)
    with pytest.raises(ValueError, match=r"as plain photos, .* as scales .*combine max"):
        lz.search(index, lz.embed(model, photos, progress=False))


def test_small_photos_are_seen_at_the_smallest_size_that_the_model_takes(model):
    transform = lz.create_transform(model)
    for scale, size, sides in ((0.3, (70, 40), (32, 32)), (0.71, (70, 45), (32, 49))):  # 45 * .71 = 31.95
        small = Image.new("RGB", size)
        d = lz.embed(model, [small], scales=(scale,), flip=False, progress=False)
        view = F.interpolate(transform(small)[None], sides, mode="bilinear", align_corners=False)
        with torch.no_grad():
            np.testing.assert_allclose(d.vectors, F.normalize(model(view), dim=1), atol=1e-6)


@given(
    st.lists(st.floats(0.01, 10), min_size=1, max_size=5),
    st.booleans(),
    st.sampled_from(["mean", "max"]),
    st.sampled_from(["bicubic", "bilinear", "bilinear-rounded", "bilinear-cut", "area"]),
)
def test_views_come_back_from_the_provenance(scales, flip, combine, resize):
    views = TestTimeAugmentation(scales, flip, combine, resize)
    assert TestTimeAugmentation.from_provenance(views.provenance) == views
    assert ("combine max" in views.provenance.get("views", "")) == (
        combine == "max" and (flip or len(scales) > 1)
    )


@pytest.mark.parametrize(
    "views", ["scales (1.0,), flip True, combine median", "scales (2.0,), flip True, resize nearest"]
)
def test_unknown_views(views):
    with pytest.raises(ValueError, match="are not known here"):
        TestTimeAugmentation.from_provenance({"views": views})
    with pytest.raises(ValueError, match="combine must be one of"):
        TestTimeAugmentation(combine="median")


def test_scales_and_flip_of_other_types(model, photos):
    for wrong in (["a"], [None], [1, "half"]):
        with pytest.raises(TypeError, match="scales must be numbers, such as"):
            lz.embed(model, photos, scales=wrong)
    with pytest.raises(TypeError, match="flip must be True or False, got 'no'"):
        lz.embed(model, photos, flip="no")
    for scales in (np.array([1, 0.5]), np.float32([1, 0.5]), (1, np.float16(0.5)), torch.tensor([1, 0.5])):
        assert TestTimeAugmentation.of_model(model, scales, np.bool_(False)).scales == (1.0, 0.5)
