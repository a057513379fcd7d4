"""Two ways to embed faster that ``lz.embed`` does not take by itself, and what they would give.

    python benchmarks/embed_not_done.py [--photos FOLDER] [--model dolg_efficientnet_b5] [--size 448]

``torch.compile``: seconds to compile, then ms an image beside ``lz.embed`` as it is, both in bfloat16, in
turns. ``Image.draft``: JPEGs of 12 megapixels are decoded whole and at a half and a quarter of their size, go
through the transform, and their descriptors are compared. Photos of FOLDER are enlarged for that; without one
landmarks are rendered.
"""

from __future__ import annotations

import argparse
import statistics
import time
from functools import partial
from io import BytesIO
from pathlib import Path

import torch
from measuring import machine, seconds
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F

import landmarkzoo as lz

WIDTH = 4000  # pixels


def compile_model(name: str, size: int, images: int, rounds: int) -> None:
    torch.manual_seed(0)
    model = lz.create_model(name).eval()
    compiled = torch.compile(model)
    batches = torch.randn(images, 3, size, size)
    options = {"precision": "bfloat16", "batch_size": 4, "scales": (1,), "flip": False, "progress": False}
    first = seconds(partial(lz.embed, compiled, batches[:4], **options))
    ways = {"lz.embed": model, "compiled": compiled}
    times: dict[str, list[float]] = {way: [] for way in ways}
    lz.embed(model, batches, **options)  # tries once what it tries once a model
    for _ in range(rounds):
        for way, network in ways.items():
            times[way].append(seconds(partial(lz.embed, network, batches, **options)) / images)
    print(f"{name} at {size} px in bfloat16, {images} images: {first:.0f} s to compile, then")
    for way, values in times.items():
        print(f"  {way}: {1e3 * statistics.median(values):.0f} ms an image (min {1e3 * min(values):.0f})")


def large_jpegs(folder: Path | None, count: int) -> list[bytes]:
    if folder is None:
        rendered = lz.rendered.RenderedLandmarks(count, 4, 0, image_size=512)
        photos = [rendered.photo(4 * row) for row in range(count)]
    else:
        names = lz.photos.photo_files(folder)
        photos = [lz.photos.open_photo(folder / name) for name in names[:: max(1, len(names) // count)]]
    jpegs = []
    for photo in photos[:count]:
        buffer = BytesIO()
        size = (WIDTH, WIDTH * photo.height // photo.width)
        photo.resize(size, Image.Resampling.BICUBIC).save(buffer, "JPEG", quality=90)
        jpegs.append(buffer.getvalue())
    return jpegs


def decoded(jpeg: bytes, part: int) -> Image.Image:
    image = Image.open(BytesIO(jpeg))
    image.draft("RGB", (image.width // part, image.height // part))
    return image.convert("RGB")


def draft(folder: Path | None, count: int) -> None:
    model = lz.create_model("efficientnet_lite0_gem", pretrained_backbone=True, neck="none").eval()
    jpegs = large_jpegs(folder, count)
    print(f"{count} JPEGs of {WIDTH} pixels, efficientnet_lite0_gem with ImageNet weights")
    for size in (224, 448):
        transform = lz.create_transform(model, image_size=size)
        whole = descriptors(model, torch.stack([transform(decoded(jpeg, 1)) for jpeg in jpegs]))
        for part in (2, 4):
            start = time.perf_counter()
            images = torch.stack([transform(decoded(jpeg, part)) for jpeg in jpegs])
            each = (time.perf_counter() - start) / count
            cosines = (descriptors(model, images) * whole).sum(dim=1)
            print(
                f"  {size} px, 1/{part} of the size: least cosine to whole {cosines.min():.5f}, median "
                f"{cosines.median():.5f}; {1e3 * each:.0f} ms a photo"
            )


@torch.inference_mode()
def descriptors(model: nn.Module, images: Tensor) -> Tensor:
    return F.normalize(model(images).double(), dim=1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--photos", type=Path, metavar="FOLDER")
    parser.add_argument("--model", default="dolg_efficientnet_b5")
    parser.add_argument("--size", type=int, default=448)
    parser.add_argument("--images", type=int, default=64)
    parser.add_argument("--jpegs", type=int, default=12)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    print(machine())
    draft(arguments.photos, arguments.jpegs)
    compile_model(arguments.model, arguments.size, arguments.images, arguments.rounds)


if __name__ == "__main__":
    main()
