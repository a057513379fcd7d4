"""What a run of paper.py is about: models, photos and settings; a folder with other results is refused."""

from __future__ import annotations

import argparse
import json
import os
import re
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

import landmarkzoo as lz


@dataclass(frozen=True)
class Model:
    """A model of the ensemble, and what it is for: "retrieval", "recognition", or both."""

    name: str
    family: str
    tracks: tuple[str, ...]


class Part:
    """Photos of one index: data sets or folders, with the landmark id of each photo, -1 for none."""

    def __init__(self, *sources: tuple[Any, np.ndarray | None]) -> None:
        self.sources = sources
        ids = [id_ for photos, _ in sources for id_ in lz.photos.photo_source(photos).ids]
        if len(set(ids)) < len(ids):
            raise ValueError(
                "--labelled: a photo is in two of the sets; x has all of clean, full has all of x"
            )
        labels = [None if labels is None else labels.tolist() for _, labels in sources]
        self.count = len(ids)
        self.text = f"{len(ids)} photos with hash {zlib.crc32(repr((ids, labels)).encode()):08x}"


@dataclass(frozen=True)
class Job:
    """Settings, and the photos of each index by its name."""

    out: Path
    models: tuple[Model, ...]
    parts: dict[str, Part]
    test: lz.datasets.GLDv2
    index_votes: bool
    storage: str
    precision: str
    device: str
    workers: int | None


def write_whole(path: Path, write: Callable[[Path], object]) -> None:
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    write(temporary)
    with temporary.open("rb") as file:
        os.fsync(file.fileno())
    temporary.replace(path)


def check_settings(job: Job) -> None:
    """Refuse a folder that has results of other photos."""
    settings = {name: part.text for name, part in job.parts.items()}
    path = job.out / "settings.json"
    if not path.exists():
        job.out.mkdir(parents=True, exist_ok=True)
        write_whole(path, lambda temporary: temporary.write_text(json.dumps(settings, indent=1)))
    then = json.loads(path.read_text())
    other = [
        f"{k} was {then.get(k)}, is {settings.get(k)}"
        for k in {**then, **settings}
        if then.get(k) != settings.get(k)
    ]
    if other:
        raise ValueError(f"{job.out} has results of other photos, take another --out: {'; '.join(other)}")


def models_of(names: dict[str, tuple[str, ...]]) -> tuple[Model, ...]:
    """Models by the names that were given, once they are known to be there and to fit their families."""
    models, sizes = list[Model](), dict[str, set[int]]()
    for given, tracks in names.items():
        family, name = re.fullmatch(r"(?:(\w+)=)?(.+)", given).groups()
        model = lz.create_model(name, pretrained=":" not in name)
        models.append(Model(name, family or model.cfg.architecture, tracks))
        if "recognition" in tracks:
            sizes.setdefault(models[-1].family, set()).add(model.embedding_dim)
    for family, found in sizes.items():
        if len(found) > 1:
            raise ValueError(
                f"models of {family} have {sorted(found)} dimensions, their mean needs one: use FAMILY=NAME"
            )
    return tuple(models)


def labelled(root: str, name: str) -> tuple[Any, np.ndarray]:
    """Photos of a split, or of a CSV file with the columns path and landmark_id, and their landmark ids."""
    if not name.endswith(".csv"):
        photos = lz.datasets.GLDv2(root, name)
        return photos, photos.landmarks_of(photos.targets)
    listed = lz.datasets.CsvPhotos(name, label_column="landmark_id")
    return listed, np.array([*map(int, listed.classes), -1])[listed.targets]


def job_of(argv: Sequence[str] | None, text: str) -> Job:
    parser = argparse.ArgumentParser(description=text, formatter_class=argparse.RawTextHelpFormatter)
    add = parser.add_argument
    add("root", help="folder of Google Landmarks v2")
    add(
        "--models",
        nargs="*",
        default=[],
        metavar="NAME",
        help="of both tracks: registered, local-dir:, hf-hub:",
    )
    add("--only-retrieval", nargs="*", default=[], metavar="NAME", help="more models, of that track alone")
    add("--only-recognition", nargs="*", default=[], metavar="NAME", help="the same")
    add(
        "--labelled",
        nargs="+",
        default=["clean"],
        metavar="SET",
        help="clean, x, full, or CSV files: who votes",
    )
    add(
        "--index-votes",
        action="store_true",
        help="photos of the index vote in retrieval.csv, not in validation",
    )
    add("--non-landmarks", metavar="FOLDER", help="photos of no landmark; without them nothing is rejected")
    add("--out", required=True, type=Path, help="folder for all that is written")
    add("--storage", choices=["float32", "float16"], default="float32", help="of descriptors")
    add(
        "--precision",
        choices=["auto", "float32", "bfloat16", "float16"],
        default="auto",
        help="of the models",
    )
    add("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    add("--workers", type=int, help="processes that read photos")
    options = parser.parse_args(argv)
    names = dict.fromkeys(options.models, ("retrieval", "recognition"))
    names |= dict.fromkeys(options.only_retrieval, ("retrieval",))
    names |= dict.fromkeys(options.only_recognition, ("recognition",))
    if not names:
        parser.error("give --models")
    test, index = (lz.datasets.GLDv2(options.root, split) for split in ("test", "index"))
    known = index.landmarks_of(index.targets) if len(index.landmark_ids) else None
    parts = {"train": Part(*(labelled(options.root, name) for name in options.labelled))}
    parts |= {"test": Part((test, None)), "index": Part((index, known))}
    if options.non_landmarks is not None:
        parts["non_landmark"] = Part((options.non_landmarks, None))
    how = (options.index_votes, options.storage, options.precision, options.device, options.workers)
    return Job(options.out, models_of(names), parts, test, *how)
