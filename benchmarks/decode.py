"""Decoding photos: ours beside plain Pillow, in turns in one process, so that other jobs slow both alike.

python benchmarks/decode.py [PHOTOS]

Plain Pillow is open, exif_transpose and convert("RGB"), which ignores color profiles. The photos are made
here (JPEG, 12 megapixels and 512 pixels), with and without a profile; PHOTOS is a folder of real ones.
"""

from __future__ import annotations

import argparse
import io
import statistics
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
from measuring import machine, seconds
from PIL import Image, ImageCms, ImageOps

import landmarkzoo as lz

# Red, green and blue of Display P3, the profile of phones, in XYZ adapted to D50.
DISPLAY_P3 = [(0.5151, 0.2412, -0.0011), (0.2920, 0.6922, 0.0419), (0.1571, 0.0666, 0.7841)]


def plain(data: bytes) -> Image.Image:
    with Image.open(io.BytesIO(data)) as image:
        return ImageOps.exif_transpose(image).convert("RGB")


def ours(data: bytes) -> Image.Image:
    return lz.photos.open_photo(data)


def jpeg(width: int, height: int, profile: bytes | None) -> bytes:
    """A photo of clouds with some noise, about as large as those of cameras."""
    random = np.random.default_rng(0)
    coarse = Image.fromarray(random.integers(0, 256, (height // 40, width // 40, 3), dtype=np.uint8))
    pixels = np.asarray(coarse.resize((width, height), Image.Resampling.BICUBIC)).astype(np.int16)
    pixels += random.integers(-6, 7, pixels.shape, dtype=np.int16)
    buffer = io.BytesIO()
    image = Image.fromarray(pixels.clip(0, 255).astype(np.uint8))
    image.save(buffer, "JPEG", quality=88, icc_profile=profile)
    return buffer.getvalue()


def with_profile(path: Path, profile: bytes | None) -> bytes:
    buffer = io.BytesIO()
    lz.photos.open_photo(path).save(buffer, "JPEG", quality=88, icc_profile=profile)
    return buffer.getvalue()


def display_p3() -> bytes:
    """A profile of Display P3 (ICC 2.4, gamma 2.2)."""
    tags = {f"{c}XYZ": b"XYZ \0\0\0\0" + _fixed(color) for c, color in zip("rgb", DISPLAY_P3, strict=True)}
    tags |= {f"{c}TRC": b"curv\0\0\0\0" + struct.pack(">IHxx", 1, 563) for c in "rgb"}
    start, table = 132 + 12 * len(tags), struct.pack(">I", len(tags))
    for name, content in tags.items():
        table += struct.pack(">4sII", name.encode(), start, len(content))
        start += len(content)
    head = struct.pack(">I4xI12s", start, 0x02400000, b"mntrRGB XYZ ") + bytes(12) + b"acsp"
    head = head.ljust(68, b"\0") + _fixed((0.9642, 1.0, 0.8249))
    return head.ljust(128, b"\0") + table + b"".join(tags.values())


def _fixed(values: tuple[float, ...]) -> bytes:
    return struct.pack(f">{len(values)}i", *(round(value * 65536) for value in values))


def compare(name: str, photos: list[bytes], rounds: int) -> None:
    times: dict[Callable[[bytes], Image.Image], list[float]] = {plain: [], ours: []}
    for _ in range(rounds):
        for data in photos:
            for read, measured in times.items():
                measured.append(seconds(lambda read=read, data=data: read(data)))  # type: ignore[misc]
    old, new = (statistics.median(measured) * 1000 for measured in times.values())
    print(f"{name:34} | plain {old:7.2f} ms | ours {new:7.2f} ms | ratio {new / old:.2f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("photos", type=Path, nargs="?")
    parser.add_argument("--rounds", type=int, default=15)
    arguments = parser.parse_args()
    print(machine())
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    profiles = {"no profile": None, "sRGB profile": srgb, "Display P3": display_p3()}
    for size, rounds in (((4000, 3000), arguments.rounds), ((512, 384), 20 * arguments.rounds)):
        for name, profile in profiles.items():
            compare(f"{size[0]} x {size[1]}, {name}", [jpeg(*size, profile)], rounds)
    if arguments.photos is not None:
        paths = [arguments.photos / name for name in lz.photos.photo_files(arguments.photos)[::10]]
        name = f"{len(paths)} photos of {arguments.photos.name}"
        compare(name, [path.read_bytes() for path in paths], 3)
        compare(f"{name}, Display P3", [with_profile(path, profiles["Display P3"]) for path in paths], 3)


if __name__ == "__main__":
    main()
