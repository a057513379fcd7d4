"""Photos upright once, whatever says how they are turned, and whatever else in there is damaged."""

import io
import struct

import numpy as np
import pytest
from PIL import Image, PngImagePlugin, features

from landmarkzoo.photos import open_photo, to_rgb

# What each orientation stores of an upright picture.
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


@pytest.fixture
def picture():
    """Red with a blue corner, a green edge: no turn of it looks like another."""
    image = Image.new("RGB", (48, 32), (240, 20, 20))
    image.paste((20, 20, 240), (0, 0, 16, 16))
    image.paste((20, 220, 20), (0, 24, 48, 32))
    return image


def stored(picture, orientation):
    return picture if STORED[orientation] is None else picture.transpose(STORED[orientation])


def exif_block(orientation, *entries):
    """EXIF with an orientation and more entries (tag, type, count, value bytes), written by hand."""
    rows = sorted([(0x0112, 3, 1, struct.pack(">HH", orientation, 0)), *entries])
    body = struct.pack(">H", len(rows)) + b"".join(struct.pack(">HHI", *row[:3]) + row[3] for row in rows)
    return b"Exif\0\0MM\0*" + struct.pack(">I", 8) + body + bytes(4)


def encoded(image, form, **options):
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


def is_upright(data, picture):
    image = open_photo(data)
    return image.size == picture.size and np.abs(np.asarray(image).astype(int) - picture).mean() < 8


@pytest.mark.parametrize("orientation", STORED)
@pytest.mark.parametrize("form", ["JPEG", "PNG", "TIFF", "WEBP", "AVIF", "MPO"])
def test_every_format_is_turned_once(picture, form, orientation):
    if form == "AVIF" and not features.check("avif"):
        pytest.skip("this Pillow cannot write AVIF")
    exif = Image.Exif()
    exif[0x0112] = orientation
    image = stored(picture, orientation)
    more = {"save_all": True, "append_images": [Image.new("RGB", (96, 96))]} if form == "MPO" else {}
    data = encoded(image, form, exif=exif, quality=95, **more)
    assert is_upright(data, picture)
    with Image.open(io.BytesIO(data)) as opened:
        once = to_rgb(opened)
    assert np.array_equal(np.asarray(once), np.asarray(to_rgb(once)))  # not turned again
    assert not once.getexif()


@pytest.mark.parametrize("form", ["JPEG", "WEBP", "PNG"])
def test_xmp_says_it_where_exif_does_not(picture, form):
    xmp = '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description tiff:Orientation="6"/></x:xmpmeta>'
    if form == "PNG":
        texts = PngImagePlugin.PngInfo()
        texts.add_itxt("XML:com.adobe.xmp", xmp)
        data = encoded(stored(picture, 6), form, pnginfo=texts)
    else:
        data = encoded(stored(picture, 6), form, xmp=xmp.encode(), quality=95)
    assert is_upright(data, picture)


def test_raw_profile_of_a_png(picture):
    block = exif_block(6)
    texts = PngImagePlugin.PngInfo()
    texts.add_text("Raw profile type exif", f"\nexif\n{len(block):8}\n{block.hex()}\n", zip=True)
    assert is_upright(encoded(stored(picture, 6), "PNG", pnginfo=texts), picture)


DAMAGED = {
    "GPS of 0/0": exif_block(6, (0x8825, 4, 1, struct.pack(">I", 38)))
    + struct.pack(">HHHII4xII", 1, 2, 5, 1, 60, 0, 0),
    "mark twice": b"Exif\0\0" + exif_block(6),
    "entry far behind the end": exif_block(6, (0x010F, 2, 500, struct.pack(">I", 60_000))),
    "entry of an unknown type": exif_block(6, (0x9C9B, 77, 1, bytes(4))),
    "table that points to itself": exif_block(6, (0x8769, 4, 1, struct.pack(">I", 8))),
    "fraction of 1/0": exif_block(6, (0x011A, 5, 1, struct.pack(">I", 38))) + struct.pack(">II", 1, 0),
    "words for numbers": exif_block(6, (0x0131, 3, 2, b"ab\xff\xfe")),
}


@pytest.mark.filterwarnings("ignore:Tag data larger than file")
@pytest.mark.parametrize("damage", DAMAGED)
@pytest.mark.parametrize("form", ["JPEG", "WEBP", "PNG"])
def test_other_fields_may_be_damaged(picture, form, damage):
    assert is_upright(encoded(stored(picture, 6), form, exif=DAMAGED[damage], quality=95), picture)


UNREADABLE = {
    "cut": exif_block(6)[:17],
    "head only": b"Exif\0\0MM\0*",
    "no head": b"Exif\0\0nonsense without end",
    "empty": b"Exif\0\0",
    "orientation 0": exif_block(0),
    "orientation 9": exif_block(9),
    "orientation in words": exif_block(1)[:16] + struct.pack(">HHI4s", 0x0112, 2, 4, b"top\0") + bytes(4),
    "orientation without a number": exif_block(1)[:16] + struct.pack(">HHI4x", 0x0112, 3, 0) + bytes(4),
}


@pytest.mark.parametrize("damage", UNREADABLE)
@pytest.mark.parametrize("form", ["JPEG", "WEBP", "PNG"])
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_an_unreadable_block_never_costs_the_photo(picture, form, damage):
    assert is_upright(encoded(picture, form, exif=UNREADABLE[damage], quality=95), picture)
