"""``landmarkzoo rerank``: rankings by more than the cosine of two photos."""

from __future__ import annotations

import argparse
from typing import Any

from landmarkzoo import rerank
from landmarkzoo.cli.photo_labels import label_names, numbered
from landmarkzoo.cli.printing import show_ranking
from landmarkzoo.retrieval import Descriptors, Ranking, search

_BY_LABELS = ("soft", "hard")
_METHODS = (*_BY_LABELS, "query-expansion", "augmentation", "k-reciprocal", "diffusion")


def add_parser(commands: Any) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "rerank",
        help="rankings by labels of a train set, or by neighbours of neighbours",
        description="Rank the index for each query by more than the cosine of two photos. 'soft' and 'hard' "
        "need labelled photos of the same landmarks (--train) and hurt without; the others need none.",
    )
    parser.add_argument("queries", help="descriptors file that 'landmarkzoo embed' wrote")
    parser.add_argument("index", help="descriptors file of the photos to rank")
    parser.add_argument("--method", choices=_METHODS, default="diffusion", help="default: %(default)s")
    parser.add_argument("--train", metavar="FILE", help="descriptors file of labelled photos")
    parser.add_argument(
        "--labels", metavar="CSV", help="labels of --train, columns id,label; default: their folders"
    )
    parser.add_argument("-k", type=int, default=10, help="results a query, default: %(default)s")
    parser.add_argument(
        "--neighbors", type=int, help="photos that vote, expand a query or are linked; default: the method's"
    )
    parser.add_argument("--out", help="CSV file to write: query,rank,id,score")
    parser.add_argument("--device", help="such as cuda; default: cpu")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    """Rank, print the first queries and write the CSV file.

    Raises:
        ValueError: If ``--train`` is missing where it is needed, or given where it is not.
    """
    by_labels = arguments.method in _BY_LABELS
    if by_labels and arguments.train is None:
        raise ValueError(f"--method {arguments.method} needs --train, photos whose landmarks are known")
    if not by_labels and (arguments.train is not None or arguments.labels is not None):
        raise ValueError(f"--train and --labels are for soft and hard, not for {arguments.method}")
    queries, index = Descriptors.load(arguments.queries), Descriptors.load(arguments.index)
    show_ranking(_ranking(arguments, queries, index), arguments.out, "score")


def _ranking(arguments: argparse.Namespace, queries: Descriptors, index: Descriptors) -> Ranking:
    device: dict[str, Any] = {"device": arguments.device}
    options = {"k": arguments.k, **device}
    method, count = arguments.method, arguments.neighbors
    if method in _BY_LABELS:
        train = Descriptors.load(arguments.train)
        labels, _ = numbered(label_names(train.ids, arguments.labels))
        function = rerank.soft_discriminative if method == "soft" else rerank.hard_discriminative
        return function(queries, index, train, labels, **options, **_not_none(neighbors=count))
    if method == "k-reciprocal":
        return rerank.k_reciprocal(queries, index, **options, **_not_none(k1=count))
    if method == "diffusion":
        return rerank.diffusion(queries, index, progress=True, **options, **_not_none(neighbors=count))
    if method == "augmentation":
        return search(queries, rerank.database_augmentation(index, **device, **_not_none(k=count)), **options)
    expanded = rerank.alpha_query_expansion(queries, index, **device, **_not_none(k=count))
    return search(expanded, index, **options)


def _not_none(**options: Any) -> dict[str, Any]:
    """Options that were given; the others keep the defaults of the library."""
    return {name: value for name, value in options.items() if value is not None}
