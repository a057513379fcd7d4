"""Photos of different shapes: the same descriptors as one photo a call, whatever is around them."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torch.nn import functional as F

import landmarkzoo as lz

SHAPES = [(48, 40), (40, 48), (70, 33), (130, 90), (64, 64)]


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    model = lz.GlobalDescriptor("test_resnet", neck="fc-bn", embedding_dim=16).eval()
    model.cfg = replace(model.cfg, resize="none", input_size=(3, 64, 64))
    return model


def with_cfg(model, **changes):
    other = lz.GlobalDescriptor("test_resnet", neck="fc-bn", embedding_dim=16)
    other.load_state_dict(model.state_dict())
    other.cfg = replace(model.cfg, **changes)
    return other


def photo(size, seed=0):
    pixels = np.random.default_rng(seed).integers(0, 256, (*size[::-1], 3), dtype=np.uint8)
    return Image.fromarray(pixels)


def embed(model, photos, **options):
    return lz.embed(model, photos, progress=False, **options)


@settings(max_examples=25)
@given(st.lists(st.sampled_from(SHAPES), min_size=1, max_size=7), st.integers(1, 6))
def test_any_order_of_shapes_gives_the_descriptors_of_one_photo_a_call(model, sizes, batch_size):
    photos = [photo(size, seed) for seed, size in enumerate(sizes)]
    together = embed(model, photos, batch_size=batch_size, scales=(1, 0.7), flip=True)
    alone = [embed(model, [one], scales=(1, 0.7), flip=True).vectors[0] for one in photos]
    np.testing.assert_allclose(together.vectors, alone, atol=1e-6)


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("resize", ["squash", "longest", "shortest", "none"])
def test_each_resize_end_to_end(model, resize, workers):
    model = with_cfg(model, resize=resize)
    photos = [photo(size, seed) for seed, size in enumerate(SHAPES)]
    d = embed(model, photos, num_workers=workers, batch_size=3)
    transform = lz.create_transform(model)
    with torch.no_grad():
        alone = [F.normalize(model.eval()(transform(one)[None]), dim=1)[0] for one in photos]
    np.testing.assert_allclose(d.vectors, torch.stack(alone), atol=1e-6)
    assert len({tuple(transform(one).shape) for one in photos}) == (1 if resize == "squash" else 5)


def test_photos_of_one_shape_are_as_stacked(model):
    """The same bits as the model gives for the whole batch at once."""
    photos = [photo((64, 48), seed) for seed in range(5)]
    images = torch.stack([lz.create_transform(model)(one) for one in photos])
    with torch.no_grad():
        expected = F.normalize(model.eval()(images.contiguous(memory_format=torch.channels_last)), dim=1)
    np.testing.assert_array_equal(embed(model, photos).vectors, expected)
    np.testing.assert_array_equal(embed(model, images).vectors, expected)


def test_a_job_that_was_killed_goes_on(model, tmp_path):
    paths = []
    for seed, size in enumerate(SHAPES * 2):
        paths.append(tmp_path / f"{seed}.png")
        photo(size, seed).save(paths[-1])
    (tmp_path / "7.png").write_bytes(b"no photo")
    out = tmp_path / "index"
    with pytest.raises(lz.PhotoError, match=r"7\.png"):
        embed(model, paths, batch_size=3, out=out)
    photo(SHAPES[2], 7).save(paths[7])
    whole = embed(model, paths, batch_size=3)
    resumed = embed(model, paths, batch_size=3, out=out)
    assert resumed.ids == whole.ids == [str(path) for path in paths]
    np.testing.assert_allclose(resumed.vectors, whole.vectors, atol=1e-6)


def test_a_neck_is_whitened_on_photos_of_all_shapes(model):
    photos = [photo(size, seed) for seed, size in enumerate(SHAPES * 8)]
    one, other = with_cfg(model), with_cfg(model)
    lz.whiten_neck(one, photos, progress=False, batch_size=7)
    lz.whiten_neck(other, photos, progress=False, batch_size=1)
    np.testing.assert_allclose(embed(one, photos).vectors, embed(other, photos).vectors, atol=1e-4)
    assert np.abs(embed(one, photos).vectors - embed(model, photos).vectors).max() > 0.1
    assert one.cfg.resize == "none"


def test_like_takes_the_size_of_the_index_for_every_resize(model, tmp_path):
    photos = [photo(size, seed) for seed, size in enumerate(SHAPES)]
    for resize, image_size, text in (
        ("squash", (48, 56), "48 x 56"),
        ("longest", 60, "longest 60"),
        ("shortest", 40, "shortest 40"),
        ("none", None, "original"),
        ("none", 50, "longest 50"),
    ):
        sized = with_cfg(model, resize=resize)
        index = embed(sized, photos, transform=lz.create_transform(sized, image_size=image_size), flip=True)
        index.save(tmp_path / "index")
        assert index.provenance["image_size"] == text
        queries = embed(sized, photos, like=lz.Descriptors.load(tmp_path / "index"))
        assert queries.provenance == index.provenance
        np.testing.assert_array_equal(queries.vectors, index.vectors)
        plain = embed(with_cfg(model, resize="longest"), photos)
        with pytest.raises(ValueError, match=f"with {text} pixels, .* with longest 64 pixels: embed both"):
            lz.search(index, plain)
    damaged = lz.Descriptors(plain.ids, plain.vectors, [], {**plain.provenance, "image_size": "tiny"})
    with pytest.raises(ValueError, match="the image size 'tiny' is not known here"):
        embed(model, photos, like=damaged)


def test_a_transformer_takes_multiples_of_its_patches():
    model = lz.create_model("dinov2_vit_small")
    model.cfg = replace(model.cfg, resize="longest", input_size=(3, 56, 56), scales=(1, 0.7))
    d = embed(model, [photo((100, 60)), photo((60, 100))])
    assert d.provenance["image_size"] == "longest 56"
    images = lz.create_transform(model)(photo((100, 60)))[None]
    assert images.shape == (1, 3, 28, 56)
    small = F.interpolate(images, (14, 42), mode="bicubic", antialias=True)
    with torch.no_grad():
        both = sum(F.normalize(model.eval()(view), dim=1) for view in (images, small))
    np.testing.assert_allclose(d.vectors[:1], F.normalize(both, dim=1), atol=1e-5)


def test_like_says_how_a_model_with_another_resize_gets_that_of_the_index(model):
    photos = [photo((130, 90))]
    index = {resize: embed(with_cfg(model, resize=resize), photos) for resize in ("squash", "longest")}
    longest, squash = with_cfg(model, resize="longest"), with_cfg(model, resize="squash")
    with pytest.raises(ValueError, match="cfg that it had for the index, with resize='squash'"):
        embed(longest, photos, like=index["squash"])
    with pytest.raises(ValueError, match="cfg that it had for the index, with resize='longest'"):
        embed(squash, photos, like=index["longest"])
    with torch.no_grad():
        next(longest.parameters()).mul_(2)
    with pytest.raises(ValueError, match="like= needs the model of the index"):
        embed(longest, photos, like=index["squash"])
