"""What commands print: small tables, and rankings."""

from __future__ import annotations

from collections.abc import Sequence

from landmarkzoo.retrieval import Ranking

_SHOWN = 10  # how many queries are printed; the file gets all


def print_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print rows below a header, the columns aligned."""
    lines = [list(header), *[list(row) for row in rows]]
    widths = [max(len(line[column]) for line in lines) for column in range(len(header))]
    for number, line in enumerate(lines):
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip())
        if number == 0:
            print("  ".join("-" * width for width in widths))


def show_ranking(ranking: Ranking, out: str | None, score: str) -> None:
    """Print the results of the first queries, and write all to a CSV file.

    Args:
        ranking: A ranking with ids.
        out: The file; ``None``: do not write one.
        score: Heading of the scores.
    """
    if out is not None:
        ranking.to_csv(out)
    names, queries = ranking.ids, ranking.query_ids
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
