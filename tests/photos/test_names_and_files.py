"""What a source says of its photos without reading them: whether ids are names, and where the files are."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from torch.utils.data import ConcatDataset, Dataset, Subset
from torchvision.datasets import ImageFolder

import landmarkzoo as lz
from landmarkzoo.photos import photo_source


class Numbered(Dataset):
    def __len__(self):
        return 3

    def __getitem__(self, row):
        return Image.new("RGB", (8, 8), (row, row, row)), row


@pytest.fixture
def landmarks(tmp_path):
    """Two landmarks with two photos each, which cannot be decoded: no test here reads them."""
    for name in ("dome", "tower"):
        (tmp_path / name).mkdir()
        for number in range(2):
            (tmp_path / name / f"{number}.jpg").touch()
    return tmp_path


def files(photos):
    source = photo_source(photos)
    return [source.file(position) for position in range(len(source))]


def test_folders_paths_and_data_sets_know_their_files(landmarks):
    all_four = [landmarks / name / f"{number}.jpg" for name in ("dome", "tower") for number in range(2)]
    assert files(landmarks) == files(str(landmarks)) == all_four
    assert files(all_four) == all_four
    assert files([(str(path), 1) for path in all_four]) == all_four  # (path, label)
    assert files(all_four[1]) == all_four[1:2]
    ours = lz.datasets.ImageFolder(landmarks)
    theirs = ImageFolder(landmarks)
    for data in (ours, theirs):
        assert files(data) == all_four
        assert files(Subset(data, [3, 0])) == [all_four[3], all_four[0]]
        assert files(Subset(ConcatDataset([data, Subset(data, np.array([1]))]), [4, 2])) == [
            all_four[1],
            all_four[2],
        ]
        assert photo_source(data).named
        assert photo_source(Subset(ConcatDataset([data, data]), [1])).named
    assert photo_source(theirs).ids == [str(path) for path in all_four]
    assert photo_source([(str(path), 1) for path in all_four]).ids == [str(path) for path in all_four]
    assert photo_source(landmarks).named
    assert photo_source(all_four).named


def test_images_in_memory_have_neither_names_nor_files():
    images = [np.zeros((8, 8, 3), np.uint8)] * 3
    for photos in (images, np.stack(images), images[0], Image.new("RGB", (8, 8)), Numbered()):
        assert not photo_source(photos).named
        assert set(files(photos)) == {None}
    assert files(Subset(Numbered(), [2])) == [None]
    assert not photo_source(Subset(Numbered(), [2])).named


def test_one_part_without_names_makes_the_whole_unnamed(landmarks):
    named = lz.datasets.ImageFolder(landmarks)
    mixed = photo_source(ConcatDataset([named, Numbered()]))
    assert not mixed.named
    assert [mixed.file(row) for row in (3, 4)] == [landmarks / "tower/1.jpg", None]
    numbered = Numbered()
    numbered.ids = ["a", "b", "c"]
    assert photo_source(ConcatDataset([named, numbered])).named


def test_a_derived_subset_may_do_anything_so_its_files_are_not_known(landmarks):
    class Turned(Subset):
        pass

    assert files(Turned(lz.datasets.ImageFolder(landmarks), [0])) == [None]


def test_home_is_expanded_and_ids_stay_as_given(landmarks, monkeypatch):
    monkeypatch.setenv("HOME", str(landmarks))
    assert files("~") == files(landmarks)
    assert files(["~/dome/0.jpg"]) == [landmarks / "dome/0.jpg"]
    assert photo_source(["~/dome/0.jpg"]).ids == ["~/dome/0.jpg"]
    assert lz.datasets.ImageFolder("~").path(0) == landmarks / "dome/0.jpg"
    assert lz.photos.photo_files("~/tower") == ["0.jpg", "1.jpg"]
    monkeypatch.chdir(landmarks)
    Path("~odd").mkdir()
    Path("~odd/1.jpg").touch()
    assert files("~odd") == [Path("~odd/1.jpg")]
