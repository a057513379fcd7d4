"""``landmarkzoo evaluate``: scores of descriptors on a data set, by its own protocol."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

from landmarkzoo.datasets import GLDv2, ImageFolder, RevisitedOxford, RevisitedParis
from landmarkzoo.evaluation import evaluate
from landmarkzoo.retrieval import Descriptors

# Data sets by their name on the command line, and how each is made from its folder.
_DATASETS: dict[str, Callable[[str], Any]] = {
    "folder": ImageFolder,
    "gldv2-retrieval": lambda root: GLDv2(root, "index"),
    "gldv2-recognition": lambda root: GLDv2(root, "test"),
    "oxford": RevisitedOxford,
    "paris": RevisitedParis,
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
        "descriptors", nargs="+", help="descriptors files that together hold all photos of the data set"
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
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    """Evaluate, print the scores and write the JSON file."""
    if arguments.out is not None and not Path(arguments.out).parent.is_dir():
        raise FileNotFoundError(f"cannot write {arguments.out}: its folder does not exist")
    dataset = _DATASETS[arguments.dataset](arguments.root)
    descriptors = Descriptors.concat([Descriptors.load(path) for path in arguments.descriptors])
    result = evaluate(descriptors, dataset)
    print(result)
    if arguments.worst > 0:
        metric = result.metrics[0]
        print(f"\nLowest {metric}:")
        for id_, value in result.worst(metric, arguments.worst):
            print(f"{value:.3f}  {id_}")
    if arguments.out is not None:
        result.to_json(arguments.out)
        print(f"\nall values: {arguments.out}")
