"""Files whose pixels are whole are read, and files that lack pixels are not."""

import io
import struct
import zlib
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image, ImageFile, PngImagePlugin

from landmarkzoo.photos import PhotoError, open_photo
from landmarkzoo.photos.repairs import jpegs_with_end, png_without_metadata

KINDS = {
    "baseline": {},
    "progressive": {"progressive": True},
    "no subsampling": {"subsampling": 0},
    "restarts": {"restart_marker_blocks": 2},
}


def noise(width=200, height=120):
    pixels = np.random.default_rng(width).integers(0, 255, (height // 8, width // 8, 3), dtype=np.uint8)
    return Image.fromarray(pixels).resize((width, height), Image.Resampling.BICUBIC)


def jpeg(image=None, **options):
    buffer = io.BytesIO()
    (image or noise()).save(buffer, "JPEG", quality=90, **options)
    return buffer.getvalue()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
def test_a_jpeg_that_lacks_its_end_mark_is_read(kind, mode):
    whole = jpeg(noise().convert(mode), **KINDS[kind])
    for cut in (whole[:-2], whole[:-1]):
        assert np.array_equal(np.asarray(open_photo(cut)), np.asarray(open_photo(whole)))


@pytest.mark.parametrize("kind", KINDS)
def test_a_jpeg_that_lacks_pixels_is_refused(kind):
    whole = jpeg(**KINDS[kind])
    expected = np.asarray(open_photo(whole)).astype(int)
    step = max(1, len(whole) // 150)
    lengths = {*range(3, len(whole) - 2, step), *range(len(whole) - 40, len(whole) - 2)}
    read = 0
    for length in sorted(lengths):
        try:
            image = open_photo(whole[:length])
        except PhotoError:
            continue
        read += 1  # a byte or two of filling may be missing, but no pixel
        assert np.abs(np.asarray(image).astype(int) - expected).max() <= 1, length
    assert read <= 3


def test_scans_that_are_missing_are_seen():
    whole = jpeg(progressive=True)
    starts = [at for at in range(len(whole)) if whole[at : at + 2] == b"\xff\xda"]
    assert len(starts) > 5
    for start in starts:  # cut between two scans: a picture is there, and blurred
        assert list(jpegs_with_end(whole[:start])) == []
        with pytest.raises(PhotoError, match="OSError"):
            open_photo(whole[:start])
    assert len(list(jpegs_with_end(whole[:-2]))) == 3
    assert (
        list(jpegs_with_end(whole))
        == list(jpegs_with_end(b"\xff\xd8\xff"))
        == list(jpegs_with_end(b""))
        == []
    )


def test_the_settings_of_the_user_are_kept(monkeypatch):
    half = jpeg()[:2500]
    with pytest.raises(PhotoError, match="truncated"):
        open_photo(half)
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    assert open_photo(half).size == (200, 120)


def chunk(kind, content):
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


LARGE = zlib.compress(b"x" * 2**21)
METADATA = {
    "zTXt": chunk(b"zTXt", b"Comment\0\0" + LARGE),
    "iTXt": chunk(b"iTXt", b"Comment\0\1\0\0\0" + LARGE),
    "iTXt, plain": chunk(b"iTXt", b"Comment\0\0\0\0\0" + b"x" * 2**21),
    "iCCP": chunk(b"iCCP", b"name\0\0" + LARGE),
    "XMP": chunk(b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + LARGE),
    "many texts": chunk(b"zTXt", b"Comment\0\0" + zlib.compress(b"x" * 2**20)) * 70,
    "wrong checksum": chunk(b"iTXt", b"Comment\0\0\0\0\0hello")[:-1] + b"?",
    "no zlib data": chunk(b"zTXt", b"Comment\0\0nonsense"),
    "unknown": chunk(b"quUx", bytes(2**21)),
}


def png(image, *chunks, behind=False, **options):
    buffer = io.BytesIO()
    image.save(buffer, "PNG", **options)
    data = buffer.getvalue()
    at = len(data) - 12 if behind else 33  # before the end, or behind the head
    return data[:at] + b"".join(chunks) + data[at:]


@pytest.mark.parametrize("behind", [False, True])
@pytest.mark.parametrize("kind", METADATA)
def test_metadata_that_nobody_needs_does_not_cost_a_png(kind, behind):
    image = noise()
    read = open_photo(png(image, METADATA[kind], behind=behind))
    assert np.array_equal(np.asarray(read), np.asarray(image))


def test_what_is_needed_stays_beside_large_metadata():
    exif = Image.Exif()
    exif[0x0112] = 6
    texts = PngImagePlugin.PngInfo()
    texts.add_text(
        "Raw profile type exif", f"\nexif\n{len(exif.tobytes()):8}\n{exif.tobytes().hex()}\n", zip=True
    )
    upright = noise()
    turned = upright.transpose(Image.Transpose.ROTATE_90)
    for options in ({"exif": exif}, {"pnginfo": texts}):
        read = open_photo(png(turned, METADATA["zTXt"], **options))
        assert np.array_equal(np.asarray(read), np.asarray(upright))
    clear = Image.new("P", (4, 4), 3)
    clear.putpalette([10, 20, 30] * 4)
    read = open_photo(png(clear, METADATA["iTXt"], behind=True, transparency=3))
    assert read.getpixel((0, 0)) == (255, 255, 255)
    assert png_without_metadata(b"GIF89a") is None


def test_large_metadata_in_threads_and_without_a_switch_for_all():
    limits = (PngImagePlugin.MAX_TEXT_CHUNK, PngImagePlugin.MAX_TEXT_MEMORY)
    image = noise()
    files = [png(image, METADATA["zTXt"]), png(image)] * 40
    with ThreadPoolExecutor(8) as pool:
        assert {read.tobytes() for read in pool.map(open_photo, files)} == {image.tobytes()}
    assert limits == (PngImagePlugin.MAX_TEXT_CHUNK, PngImagePlugin.MAX_TEXT_MEMORY)


def test_a_png_that_lacks_pixels_is_refused():
    whole = png(noise())
    for length in range(20, len(whole) - 30, len(whole) // 40):
        with pytest.raises(PhotoError):
            open_photo(whole[:length])
    with pytest.raises(PhotoError):
        open_photo(png(noise(), METADATA["zTXt"])[: len(whole) // 2])


@pytest.mark.parametrize("largest", [65535, 4095, 1023, 256])
@pytest.mark.parametrize("magic", ["P5", "P2"])
def test_deep_pgm_is_scaled_by_its_own_largest_value(magic, largest):
    ramp = np.linspace(0, largest, 32 * 16).round().astype(int).reshape(16, 32)
    body = ramp.astype(">u2").tobytes() if magic == "P5" else " ".join(map(str, ramp.ravel())).encode()
    read = np.asarray(open_photo(f"{magic} 32 16 {largest}\n".encode() + body))
    assert np.abs(read[:, :, 0] - ramp * 255 / largest).max() <= 1
    assert np.array_equal(read[:, :, 0], read[:, :, 2])


def test_deep_ppm_and_what_has_no_known_range():
    colors = np.random.default_rng(0).integers(0, 65536, (6, 5, 3))
    read = np.asarray(open_photo(b"P6 5 6 65535\n" + colors.astype(">u2").tobytes()))
    assert np.abs(read - colors / 257).max() <= 1
    floats = b"Pf\n4 4\n-1.0\n" + np.full(16, 3.5, "<f4").tobytes()
    with pytest.raises(PhotoError, match=r"mode F from 3.5 to 3.5: convert"):
        open_photo(floats)
