"""Pillow's settings and openers hold in worker processes of any start method, also of a user's loader."""

import copy
import importlib.util
import json
import os
import pickle
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image, ImageFile
from torch.utils.data import DataLoader

import landmarkzoo as lz
from landmarkzoo.photos import PhotoError
from landmarkzoo.photos.pillow_settings import SettingsForWorkers

ODD_FORMAT = """
from PIL import Image, ImageFile

class OddImageFile(ImageFile.ImageFile):
    format = "ODD"
    def _open(self):
        self.fp.seek(4)
        self._size, self._mode = (8, 8), "RGB"
        self.tile = [ImageFile._Tile("raw", (0, 0, 8, 8), 4, ("RGB", 0, 1))]

def accept(start):
    return start.startswith(b"ODD1")

def register():
    Image.register_open("ODD", OddImageFile, accept)
    Image.register_extension("ODD", ".odd")
"""

# Each photo needs a setting that the process did not start with.
SCRIPT = """
import json, multiprocessing, sys
import torch
from PIL import Image, ImageFile
from torch.utils.data import DataLoader
import landmarkzoo as lz
import odd_format

class Mean(torch.nn.Module):
    def forward(self, images):
        return images.mean(dim=(2, 3)) + 1

def resize(photo):
    return torch.full((3, 8, 8), float(photo.resize((1, 1)).getpixel((0, 0))[0]))

def first(items):
    return items[0][0].mean().item()

if __name__ == "__main__":
    folder = sys.argv[1]
    odd_format.register()
    ImageFile.LOAD_TRUNCATED_IMAGES = True
    Image.MAX_IMAGE_PIXELS = None
    data = lz.datasets.ImageFolder(folder, transform=resize)
    for method in sys.argv[2:]:
        if method != "alone":
            multiprocessing.set_start_method(method, force=True)
        options = dict(num_workers=int(method != "alone"), batch_size=1)
        d = lz.embed(Mean(), folder, transform=resize, on_error="skip", progress=False, **options)
        own = list(DataLoader(data, collate_fn=first, **options))
        print(json.dumps([d.ids, d.vectors.tolist(), [str(s) for s in d.skipped], own]))
"""


@pytest.fixture(scope="module")
def odd_photos(tmp_path_factory):
    """A folder of photos that Pillow reads with settings of its user only, and a place for scripts."""
    place = tmp_path_factory.mktemp("workers")
    (place / "odd_format.py").write_text(ODD_FORMAT)
    (place / "script.py").write_text(SCRIPT)
    folder = place / "photos" / "dome"
    folder.mkdir(parents=True)
    (folder / "odd.jpg").write_bytes(b"ODD1" + bytes([50]) * 192)
    Image.effect_noise((64, 64), 90).convert("RGB").save(folder / "cut.jpg", quality=95)
    os.truncate(folder / "cut.jpg", 2500)
    Image.new("1", (20_000, 10_000), 1).save(folder / "huge.png")
    return place


def test_any_start_method_gives_what_one_process_gives(odd_photos):
    names = ["dome/cut.jpg", "dome/huge.png", "dome/odd.jpg"]
    if importlib.util.find_spec("pillow_heif"):
        import pillow_heif

        image = Image.new("RGB", (64, 64), (40, 90, 200))
        pillow_heif.from_pillow(image).save(odd_photos / "photos" / "dome" / "phone.jpg", format="HEIF")
        names.append("dome/phone.jpg")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(Path.cwd()), str(odd_photos)])}
    methods = ["alone", "fork", "forkserver", "spawn"]
    command = [sys.executable, odd_photos / "script.py", odd_photos / "photos", *methods]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert answers[0][0] == names
    assert answers[0][2] == []
    assert answers == [answers[0]] * len(methods)


def test_pickling_a_data_set_changes_nothing_here(tmp_path, monkeypatch):
    (tmp_path / "dome").mkdir()
    (tmp_path / "dome" / "1.jpg").touch()
    data = lz.datasets.ImageFolder(tmp_path)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 5)
    stored = pickle.dumps(data)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 7)
    again = pickle.loads(stored)
    assert (again.ids, again.path(0), Image.MAX_IMAGE_PIXELS) == (data.ids, data.path(0), 7)
    assert copy.copy(data).ids == copy.deepcopy(data).ids == data.ids


def test_an_opener_that_cannot_be_sent_is_said(monkeypatch):
    monkeypatch.setattr(Image, "OPEN", dict(Image.OPEN))
    monkeypatch.setattr(Image, "ID", list(Image.ID))

    class Local(ImageFile.ImageFile):
        pass

    Image.register_open("LOCAL", Local, lambda start: False)
    with pytest.warns(UserWarning, match="worker processes do not read LOCAL, .*num_workers=0"):
        pickle.dumps(SettingsForWorkers())


def test_allowing_more_pixels(monkeypatch, tmp_path):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    path = tmp_path / "large.png"
    Image.new("RGB", (60, 50)).save(path)
    reason = r"\(3000 pixels\) exceeds limit of 2000 pixels: if you trust .* PIL\.Image\.MAX_IMAGE_PIXELS ="
    with pytest.raises(PhotoError, match=reason):
        lz.photos.open_photo(path)
    lz.photos.allow_pixels(3000)
    assert lz.photos.open_photo(path).size == (60, 50)
    lz.photos.allow_pixels(None)
    assert Image.MAX_IMAGE_PIXELS is None
    with pytest.raises(ValueError, match="must be positive, or None for no limit, got 0"):
        lz.photos.allow_pixels(0)


def first(items):
    return items[0]


def test_an_error_in_a_users_loader_names_the_photo(tmp_path):
    (tmp_path / "dome").mkdir()
    (tmp_path / "dome" / "bad.jpg").write_bytes(b"no photo")
    loader = DataLoader(lz.datasets.ImageFolder(tmp_path), num_workers=1, collate_fn=first)
    with pytest.raises(PhotoError) as caught:
        next(iter(loader))
    path = str(tmp_path / "dome" / "bad.jpg")
    assert (caught.value.photo, str(caught.value)) == (
        path,
        f"cannot read the photo {path}: not an image, or of a format that Pillow cannot read",
    )
    again = pickle.loads(pickle.dumps(caught.value))
    assert (again.photo, again.reason) == (caught.value.photo, caught.value.reason)
    assert PhotoError("anything").reason == "anything"
