"""CSV files row by row, with errors that name the file and the line."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TextIO

from tqdm import tqdm

_LARGEST = 2**63 - 1


def csv_rows(
    path: str | Path, columns: Sequence[str], *, progress: bool = False
) -> Iterator[tuple[int, list[str]]]:
    r"""Line number and cells of every row; columns are found by their names in the header.

    Other columns are ignored and empty lines left out. A row that spans lines has the number of its first.

    Args:
        path: A CSV file with a header, UTF-8.
        columns: The columns to give, in this order.
        progress: Show a progress bar on stderr.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If a column is missing, a row has more or fewer cells than the header, or the file is
            not CSV; with file and line.

    Examples:
        >>> import pathlib, tempfile
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "train.csv"
        >>> _ = path.write_text("id,url,landmark_id\na,http://x,5\n")
        >>> list(csv_rows(path, ["landmark_id", "id"]))
        [(2, ['5', 'a'])]
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"no such CSV file: {path}")
    with path.open(newline="", encoding="utf-8-sig") as file:
        rows = _rows(path, file)
        _, header = next(rows, (1, []))
        places = _places(path, header, columns)
        for line, row in tqdm(rows, desc=path.name, unit=" rows", unit_scale=True, disable=not progress):
            if len(row) == len(header):
                yield line, [row[place] for place in places]
            elif row:
                raise csv_error(path, line, f"{len(row)} cells, but the header has {len(header)} columns")


def _rows(path: Path, file: TextIO) -> Iterator[tuple[int, list[str]]]:
    """Line number and cells of each row, the header among them.

    The csv module refuses cells above 131,072 characters, which a list of 7,710 ids reaches, and its limit
    can only be raised for the whole process. But lines without quotes are all cut at their commas, so the
    module is needed for the others only.
    """
    pushed: list[str] = []  # a line that is read, for the csv module
    lines = iter(lambda: pushed.pop() if pushed else file.readline(), "")
    reader = csv.reader(lines, strict=True)  # takes as many lines as a row has
    line = 1
    try:
        while text := file.readline():
            if '"' not in text:
                bare = text.rstrip("\r\n")
                yield line, bare.split(",") if bare else []
                line += 1
                continue
            pushed.append(text)
            before = reader.line_num
            yield line, next(reader)
            line += reader.line_num - before
    except csv.Error as error:
        more = ": csv.field_size_limit(10**9) allows longer ones" if "field limit" in str(error) else ""
        raise csv_error(path, line, f"not CSV: {error}{more}") from error
    except UnicodeDecodeError as error:  # text is decoded in blocks, so the line is not known exactly
        raise csv_error(path, line, f"at or after this line the file is not UTF-8: {error.reason}") from error


def csv_header(path: str | Path) -> list[str]:
    """Names of the columns of a CSV file; empty for an empty file.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the first line is not CSV in UTF-8.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"no such CSV file: {path}")
    with path.open(newline="", encoding="utf-8-sig") as file:
        try:
            return next(csv.reader(file, strict=True), [])
        except (csv.Error, UnicodeDecodeError) as error:
            raise csv_error(path, 1, f"not CSV in UTF-8: {error}") from error


def separator_hint(header: Sequence[str]) -> str:
    """What to do about a header that is separated by something else than commas; mostly empty.

    Examples:
        >>> separator_hint(["path;label"]), separator_hint(["path", "label"])
        ("; its cells are separated by ';': save it with commas", '')
    """
    found = next((mark for mark in (";", "\t", "|") if len(header) == 1 and mark in header[0]), None)
    return "" if found is None else f"; its cells are separated by {found!r}: save it with commas"


def csv_error(path: str | Path, line: int, what: str) -> ValueError:
    """The error of a line in a file."""
    return ValueError(f"{path}, line {line}: {what}")


def whole_number(text: str, path: str | Path, line: int, name: str) -> int:
    """A non-negative integer of a CSV file.

    Raises:
        ValueError: If the text is something else; with file and line.
    """
    if not (text.isascii() and text.isdigit()):
        raise csv_error(path, line, f"{name} must be a non-negative integer, got {text!r}")
    if len(text) > 19 or int(text) > _LARGEST:
        raise csv_error(path, line, f"{name} is too large, it does not fit into 64 bits: {text[:20]}...")
    return int(text)


def _places(path: Path, header: Sequence[str], columns: Sequence[str]) -> list[int]:
    missing = [column for column in columns if column not in header]
    if missing:
        has = f"the columns are {', '.join(header)}" if header else "the file is empty"
        needed = f"{', '.join(columns)} are needed, missing: {', '.join(missing)}"
        raise csv_error(path, 1, f"{has}; {needed}{separator_hint(header)}")
    twice = [column for column in columns if header.count(column) > 1]
    if twice:
        raise csv_error(path, 1, f"the column {twice[0]} occurs {header.count(twice[0])} times in the header")
    return [header.index(column) for column in columns]
