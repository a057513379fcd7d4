"""Photos of every odd kind, through the command that embeds them."""

import gzip
import os
import zlib
from pathlib import Path

import pytest
from odd_cases import Command, params
from odd_photos import (
    EPS,
    JPEG,
    LAB,
    bind,
    encoded,
    encoded_float,
    exif,
    frames,
    odd,
    png,
    special,
    with_text,
    zipped,
)

ODD = "embed odd --model local-dir:model --out x.st --quiet"
ONE = {"out": "1 photos, 8 dimensions, 0 skipped", "writes": ("x.st",)}


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
    Command(
        "name of dots",
        ODD,
        "no photos in odd: looked for .avif, .bmp, .gif, .heic, .heif,",
        make=odd(JPEG, "...jpg"),
    ),
    Command("name of spaces", ODD, make=odd(JPEG, "   .jpg"), **ONE),
    Command("name of 255 bytes", ODD, make=odd(JPEG, "n" * 251 + ".jpg"), **ONE),
    Command("name like an option", ODD, make=odd(JPEG, "--out.jpg"), **ONE),
    Command("name like a format", ODD, make=odd(JPEG, "{0}%s%d.jpg"), **ONE),
    Command("name with backslash", ODD, make=odd(JPEG, "a\\b.jpg"), **ONE),
    Command("name that turns around", ODD, make=odd(JPEG, "a\u202egpj.exe.jpg"), **ONE),
    Command(
        "only a suffix",
        ODD,
        "no photos in odd: looked for .avif, .bmp, .gif, .heic, .heif,",
        make=odd(JPEG, ".jpg"),
    ),
    Command("deep folder", ODD, make=odd(JPEG, "d/" * 200 + "a.jpg"), **ONE),
    Command("folder named jpg", ODD, make=odd(JPEG, "x.jpg/a.jpg"), **ONE),
    # What cannot be read.
    Command("no bytes", ODD, "cannot read the photo a.jpg: the file is empty", make=odd(b"")),
    Command("one byte", ODD, "cannot read the photo a.jpg: not an image, or of a format", make=odd(b"\xff")),
    Command("zeros", ODD, "cannot read the photo a.jpg: not an image, or of a format", make=odd(bytes(4096))),
    Command(
        "half a jpeg",
        ODD,
        "cannot read the photo a.jpg: image file is truncated (87",
        make=odd(JPEG[: len(JPEG) // 2]),
    ),
    Command(
        "jpeg of its header only",
        ODD,
        "cannot read the photo a.jpg: not an image, or of a format",
        make=odd(JPEG[:20]),
    ),
    Command(
        "html",
        ODD,
        "cannot read the photo a.jpg: not an image, or of a format",
        make=odd(b"<!DOCTYPE html><title>404</title>"),
    ),
    Command(
        "svg",
        ODD,
        "cannot read the photo a.png: not an image, or of a format",
        make=odd(b"<svg xmlns='http://www.w3.org/2000/svg'/>", "a.png"),
    ),
    Command(
        "pdf",
        ODD,
        "cannot read the photo a.jpg: not an image, or of a format",
        make=odd(b"%PDF-1.7\n1 0 obj\n"),
    ),
    Command(
        "eps that would run", ODD, "cannot read the photo a.jpg: it is PostScript, a program,", make=odd(EPS)
    ),
    Command(
        "jpeg in gzip",
        ODD,
        "cannot read the photo a.jpg: not an image, or of a format",
        make=odd(lambda: gzip.compress(JPEG)),
    ),
    Command(
        "zip of photos named jpg",
        ODD,
        "cannot read the photo a.jpg: not an image, or of a format",
        make=odd(zipped),
    ),
    Command(
        "descriptors named jpg",
        ODD,
        "cannot read the photo a.jpg: not an image, or of a format",
        make=odd(lambda: Path("index.st").read_bytes()),
    ),
    Command(
        "mp4",
        ODD,
        "cannot read the photo a.jpg: not an image, or of a format",
        make=odd(b"\0\0\0\x18ftypmp42" + bytes(200)),
    ),
    Command(
        "avif of its header",
        ODD,
        "cannot read the photo a.avif: not an image, or of a format",
        make=odd(b"\0\0\0\x18ftypavif" + bytes(200), "a.avif"),
    ),
    Command(
        "heic of its header",
        ODD,
        "cannot read the photo a.heic: Invalid input: Unspecified: No",
        make=odd(b"\0\0\0\x18ftypheic" + bytes(200), "a.heic"),
    ),
    Command(
        "png of no pixels",
        ODD,
        "cannot read the photo a.png: not an image, or of a format",
        make=odd(lambda: png(0, 0), "a.png"),
    ),
    Command(
        "png without data",
        ODD,
        "cannot read the photo a.png: cannot load this image (OSError)",
        make=odd(lambda: png(9, 9, [(b"IEND", b"")]), "a.png"),
    ),
    Command(
        "png bomb",
        ODD,
        "cannot read the photo a.png: Image size (8100000000 pixels)",
        make=odd(lambda: png(90000, 90000, [(b"IDAT", zlib.compress(bytes(9)))]), "a.png"),
    ),
    Command(
        "png of half its rows",
        ODD,
        "cannot read the photo a.png",
        make=odd(lambda: png(40, 30, [(b"IDAT", zlib.compress(bytes(121 * 15))), (b"IEND", b"")]), "a.png"),
        fault="Pillow fills the rows that a whole, but too short, stream does not have",
    ),
    Command(
        "gif without frames",
        ODD,
        "cannot read the photo a.gif: not an image, or of a format",
        make=odd(b"GIF89a\x0a\0\x0a\0\0\0\0;", "a.gif"),
    ),
    Command(
        "tiff that leads to itself",
        ODD,
        "cannot read the photo a.tif: not an image, or of a format",
        make=odd(b"II*\0\x08\0\0\0\0\0\x08\0\0\0", "a.tif"),
    ),
    Command(
        "bmp of its header",
        ODD,
        "cannot read the photo a.bmp: image file is truncated (0 bytes",
        make=odd(lambda: encoded(format="BMP")[:54], "a.bmp"),
    ),
    Command(
        "ppm of billions",
        ODD,
        "cannot read the photo a.ppm: Image size (9999800001 pixels)",
        make=odd(b"P6 99999 99999 255\n", "a.ppm"),
    ),
    Command(
        "ppm of no size",
        ODD,
        "cannot read the photo a.ppm: not an image, or of a format",
        make=odd(b"P6 0 0 255\n", "a.ppm"),
    ),
    Command(
        "float tiff beyond",
        ODD,
        "cannot read the photo a.tif: pixels of mode F from 70000.0 to",
        make=odd(lambda: encoded_float(), "a.tif"),
    ),
    Command(
        "webp cut",
        ODD,
        "cannot read the photo a.webp: could not create decoder object",
        make=odd(lambda: encoded(format="WEBP")[:40], "a.webp"),
    ),
    Command("pipe", ODD, "cannot read the photo a.jpg: it is a device, a pipe or a", make=special(os.mkfifo)),
    Command("socket", ODD, "cannot read the photo a.jpg: it is a device, a pipe or a", make=special(bind)),
    Command(
        "endless device",
        ODD,
        "cannot read the photo a.jpg: it is a device, a pipe or a",
        make=special(lambda p: p.symlink_to("/dev/zero")),
    ),
    Command(
        "broken link",
        ODD,
        "cannot read the photo a.jpg: it is a device, a pipe or a",
        make=special(lambda p: p.symlink_to("nowhere")),
    ),
    Command(
        "link to itself",
        ODD,
        "cannot read the photo a.jpg: it is a device, a pipe or a",
        make=special(lambda p: p.symlink_to(p.name)),
    ),
    Command(
        "folder without photos",
        ODD,
        "no photos in odd: looked for .avif, .bmp, .gif, .heic, .heif,",
        make=special(Path.mkdir, "a.jpg"),
    ),
    Command(
        "folder that leads to itself",
        ODD,
        out="6 photos, 8",
        writes=("x.st",),
        make=special(lambda p: p.symlink_to(".."), "up"),
    ),
    # What photos are.
    Command(
        "photos are a pipe",
        "embed p --model local-dir:model --out x.st",
        "neither a folder nor a file, nor a link to one: p",
        make=lambda: os.mkfifo("p"),
    ),
    Command(
        "photos are a socket",
        "embed p --model local-dir:model --out x.st",
        "neither a folder nor a file, nor a link to one: p",
        make=lambda: bind("p"),
    ),
    Command(
        "photos are a device",
        "embed /dev/null --model local-dir:model --out x.st",
        "neither a folder nor a file, nor a link to one: /dev/null",
    ),
    Command(
        "photos are a zip",
        "embed p.zip --model local-dir:model --out x.st",
        "cannot read the photo p.zip: not an image, or of a format",
        make=lambda: Path("p.zip").write_bytes(zipped()),
    ),
    Command(
        "photos are a list of photos",
        "embed l.txt --model local-dir:model --out x.st",
        "cannot read the photo l.txt: not an image, or of a format",
        make=lambda: Path("l.txt").write_text("photos/tower/0.png\n"),
    ),
    Command(
        "photos are descriptors",
        "embed index.st --model local-dir:model --out x.st",
        "cannot read the photo index.st: not an image, or of a format",
    ),
    Command(
        "photos are a link to itself",
        "embed l --model local-dir:model --out x.st",
        "no such folder or photo: l",
        make=lambda: Path("l").symlink_to("l"),
    ),
    Command(
        "below a file",
        "embed photos/tower/0.png/x --model local-dir:model --out x.st",
        "no such folder or photo: photos/tower/0.png/x",
    ),
    Command(
        "name too long",
        f"embed {'p' * 300} --model local-dir:model --out x.st",
        "[Errno 36] File name too long:",
    ),
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
    Command(
        "all are left out",
        f"{ODD} --skip-errors",
        "none of 1 photos could be read; the first, a.jpg: not an",
        make=odd(b"x"),
    ),
    Command(
        "broken, read by workers",
        f"{ODD} --workers 1",
        "cannot read the photo a.jpg: not an image, or of a format",
        make=odd(b"x"),
    ),
]


@pytest.mark.parametrize("case", params(CASES))
def test_odd_photo(case, world, capsys):
    case.check(world, capsys)
