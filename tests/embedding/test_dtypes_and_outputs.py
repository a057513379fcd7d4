"""Models in every floating point type, and models that give something else than vectors."""

import copy

import numpy as np
import pytest
import torch
from torch import nn

import landmarkzoo as lz

TYPES = (torch.bfloat16, torch.float16, torch.float64)


@pytest.fixture(scope="module")
def photos():
    random = np.random.default_rng(0)
    return list(random.integers(0, 256, (12, 8, 8, 3), dtype=np.uint8).repeat(8, 1).repeat(8, 2))


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return lz.create_model("efficientnet_lite0_gem", embedding_dim=8, pretrained_backbone=True)


def embed(model, photos, **options):
    transform = lz.create_transform(model, image_size=64)
    return lz.embed(model, photos, transform=transform, progress=False, **options)


def cosines(one, other):
    return (one.vectors * other.vectors).sum(axis=1)


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("precision", ["auto", "float32", "bfloat16", "float16"])
def test_every_precision_of_every_model(model, photos, dtype, precision):
    expected = embed(model, photos)
    converted = copy.deepcopy(model).to(dtype)
    pointers = [tensor.data_ptr() for tensor in converted.state_dict().values()]
    ours = embed(converted, photos, precision=precision)
    assert cosines(ours, expected).min() > 0.98
    assert ours.vectors.dtype == np.float32
    assert ours.provenance["precision"] == (
        str(dtype).removeprefix("torch.") if precision == "auto" else precision
    )
    assert pointers == [tensor.data_ptr() for tensor in converted.state_dict().values()]


def test_float32_of_a_bfloat16_model_is_that_of_its_weights_in_float32(model, photos):
    converted = copy.deepcopy(model).bfloat16()
    exact = embed(copy.deepcopy(converted).float(), photos, precision="float32")
    np.testing.assert_array_equal(embed(converted, photos, precision="float32").vectors, exact.vectors)
    own = embed(converted, photos, precision="bfloat16")
    np.testing.assert_array_equal(own.vectors, embed(converted, photos).vectors)
    assert not np.array_equal(own.vectors, exact.vectors)


@pytest.mark.parametrize("dtype", [torch.float16, torch.float64])
def test_whitening(model, photos, dtype):
    expected, ours = copy.deepcopy(model), copy.deepcopy(model).to(dtype)
    transform = lz.create_transform(model, image_size=64)
    for each in (expected, ours):
        lz.whiten_neck(each, photos, transform=transform, progress=False)
    assert {p.dtype for p in ours.parameters()} == {dtype}
    assert cosines(embed(ours, photos), embed(expected, photos)).min() > 0.98


def test_whitening_needs_more_digits_than_bfloat16_has(model, photos):
    converted = copy.deepcopy(model).bfloat16()
    with pytest.raises(ValueError, match=r"bfloat16 is too coarse .*: call model\.float\(\) first"):
        lz.whiten_neck(converted, photos)


def test_weights_of_two_types(model, photos):
    mixed = copy.deepcopy(model)
    mixed.neck.bfloat16()
    with pytest.raises(ValueError, match=r"in torch\.bfloat16 and torch\.float32, .*model\.float\(\)"):
        embed(mixed, photos)


def test_a_model_without_weights_to_compute_with(model, photos):
    with pytest.raises(ValueError, match="the model is on the meta device, so it has no weights"):
        embed(lz.create_model("efficientnet_lite0_gem", device="meta"), photos)
    with pytest.raises(ValueError, match="the model is on the meta device"):
        lz.whiten_neck(lz.create_model("efficientnet_lite0_gem", device="meta"), photos)
    with pytest.raises(TypeError, match=r"a model must be a torch\.nn\.Module, got str; lz\.create_model"):
        lz.embed("efficientnet_lite0_gem", photos)


class Giving(nn.Module):
    def __init__(self, make):
        super().__init__()
        self.make = make

    def forward(self, images):
        return self.make(images.mean(dim=(2, 3)), images)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda v, _: (v, v), TypeError, r"got a tuple of 2: .*self\.model\(images\)\[0\]"),
        (lambda v, _: [v], TypeError, r"got a list of 1: .*self\.model\(images\)\[0\]"),
        (lambda v, _: {"vectors": v}, TypeError, r"got a dict with vectors: .*\(images\)\['vectors'\]"),
        (lambda v, _: None, TypeError, "got a NoneType"),
        (lambda v, _: v.numpy(), TypeError, "got a ndarray"),
        (lambda v, _: v.long(), TypeError, r"floating point vectors, got torch\.int64"),
        (lambda v, _: v[:1], ValueError, r"vectors \(12, D\) for 12 images, got \(1, 3\)"),
        (lambda v, _: v[:, :0], ValueError, r"vectors \(12, D\) for 12 images, got \(12, 0\)"),
        (lambda v, _: v[:, 0], ValueError, r"got \(12,\)"),
        (lambda _, images: images, ValueError, r"got maps \(12, 3, 64, 64\): lz\.GlobalDescriptor\(model\)"),
    ],
)
def test_what_is_no_batch_of_vectors(model, photos, make, error, message):
    transform = lz.create_transform(model, image_size=64)
    with pytest.raises(error, match=message):
        lz.embed(Giving(make), photos, transform=transform, progress=False)


@pytest.mark.parametrize(
    "around",
    [
        torch.inference_mode,
        torch.no_grad,
        torch.enable_grad,
        lambda: torch.autocast("cpu", dtype=torch.bfloat16),
    ],
)
def test_inside_a_context_of_the_user(model, photos, around):
    expected, whitened = embed(model, photos), copy.deepcopy(model)
    transform = lz.create_transform(model, image_size=64)
    lz.whiten_neck(whitened, photos, transform=transform, progress=False)
    ours = copy.deepcopy(model)
    with around():
        np.testing.assert_array_equal(embed(ours, photos).vectors, expected.vectors)
        np.testing.assert_array_equal(
            embed(copy.deepcopy(model).double(), photos, precision="float32").vectors, expected.vectors
        )
        lz.whiten_neck(ours, photos, transform=transform, progress=False)
    assert all(torch.equal(t, ours.state_dict()[name]) for name, t in whitened.state_dict().items())
    ours.train()(torch.randn(2, 3, 64, 64)).sum().backward()
    assert ours.neck[0].weight.grad is not None


def test_training_goes_on_in_the_same_autocast(model, photos):
    ours = copy.deepcopy(model).train()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        embed(ours, photos, precision="bfloat16")
        loss = ours(torch.randn(2, 3, 64, 64)).float().square().sum()
    loss.backward()
    assert all(p.grad is not None for p in ours.parameters())


def test_too_little_memory_says_how_many_photos_were_too_many(model, photos):
    def full(vectors, images):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 3 GiB")

    transform = lz.create_transform(model, image_size=64)
    message = r"no memory on cpu for batch_size=5: use a smaller one\. CUDA out of memory"
    with pytest.raises(torch.OutOfMemoryError, match=message):
        lz.embed(Giving(full), photos, transform=transform, batch_size=5, progress=False)


class Flattened(nn.Module):
    """It calls `view`, which needs images in the usual layout in memory."""

    def forward(self, images):
        return images.view(len(images), -1)


def test_a_model_that_needs_the_usual_layout_in_memory():
    images = torch.randn(3, 3, 4, 5)
    expected = nn.functional.normalize(images.flatten(1))
    ours = lz.embed(Flattened(), images, progress=False).vectors
    torch.testing.assert_close(torch.from_numpy(ours), expected)
