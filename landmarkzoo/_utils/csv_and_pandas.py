"""Results as tables: CSV files that are written line by line, and pandas frames."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from landmarkzoo._utils.atomic_writing import atomic_write


def write_csv(path: str | Path, header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    r"""Write a CSV file whole or not at all; of the rows only one is held at a time.

    File names that are not Unicode go out with the bytes that they came in with.

    Args:
        path: The file to write; its folder must exist.
        header: Names of the columns.
        rows: Cells of each line.

    Raises:
        FileNotFoundError: If the folder does not exist.

    Examples:
        >>> import pathlib, tempfile
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "out.csv"
        >>> write_csv(path, ["id", "score"], ([id_, 0.5] for id_ in ("a", "b,c")))
        >>> path.read_text()
        'id,score\na,0.5\n"b,c",0.5\n'
    """
    with (
        atomic_write(path) as temporary,
        temporary.open("w", newline="", encoding="utf-8", errors="surrogateescape") as file,
    ):
        writer = csv.writer(file)
        writer.writerow(header)
        writer.writerows(rows)


def import_pandas() -> Any:
    """The module pandas, which is needed for frames only.

    Raises:
        ModuleNotFoundError: If it is not installed.
    """
    try:
        import pandas
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError("a frame needs pandas: pip install pandas") from error
    return pandas
