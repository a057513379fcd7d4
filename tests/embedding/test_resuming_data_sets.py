"""Jobs on data sets go on where they were, if what they read is known to be the same."""

import numpy as np
import pytest
from first_pixel import FirstPixel, embed, interrupted, names
from PIL import Image
from torch.utils.data import ConcatDataset, Dataset, Subset

import landmarkzoo as lz
from landmarkzoo.photos import open_photo


class Places(lz.datasets.PhotoFiles):
    def __init__(self, folder, size=None):
        super().__init__()
        self.folder, self.size = folder, size
        self.ids = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.png"))
        self.targets, self.classes = np.zeros(len(self.ids), int), ["all"]

    def path(self, position):
        return self.folder / self.ids[position]

    def photo(self, position):
        photo = super().photo(position)
        return photo if self.size is None else photo.crop((0, 0, self.size, self.size))


class Images(Dataset):
    """It says its ids, but not where its photos come from."""

    def __init__(self, folder):
        self.ids = sorted(path.name for path in folder.glob("*.png"))
        self._folder = folder

    def __len__(self):
        return len(self.ids)

    def __getitem__(self, position):
        return open_photo(self._folder / self.ids[position])


@pytest.mark.parametrize("kind", ["whole", "subset", "joined"])
def test_a_data_set_that_knows_its_files_goes_on(kind, photo_folder, tmp_path):
    data = Places(photo_folder)
    if kind == "subset":
        data = Subset(data, range(6))
    if kind == "joined":
        data = ConcatDataset([Subset(data, range(4)), Subset(data, range(4, 6))])
    interrupted(data, tmp_path / "x", 5)
    rest = FirstPixel()
    d = embed(data, tmp_path / "x", rest)
    assert (rest.seen, d.ids) == (len(data) - 4, embed(data, None).ids)
    assert names(tmp_path) == ["x"]


@pytest.mark.parametrize("change", ["file", "crop", "rows", "no files", "cannot be pickled"])
def test_a_data_set_that_may_have_changed_starts_anew(change, photo_folder, tmp_path):
    data = other = Places(photo_folder)
    if change == "rows":
        data, other = Subset(data, [0, 1, 2, 3, 4]), Subset(data, [1, 0, 2, 3, 4])
    if change == "crop":
        data, other = Places(photo_folder, 20), Places(photo_folder, 10)
    if change == "no files":
        data = other = Images(photo_folder)
    if change == "cannot be pickled":
        data.key = lambda photo: photo
    interrupted(data, tmp_path / "x", 5)
    if change == "file":
        Image.new("RGB", (9, 9), (9, 200, 9)).save(photo_folder / "0.png")
    rest = FirstPixel()
    d = embed(other, tmp_path / "x", rest)
    assert rest.seen == len(other)
    np.testing.assert_array_equal(d.vectors, embed(other, None).vectors)


def test_a_photo_that_was_too_large_is_allowed_and_the_job_goes_on(photo_folder, tmp_path, monkeypatch):
    data = Places(photo_folder)
    Image.new("1", (3000, 10)).save(photo_folder / data.ids[-1])
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10_000)
    with pytest.raises(lz.PhotoError, match="raise the limit"):
        embed(data, tmp_path / "x")
    lz.photos.allow_pixels(30_000)
    rest = FirstPixel()
    assert len(embed(data, tmp_path / "x", rest)) == len(data)
    assert rest.seen < len(data)


def test_the_first_photo_of_a_data_set_may_be_broken(photo_folder, tmp_path):
    (photo_folder / "0.png").write_bytes(b"broken")
    for data in (Places(photo_folder), Images(photo_folder)):
        d = embed(data, tmp_path / "x", on_error="skip")
        assert (len(d), [photo for photo, _ in d.skipped]) == (len(data) - 1, ["0.png"])
