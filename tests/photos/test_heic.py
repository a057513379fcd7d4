"""HEIC photos: read where pillow-heif is installed, without a call of the user; named where it is not."""

import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

import landmarkzoo as lz
from landmarkzoo.photos import PhotoError, open_photo
from landmarkzoo.photos.heic import heif_kind

STORED = {1: None, 3: Image.Transpose.ROTATE_180, 6: Image.Transpose.ROTATE_90, 8: Image.Transpose.ROTATE_270}


def start(major, *compatible):
    brands = b"".join([major, bytes(4), *compatible])
    return (len(brands) + 8).to_bytes(4, "big") + b"ftyp" + brands + b"\0\0\0\x08mdat"


def test_kinds_by_the_first_bytes():
    assert heif_kind(start(b"heic", b"mif1", b"heic")) == "HEIC"
    assert heif_kind(start(b"mif1", b"mif1", b"heix", b"miaf")) == "HEIC"
    assert heif_kind(start(b"hevc", b"msf1")) == "HEIC"
    assert heif_kind(start(b"avif", b"mif1", b"miaf")) == "AVIF"
    assert heif_kind(start(b"mif1", b"avif", b"mif1")) == "AVIF"
    for other in (start(b"isom", b"mp42"), b"", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n"):
        assert heif_kind(other) is None


@pytest.mark.parametrize("name", ["1.heic", "1.HEIF", "1.png"])
def test_without_the_plug_in_the_error_says_what_reads_it(tmp_path, monkeypatch, name):
    (tmp_path / name).write_bytes(start(b"heic", b"mif1", b"heic") + bytes(500))
    monkeypatch.setitem(sys.modules, "pillow_heif", None)  # as if it were not installed
    with pytest.raises(PhotoError, match=rf"{name}: it is a HEIC photo.*: pip install pillow-heif"):
        open_photo(tmp_path / name)


@pytest.mark.filterwarnings("ignore:image file could not be identified")
def test_without_avif_the_error_says_what_reads_it(monkeypatch):
    from PIL import AvifImagePlugin, features

    monkeypatch.setattr(AvifImagePlugin, "SUPPORTED", False)
    monkeypatch.setattr(features, "check", lambda name: False)
    with pytest.raises(PhotoError, match=r"it is an AVIF photo.*pip install 'pillow>=11\.3'"):
        open_photo(start(b"avif", b"mif1") + bytes(500))


@pytest.fixture
def heif():
    return pytest.importorskip("pillow_heif", reason="pillow-heif is not installed")


def save(heif, image, path):
    with pytest.MonkeyPatch.context() as patch:  # the plug-in is registered for as long as this takes
        for name in ("OPEN", "SAVE", "SAVE_ALL", "EXTENSION", "MIME"):
            patch.setattr(Image, name, dict(getattr(Image, name)))
        patch.setattr(Image, "ID", list(Image.ID))
        heif.register_heif_opener()
        image.save(path, "HEIF", quality=-1)


@pytest.fixture
def picture():
    image = Image.new("RGB", (64, 48), (240, 20, 20))
    image.paste((20, 20, 240), (0, 0, 24, 24))
    return image


@pytest.mark.parametrize("orientation", STORED)
def test_heic_is_read_upright(heif, tmp_path, picture, orientation):
    turned = picture if STORED[orientation] is None else picture.transpose(STORED[orientation])
    exif = Image.Exif()
    exif[0x0112] = orientation
    turned.info["exif"] = exif.tobytes()
    for name in ("1.heic", "1.jpg"):
        save(heif, turned, tmp_path / name)  # which writes how the photo is turned as cameras do
        read = open_photo(tmp_path / name)
        assert read.size == picture.size
        assert np.abs(np.asarray(read).astype(int) - picture).mean() < 8
        assert np.array_equal(np.asarray(open_photo((tmp_path / name).read_bytes())), np.asarray(read))


def test_it_is_read_without_a_call_of_the_user_and_others_are_read_without_it(heif, tmp_path, picture):
    save(heif, picture, tmp_path / "1.heic")
    picture.save(tmp_path / "2.png")
    code = (
        "import sys, landmarkzoo as lz; from PIL import Image\n"
        "lz.photos.open_photo('2.png'); print('pillow_heif' in sys.modules)\n"
        "print(lz.photos.open_photo('1.heic').size, 'HEIF' in Image.OPEN)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, check=True
    )
    assert done.stdout.splitlines() == ["False", "(64, 48) False"]


def test_damaged_and_too_large_heic(heif, tmp_path, picture, monkeypatch):
    save(heif, picture, tmp_path / "1.heic")
    whole = (tmp_path / "1.heic").read_bytes()
    for length in (20, 100, len(whole) // 2, len(whole) - 20):
        with pytest.raises(PhotoError):
            open_photo(whole[:length])
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    with pytest.raises(PhotoError, match=r"\(3072 pixels\) exceeds limit of 2000 pixels: if you trust"):
        open_photo(whole)
    lz.photos.allow_pixels(3072)
    assert open_photo(whole).size == picture.size


def test_the_opener_of_the_user_reads_it_alike(heif, tmp_path, picture, monkeypatch):
    save(heif, picture, tmp_path / "1.heic")
    by_us = np.asarray(open_photo(tmp_path / "1.heic"))
    monkeypatch.setattr(Image, "OPEN", dict(Image.OPEN))
    monkeypatch.setattr(Image, "ID", list(Image.ID))
    heif.register_heif_opener()
    with Image.open(tmp_path / "1.heic") as image:
        assert image.format == "HEIF"
    assert np.array_equal(np.asarray(open_photo(tmp_path / "1.heic")), by_us)
