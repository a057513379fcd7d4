"""``landmarkzoo search``: best index images of each query."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from landmarkzoo.cli.tables import print_table
from landmarkzoo.retrieval import Descriptors, search

_SHOWN = 10  # queries that are printed; all are written to --out


def add_parser(commands: Any) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser("search", help="best index images of each query")
    parser.add_argument("queries", help="descriptors file that 'landmarkzoo embed' wrote")
    parser.add_argument("index", help="descriptors file; the queries' own file searches it in itself")
    parser.add_argument("-k", type=int, default=10, help="results a query, default: %(default)s")
    parser.add_argument("--out", help="CSV file to write: query,rank,id,score")
    parser.add_argument("--device", help="such as cuda; default: cpu")
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
    if arguments.out is not None:
        ranking.to_csv(arguments.out)
    names = ranking.ids
    assert names is not None
    rows = [
        [queries.ids[q], str(rank + 1), names[q, rank], f"{ranking.scores[q, rank]:.4f}"]
        for q in range(min(len(queries), _SHOWN))
        for rank in range(ranking.indices.shape[1])
        if ranking.indices[q, rank] >= 0
    ]
    print_table(["query", "rank", "id", "cosine"], rows)
    if len(queries) > _SHOWN:
        print(f"... {len(queries) - _SHOWN} more queries" + ("" if arguments.out else ": use --out"))
    if arguments.out is not None:
        print(f"{len(queries)} queries, {ranking.indices.shape[1]} results each: {arguments.out}")
