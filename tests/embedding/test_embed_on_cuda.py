"""What embedding does on a GPU only: the model goes there and comes back, and "auto" is float16."""

import numpy as np
import pytest
import torch

import landmarkzoo as lz

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")


def embed(model, photos, **options):
    return lz.embed(model, photos, progress=False, **options).vectors


def test_the_model_comes_back(tiny_model, photo_folder):
    expected = embed(tiny_model, photo_folder)
    ours = embed(tiny_model, photo_folder, device="cuda", precision="float32")
    assert {tensor.device.type for tensor in tiny_model.state_dict().values()} == {"cpu"}
    np.testing.assert_allclose(ours, expected, atol=1e-3)
    (photo_folder / "bad.jpg").write_bytes(b"")
    with pytest.raises(lz.PhotoError):
        embed(tiny_model, photo_folder, device="cuda")
    assert {tensor.device.type for tensor in tiny_model.state_dict().values()} == {"cpu"}


def test_auto_is_float16(tiny_model, photo_folder):
    auto, half, brain, exact = (
        embed(tiny_model, photo_folder, device="cuda", precision=precision)
        for precision in ("auto", "float16", "bfloat16", "float32")
    )
    assert (auto * exact).sum(1).min() > 0.99
    assert np.abs(auto - half).max() < np.abs(auto - brain).max() / 2
    assert not np.array_equal(auto, exact)


def test_batches_that_overlap_come_in_order(tiny_model, photo_folder):
    options = {"precision": "float32", "batch_size": 2, "scales": (0.5, 1.0), "flip": True}
    expected = embed(tiny_model, photo_folder, **options)
    for _ in range(5):
        ours = embed(tiny_model, photo_folder, device="cuda", **options)
        np.testing.assert_allclose(ours, expected, atol=1e-3)
