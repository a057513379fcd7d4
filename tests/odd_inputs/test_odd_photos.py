"""Photos of every odd kind, through the command that embeds them."""

import gzip
import os
import socket
import struct
import zipfile
import zlib
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from odd_cases import Command, params
from PIL import Image, ImageCms, PngImagePlugin

ODD = "embed odd --model local-dir:model --out x.st --quiet"
ONE = {"out": "1 photos, 8 dimensions, 0 skipped", "writes": ("x.st",)}


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


JPEG = encoded(format="JPEG")
LAB = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
EPS = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 40 30\n%%EndComments\n(x) run\n%%EOF\n"

CASES = [
    # Right answers.
    Command("one pixel", ODD, make=odd(lambda: encoded(size=(1, 1))), **ONE),
    Command("one pixel high", ODD, make=odd(lambda: encoded(size=(5000, 1))), **ONE),
    Command("one pixel wide jpeg", ODD, make=odd(lambda: encoded(size=(1, 9000), format="JPEG")), **ONE),
    Command("bilevel", ODD, make=odd(lambda: encoded("1")), **ONE),
    Command("lab tiff", ODD, make=odd(lambda: encoded("LAB", format="TIFF"), "a.tif"), **ONE),
    Command("hsv as tiff", ODD, make=odd(lambda: encoded("YCbCr", format="TIFF"), "a.tif"), **ONE),
    Command("cmyk jpeg", ODD, make=odd(lambda: encoded("CMYK", format="JPEG")), **ONE),
    Command("palette gif of two frames", ODD, make=odd(lambda: frames("GIF"), "a.gif"), **ONE),
    Command("tiff of two pages of two sizes", ODD, make=odd(lambda: frames("TIFF"), "a.tiff"), **ONE),
    Command("animated webp", ODD, make=odd(lambda: frames("WEBP"), "a.webp"), **ONE),
    Command("animated png", ODD, make=odd(lambda: frames("PNG"), "a.png"), **ONE),
    Command("webp named jpg", ODD, make=odd(lambda: encoded(format="WEBP")), **ONE),
    Command("icon named png", ODD, make=odd(lambda: encoded("RGBA", (32, 32), "ICO"), "a.png"), **ONE),
    Command("profile of another space", ODD, make=odd(lambda: encoded(icc_profile=LAB)), **ONE),
    Command(
        "profile of rubbish", ODD, make=odd(lambda: encoded(format="JPEG", icc_profile=b"x" * 200)), **ONE
    ),
    Command("orientation 9", ODD, make=odd(lambda: exif(9)), **ONE),
    Command("orientation 0", ODD, make=odd(lambda: exif(0)), **ONE),
    Command(
        "exif of rubbish",
        ODD,
        make=odd(lambda: encoded(format="JPEG", exif=b"Exif\0\0" + b"\xff" * 99)),
        **ONE,
    ),
    Command("text bomb in a png", ODD, make=odd(with_text, "a.png"), **ONE),
    Command("jpeg with a zip behind it", ODD, make=odd(lambda: JPEG + zipped()), **ONE),
    Command("tga", ODD, make=odd(lambda: encoded(format="TGA"), "a.tga"), **ONE),
    Command("jpeg 2000", ODD, make=odd(lambda: encoded(format="JPEG2000"), "a.jp2"), **ONE),
    Command("suffix in capitals", ODD, make=odd(JPEG, "A.JpEg"), **ONE),
    Command(
        "a link to a photo",
        ODD,
        make=special(lambda p: p.symlink_to(Path("photos/tower/0.png").absolute())),
        **ONE,
    ),
    Command("hard link", ODD, make=special(lambda p: os.link("photos/tower/0.png", p)), **ONE),
    # Names.
    Command("name with newline", ODD, make=odd(JPEG, "a\nb.jpg"), **ONE),
    Command("name of bytes", ODD, make=odd(JPEG, "\udcff\udcfe.jpg"), **ONE),
    Command("name of dots", ODD, "??", make=odd(JPEG, "...jpg")),
    Command("name of spaces", ODD, make=odd(JPEG, "   .jpg"), **ONE),
    Command("name of 255 bytes", ODD, make=odd(JPEG, "n" * 251 + ".jpg"), **ONE),
    Command("name like an option", ODD, make=odd(JPEG, "--out.jpg"), **ONE),
    Command("name like a format", ODD, make=odd(JPEG, "{0}%s%d.jpg"), **ONE),
    Command("name with backslash", ODD, make=odd(JPEG, "a\\b.jpg"), **ONE),
    Command("name that turns around", ODD, make=odd(JPEG, "a\u202egpj.exe.jpg"), **ONE),
    Command("only a suffix", ODD, "??", make=odd(JPEG, ".jpg")),
    Command("deep folder", ODD, make=odd(JPEG, "d/" * 200 + "a.jpg"), **ONE),
    Command("folder named jpg", ODD, make=odd(JPEG, "x.jpg/a.jpg"), **ONE),
    # What cannot be read.
    Command("no bytes", ODD, "??", make=odd(b"")),
    Command("one byte", ODD, "??", make=odd(b"\xff")),
    Command("zeros", ODD, "??", make=odd(bytes(4096))),
    Command("half a jpeg", ODD, "??", make=odd(JPEG[: len(JPEG) // 2])),
    Command("jpeg of its header only", ODD, "??", make=odd(JPEG[:20])),
    Command("html", ODD, "??", make=odd(b"<!DOCTYPE html><title>404</title>")),
    Command("svg", ODD, "??", make=odd(b"<svg xmlns='http://www.w3.org/2000/svg'/>", "a.png")),
    Command("pdf", ODD, "??", make=odd(b"%PDF-1.7\n1 0 obj\n")),
    Command("eps that would run", ODD, "??", make=odd(EPS)),
    Command("jpeg in gzip", ODD, "??", make=odd(lambda: gzip.compress(JPEG))),
    Command("zip of photos named jpg", ODD, "??", make=odd(zipped)),
    Command("descriptors named jpg", ODD, "??", make=odd(lambda: Path("index.st").read_bytes())),
    Command("mp4", ODD, "??", make=odd(b"\0\0\0\x18ftypmp42" + bytes(200))),
    Command("avif of its header", ODD, "??", make=odd(b"\0\0\0\x18ftypavif" + bytes(200), "a.avif")),
    Command("heic of its header", ODD, "??", make=odd(b"\0\0\0\x18ftypheic" + bytes(200), "a.heic")),
    Command("png of no pixels", ODD, "??", make=odd(lambda: png(0, 0), "a.png")),
    Command("png without data", ODD, "??", make=odd(lambda: png(9, 9, [(b"IEND", b"")]), "a.png")),
    Command(
        "png bomb",
        ODD,
        "??",
        make=odd(lambda: png(90000, 90000, [(b"IDAT", zlib.compress(bytes(9)))]), "a.png"),
    ),
    Command(
        "png of half its rows",
        ODD,
        "??",
        make=odd(lambda: png(40, 30, [(b"IDAT", zlib.compress(bytes(121 * 15))), (b"IEND", b"")]), "a.png"),
    ),
    Command("gif without frames", ODD, "??", make=odd(b"GIF89a\x0a\0\x0a\0\0\0\0;", "a.gif")),
    Command("tiff that leads to itself", ODD, "??", make=odd(b"II*\0\x08\0\0\0\0\0\x08\0\0\0", "a.tif")),
    Command("bmp of its header", ODD, "??", make=odd(lambda: encoded(format="BMP")[:54], "a.bmp")),
    Command("ppm of billions", ODD, "??", make=odd(b"P6 99999 99999 255\n", "a.ppm")),
    Command("ppm of no size", ODD, "??", make=odd(b"P6 0 0 255\n", "a.ppm")),
    Command("float tiff beyond", ODD, "??", make=odd(lambda: encoded_float(), "a.tif")),
    Command("webp cut", ODD, "??", make=odd(lambda: encoded(format="WEBP")[:40], "a.webp")),
    Command("pipe", ODD, "??", make=special(os.mkfifo)),
    Command("socket", ODD, "??", make=special(bind)),
    Command("endless device", ODD, "??", make=special(lambda p: p.symlink_to("/dev/zero"))),
    Command("broken link", ODD, "??", make=special(lambda p: p.symlink_to("nowhere"))),
    Command("link to itself", ODD, "??", make=special(lambda p: p.symlink_to(p.name))),
    Command("folder without photos", ODD, "??", make=special(Path.mkdir, "a.jpg")),
    Command("folder that leads to itself", ODD, "??", make=special(lambda p: p.symlink_to(".."), "up")),
    # What photos are.
    Command(
        "photos are a pipe", "embed p --model local-dir:model --out x.st", "??", make=lambda: os.mkfifo("p")
    ),
    Command(
        "photos are a socket", "embed p --model local-dir:model --out x.st", "??", make=lambda: bind("p")
    ),
    Command("photos are a device", "embed /dev/null --model local-dir:model --out x.st", "??"),
    Command(
        "photos are a zip",
        "embed p.zip --model local-dir:model --out x.st",
        "??",
        make=lambda: Path("p.zip").write_bytes(zipped()),
    ),
    Command(
        "photos are a list of photos",
        "embed l.txt --model local-dir:model --out x.st",
        "??",
        make=lambda: Path("l.txt").write_text("photos/tower/0.png\n"),
    ),
    Command("photos are descriptors", "embed index.st --model local-dir:model --out x.st", "??"),
    Command(
        "photos are a link to itself",
        "embed l --model local-dir:model --out x.st",
        "??",
        make=lambda: Path("l").symlink_to("l"),
    ),
    Command("below a file", "embed photos/tower/0.png/x --model local-dir:model --out x.st", "??"),
    Command("name too long", f"embed {'p' * 300} --model local-dir:model --out x.st", "??"),
    Command(
        "broken ones left out",
        f"{ODD} --skip-errors",
        out="1 skipped",
        warns="skipped a.jpg: ",
        writes=("x.st",),
        make=lambda: (odd(b"x")(), odd(JPEG, "b.jpg")()),
    ),
    Command(
        "name that moves the cursor left out",
        f"{ODD} --skip-errors",
        out="1 skipped",
        warns="skipped \\x1b[2J.jpg: ",
        writes=("x.st",),
        make=lambda: (odd(b"x", "\x1b[2J.jpg")(), odd(JPEG, "b.jpg")()),
    ),
    Command("all are left out", f"{ODD} --skip-errors", "??", make=odd(b"x")),
    Command("broken, read by workers", f"{ODD} --workers 1", "??", make=odd(b"x")),
]


def encoded_float():
    buffer = BytesIO()
    Image.fromarray(np.full((30, 40), 7e4, np.float32)).save(buffer, "TIFF")
    return buffer.getvalue()


@pytest.mark.parametrize("case", params(CASES))
def test_odd_photo(case, world, capsys):
    case.check(world, capsys)
