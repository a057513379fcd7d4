import os
import pickle

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import ConcatDataset, DataLoader, Dataset, IterableDataset, Subset

import landmarkzoo as lz
from landmarkzoo.photos import PhotoError, photo_files, photo_source


def test_folder_is_listed_sorted_nested_and_without_what_is_no_photo(photo_folder):
    files = photo_files(photo_folder)
    assert files == sorted(files)
    assert set(files) == {f"{i}.png" for i in range(6)} | {
        "Z.JPG", "a/c/deep.webp", "a/x.bmp", "b/ü.jpg", "b/塔 1.png"
    }  # fmt: skip
    source = photo_source(photo_folder)
    assert source.ids == files
    assert source.load(files.index("b/塔 1.png")).size == (80, 64)
    assert photo_source(str(photo_folder)).ids == files


def test_links_are_followed_but_not_in_circles(photo_folder):
    (photo_folder / "circle").symlink_to(photo_folder, target_is_directory=True)
    elsewhere = photo_folder.parent / "elsewhere"
    elsewhere.mkdir()
    Image.new("RGB", (4, 4)).save(elsewhere / "far.png")
    (photo_folder / "link").symlink_to(elsewhere, target_is_directory=True)
    files = photo_files(photo_folder)
    assert "link/far.png" in files
    assert not any(name.startswith("circle") for name in files)


class Squares(Dataset):
    def __len__(self):
        return 3

    def __getitem__(self, i):
        return Image.new("RGB", (8, 8), (i, i, i)), i


def test_kinds_of_photos_and_their_ids(photo_folder):
    paths = [photo_folder / "3.png", str(photo_folder / "1.png")]
    assert photo_source(paths).ids == [str(p) for p in paths]
    assert photo_source(p for p in paths).ids == [str(p) for p in paths]
    assert photo_source(str(paths[0])).ids == [str(paths[0])]
    images = [Image.new("RGB", (8, 8)), Image.new("L", (9, 9))]
    assert photo_source(images).ids == ["0", "1"]
    assert len(photo_source(images[0])) == 1
    array = np.zeros((8, 9, 3), np.uint8)
    for several in ([array, array], np.stack([array, array]), torch.zeros(2, 3, 8, 9, dtype=torch.uint8)):
        source = photo_source(several)
        assert (len(source), source.load(1).size) == (2, (9, 8))
    assert len(photo_source(array)) == 1
    ready = photo_source(torch.randn(2, 3, 8, 8))
    assert ready.load(0).shape == (3, 8, 8)
    source = photo_source(Squares())
    assert source.ids == ["0", "1", "2"]
    assert source.load(2).getpixel((0, 0)) == (2, 2, 2)
    assert photo_source(source) is source
    pickle.dumps(photo_source(photo_folder))  # for workers


def test_ids_of_a_data_set():
    data = Squares()
    data.ids = ["a", "b", "c"]
    assert photo_source(data).ids == ["a", "b", "c"]
    data.ids = ["a"]
    with pytest.raises(ValueError, match="3 photos but 1 ids"):
        photo_source(data)


def test_a_subset_keeps_the_ids_of_its_data_set():
    data = Squares()
    assert photo_source(Subset(data, [2, 0])).ids == ["2", "0"]  # rows of the data set, which has no ids
    data.ids = ["a", "b", "c"]
    rows = Subset(Subset(data, [2, 1]), np.array([0]))
    source = photo_source(rows)
    assert source.ids == ["c"]
    assert source.load(0).getpixel((0, 0)) == (2, 2, 2)
    first, second = torch.utils.data.random_split(data, [2, 1])
    assert sorted(photo_source(first).ids + photo_source(second).ids) == ["a", "b", "c"]
    rows.ids = ["mine"]
    assert photo_source(rows).ids == ["mine"]


def test_joined_data_sets_keep_their_ids_and_photos():
    plain, named = Squares(), Squares()
    named.ids = ["a", "b", "c"]
    assert photo_source(ConcatDataset([plain, plain])).ids == ["0", "1", "2", "3", "4", "5"]
    source = photo_source(Subset(ConcatDataset([Subset(named, [2, 1]), ConcatDataset([plain])]), [4, 1, 0]))
    assert source.ids == ["2", "b", "c"]
    assert [source.load(row).getpixel((0, 0))[0] for row in range(3)] == [2, 1, 2]
    joined = ConcatDataset([plain, plain])
    joined.ids = list("uvwxyz")
    assert photo_source(ConcatDataset([joined, named])).ids == list("uvwxyzabc")


def test_what_a_class_derived_from_subset_gives_counts():
    class Inverted(Subset):
        def __getitem__(self, row):
            return Image.eval(self.dataset[self.indices[row]][0], lambda value: 255 - value)

        def __getitems__(self, rows):
            return [self[row] for row in rows]

    landmarks = lz.rendered.RenderedLandmarks(1, 4, 0, image_size=32)
    inverted = np.asarray(photo_source(Inverted(landmarks, [1])).load(0))
    np.testing.assert_array_equal(inverted, 255 - np.asarray(landmarks.photo(1)))


