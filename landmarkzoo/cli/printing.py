"""What commands print: small tables, and rankings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from landmarkzoo.cli.stderr_lines import printable, say

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from landmarkzoo.retrieval import Ranking

_QUERIES, _ROWS = 10, 30  # that are printed at most; the file gets all


def print_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print rows below a header, the columns aligned."""
    lines = [list(header), *[[printable(cell) for cell in row] for row in rows]]
    widths = [max(len(line[column]) for line in lines) for column in range(len(header))]
    for number, line in enumerate(lines):
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip())
        if number == 0:
            print("  ".join("-" * width for width in widths))


def show_ranking(ranking: Ranking, out: str | None, score: str, labels: NDArray[Any] | None = None) -> None:
    """Print the first results of the first queries, and write all to a CSV file.

    Args:
        ranking: A ranking with ids.
        out: The file; ``None``: do not write one.
        score: Heading of the scores.
        labels: Labels (N,) of the index photos, to print beside them.
    """
    if out is not None:
        ranking.to_csv(out)
    found = (ranking.indices >= 0).sum(axis=1)
    queries = min(len(found), _QUERIES)
    most = int(found.max(initial=0))
    depth = min(most, max(1, _ROWS // max(queries, 1)))
    rows = []
    for one in ranking[:queries]:
        names, scores = one.ids[0, :depth].tolist(), one.scores[0, :depth].tolist()
        there = (one.indices[0, :depth] >= 0).tolist()
        query = one.query_ids[0] if one.query_ids else ""
        beside = [[] if labels is None else [labels[row] or ""] for row in one.indices[0, :depth].tolist()]
        rows += [
            [query, str(rank), name, f"{s:.4f}", *label]
            for rank, (name, s, is_there, label) in enumerate(zip(names, scores, there, beside), 1)
            if is_there
        ]
    print_table(["query", "rank", "id", score] + ([] if labels is None else ["label"]), rows)
    if len(found) > queries or most > depth:
        queries_left = f"{len(found) - queries} more queries" if len(found) > queries else ""
        results_left = f"{most - depth} more results of each query" if most > depth else ""
        left = ", ".join(part for part in (results_left, queries_left) if part)
        print(f"... {left}" + ("" if out else ": --out FILE writes all"))
    if out is not None:
        each = f"{most} results each" if (found == most).all() else f"up to {most} results each"
        print(f"{len(found)} queries, {each}: {printable(out)}")


def show_findings(header: Sequence[str], rows: Sequence[tuple[Any, ...]], out: str | None, what: str) -> None:
    """Print the first rows of a table, and write all to a CSV file.

    Args:
        header: Names of the columns.
        rows: Texts, and last a number.
        out: The file; ``None``: do not write one.
        what: What the rows are, such as ``"pairs"``.
    """
    from landmarkzoo._utils.csv_and_pandas import write_csv

    if out is not None:
        write_csv(out, header, ((*texts, f"{number:.7g}") for *texts, number in rows))
    if rows:
        print_table(header, [[*texts, f"{number:.4f}"] for *texts, number in rows[:_ROWS]])
    if len(rows) > _ROWS:
        print(f"... {len(rows) - _ROWS} more {what}" + ("" if out else ": --out FILE writes all"))
    print(f"{len(rows)} {what}" + (f": {printable(out)}" if out else ""))


def warn_of_few(option: str, number: int | None, what: str, there: int) -> None:
    """Say on stderr if an option asks for more photos than there are.

    Args:
        option: Such as ``"--neighbors"``.
        number: What it asks for, if it is given.
        what: What the photos are, such as ``"train"``.
        there: How many there are.
    """
    if number is not None and number > there:
        say(f"landmarkzoo: warning: {option} {number}: there are {there} {what} photos, and all are taken")
