"""Makes photos that are odd in one way, in the working folder."""

import os
import socket
import struct
import zipfile
import zlib
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image, ImageCms, PngImagePlugin


def image(mode="RGB", size=(40, 30)):
    noise = np.random.default_rng(1).integers(0, 255, (*size[::-1], 3), dtype=np.uint8)
    return Image.fromarray(noise).convert(mode)


def encoded(mode="RGB", size=(40, 30), format="PNG", **options):
    buffer = BytesIO()
    image(mode, size).save(buffer, format, **options)
    return buffer.getvalue()


def odd(content, name="a.jpg"):
    """Makes a folder with one file."""

    def make():
        path = Path(os.fsdecode(b"odd/" + os.fsencode(name)))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content() if callable(content) else content)

    return make


def special(make_it, name="a.jpg"):
    """Makes a folder with something that is no file."""

    def make():
        Path("odd").mkdir()
        make_it(Path("odd", name))

    return make


def bind(path):
    server = socket.socket(socket.AF_UNIX)
    server.bind(str(path))
    server.close()


def png(width, height, chunks=()):
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + b"".join(chunk(*c) for c in chunks)


def with_text():
    info = PngImagePlugin.PngInfo()
    info.add_text("Comment", "x" * 3_000_000, zip=True)
    return encoded(pnginfo=info)


def exif(orientation):
    data = Image.Exif()
    data[0x0112] = orientation
    return encoded(format="JPEG", exif=data)


def zipped():
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        file.writestr("1.jpg", encoded(format="JPEG"))
    return buffer.getvalue()


def frames(format, **options):
    buffer = BytesIO()
    image().save(
        buffer,
        format,
        save_all=True,
        append_images=[image(size=(9, 50) if format == "TIFF" else (40, 30))],
        **options,
    )
    return buffer.getvalue()


def encoded_float():
    buffer = BytesIO()
    Image.fromarray(np.full((30, 40), 7e4, np.float32)).save(buffer, "TIFF")
    return buffer.getvalue()


JPEG = encoded(format="JPEG")
LAB = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
EPS = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 40 30\n%%EndComments\n(x) run\n%%EOF\n"
