"""``landmarkzoo rerank``: rankings by more than the cosine of two photos."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

from landmarkzoo.cli.descriptor_inputs import load_descriptors, load_labelled
from landmarkzoo.cli.outputs import RANKING, check_outputs
from landmarkzoo.cli.printing import show_ranking, warn_of_few
from landmarkzoo.cli.shared_options import add_shared_options, shows_progress

if TYPE_CHECKING:
    from landmarkzoo.retrieval import Ranking


class _Method(NamedTuple):
    """A re-ranker of the command.

    Attributes:
        rank: Called as ``rank(queries, index, k=, device=, progress=)``; with ``neighbors=`` if the option is
            given, and with the train descriptors and their labels behind the index if it needs them.
        needs_train: It needs labelled photos.
        has_shortlist: It ranks a shortlist again, and takes ``shortlist=`` if the option is given.
    """

    rank: Callable[..., Ranking]
    needs_train: bool = False
    has_shortlist: bool = False


def _soft(*photos: Any, progress: bool, **options: Any) -> Ranking:
    from landmarkzoo.rerank import soft_discriminative

    return soft_discriminative(*photos, **options)


def _hard(*photos: Any, progress: bool, **options: Any) -> Ranking:
    from landmarkzoo.rerank import hard_discriminative

    return hard_discriminative(*photos, **options)


def _query_expansion(
    queries: Any, index: Any, *, k: int, device: str | None, progress: bool, neighbors: int | None = None
) -> Ranking:
    from landmarkzoo.rerank import alpha_query_expansion
    from landmarkzoo.retrieval import search

    expanded = alpha_query_expansion(queries, index, device=device, **_not_none(k=neighbors))
    return search(expanded, index, k, device=device, progress=progress)


def _augmentation(
    queries: Any, index: Any, *, k: int, device: str | None, progress: bool, neighbors: int | None = None
) -> Ranking:
    from landmarkzoo.rerank import database_augmentation
    from landmarkzoo.retrieval import search

    augmented = database_augmentation(index, device=device, **_not_none(k=neighbors))
    return search(queries, augmented, k, device=device, progress=progress)


def _k_reciprocal(
    queries: Any, index: Any, *, k: int, device: str | None, progress: bool, neighbors: int | None = None
) -> Ranking:
    from landmarkzoo.rerank import k_reciprocal

    return k_reciprocal(queries, index, k=k, device=device, **_not_none(k1=neighbors))


def _diffusion(*photos: Any, **options: Any) -> Ranking:
    from landmarkzoo.rerank import diffusion

    return diffusion(*photos, **options)


def _superglobal(*photos: Any, **options: Any) -> Ranking:
    from landmarkzoo.rerank import superglobal

    return superglobal(*photos, **options)


METHODS = {
    "soft": _Method(_soft, needs_train=True),
    "hard": _Method(_hard, needs_train=True),
    "query-expansion": _Method(_query_expansion),
    "augmentation": _Method(_augmentation),
    "k-reciprocal": _Method(_k_reciprocal),
    "diffusion": _Method(_diffusion),
    "superglobal": _Method(_superglobal, has_shortlist=True),
}


def add_parser(commands: Any) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "rerank",
        help="rankings by the labels of a train set, or by neighbors of neighbors",
        description="Rank the index for each query by more than the cosine of two photos. 'soft' and 'hard' "
        "need labelled photos of the same landmarks (--train); the other methods need no labels.",
    )
    add_shared_options(parser, "queries")
    parser.add_argument("index", help="descriptors file or index of the photos to rank")
    parser.add_argument("--method", choices=list(METHODS), default="diffusion", help="default: %(default)s")
    parser.add_argument("--train", metavar="FILE", help="descriptors file or index of labelled photos")
    parser.add_argument(
        "--labels",
        metavar="FILE",
        help="CSV file with columns id,label: landmarks of the train photos; default: the labels of the "
        "index, or their folders",
    )
    add_shared_options(parser, "-k")
    parser.add_argument(
        "--neighbors",
        type=int,
        metavar="N",
        help="photos that vote, expand a query, refine a photo or are linked; default: that of the method",
    )
    parser.add_argument(
        "--shortlist", type=int, metavar="N", help="photos that superglobal ranks again; default: 400"
    )
    parser.add_argument("--out", metavar="FILE", help="CSV file to write: query,rank,id,score")
    add_shared_options(parser, "--device", "--overwrite", "--quiet")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    """Rank, print the results of the first queries, and write the CSV file.

    Raises:
        ValueError: If ``--train`` is missing where it is needed, or an option is given that the method does
            not have.
    """
    method = METHODS[arguments.method]
    _check_options(arguments, method)
    check_outputs(
        {"--out": (arguments.out, RANKING)},
        inputs=[arguments.queries, arguments.index, arguments.train, arguments.labels],
        overwrite=arguments.overwrite,
    )
    queries, index = load_descriptors(arguments.queries), load_descriptors(arguments.index)
    labelled: tuple[Any, ...] = ()
    if method.needs_train:
        labelled = load_labelled(arguments.train, arguments.labels)
    voters = ("train", len(labelled[0])) if labelled else ("index", len(index))
    warn_of_few("--neighbors", arguments.neighbors, *voters)
    options = {
        "k": arguments.k,
        "device": arguments.device,
        "progress": shows_progress(arguments),
        **_not_none(neighbors=arguments.neighbors, shortlist=arguments.shortlist),
    }
    show_ranking(method.rank(queries, index, *labelled, **options), arguments.out, "score")


def _check_options(arguments: argparse.Namespace, method: _Method) -> None:
    """Raise if an option is missing, out of range, or not one of the method."""
    from landmarkzoo._utils.checks import check_count

    for option in ("neighbors", "shortlist"):
        if (value := getattr(arguments, option)) is not None:
            check_count(value, f"--{option}")
    if method.needs_train and arguments.train is None:
        raise ValueError(f"--method {arguments.method} needs --train, photos whose landmarks are known")
    if not method.needs_train and (arguments.train is not None or arguments.labels is not None):
        takers = " and ".join(name for name, method in METHODS.items() if method.needs_train)
        raise ValueError(f"--train and --labels are for {takers}, not for {arguments.method}")
    if arguments.shortlist is not None and not method.has_shortlist:
        takers = " and ".join(name for name, method in METHODS.items() if method.has_shortlist)
        raise ValueError(f"--shortlist is for {takers}, not for {arguments.method}")


def _not_none(**options: Any) -> dict[str, Any]:
    """The options that are not ``None``; for the others the library has defaults."""
    return {name: value for name, value in options.items() if value is not None}