class Table:
    """As a data set of Hugging Face: a length and items that are dicts, read when they are asked for."""

    def __init__(self, key="image", length=3):
        self.key, self.length, self.read = key, length, []

    def __len__(self):
        return self.length

    def __getitem__(self, row):
        if row >= self.length:
            raise IndexError(row)
        self.read.append(row)
        return {self.key: Image.new("RGB", (8, 8), (row, row, row)), "label": 5}


def test_a_data_set_of_another_library_is_read_item_by_item(tiny_model):
    table = Table()
    source = photo_source(table)
    assert (source.ids, table.read) == (["0", "1", "2"], [])
    assert source.load(1).getpixel((0, 0)) == (1, 1, 1)
    assert table.read == [1]
    d = lz.embed(tiny_model, table, progress=False)
    images = [table[row]["image"] for row in range(3)]
    np.testing.assert_array_equal(d.vectors, lz.embed(tiny_model, images, progress=False).vectors)
    assert photo_source(list(table)).load(2).getpixel((0, 0)) == (2, 2, 2)  # dicts in a list
    with pytest.raises(TypeError, match=r"'image', got \['img', 'label'\].*rename_column\(old, 'image'\)"):
        photo_source(Table("img")).load(0)
    with pytest.raises(ValueError, match="the data set is empty"):
        photo_source(Table(length=0))
    with pytest.raises(TypeError, match=r"must not be a dict.*one of \['train', 'test'\]"):
        photo_source({"train": table, "test": table})


def test_a_column_of_paths_is_a_list_of_paths(photo_folder):
    class Column:  # as a column of pandas: its numbers may be the labels of rows
        def __init__(self, values):
            self.values = values

        def __len__(self):
            return len(self.values)

        def __getitem__(self, label):
            return self.values[label - 100]

        def __iter__(self):
            return iter(self.values)

        def __array__(self):
            return np.array(self.values)

    paths = [str(photo_folder / f"{i}.png") for i in range(2)]
    assert photo_source(Column(paths)).ids == paths


def test_a_loader_is_not_a_data_set(photo_folder):
    loader = DataLoader(lz.datasets.ImageFolder(photo_folder.parent))
    with pytest.raises(TypeError, match="not as a DataLoader: pass its dataset"):
        photo_source(loader)


def test_data_sets_of_hugging_face(photo_folder):
    pytest.importorskip("datasets.arrow_dataset")  # `datasets` alone may be a folder of these tests
    import datasets

    paths = [str(photo_folder / f"{i}.png") for i in range(3)]
    data = datasets.Dataset.from_dict({"img": paths, "label": [0, 1, 1]})
    data = data.cast_column("img", datasets.Image())
    source = photo_source(data.rename_column("img", "image"))
    assert source.ids == ["0", "1", "2"]
    assert np.array_equal(np.asarray(source.load(2)), np.asarray(lz.photos.open_photo(paths[2])))
    with pytest.raises(TypeError, match="rename_column"):
        photo_source(data).load(0)


class Stream(IterableDataset):
    def __iter__(self):
        yield from ()


def test_wrong_photos(tmp_path, photo_folder):
    with pytest.raises(FileNotFoundError, match="no such folder"):
        photo_source(tmp_path / "nowhere")
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(ValueError, match=r"no photos in .*empty: looked for .*\.jpg"):
        photo_source(empty)
    with pytest.raises(ValueError, match="the list is empty"):
        photo_source([])
    with pytest.raises(ValueError, match="the array is empty"):
        photo_source(np.zeros((0, 8, 8, 3), np.uint8))
    assert photo_source([np.zeros((8, 9, 1), np.uint8)]).load(0).size == (9, 8)
    with pytest.raises(TypeError, match="got int"):
        photo_source(3)
    with pytest.raises(TypeError, match="paths only, or images"):
        photo_source([str(photo_folder / "1.png"), Image.new("RGB", (4, 4))])
    with pytest.raises(TypeError, match="map-style"):
        photo_source(Stream())
    with pytest.raises(TypeError, match=r"a photo must be a path.*got int"):
        photo_source([1, 2]).load(0)
    with pytest.raises(TypeError, match="must be uint8 arrays"):
        photo_source([np.zeros((4, 4, 3))]).load(0)


def test_errors_carry_the_id(photo_folder):
    (photo_folder / "b" / "bad.jpg").write_bytes(b"no")
    source = photo_source(photo_folder)
    with pytest.raises(PhotoError, match=r"photo b/bad\.jpg: not an image"):
        source.load(source.ids.index("b/bad.jpg"))
    path = photo_folder / "cut.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)).save(path)
    os.truncate(path, 5000)
    with Image.open(path) as lazy, pytest.raises(PhotoError, match=r"photo 0: .*truncated"):
        photo_source([lazy]).load(0)


def test_arrays_of_paths_keep_their_ids_and_nested_lists_are_refused(photo_folder):
    paths = [str(photo_folder / f"{i}.png") for i in range(3)]
    for array in (np.array(paths), np.array(paths, dtype=object)):
        assert photo_source(array).ids == paths
    assert photo_source(np.array(paths[0])).ids == paths[:1]
    with pytest.raises(TypeError, match="a list inside the list of photos"):
        photo_source([paths])
