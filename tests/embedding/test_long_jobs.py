"""Jobs of many photos: what is computed in, and that nothing depends on how far the job is."""

import copy

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

import landmarkzoo as lz
from landmarkzoo.embedding import long_jobs
from landmarkzoo.embedding.long_jobs import LONG_JOB


@pytest.fixture(params=[True, False], ids=["bfloat16", "no bfloat16"])
def native(request, monkeypatch):
    """A CPU with bfloat16 in hardware, and one without; the results are the same on all machines."""
    monkeypatch.setattr(long_jobs, "has_native_bfloat16", lambda: request.param)
    return request.param


@pytest.fixture
def bfloat16(monkeypatch):
    monkeypatch.setattr(long_jobs, "has_native_bfloat16", lambda: True)


@pytest.fixture
def any_cosine(monkeypatch):
    """The tiny model has random directions only, for which bfloat16 may be too coarse."""
    monkeypatch.setattr(long_jobs, "LEAST_COSINE", 0.9)


@pytest.fixture(scope="module")
def photos():
    random = np.random.default_rng(0)
    return random.integers(0, 256, (LONG_JOB + 3, 8, 8, 3), dtype=np.uint8).repeat(8, 1).repeat(8, 2)


def embed(model, photos, **options):
    return lz.embed(model, photos, progress=False, **options)


def test_many_photos_are_bfloat16_where_that_is_fast(native, any_cosine, tiny_model, photos):
    exact = embed(tiny_model, photos, precision="float32")
    many, few = embed(tiny_model, photos), embed(tiny_model, photos[: LONG_JOB - 1])
    assert (exact.vectors * many.vectors).sum(axis=1).min() > 0.99
    assert many.provenance["precision"] == ("bfloat16" if native else "float32")
    assert ("precision_cosine" in many.provenance) == native
    assert (few.provenance["precision"], "precision_cosine" in few.provenance) == ("float32", False)
    if native:
        assert 0.99 < float(many.provenance["precision_cosine"]) < 1
        assert not np.array_equal(many.vectors, exact.vectors)
        again = embed(tiny_model, photos, precision="bfloat16")
        np.testing.assert_array_equal(again.vectors, many.vectors)


def test_what_is_given_is_computed(bfloat16, any_cosine, tiny_model, photos):
    for precision in ("float32", "bfloat16", "float16"):
        d = embed(tiny_model, photos, precision=precision)
        assert d.provenance["precision"] == precision
        assert "precision_cosine" not in d.provenance
    double = embed(copy.deepcopy(tiny_model).double(), photos)
    assert double.provenance["precision"] == "float64"


def test_a_model_for_which_bfloat16_is_too_coarse_stays_float32(bfloat16, monkeypatch, tiny_model, photos):
    monkeypatch.setattr(long_jobs, "LEAST_COSINE", 1.0)
    d = embed(tiny_model, photos)
    assert (d.provenance["precision"], "precision_cosine" in d.provenance) == ("float32", False)


def test_batch_norms_are_folded_without_a_difference(tiny_model, photos):
    model = copy.deepcopy(tiny_model)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    many = embed(model, photos, precision="float32").vectors
    few = np.concatenate(
        [embed(model, part, precision="float32").vectors for part in np.array_split(photos, 3)]
    )
    np.testing.assert_allclose(many, few, atol=1e-5)
    assert not np.array_equal(many, few)  # else nothing was folded
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert not any("forward" in vars(module) for module in model.modules())


def test_other_weights_are_tried_anew(bfloat16, any_cosine, tiny_model, photos):
    model = copy.deepcopy(tiny_model)
    one = embed(model, photos, precision="float32").vectors
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_var.mul_(1.5)
    other = embed(model, photos, precision="float32").vectors
    few = embed(model, photos[:8], precision="float32").vectors
    np.testing.assert_allclose(other[:8], few, atol=1e-5)
    assert np.abs(one - other).max() > 1e-3


