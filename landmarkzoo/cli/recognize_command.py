"""``landmarkzoo recognize``: the landmark in each photo, or none."""

from __future__ import annotations

import argparse
import math
from pathlib import Path
from typing import Any

from landmarkzoo.cli.descriptor_inputs import load_descriptors, load_labelled
from landmarkzoo.cli.outputs import ANSWERS, check_outputs
from landmarkzoo.cli.printing import print_table, warn_of_few
from landmarkzoo.cli.shared_options import add_shared_options
from landmarkzoo.cli.stderr_lines import say

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
    parser.add_argument("train", help="descriptors file or index of labelled photos")
    parser.add_argument(
        "--labels",
        metavar="FILE",
        help="CSV file with columns id,label: landmarks of the train photos; default: the labels of the "
        "index, or their folders",
    )
    parser.add_argument(
        "--non-landmark", metavar="FILE", help="descriptors file or index of photos that show no landmark"
    )
    parser.add_argument(
        "--neighbors", type=int, default=3, metavar="N", help="train photos that vote, default: %(default)s"
    )
    parser.add_argument(
        "--threshold", type=float, metavar="X", help="photos of a lower score get no landmark"
    )
    parser.add_argument("--out", metavar="FILE", help="CSV file to write: id,label,score,support1,...")
    add_shared_options(parser, "--device", "--overwrite", "--quiet")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    """Recognize, print the first photos and write the CSV file.

    Raises:
        ValueError: If the threshold is NaN.
    """
    from landmarkzoo.recognition import recognize

    if arguments.threshold is not None and math.isnan(arguments.threshold):
        raise ValueError("--threshold must be a number, got nan")
    check_outputs(
        {"--out": (arguments.out, ANSWERS)},
        inputs=[arguments.queries, arguments.train, arguments.labels, arguments.non_landmark],
        overwrite=arguments.overwrite,
    )
    queries = load_descriptors(arguments.queries)
    train, labels = load_labelled(arguments.train, arguments.labels)
    if Path(arguments.queries).samefile(arguments.train):
        say("landmarkzoo: warning: queries and train are the same, so each photo votes for itself")
    warn_of_few("--neighbors", arguments.neighbors, "train", len(train))
    others = None if arguments.non_landmark is None else load_descriptors(arguments.non_landmark)
    found = recognize(
        queries,
        train,
        labels,
        non_landmark=others,
        neighbors=min(arguments.neighbors, len(train)),
        device=arguments.device,
    )
    threshold = -math.inf if arguments.threshold is None else arguments.threshold
    if arguments.out is not None:
        found.to_csv(arguments.out, threshold=threshold)
    answers = found.above(threshold)
    rows = [
        [id_, label or "", f"{score:.4f}", train.ids[support[0]]]
        for id_, label, score, support in zip(queries.ids, answers, found.scores, found.support[:_SHOWN])
    ]
    print_table(["id", "landmark", "score", "nearest"], rows)
    if len(found) > _SHOWN:
        print(f"... {len(found) - _SHOWN} more photos" + ("" if arguments.out else ": use --out"))
    if arguments.out is not None:
        with_landmark = sum(label is not None for label in answers)
        print(f"{len(found)} photos, {with_landmark} with a landmark: {arguments.out}")
