"""Photos with landmarks, from whatever the user has."""

import numpy as np
import pytest
from torch.utils.data import Subset

import landmarkzoo as lz
from landmarkzoo.finetuning.landmark_labels import labelled_photos, without

NAMES = ["place0", "place1"]


def test_a_folder_and_what_stands_for_it(noise):
    folder = labelled_photos(noise)
    assert folder.classes == NAMES
    assert len(folder) == 16
    assert folder.source.ids[0] == "place0/00.png"
    assert folder.source.file(0) == noise / "place0" / "00.png"
    for same in (str(noise), lz.datasets.ImageFolder(noise), folder):
        found = labelled_photos(same)
        assert found.digest() == folder.digest()
        assert found.names == folder.names


def test_a_csv_file_without_some_labels(noise, tmp_path):
    path = tmp_path / "photos.csv"
    path.write_text(f"path,label\n{noise}/place0/00.png,b\n{noise}/place0/02.png,\n{noise}/place1/01.png,a\n")
    found = labelled_photos(path)
    assert found.classes == ["a", "b"]
    assert found.labels.tolist() == [1, 0]


@pytest.mark.parametrize(
    ("labels", "classes", "expected"),
    [
        (["b", "a", None, "b"], ["a", "b"], [1, 0, 1]),
        ([10, 9, -1, 10], ["9", "10"], [1, 0, 1]),
        (np.array([3, 3, 1, 1]), ["1", "3"], [1, 1, 0, 0]),
    ],
)
def test_a_pair_of_paths_and_labels(labels, classes, expected):
    found = labelled_photos(([f"{row}.jpg" for row in range(4)], labels))
    assert found.classes == classes
    assert found.labels.tolist() == expected


def test_data_sets_keep_the_order_of_their_classes_and_lose_empty_ones():
    data = lz.rendered.RenderedLandmarks(3, 4, 2, image_size=32)
    found = labelled_photos(data)
    assert found.classes == data.classes
    assert len(found) == 12  # two have no landmark
    assert found.source.load(0).size == data.photo(0).size
    part = labelled_photos(Subset(Subset(data, [11, 10, 0, 1]), [0, 2, 3]))
    assert part.source.ids == [data.ids[row] for row in (11, 0, 1)]
    assert part.names == [data.classes[row] for row in (2, 0, 0)]
    assert part.classes == [data.classes[0], data.classes[2]]


def test_what_has_no_labels_is_refused(noise):
    with pytest.raises(TypeError, match=r"or a pair \(paths, labels\), got list"):
        labelled_photos(["1.jpg", "2.jpg"])
    with pytest.raises(ValueError, match="none of the 2 photos has a label"):
        labelled_photos((["1.jpg", "2.jpg"], [None, None]))
    with pytest.raises(ValueError, match=r"two of the photos have the id '1.jpg'"):
        labelled_photos((["1.jpg", "1.jpg"], ["a", "b"]))
    with pytest.raises(ValueError, match="labels must have shape"):
        labelled_photos((["1.jpg", "2.jpg"], ["a"]))
    with pytest.raises(FileNotFoundError):
        labelled_photos(noise / "nothing")


def test_ids_are_left_out(noise, tmp_path):
    photos = labelled_photos(noise)
    left, found = without(photos, ["place0/02.png", "place0/00.png", "place0/02.png"])
    assert found == ["place0/00.png", "place0/02.png"]
    assert len(left) == 14
    assert "place0/00.png" not in left.source.ids
    path = tmp_path / "clean.csv"
    path.write_text("id,reason,label\nplace1/01.png,far,place1\n")
    assert without(photos, path)[1] == ["place1/01.png"]
    assert without(photos, ())[0] is photos


def test_a_landmark_that_is_left_out_is_no_class(noise):
    photos = labelled_photos(noise)
    left, _ = without(photos, [id_ for id_ in photos.source.ids if id_.startswith("place0")])
    assert left.classes == ["place1"]
    assert set(left.labels) == {0}


def test_ids_that_are_not_there_are_said(noise, tmp_path):
    photos = labelled_photos(noise)
    with pytest.raises(ValueError, match=r"1 of 1 ids to exclude are not among the photos, such as '00.png'"):
        without(photos, ["00.png"])
    with pytest.warns(UserWarning, match="1 of 2 ids to exclude are not among the photos"):
        assert without(photos, ["gone.png", "place0/00.png"])[1] == ["place0/00.png"]
    with pytest.raises(ValueError, match="exclude names all photos"):
        without(photos, photos.source.ids)
    (tmp_path / "other.csv").write_text("path\nx\n")
    with pytest.raises(ValueError, match="missing: id"):
        without(photos, tmp_path / "other.csv")
