"""The model of an index comes back by itself, and another one is refused."""

import copy
import shutil

import numpy as np
import pytest
import torch

import landmarkzoo as lz


def small_index(folder, model, photos, **options):
    index = lz.Index.create(folder, model, **options)
    index.add(photos, progress=False)
    return index


def test_a_model_without_a_name_is_saved_in_the_folder(tiny_model, photo_folder, tmp_path):
    transform = lz.create_transform(tiny_model, image_size=(48, 64))
    how = {"transform": transform, "scales": (1, 0.7), "flip": True}
    index = small_index(tmp_path / "index", tiny_model, photo_folder, **how)
    again = lz.Index.open(tmp_path / "index")
    for name in ("0.png", "Z.JPG"):
        found = again.search(photo_folder / name, 1)
        assert found.ids == name
        assert found.scores[0, 0] > 0.99999
    assert again._ready().provenance == index.provenance


def test_a_whitened_model_comes_back(photo_folder, tmp_path):
    model = lz.create_model("efficientnet_lite0_gem", embedding_dim=8)
    lz.whiten_neck(model, photo_folder, progress=False)
    index = small_index(tmp_path / "index", model, photo_folder)
    np.testing.assert_array_equal(
        lz.Index.open(tmp_path / "index").search(photo_folder, 3).scores, index.search(photo_folder, 3).scores
    )


def test_weights_of_the_package_are_named(photo_folder, tmp_path):
    model = lz.create_model("efficientnet_lite0_gem", pretrained=True)
    transform = lz.create_transform(model, image_size=64)
    index = small_index(tmp_path / "index", model, photo_folder, transform=transform)
    assert not (tmp_path / "index/model").exists()
    np.testing.assert_array_equal(
        lz.Index.open(tmp_path / "index").search(photo_folder, 3).scores, index.search(photo_folder, 3).scores
    )


def test_a_saved_model_is_named(photo_folder, tmp_path):
    lz.create_model("efficientnet_lite0_gem", embedding_dim=8).save_pretrained(tmp_path / "model")
    index = small_index(tmp_path / "index", f"local-dir:{tmp_path / 'model'}", photo_folder)
    assert not (tmp_path / "index/model").exists()
    assert lz.Index.open(tmp_path / "index").search(photo_folder / "1.png", 1).ids == "1.png"
    lz.create_model("efficientnet_lite0_gem", embedding_dim=8).save_pretrained(tmp_path / "model")
    with pytest.raises(ValueError, match=rf"is of weights {index.provenance['weights']}, and .* now has"):
        lz.Index.open(tmp_path / "index").search(photo_folder / "1.png")


def test_a_module_of_ones_own_is_given_again(photo_folder, tmp_path):
    class Mean(torch.nn.Module):
        def forward(self, images):
            return torch.nn.functional.adaptive_avg_pool2d(images, 4).flatten(1)

    transform = lz.create_transform(lz.create_model("efficientnet_lite0_gem"), image_size=64)
    index = small_index(tmp_path / "index", Mean(), photo_folder, transform=transform)
    with pytest.raises(ValueError, match=r"needs its model to embed photos: lz\.Index"):
        lz.Index.open(tmp_path / "index").search(photo_folder / "1.png")
    given = lz.Index.open(tmp_path / "index", model=Mean(), transform=transform)
    assert given.search(photo_folder / "1.png", 1).ids == "1.png"
    assert len(index) == 11
    with pytest.raises(TypeError, match="transform"):
        lz.Index.create(tmp_path / "other", Mean())
    assert not (tmp_path / "other").exists()


def test_another_model_is_refused(tiny_model, photo_folder, tmp_path):
    index = small_index(tmp_path / "index", tiny_model, photo_folder)
    other = lz.create_model("efficientnet_lite0_gem")
    with pytest.raises(ValueError, match=r"model= needs the model of the index, GlobalDescriptor \(weights"):
        lz.Index.open(tmp_path / "index", model=other)
    with pytest.raises(ValueError, match="is there, and its weights is"):
        lz.Index.create(tmp_path / "index", other, exist_ok=True)
    with pytest.raises(
        ValueError,
        match=r"is there, and its views is scales \(1\.0,\), flip False, not scales \(1\.0,\), flip True",
    ):
        lz.Index.create(tmp_path / "index", tiny_model, flip=True, exist_ok=True)
    same = lz.Index.create(tmp_path / "index", copy.deepcopy(tiny_model), exist_ok=True)
    assert same.ids == index.ids
    with pytest.raises(TypeError, match=r"a model must be a torch\.nn\.Module, got int"):
        lz.Index.open(tmp_path / "index", model=3)


def test_a_model_that_learns_is_refused(photo_folder, tmp_path):
    model = lz.create_model("efficientnet_lite0_gem", embedding_dim=8)
    index = small_index(tmp_path / "index", model, photo_folder)
    with torch.no_grad():
        model.neck[0].weight.mul_(2)
    with pytest.raises(ValueError, match="weights of the model have changed"):
        index.add(photo_folder, progress=False)


def test_descriptors_of_the_model_may_be_added(tiny_model, photo_folder, tmp_path):
    index = small_index(tmp_path / "index", tiny_model, [photo_folder / "1.png"])
    index.add(lz.embed(tiny_model, photo_folder, progress=False))
    assert len(index) == 12
    flipped = lz.embed(tiny_model, photo_folder, flip=True, progress=False)
    with pytest.raises(ValueError, match="was embedded as"):
        index.add(flipped)


def test_an_index_made_anew_with_another_model_in_the_folder_of_an_open_one(
    tiny_model, photo_folder, tmp_path
):
    small_index(tmp_path / "index", tiny_model, photo_folder)
    given, by_itself = lz.Index.open(tmp_path / "index", model=tiny_model), lz.Index.open(tmp_path / "index")
    by_itself.search(photo_folder / "1.png", 1)
    shutil.rmtree(tmp_path / "index")
    torch.manual_seed(5)
    other = lz.create_model("efficientnet_lite0_gem", embedding_dim=8)
    lz.Index.create(tmp_path / "index", other)
    with pytest.raises(ValueError, match="model= needs the model of the index"):
        given.add(photo_folder, progress=False)
    by_itself.add(photo_folder, progress=False)
    assert len(by_itself) == 11
    assert lz.Index.open(tmp_path / "index", model=other).search(photo_folder / "1.png", 1).ids == "1.png"


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
def test_an_index_on_a_gpu(tiny_model, photo_folder, tmp_path):
    index = small_index(tmp_path / "index", tiny_model, photo_folder, device="cuda")
    assert index.search(photo_folder / "1.png", 1).ids == "1.png"
    opened = lz.Index.open(tmp_path / "index", device="cuda")
    np.testing.assert_array_equal(opened.search(photo_folder, 3).ids, index.search(photo_folder, 3).ids)
