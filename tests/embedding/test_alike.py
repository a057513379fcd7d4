"""lz.embed(like=index): queries with the image size, scales and precision of an index."""

import copy

import numpy as np
import pytest
import torch

import landmarkzoo as lz


def embed(model, photos, **options):
    return lz.embed(model, photos, progress=False, **options)


@pytest.mark.parametrize("wrap", [lambda model: model, torch.nn.DataParallel])
def test_image_size_views_and_precision_are_those_of_the_index(tiny_model, photo_folder, tmp_path, wrap):
    transform = lz.create_transform(tiny_model, image_size=(48, 96))
    options = {"scales": (1, 0.7), "flip": True, "precision": "bfloat16"}
    index = embed(tiny_model, photo_folder, transform=transform, **options)
    index.save(tmp_path / "index")
    queries = embed(wrap(tiny_model), photo_folder, like=lz.Descriptors.load(tmp_path / "index"))
    np.testing.assert_array_equal(queries.vectors, index.vectors)
    assert queries.provenance == index.provenance
    one = embed(tiny_model, photo_folder / "2.png", like=index)
    assert lz.search(one, index, k=1).scores[0, 0] > 0.9999


def test_a_plain_index(tiny_model, photo_folder):
    index = embed(tiny_model, photo_folder)
    assert embed(tiny_model, photo_folder, like=index).provenance == index.provenance
    half = lz.Descriptors(index.ids, index.vectors, provenance={**index.provenance, "precision": "float16"})
    assert embed(tiny_model, photo_folder, like=half).provenance["precision"] == "float32"  # on a CPU
    double = lz.Descriptors(index.ids, index.vectors, provenance={**index.provenance, "precision": "float64"})
    assert embed(tiny_model, photo_folder, like=double).provenance["precision"] == "float32"


def test_a_bfloat16_model_is_as_exact_as_its_index(tiny_model, photo_folder):
    model = copy.deepcopy(tiny_model).bfloat16()
    for precision in ("float32", "bfloat16"):
        index = embed(model, photo_folder, precision=precision)
        queries = embed(model, photo_folder, like=index)
        assert queries.provenance == index.provenance
        np.testing.assert_array_equal(queries.vectors, index.vectors)


def test_a_transform_of_ones_own_is_given_again(tiny_model, photo_folder):
    class Small:
        def __call__(self, image):
            return lz.create_transform(tiny_model, image_size=32)(image)

        def __repr__(self):
            return "Small()"

    index = embed(tiny_model, photo_folder, transform=Small())
    ours = embed(tiny_model, photo_folder, transform=Small(), like=index)
    assert ours.provenance == index.provenance
    with pytest.raises(ValueError, match=r"index went through Small\(\), .*: pass the same transform="):
        embed(tiny_model, photo_folder, like=index)
    plain = embed(tiny_model, photo_folder)
    with pytest.raises(ValueError, match=r"these would go through Small\(\): leave transform= out"):
        embed(tiny_model, photo_folder, like=plain, transform=Small())
    tensors = torch.randn(2, 3, 64, 64)
    with pytest.raises(ValueError, match="these would go through already transformed"):
        embed(tiny_model, tensors, like=plain)
    assert len(embed(tiny_model, tensors, like=embed(tiny_model, tensors))) == 2


def test_what_is_unlike_is_refused(tiny_model, photo_folder):
    index = embed(tiny_model, photo_folder, flip=True)
    other = lz.create_model("efficientnet_lite0_gem", neck="none")
    with pytest.raises(ValueError, match=r"needs the model of the index, GlobalDescriptor \(weights"):
        embed(other, photo_folder, like=index)
    with pytest.raises(ValueError, match=r"index has scales \(1\.0,\), flip True, .* leave scales= and"):
        embed(tiny_model, photo_folder, scales=(1, 2), like=index)
    with pytest.raises(TypeError, match=r"like= takes Descriptors, got str; lz\.Descriptors\.load"):
        embed(tiny_model, photo_folder, like="index.safetensors")
    with pytest.raises(TypeError, match=r"must be a torch\.nn\.Module, got str"):
        embed("efficientnet_lite0_gem", photo_folder, like=index)
    with pytest.raises(ValueError, match="do not say what model they come from"):
        embed(tiny_model, photo_folder, like=lz.Descriptors(["a"], np.eye(1)))


def test_queries_of_a_whitened_index_are_whitened_after_it(tiny_model, photo_folder):
    index = embed(tiny_model, photo_folder, flip=True)
    whitening = lz.Whitening.fit(index, dim=4)
    queries = whitening.apply(embed(tiny_model, photo_folder, like=whitening.apply(index)))
    assert lz.search(queries, whitening.apply(index), k=1).indices[:, 0].tolist() == list(range(11))
