"""``landmarkzoo search``: the most similar photos of an index for each query."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from landmarkzoo.cli.descriptor_inputs import load_descriptors
from landmarkzoo.cli.outputs import PAGE, RANKING, check_outputs
from landmarkzoo.cli.photo_labels import folders_among, label_names
from landmarkzoo.cli.printing import show_ranking
from landmarkzoo.cli.shared_options import add_shared_options, refuse_without, shows_progress

if TYPE_CHECKING:
    from landmarkzoo.retrieval import Ranking


def add_parser(commands: Any) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "search",
        help="the most similar photos of an index for each query",
        description="Search an index by the cosine of descriptors: the best results for each query photo.",
    )
    add_shared_options(parser, "queries")
    parser.add_argument(
        "index",
        help="descriptors file or index of the photos to search; the same one: each photo among the others",
    )
    add_shared_options(parser, "-k")
    parser.add_argument("--out", metavar="FILE", help="CSV file to write: query,rank,id,score")
    add_shared_options(parser, "--device")
    parser.add_argument("--report", metavar="FILE", help="HTML page to write, with queries and their results")
    parser.add_argument("--photos", metavar="DIR", help="folder of the photos, for the report")
    parser.add_argument("--query-photos", metavar="DIR", help="folder of the query photos, if it is another")
    parser.add_argument(
        "--folder-labels",
        action="store_true",
        help="mark right and wrong results in the report by the folders of the photos",
    )
    parser.add_argument(
        "--labels", metavar="FILE", help="mark them by a CSV file with columns id,label instead"
    )
    add_shared_options(parser, "--overwrite", "--quiet")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    """Search, print the results of the first queries, and write the files.

    Raises:
        ValueError: If an option is given that would be ignored.
    """
    from landmarkzoo.retrieval import search

    _check(arguments)
    queries, index = load_descriptors(arguments.queries), load_descriptors(arguments.index)
    ranking = search(
        queries,
        index,
        arguments.k,
        exclude_same_id=Path(arguments.queries).samefile(arguments.index),
        device=arguments.device,
        progress=shows_progress(arguments),
    )
    if arguments.report is not None:
        _report(arguments, ranking, queries.ids, index.ids)
    show_ranking(ranking, arguments.out, "cosine")


def _check(arguments: argparse.Namespace) -> None:
    refuse_without("--report", arguments, "--photos", "--query-photos", "--folder-labels", "--labels")
    if arguments.labels is not None and arguments.folder_labels:
        raise ValueError("--labels and --folder-labels are two ways to say the same: give one")
    photos = [arguments.photos or arguments.query_photos, arguments.query_photos or arguments.photos]
    check_outputs(
        {"--out": (arguments.out, RANKING), "--report": (arguments.report, PAGE)},
        inputs=[arguments.queries, arguments.index, arguments.labels, *photos],
        overwrite=arguments.overwrite,
    )
    if arguments.report is None:
        return
    if photos[0] is None:
        raise ValueError(
            "--report needs the photos: --photos DIR, and --query-photos DIR if the queries are elsewhere"
        )
    for folder in photos:
        if not Path(folder).is_dir():
            raise FileNotFoundError(f"--report: no such folder of photos: {folder}")


def _report(arguments: argparse.Namespace, ranking: Ranking, queries: list[str], index: list[str]) -> None:
    from landmarkzoo.reports import write_ranking_page

    query_photos = Path(arguments.query_photos or arguments.photos)
    index_photos = Path(arguments.photos or arguments.query_photos)
    labels = None
    if arguments.labels is not None:
        labels = (label_names(queries, arguments.labels), label_names(index, arguments.labels))
    elif arguments.folder_labels:
        of_index = label_names(index, None)
        labels = (folders_among(queries, {name for name in of_index if name is not None}), of_index)
    write_ranking_page(
        arguments.report,
        ranking,
        query_photos,
        index_photos,
        labels=labels,
    )
    print(f"report: {arguments.report}")
