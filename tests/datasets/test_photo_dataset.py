"""What all data sets have in common: items, transforms, loaders, and ids that embedding keeps."""

import os
import pickle

import numpy as np
import pytest
import torch
from gldv2_files import write_gldv2, write_photo
from PIL import Image
from torch.utils.data import ConcatDataset, DataLoader, Subset

import landmarkzoo as lz


def image_folder(root, **options):
    for name in ("dome/1", "dome/2", "tower/1"):
        write_photo(root / f"{name}.jpg")
    return lz.datasets.ImageFolder(root, **options)


def csv_photos(root, **options):
    for name in ("1", "2", "3"):
        write_photo(root / f"{name}.jpg")
    (root / "photos.csv").write_text("path,label\n1.jpg,Turm\n2.jpg,\n3.jpg,Dom\n")
    return lz.datasets.CsvPhotos(root / "photos.csv", **options)


def gldv2(root, **options):
    write_gldv2(root)
    for id_ in ("ccc0", "eee0", "aaa0"):
        write_photo(root / "train" / id_[0] / id_[1] / id_[2] / f"{id_}.jpg")
    return lz.datasets.GLDv2(root, **options)


def oxford(root):
    truth = {"bbx": [4.0, 4.0, 20.0, 20.0], "easy": [1], "hard": [], "junk": [0]}
    content = {"imlist": ["a_1", "a_2"], "qimlist": ["a_0"], "gnd": [truth]}
    (root / "gnd_roxford5k.pkl").write_bytes(pickle.dumps(content))
    for name in ("a_0", "a_1", "a_2"):
        write_photo(root / "jpg" / f"{name}.jpg")


def queries(root, **options):
    oxford(root)
    return lz.datasets.RevisitedOxford(root, **options).queries


def index(root, **options):
    oxford(root)
    return lz.datasets.RevisitedOxford(root, **options).index


def rendered(root, **options):
    return lz.rendered.RenderedLandmarks(1, 4, 1, image_size=32, **options)


FILES = (image_folder, csv_photos, gldv2, queries, index)
every_data_set = pytest.mark.parametrize("make", [*FILES, rendered])


def to_tensor(photo):
    assert isinstance(photo, Image.Image)
    return torch.tensor(np.asarray(photo.resize((8, 6)))).permute(2, 0, 1) / 255


@every_data_set
def test_items_are_photos_and_labels(make, tmp_path):
    data = make(tmp_path)
    assert len(data) == len(data.ids) == len(data.targets) >= 1
    assert data.targets.dtype == np.int64
    for position in range(len(data)):
        image, label = data[position]
        assert image.mode == "RGB"
        assert np.array_equal(np.asarray(image), np.asarray(data.photo(position)))
        assert type(label) is int
        assert label == data.targets[position]
        assert -1 <= label < max(1, len(data.classes))
    assert np.array_equal(np.asarray(data[-1][0]), np.asarray(data[len(data) - 1][0]))
    assert data[np.int64(0)][1] == data[torch.tensor(0)][1] == data.targets[0]
    for outside in (len(data), -len(data) - 1):
        with pytest.raises(IndexError, match=f"there is no photo {outside}, the data set has {len(data)}"):
            data[outside]
    for wrong in (slice(2), [0, 1], 0.5, True, None, "1.jpg", np.array([0, 0])):
        with pytest.raises(TypeError, match=r"a photo is chosen by its position, .*Subset\(dataset"):
            data[wrong]
    assert len(list(data)) == len(data)  # iterating ends


@every_data_set
def test_a_loader_takes_a_data_set_with_a_transform(make, tmp_path):
    data = make(tmp_path, transform=to_tensor)
    for workers in (0, 1):
        images, labels = next(iter(DataLoader(data, batch_size=len(data), num_workers=workers)))
        assert images.shape == (len(data), 3, 6, 8)
        assert labels.tolist() == data.targets.tolist()
        assert torch.equal(images[-1], to_tensor(data.photo(len(data) - 1)))


@every_data_set
def test_embedding_keeps_the_ids(make, tmp_path, tiny_model):
    data = make(tmp_path)
    d = lz.embed(tiny_model, data, progress=False)
    assert d.ids == data.ids
    plain = lz.embed(tiny_model, [data.photo(row) for row in range(len(data))], progress=False)
    np.testing.assert_array_equal(d.vectors, plain.vectors)
    assert {**d.provenance, "ids": "running numbers"} == plain.provenance


@every_data_set
def test_a_transform_for_training_does_not_reach_the_descriptors(make, tmp_path, tiny_model):
    expected = lz.embed(tiny_model, make(tmp_path), progress=False)
    data = make(tmp_path, transform=lambda photo: torch.zeros(3, 64, 64))
    rows = np.arange(len(data))
    inside = Subset(ConcatDataset([Subset(data, rows)]), rows)
    for photos in (data, inside):
        d = lz.embed(tiny_model, photos, progress=False, num_workers=1)
        np.testing.assert_array_equal(d.vectors, expected.vectors)
        assert (d.ids, d.provenance) == (expected.ids, expected.provenance)
    small = lz.create_transform(tiny_model, image_size=64)
    explicit = lz.embed(tiny_model, data, transform=small, progress=False)
    photos = [data.photo(row) for row in rows]
    np.testing.assert_array_equal(
        explicit.vectors, lz.embed(tiny_model, photos, transform=small, progress=False).vectors
    )


@pytest.mark.parametrize("make", [image_folder, csv_photos, gldv2, rendered])
def test_labels_are_transformed_too(make, tmp_path):
    data = make(tmp_path, target_transform=lambda label: f"class {label}")
    assert data[0][1] == f"class {data.targets[0]}"


@pytest.mark.parametrize("make", FILES)
def test_photos_in_files_have_paths(make, tmp_path):
    data = make(tmp_path)
    assert data.missing() == []
    data.path(len(data) - 1).unlink()
    assert data.missing() == [data.ids[-1]]
    with pytest.raises(FileNotFoundError, match=f"the photo {data.ids[-1]} is missing"):
        data[len(data) - 1]


def test_a_name_that_no_file_can_have_is_missing(tmp_path):
    (tmp_path / "photos.csv").write_text(f"path\n{'a' * 300}.jpg\n")
    data = lz.datasets.CsvPhotos(tmp_path / "photos.csv")
    assert data.missing() == data.ids
    with pytest.raises(FileNotFoundError, match="is missing: there is no file"):
        data[0]


@pytest.mark.skipif(not hasattr(os, "seteuid"), reason="rights as on Unix")
def test_a_closed_folder_is_not_an_empty_one(tmp_path):
    data = csv_photos(tmp_path)
    tmp_path.chmod(0)
    user = os.geteuid()
    os.seteuid(user or 65534)  # root may open it all the same
    try:
        for read in (data.missing, lambda: data[0]):
            with pytest.raises(PermissionError, match=r"its folder may not be opened.*1\.jpg"):
                read()
    finally:
        os.seteuid(user)
        tmp_path.chmod(0o700)


@pytest.mark.parametrize("make", [image_folder, csv_photos])
def test_labels_by_name(make, tmp_path):
    data = make(tmp_path)
    assert data.class_to_idx == {name: label for label, name in enumerate(data.classes)}
