"""``landmarkzoo evaluate``: scores of descriptors on a data set, by its own protocol."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from landmarkzoo.cli.descriptor_inputs import load_descriptors
from landmarkzoo.cli.outputs import SCORES, check_outputs
from landmarkzoo.cli.shared_options import add_shared_options
from landmarkzoo.cli.stderr_lines import printable

# Data sets by their name on the command line: the class of `landmarkzoo.datasets`, and its arguments behind
# the folder.
_DATASETS: dict[str, tuple[str, ...]] = {
    "folder": ("ImageFolder",),
    "gldv2-retrieval": ("GLDv2", "index"),
    "gldv2-recognition": ("GLDv2", "test"),
    "oxford": ("RevisitedOxford",),
    "paris": ("RevisitedParis",),
}


def add_parser(commands: Any) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "evaluate",
        help="scores on a data set, with protocol and confidence intervals",
        description="Evaluate descriptors on a data set: its own metrics by its own protocol. The photos "
        "are not read; only for --dataset folder they must be there.",
    )
    parser.add_argument("root", help="folder of the data set")
    parser.add_argument(
        "descriptors",
        nargs="+",
        help="descriptors files or indexes that together hold all photos of the data set",
    )
    parser.add_argument(
        "--dataset",
        choices=list(_DATASETS),
        default="folder",
        help="default: %(default)s, with one folder per landmark",
    )
    parser.add_argument(
        "--out", metavar="FILE", help="JSON file to write: scores, intervals and the values of each query"
    )
    parser.add_argument("--worst", type=int, default=0, metavar="N", help="list the N worst queries")
    add_shared_options(parser, "--overwrite", "--quiet")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    """Evaluate, print the scores and write the JSON file."""
    from landmarkzoo import datasets
    from landmarkzoo.evaluation import evaluate
    from landmarkzoo.retrieval import Descriptors

    if arguments.worst < 0:
        raise ValueError(f"--worst must be 0 or more, got {arguments.worst}")
    check_outputs(
        {"--out": (arguments.out, SCORES)},
        inputs=[arguments.root, *arguments.descriptors],
        overwrite=arguments.overwrite,
    )
    kind, *options = _DATASETS[arguments.dataset]
    dataset: Any = getattr(datasets, kind)(arguments.root, *options)
    parts = [load_descriptors(path) for path in arguments.descriptors]
    descriptors = parts[0] if len(parts) == 1 else Descriptors.concat(parts)
    result = evaluate(descriptors, dataset)
    print(result)
    if arguments.worst > 0:
        metric = result.metrics[0]
        print(f"\nLowest {metric}:")
        for id_, value in result.worst(metric, min(arguments.worst, sys.maxsize)):
            print(f"{value:.3f}  {printable(id_)}")
    if arguments.out is not None:
        result.to_json(arguments.out)
        print(f"\nall values: {arguments.out}")
