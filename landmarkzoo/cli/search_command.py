"""``landmarkzoo search``: best index images of each query."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from landmarkzoo.cli.photo_labels import folders_among, label_names
from landmarkzoo.cli.printing import show_ranking
from landmarkzoo.reports import write_ranking_page
from landmarkzoo.retrieval import Descriptors, Ranking, search


def add_parser(commands: Any) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser("search", help="best index images of each query")
    parser.add_argument("queries", help="descriptors file that 'landmarkzoo embed' wrote")
    parser.add_argument("index", help="descriptors file; the queries' own file searches it in itself")
    parser.add_argument("-k", type=int, default=10, help="results a query, default: %(default)s")
    parser.add_argument("--out", help="CSV file to write: query,rank,id,score")
    parser.add_argument("--device", help="such as cuda; default: cpu")
    parser.add_argument("--report", metavar="HTML", help="one page with photos of queries and results")
    parser.add_argument("--photos", metavar="DIR", help="where the photos of the report lie")
    parser.add_argument("--query-photos", metavar="DIR", help="where those of the queries lie, if elsewhere")
    parser.add_argument(
        "--folder-labels", action="store_true", help="mark results: folders name the landmarks of photos"
    )
    parser.add_argument("--labels", metavar="CSV", help="mark results: a file with columns id,label")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    """Search, print the first queries and write the CSV file."""
    queries, index = Descriptors.load(arguments.queries), Descriptors.load(arguments.index)
    ranking = search(
        queries,
        index,
        arguments.k,
        exclude_same_id=Path(arguments.queries).samefile(arguments.index),
        device=arguments.device,
        progress=True,
    )
    if arguments.report is not None:
        _report(arguments, ranking, queries.ids, index.ids)
    show_ranking(ranking, arguments.out, "cosine")


def _report(arguments: argparse.Namespace, ranking: Ranking, queries: list[str], index: list[str]) -> None:
    photos = arguments.photos or arguments.query_photos
    if photos is None:
        raise ValueError("--report needs the photos: --photos DIR, and --query-photos DIR if they lie apart")
    for folder in (photos, arguments.query_photos or photos):
        if not Path(folder).is_dir():
            raise FileNotFoundError(f"--report: no such folder of photos: {folder}")
    labels = None
    if arguments.labels is not None:
        labels = (label_names(queries, arguments.labels), label_names(index, arguments.labels))
    elif arguments.folder_labels:
        of_index = label_names(index, None)
        labels = (folders_among(queries, {name for name in of_index if name is not None}), of_index)
    write_ranking_page(
        arguments.report,
        ranking,
        Path(arguments.query_photos or photos),
        Path(photos),
        labels=labels,
        title=f"{Path(arguments.queries).name} in {Path(arguments.index).name}",
    )
    print(f"report: {arguments.report}")
