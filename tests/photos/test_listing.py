"""What a folder holds: system folders left out, closed folders named."""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from PIL import Image

import landmarkzoo as lz
from landmarkzoo.photos import PhotoError, open_photo, photo_files, photo_source

SYSTEM = [
    "trip/@eaDir/1.jpg/SYNOPHOTO_THUMB_M.jpg",
    "trip/@eaDir/1.jpg/SYNOFILE_THUMB_XL.jpg",
    "SYNOPHOTO_THUMB_XL.jpg",
    "#recycle/old.jpg",
    "#snapshot/2026/old.jpg",
    "@Recycle/old.jpg",
    "@Recently-Snapshot/old.jpg",
    "$RECYCLE.BIN/S-1-5/$R1.jpg",
    "$Recycle.Bin/old.jpg",
    "RECYCLER/old.jpg",
    "lost+found/1.jpg",
    "System Volume Information/1.jpg",
    "__MACOSX/trip/1.jpg",
    ".Trash-1000/files/old.jpg",
    ".Trashes/old.jpg",
    "trip/._1.jpg",
    "Thumbs.db/1.jpg",
]
PHOTOS = ["recycle/1.jpg", "trip/1.jpg", "trip/@home.jpg", "trip/lost and found.jpg", "trip/thumb.jpg"]


@pytest.fixture
def folder(tmp_path):
    root = tmp_path / "photos"
    for name in SYSTEM + PHOTOS:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 8)).save(root / name)
    return root


def test_what_storage_devices_put_beside_photos_is_left_out(folder):
    assert photo_files(folder) == PHOTOS
    assert photo_source(folder).ids == PHOTOS
    data = lz.datasets.ImageFolder(folder)
    assert (data.ids, data.classes) == (PHOTOS, ["recycle", "trip"])
    inside = folder / "#recycle"  # asked for by name, it is what the user wants
    assert photo_files(inside) == ["old.jpg"]


CLOSED = """
import json, os, sys
from pathlib import Path
import torch
import landmarkzoo as lz

folder = Path(sys.argv[1])
if os.getuid() == 0:
    os.setgid(65534)
    os.setuid(65534)
said = {}
for name, read in {
    "embed": lambda: lz.embed(torch.nn.Flatten(), folder, transform=lambda photo: torch.ones(3, 2, 2)),
    "files": lambda: lz.photos.photo_files(folder),
    "folder": lambda: lz.datasets.ImageFolder(folder),
    "root": lambda: lz.photos.photo_source(folder / "closed", on_error="skip"),
}.items():
    try:
        read()
    except OSError as error:
        said[name] = [type(error).__name__, str(error)]
options = dict(transform=lambda photo: torch.ones(3, 2, 2), progress=False)
d = lz.embed(torch.nn.Flatten(), folder, on_error="skip", **options)
print(json.dumps([said, d.ids, [list(entry) for entry in d.skipped]]))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="folders are closed otherwise on Windows")
def test_a_closed_folder_is_named():
    with tempfile.TemporaryDirectory() as root:  # not tmp_path, which another user cannot enter
        folder = Path(root, "photos")
        for name in ("dome/1.png", "closed/2.png", "dome/closed.png"):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (8, 8)).save(folder / name)
        for path in (Path(root), folder, folder / "dome"):
            path.chmod(0o755)
        (folder / "dome" / "closed.png").chmod(0)
        (folder / "closed").chmod(0o700 if os.getuid() == 0 else 0)
        command = [sys.executable, "-c", CLOSED, str(folder)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        (folder / "closed").chmod(0o755)
    if "landmarkzoo" in done.stderr and "ModuleNotFoundError" in done.stderr:
        pytest.skip("another user cannot read the package here")
    assert done.returncode == 0, done.stderr
    said, ids, skipped = json.loads(done.stdout)
    reason = f"cannot list the folder {folder / 'closed'}: Permission denied"
    assert said == {name: ["PermissionError", reason] for name in ("embed", "files", "folder", "root")}
    assert ids == ["dome/1.png"]
    assert [entry[0] for entry in skipped] == ["closed", "dome/closed.png"]
    assert "no permission to list this folder" in skipped[0][1]
    assert "Permission denied" in skipped[1][1]


def test_broken_and_circular_links_are_skipped_by_name(folder, tiny_model):
    (folder / "trip" / "gone.jpg").symlink_to("nowhere.jpg")
    (folder / "trip" / "round.jpg").symlink_to("round.jpg")
    d = lz.embed(tiny_model, folder, on_error="skip", progress=False)
    assert d.ids == PHOTOS
    assert [entry[0] for entry in d.skipped] == ["trip/gone.jpg", "trip/round.jpg"]


def test_a_url_is_no_path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    url = "https://example.org/a/1.jpg"
    with pytest.raises(ValueError, match=f"{url} is a URL: download it first"):
        photo_source(url)
    with pytest.raises(PhotoError, match=f"photo {url}: it is a URL: download it first"):
        open_photo(url)
    with pytest.raises(PhotoError, match="is a URL"):
        photo_source([url, "2.jpg"]).load(0)
    (tmp_path / "c:").mkdir()
    Image.new("RGB", (8, 8)).save(tmp_path / "c:" / "1.png")
    assert open_photo("c:/1.png").size == (8, 8)
