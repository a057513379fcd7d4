import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from landmarkzoo.photos import PhotoError, open_photo, to_rgb
from landmarkzoo.photos.decoding import from_array

RED, GREEN = (250, 10, 20), (10, 240, 30)


@pytest.fixture
def picture() -> Image.Image:
    """Left half red, right half green, 40 x 30."""
    image = Image.new("RGB", (40, 30), RED)
    image.paste(GREEN, (20, 0, 40, 30))
    return image


def save(image, path, **options):
    image.save(path, **options)
    return path


def near(color, expected, tolerance=6):
    return np.abs(np.array(color) - np.array(expected)).max() <= tolerance


# What each EXIF orientation stores: undoing it must give the upright picture back.
STORED = {
    1: None,
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}


@pytest.mark.parametrize("orientation", STORED)
def test_exif_orientation_is_applied(picture, orientation, tmp_path):
    picture.paste((20, 20, 250), (0, 0, 10, 5))  # blue in the upper left corner
    stored = picture if STORED[orientation] is None else picture.transpose(STORED[orientation])
    exif = Image.Exif()
    exif[0x0112] = orientation
    read = open_photo(save(stored, tmp_path / "x.png", exif=exif))
    assert np.array_equal(np.asarray(read), np.asarray(picture))


@pytest.mark.parametrize("mode", ["L", "P", "1", "CMYK", "YCbCr", "RGBA", "LA", "HSV", "LAB"])
def test_modes_keep_their_content(mode, tmp_path):
    if mode in ("HSV", "LAB"):
        image = Image.new("RGB", (8, 8), RED).convert("HSV") if mode == "HSV" else Image.new("LAB", (8, 8))
        read = to_rgb(image)
        assert read.mode == "RGB"
        assert mode == "LAB" or near(read.getpixel((4, 4)), RED, 8)
        return
    color = (200, 200, 200) if mode in ("L", "LA") else (255, 255, 255) if mode == "1" else RED
    suffix = "tiff" if mode in ("CMYK", "YCbCr") else "png"
    image = Image.new("RGB", (16, 16), color)
    image = image.quantize(8) if mode == "P" else image.convert(mode)
    path = save(image, tmp_path / f"x.{suffix}")
    with Image.open(path) as stored:
        assert stored.mode == mode
    read = open_photo(path)
    assert read.mode == "RGB"
    assert near(read.getpixel((8, 8)), color, 12)


def test_cmyk_jpeg(picture, tmp_path):
    read = open_photo(save(picture.convert("CMYK"), tmp_path / "x.jpg", quality=95))
    assert near(read.getpixel((5, 15)), RED, 16)
    assert near(read.getpixel((35, 15)), GREEN, 16)


def test_transparency_is_laid_on_white(tmp_path):
    image = Image.new("RGBA", (10, 10), (*RED, 255))
    image.paste((0, 0, 0, 0), (0, 0, 5, 10))
    image.putpixel((9, 9), (0, 0, 0, 128))
    read = open_photo(save(image, tmp_path / "x.png"))
    assert read.getpixel((2, 5)) == (255, 255, 255)
    assert read.getpixel((7, 5)) == RED
    assert near(read.getpixel((9, 9)), (127, 127, 127))
    palette = open_photo(save(image.convert("P"), tmp_path / "p.gif", transparency=0))
    assert palette.mode == "RGB"
    assert to_rgb(image.quantize(8)).getpixel((2, 5)) == (255, 255, 255)  # a palette with alpha


@pytest.mark.parametrize("suffix", ["png", "tiff"])
def test_16_bit_grayscale_is_scaled_not_clipped(suffix, tmp_path):
    ramp = np.linspace(0, 65535, 64 * 64).reshape(64, 64).astype(np.uint16)
    read = np.asarray(open_photo(save(Image.fromarray(ramp), tmp_path / f"x.{suffix}")))
    assert np.array_equal(read[:, :, 0], np.round(ramp / 257).astype(np.uint8))
    assert np.array_equal(read[:, :, 0], read[:, :, 2])


def test_float_pixels_are_refused_with_their_range(tmp_path):
    path = save(Image.fromarray(np.full((4, 4), 3.5, np.float32)), tmp_path / "x.tiff")
    with pytest.raises(PhotoError, match=r"mode F from 3.5 to 3.5: convert to 8 or 16 bits"):
        open_photo(path)


def test_32_bit_integers_are_refused(tmp_path):
    path = save(Image.new("L", (4, 4), 200).convert("I"), tmp_path / "x.tiff")
    with pytest.raises(PhotoError, match="32-bit integer pixels"):
        open_photo(path)


def broken(tmp_path: Path) -> dict[str, Path]:
    noise = np.random.default_rng(0).integers(0, 255, (200, 200, 3), dtype=np.uint8)
    files = {}
    for suffix in ("jpg", "png"):
        buffer = io.BytesIO()
        Image.fromarray(noise).save(buffer, format={"jpg": "JPEG", "png": "PNG"}[suffix])
        files[f"truncated.{suffix}"] = buffer.getvalue()[: len(buffer.getvalue()) // 2]
    files |= {"empty.jpg": b"", "text.jpg": b"this is not a photo " * 40, "header.png": b"\x89PNG\r\n\x1a\n"}
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    return {name: tmp_path / name for name in files}


def test_broken_files_name_themselves(tmp_path):
    for name, path in broken(tmp_path).items():
        with pytest.raises(PhotoError) as caught:
            open_photo(path)
        assert name in str(caught.value)
        assert caught.value.photo == str(path)
        assert caught.value.reason
    with pytest.raises(PhotoError, match="it is a folder"):
        open_photo(tmp_path)
    with pytest.raises(PhotoError, match=r"missing\.jpg: no such file"):
        open_photo(tmp_path / "missing.jpg")


def test_gigantic_photo(tmp_path, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    path = save(Image.new("RGB", (60, 50)), tmp_path / "huge.png")
    with pytest.raises(PhotoError, match=r"huge\.png: Image size \(3000 pixels\) exceeds limit"):
        open_photo(path)


def test_arrays():
    assert from_array(np.full((3, 4, 3), 7, np.uint8)).getpixel((0, 0)) == (7, 7, 7)
    assert from_array(np.full((3, 4), 7, np.uint8)).size == (4, 3)
    assert from_array(np.zeros((3, 4, 4), np.uint8)).getpixel((0, 0)) == (255, 255, 255)
    with pytest.raises(TypeError, match="must be uint8 arrays, got float32"):
        from_array(np.zeros((3, 4, 3), np.float32))
    with pytest.raises(ValueError, match=r"got \(3, 4, 5\)"):
        from_array(np.zeros((3, 4, 5), np.uint8))