class UsedTwice(lz.GlobalDescriptor):
    """What its convolution gives is used before and after the batch norm."""

    def forward(self, images):
        x = self.backbone.conv_stem(images)
        return self.backbone.bn1(x).mean(dim=(2, 3)) + x.square().mean(dim=(2, 3))


def test_a_model_that_would_change_is_left_alone(photos):
    torch.manual_seed(0)
    model = UsedTwice("tf_efficientnet_lite0", neck="none").eval()
    model.backbone.bn1.running_mean.uniform_(-1, 1)
    model.backbone.bn1.running_var.uniform_(0.1, 4)
    options = {"transform": lz.create_transform(model, image_size=64), "precision": "float32"}
    many, few = embed(model, photos, **options), embed(model, photos[:32], **options)
    np.testing.assert_array_equal(many.vectors[:32], few.vectors)


def test_modules_without_a_cfg_stay_as_they_are(bfloat16, photos):
    images = torch.from_numpy(photos).permute(0, 3, 1, 2).float()
    d = embed(nn.Flatten(), images)
    assert d.provenance["precision"] == "float32"


def test_a_job_that_was_killed_goes_on_in_its_precision(bfloat16, any_cosine, tiny_model, tmp_path):
    random = np.random.default_rng(0)
    for row in range(LONG_JOB):
        pixels = random.integers(0, 256, (4, 4, 3), dtype=np.uint8)
        Image.fromarray(pixels).resize((64, 64)).save(tmp_path / f"{row:02d}.png")
    folder, out = tmp_path, tmp_path.parent / f"{tmp_path.name}.safetensors"
    expected = embed(tiny_model, folder, batch_size=8)
    good = (folder / "60.png").read_bytes()
    (folder / "60.png").write_bytes(b"")
    with pytest.raises(lz.PhotoError):
        embed(tiny_model, folder, batch_size=8, out=out, num_workers=0)
    (folder / "60.png").write_bytes(good)
    d = embed(tiny_model, folder, batch_size=8, out=out)
    assert d.provenance == expected.provenance
    np.testing.assert_array_equal(d.vectors, expected.vectors)


def test_queries_are_compared_with_a_bfloat16_index(bfloat16, any_cosine, tiny_model, photos, recwarn):
    index, queries = embed(tiny_model, photos), embed(tiny_model, photos[:3])
    assert lz.search(queries, index, k=1).indices[:, 0].tolist() == [0, 1, 2]
    assert not recwarn.list
    like = embed(tiny_model, photos[:3], like=index)
    assert like.provenance["precision"] == "bfloat16"


def test_many_queries_are_as_exact_as_a_float32_index(bfloat16, any_cosine, tiny_model, photos):
    index = embed(tiny_model, photos[:8])
    assert embed(tiny_model, photos, like=index).provenance["precision"] == "float32"


class Adding(nn.Conv2d):
    """It also changes its output, with no weights of its own."""

    def forward(self, images):
        return super().forward(images).relu()


def test_a_part_that_was_exchanged_is_tried_anew(photos):
    model = lz.GlobalDescriptor("tf_efficientnet_lite0", neck="none").eval()
    model.backbone.bn1.running_mean.uniform_(-1, 1)
    options = {"transform": lz.create_transform(model, image_size=64), "precision": "float32"}
    embed(model, photos, **options)
    old = model.backbone.conv_stem
    model.backbone.conv_stem = Adding(3, 32, 3, stride=2, padding=1, bias=False)
    model.backbone.conv_stem.weight = old.weight
    many, few = embed(model, photos, **options), embed(model, photos[:8], **options)
    np.testing.assert_allclose(many.vectors[:8], few.vectors, atol=1e-5)


def test_what_is_tried_does_not_depend_on_default_types():
    expected = long_jobs._images((32, 48))
    torch.set_default_dtype(torch.float64)
    try:
        images = long_jobs._images((32, 48))
    finally:
        torch.set_default_dtype(torch.float32)
    assert images.dtype == torch.float32
    assert torch.equal(images, expected)
