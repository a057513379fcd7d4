"""Embedding beside a plain loop over a DataLoader, in turns in one process: other jobs slow both alike.

    python benchmarks/embed.py [--models NAME ...] [--photos 64] [--rounds 3] [--batch 8] [--source FOLDER]
    python benchmarks/embed.py --one
    python benchmarks/embed.py --quality PHOTOS

End to end, from JPEG files of 1024 pixels to descriptors. The plain way: Pillow, the same transform, a
DataLoader, ``model.eval()``, ``torch.no_grad()``, float32, the usual layout in memory. Ours: ``lz.embed`` as
it is; its first call warms up, and tries what it tries once a model. Random weights. Ratios of the medians:
on the clock, and of the seconds of all cores together, which other programs on the machine disturb less.

``--one``: one photo of 640 x 480 a call. ``--quality``: mAP@100 and GAP of photos as in
``landmark_photos.py``, whitened, in float32, as ``lz.embed`` chooses, and in bfloat16.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import landmark_photos
import numpy as np
import torch
from measuring import machine, seconds
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset

import landmarkzoo as lz

MODELS = {  # with the side of their images
    "dolg_efficientnet_b5": 448,
    "hybrid_efficientnet_b0_swin_tiny_224": 448,
    "efficientnet_lite0_gem": 224,
    "dinov2_vit_small": None,
    "gem_resnet50": 448,
}
DISTINCT = 8


class PlainPhotos(Dataset[Tensor]):
    """Photos as a tutorial reads them."""

    def __init__(self, paths: list[str], transform: Callable[[Image.Image], Tensor]) -> None:
        self.paths, self.transform = paths, transform

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, row: int) -> Tensor:
        return self.transform(Image.open(self.paths[row]).convert("RGB"))


def plain(
    model: nn.Module, paths: list[str], transform: Callable[[Image.Image], Tensor], batch: int
) -> np.ndarray:
    model.eval()
    with torch.no_grad():
        loader = DataLoader(PlainPhotos(paths, transform), batch_size=batch)
        return torch.cat([F.normalize(model(images)) for images in loader]).numpy()


def write_photos(folder: Path, count: int, size: tuple[int, int], source: Path | None) -> list[str]:
    """JPEG files of a few different photos: rendered, or enlarged ones of a folder."""
    if source is None:
        rendered = lz.rendered.RenderedLandmarks(2, 4, 0, image_size=256)
        photos = [rendered.photo(row) for row in range(DISTINCT)]
    else:
        names = lz.photos.photo_files(source)
        photos = [lz.photos.open_photo(source / name) for name in names[:: max(1, len(names) // DISTINCT)]]
    paths = []
    for row in range(count):
        path = folder / f"{row:04d}.jpg"
        if row < DISTINCT:
            photos[row].resize(size, Image.Resampling.BICUBIC).save(path, quality=90)
        else:
            path.write_bytes((folder / f"{row % DISTINCT:04d}.jpg").read_bytes())
        paths.append(str(path))
    return paths


def compare(
    name: str, paths: list[str], side: int | None, batch: int, rounds: int, workers: int | None
) -> None:
    torch.manual_seed(0)
    model = lz.create_model(name).eval()
    transform = lz.create_transform(model, image_size=side)
    options = {"transform": transform, "batch_size": batch, "scales": (1,), "flip": False}
    ours = partial(lz.embed, model, paths, num_workers=workers, progress=False, **options)
    reference = partial(plain, model, paths, transform, batch)
    first = ours()
    cosine = float((first.vectors * reference()).sum(axis=1).min())
    clock: dict[str, list[float]] = {"plain": [], "ours": []}
    cores: dict[str, list[float]] = {"plain": [], "ours": []}
    for round_ in range(rounds):
        for form in list(clock)[:: 1 if round_ % 2 else -1]:
            before = sum(os.times()[:4])
            clock[form].append(seconds(reference if form == "plain" else ours))
            cores[form].append(sum(os.times()[:4]) - before)
    old, new = (statistics.median(clock[form]) for form in clock)
    work = statistics.median(cores["plain"]) / statistics.median(cores["ours"])
    each_old, each_new = (1e3 * value / len(paths) for value in (old, new))
    print(
        f"| {name} | {side or 'own'} | {each_old:.1f} | {each_new:.1f} | {old / new:.2f} | {work:.2f} | "
        f"{first.provenance['precision']} | {cosine:.5f} |",
        flush=True,
    )


def quality(root: Path) -> None:
    paths, labels, split = landmark_photos.read_splits(root)
    model = lz.create_model("efficientnet_lite0_gem", pretrained_backbone=True)
    train = [path for path, part in zip(paths, split) if part == "train"]
    lz.whiten_neck(model, train, shrinkage=0.1)
    exact = None
    for precision in ("float32", "auto", "bfloat16"):
        d = lz.embed(model, paths, precision=precision)
        exact = d.vectors if exact is None else exact
        searched, soft = landmark_photos.retrieval(d, labels, split)
        print(
            f"{precision}: {d.provenance['precision']} {d.provenance.get('precision_cosine', '')}, "
            f"mAP@100 {searched:.4f}, soft re-ranked {soft:.4f}, "
            f"GAP {landmark_photos.recognition(d, labels, split):.4f}, "
            f"least cosine to float32 {(exact * d.vectors).sum(axis=1).min():.5f}",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--models", nargs="+", default=list(MODELS), metavar="NAME")
    parser.add_argument("--photos", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--size", type=int, help="side of the images; 448 or 224 if left out")
    parser.add_argument("--workers", type=int, help="of lz.embed; as it chooses if left out")
    parser.add_argument("--source", type=Path, help="a folder of photos, instead of rendered ones")
    parser.add_argument("--one", action="store_true", help="one photo of 640 x 480 a call")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--quality", type=Path, metavar="PHOTOS", help="a folder with splits.csv")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    print(machine())
    if args.quality:
        quality(args.quality)
        return
    count, size = (1, (640, 480)) if args.one else (args.photos, (1024, 768))
    print(f"{count} photos of {size[0]} x {size[1]}, batches of {args.batch}; ms a photo\n")
    print("| model | px | plain | ours | ratio of medians | of cores | precision | least cosine |")
    print("|---|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        paths = write_photos(Path(folder), count, size, args.source)
        for name in args.models:
            side = args.size or MODELS.get(name)
            compare(name, paths, side, args.batch, args.rounds, args.workers)


if __name__ == "__main__":
    main()
