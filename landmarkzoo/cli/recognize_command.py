"""``landmarkzoo recognize``: the landmark in each photo, or none."""

from __future__ import annotations

import argparse
import csv
import math
from pathlib import Path
from typing import Any

from landmarkzoo._utils.atomic_writing import atomic_write
from landmarkzoo.cli.photo_labels import label_names, numbered
from landmarkzoo.cli.printing import print_table
from landmarkzoo.cli.shared_options import add_shared_options
from landmarkzoo.recognition import recognize
from landmarkzoo.retrieval import Descriptors

_SHOWN = 20  # photos that are printed; all are written to --out


def add_parser(commands: Any) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "recognize",
        help="the landmark in each photo, or none",
        description="Name the landmark in each photo by its nearest labelled photos. Photos "
        "without a landmark have low scores; with --threshold they get no landmark.",
    )
    add_shared_options(parser, "queries")
    parser.add_argument("train", help="descriptors file of labelled photos")
    parser.add_argument(
        "--labels",
        metavar="FILE",
        help="CSV file with columns id,label: landmarks of the train photos; default: their folders",
    )
    parser.add_argument(
        "--non-landmark", metavar="FILE", help="descriptors file of photos that show no landmark"
    )
    parser.add_argument(
        "--neighbors", type=int, default=3, metavar="N", help="train photos that vote, default: %(default)s"
    )
    parser.add_argument(
        "--threshold", type=float, metavar="X", help="photos of a lower score get no landmark"
    )
    parser.add_argument("--out", metavar="FILE", help="CSV file to write: id,label,score,support1,...")
    add_shared_options(parser, "--device")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    """Recognize, print the first photos and write the CSV file.

    Raises:
        ValueError: If the threshold is NaN.
    """
    if arguments.threshold is not None and math.isnan(arguments.threshold):
        raise ValueError("--threshold must be a number, got nan")
    queries, train = Descriptors.load(arguments.queries), Descriptors.load(arguments.train)
    labels, names = numbered(label_names(train.ids, arguments.labels))
    others = None if arguments.non_landmark is None else Descriptors.load(arguments.non_landmark)
    found = recognize(
        queries,
        train,
        labels,
        non_landmark=others,
        neighbors=arguments.neighbors,
        device=arguments.device,
    )
    answers = found.labels if arguments.threshold is None else found.above(arguments.threshold)
    rows = [
        [
            id_,
            "" if label < 0 else names[label],
            f"{score:.4f}",
            *(train.ids[row] if row >= 0 else "" for row in support),
        ]
        for id_, label, score, support in zip(queries.ids, answers, found.scores, found.support)
    ]
    if arguments.out is not None:
        _write(Path(arguments.out), rows)
    print_table(["id", "landmark", "score", "nearest"], [row[:4] for row in rows[:_SHOWN]])
    if len(rows) > _SHOWN:
        print(f"... {len(rows) - _SHOWN} more photos" + ("" if arguments.out else ": use --out"))
    if arguments.out is not None:
        print(f"{len(rows)} photos, {sum(bool(r[1]) for r in rows)} with a landmark: {arguments.out}")


def _write(path: Path, rows: list[list[str]]) -> None:
    with (
        atomic_write(path) as temporary,
        temporary.open("w", newline="", encoding="utf-8", errors="surrogateescape") as file,
    ):
        support = [f"support{n}" for n in range(1, len(rows[0]) - 2)] if rows else []
        csv.writer(file).writerows([["id", "label", "score", *support], *rows])
