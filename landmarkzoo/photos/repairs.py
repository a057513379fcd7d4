"""Files whose pixels are whole though Pillow refuses them."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from itertools import product

import numpy as np

_PNG = b"\x89PNG\r\n\x1a\n"
_LARGEST_TEXT = 2**20  # bytes; what Pillow decompresses of a chunk that is not pixels
_NEEDED_TEXTS = (b"Raw profile type exif", b"XML:com.adobe.xmp")  # may say how the photo is turned

_END_OF_JPEG = b"\xff\xd9"
_JPEG_FRAMES = set(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_JPEG_START_OF_SCAN = 0xDA
_JPEG_WITHOUT_CONTENT = {0x01, *range(0xD0, 0xD9)}


def png_without_metadata(data: bytes) -> bytes | None:
    """A PNG without its texts, and without any chunk beside the pixels that is large or damaged.

    ``None`` for other files.
    """
    if not data.startswith(_PNG):
        return None
    kept = [_PNG]
    at = len(_PNG)
    while at + 12 <= len(data):
        end = at + 12 + int.from_bytes(data[at : at + 4], "big")
        if _is_needed(data[at + 4 : at + 8], data[at + 8 : end - 4], data[end - 4 : end]):
            kept.append(data[at:end])
        at = end
    return b"".join(kept)


def _is_needed(kind: bytes, content: bytes, checksum: bytes) -> bool:
    if kind[:1].isupper() or kind in (b"tRNS", b"fdAT"):  # critical chunks
        return True
    if zlib.crc32(content, zlib.crc32(kind)).to_bytes(4, "big") != checksum:
        return False
    name, _, rest = content.partition(b"\0")
    if kind == b"tEXt" or (kind in (b"zTXt", b"iTXt") and name not in _NEEDED_TEXTS):
        return False
    if kind not in (b"zTXt", b"iTXt", b"iCCP"):
        return len(content) <= _LARGEST_TEXT
    packed = rest[1:] if kind != b"iTXt" else rest[2:].split(b"\0", 2)[-1]
    if kind == b"iTXt" and rest[:1] != b"\1":
        return len(packed) < _LARGEST_TEXT
    try:
        return len(zlib.decompressobj().decompress(packed, _LARGEST_TEXT)) < _LARGEST_TEXT
    except zlib.error:
        return False


def jpegs_with_end(data: bytes) -> Iterator[bytes]:
    """A JPEG that lacks its end mark, with the mark; then the same with other bytes in front of the mark.

    If the pixels are all there, no decoder looks at these bytes, and all of these JPEGs show one image.
    Nothing for other files, and for JPEGs that lack whole scans.
    """
    data = data.rstrip(b"\xff")
    if data.startswith(b"\xff\xd8") and not data.endswith(_END_OF_JPEG) and _has_all_scans(data):
        for other in (b"", _pixels(0), _pixels(1)):
            yield data + other + _END_OF_JPEG


def _pixels(seed: int) -> bytes:
    """Bytes that a decoder takes for pixels, also where it waits for one of the eight restart marks."""
    random = np.random.default_rng(seed)
    blocks = [random.integers(0, 255, 4096, dtype=np.uint8).tobytes() for _ in range(9)]  # 0xFF begins a mark
    return blocks[0] + b"".join(b"\xff" + bytes([0xD0 + row]) + block for row, block in enumerate(blocks[1:]))


def _has_all_scans(data: bytes) -> bool:
    """Whether every coefficient of every component has a scan that gives its last bit."""
    missing: set[tuple[int, int]] | None = None
    at = 2
    while at + 4 <= len(data):
        if data[at] != 0xFF:  # pixels of a scan, up to the next mark
            at = data.find(b"\xff", at)
            if at < 0:
                break
        mark = data[at + 1]
        if mark == 0xFF:
            at += 1
        elif mark == 0 or mark in _JPEG_WITHOUT_CONTENT:
            at += 2
        else:
            end = at + 2 + int.from_bytes(data[at + 2 : at + 4], "big")
            content = data[at + 4 : end]
            if mark in _JPEG_FRAMES and len(content) > 6:
                missing = set(product(content[6::3], range(64)))
            elif mark == _JPEG_START_OF_SCAN and missing is not None and len(content) > 3:
                *components, first, last, bits = content[1:]
                if bits & 15 == 0:
                    missing -= set(product(components[::2], range(first, last + 1)))
            at = end
    return missing is not None and not missing
