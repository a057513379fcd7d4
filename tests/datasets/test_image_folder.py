import pytest
from PIL import Image

import landmarkzoo as lz


def test_labels_follow_the_first_folder(tmp_path):
    for name in ("b_tower/1.png", "b_tower/inside/2.png", "a_dome/x.jpg"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (4, 4)).save(tmp_path / name)
    data = lz.datasets.ImageFolder(tmp_path)
    assert data.ids == ["a_dome/x.jpg", "b_tower/1.png", "b_tower/inside/2.png"]
    assert data.targets.tolist() == [0, 1, 1]
    assert data.classes == ["a_dome", "b_tower"]
    assert data[2][0].size == (4, 4)
    assert len(data) == 3
    assert "3 photos of 2 landmarks" in repr(data)


def test_wrong_folders(tmp_path):
    with pytest.raises(FileNotFoundError):
        lz.datasets.ImageFolder(tmp_path / "no")
    with pytest.raises(ValueError, match="no photos in"):
        lz.datasets.ImageFolder(tmp_path)
    Image.new("RGB", (4, 4)).save(tmp_path / "loose.png")
    with pytest.raises(ValueError, match=r"1 photos outside of any landmark's folder, such as loose\.png"):
        lz.datasets.ImageFolder(tmp_path)
