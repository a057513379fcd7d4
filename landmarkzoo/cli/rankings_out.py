"""Rankings on standard output and in files, as all commands show them."""

from __future__ import annotations

from landmarkzoo.cli.tables import print_table
from landmarkzoo.retrieval import Ranking

_SHOWN = 10  # queries that are printed; all are written to the file


def show_ranking(ranking: Ranking, out: str | None, score: str) -> None:
    """Write a ranking to a CSV file, if there is one, and print its first queries.

    Args:
        ranking: Of Descriptors, so with ids.
        out: The file.
        score: What its scores are called.
    """
    if out is not None:
        ranking.to_csv(out)
    names, queries = ranking.ids, ranking.query_ids
    assert names is not None
    assert queries is not None
    rows = [
        [queries[q], str(rank + 1), names[q, rank], f"{ranking.scores[q, rank]:.4f}"]
        for q in range(min(len(queries), _SHOWN))
        for rank in range(ranking.indices.shape[1])
        if ranking.indices[q, rank] >= 0
    ]
    print_table(["query", "rank", "id", score], rows)
    if len(queries) > _SHOWN:
        print(f"... {len(queries) - _SHOWN} more queries" + ("" if out else ": use --out"))
    if out is not None:
        print(f"{len(queries)} queries, {ranking.indices.shape[1]} results each: {out}")
