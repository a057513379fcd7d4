"""Rows by number or by id: what ``d[...]`` means for Descriptors and rankings."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cached_property
from itertools import islice
from pathlib import PurePath
from textwrap import shorten
from typing import Any, TypeAlias, cast

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from landmarkzoo._utils.checks import IntArray, as_numpy
from landmarkzoo._utils.suggestions import did_you_mean
from landmarkzoo._utils.unicode_names import ByName
from landmarkzoo.retrieval.stored_ids import StoredIds

Rows: TypeAlias = "int | str | slice | Sequence[int] | Sequence[bool] | Sequence[str] | NDArray[Any] | Tensor"

_SEARCHED_FOR_NEAR_IDS = 10_000  # the comparison of names is slow


class RowsById:
    """The row of each id, found out when the first one is looked up.

    Composed and decomposed forms of an id are one id, as ``ByName`` says.

    Args:
        ids: Ids of all rows.

    Examples:
        >>> rows = RowsById(["a.jpg", "b.jpg"])
        >>> rows["b.jpg"], "c.jpg" in rows
        (1, False)
    """

    def __init__(self, ids: Sequence[str]) -> None:
        self._ids = ids

    @cached_property
    def _rows(self) -> ByName[int]:
        """The row of each id; -1 for an id of several rows."""
        rows: dict[str, int] = {}
        for row, id_ in enumerate(self._ids):
            rows[id_] = -1 if id_ in rows else row
        return ByName(rows)

    def __contains__(self, id_: object) -> bool:
        return id_ in self._rows

    def __getitem__(self, id_: str) -> int:
        row = self._rows.get(id_)
        if row is None:
            near = did_you_mean(id_, islice(self._rows, _SEARCHED_FOR_NEAR_IDS))
            looks = f" Ids look like {self._ids[0]!r}." if self._ids and not near else ""
            raise KeyError(f"there is no id {id_!r} among {len(self._rows)}.{near}{looks}")
        if row < 0:
            raise ValueError(f"the id {id_!r} stands at more than one row: choose rows by number")
        return row


def select_rows(rows: Rows, length: int, row_of: RowsById | None) -> slice | IntArray:
    """Row numbers, as NumPy takes them, of what a user wrote in brackets.

    Args:
        rows: One number or id, or several: a slice, numbers, a mask (N,) of booleans, ids.
        length: Number of rows N.
        row_of: The row of each id; ``None`` where there are no ids.

    Raises:
        IndexError: If a number is not below N, or a mask has another length.
        KeyError: If there is no such id.
        TypeError: If it is something else.
        ValueError: If an id stands at several rows.

    Examples:
        >>> select_rows(-1, 3, None), select_rows([True, False, True], 3, None)
        (array([-1]), array([0, 2]))
        >>> select_rows("b", 2, RowsById(["a", "b"]))
        array([1])
    """
    if isinstance(rows, slice):
        return rows
    if isinstance(rows, tuple):
        raise TypeError(f"rows are chosen along one axis, got {rows!r}: several rows are a list")
    chosen = np.atleast_1d(as_numpy(rows))
    if chosen.ndim != 1:
        raise TypeError(f"rows must be one number or id, or a list of them, got shape {chosen.shape}")
    if chosen.dtype.kind in "OU" and all(isinstance(id_, str) for id_ in chosen):
        if row_of is None:
            raise KeyError(f"there are no ids here, so {rows!r} is not known: choose rows by number")
        return np.array([row_of[str(id_)] for id_ in chosen], dtype=np.int64)
    if chosen.dtype.kind == "b":
        if len(chosen) != length:
            raise IndexError(f"the mask has {len(chosen)} values for {length} rows")
        return np.flatnonzero(chosen)
    if chosen.size and chosen.dtype.kind not in "iu":
        raise TypeError(f"rows are chosen by number, slice, mask or id, got {rows!r}")
    numbers = chosen.astype(np.int64)
    outside = (numbers < -length) | (numbers >= length)
    if outside.any():
        raise IndexError(f"row {numbers[outside.argmax()]} is not among {length} rows")
    return numbers


def take(ids: list[str], rows: slice | IntArray) -> list[str]:
    """The ids of some rows.

    Examples:
        >>> take(["a", "b", "c"], slice(1, None)), take(["a", "b", "c"], np.array([2, 0]))
        (['b', 'c'], ['c', 'a'])
    """
    return ids[rows] if isinstance(rows, slice) else [ids[row] for row in rows.tolist()]


def as_ids(ids: Iterable[object]) -> list[str]:
    """Ids as a list of strings; a list of strings stays the same list.

    Raises:
        TypeError: If they are no list, or an id is not a string, a whole number or a path.

    Examples:
        >>> as_ids([5, "a"]), as_ids(np.array(["b"])), as_ids([PurePath("photos/1.jpg")])
        (['5', 'a'], ['b'], ['photos/1.jpg'])
    """
    if isinstance(ids, StoredIds):
        return cast("list[str]", ids)  # which it behaves like
    if isinstance(ids, list) and set(map(type, ids)) <= {str}:
        return ids
    if isinstance(ids, (str, bytes)):
        raise TypeError(f"ids are a list of strings, got one {type(ids).__name__} {ids!r}")
    if not isinstance(ids, Iterable):
        raise TypeError(f"ids are a list of strings, got {type(ids).__name__}")
    return [_as_id(id_, row) for row, id_ in enumerate(ids)]


def _as_id(id_: object, row: int) -> str:
    if isinstance(id_, (str, int, np.integer, PurePath)) and not isinstance(id_, bool):
        return str(id_)
    came = f"{shorten(repr(id_), 50)} ({type(id_).__name__})"
    raise TypeError(f"an id must be a string or a whole number, got {came} at row {row}")


def first_repeated(ids: Sequence[str]) -> str | None:
    """The first id that stands there a second time; ``None`` if there is none.

    Examples:
        >>> first_repeated(["a", "b", "b", "a"]), first_repeated(["a", "b"])
        ('b', None)
    """
    seen: set[str] = set()
    if len(set(ids)) < len(ids):  # mostly it is not, and this is faster than the loop
        for id_ in ids:
            if id_ in seen:
                return id_
            seen.add(id_)
    return None


def id_of(row: int, ids: list[str] | None) -> str:
    """The id of a row as results show it: ``""`` for the padding -1, the number where there are no ids.

    Examples:
        >>> id_of(1, ["a", "b"]), id_of(1, None), id_of(-1, ["a", "b"])
        ('b', '1', '')
    """
    if row < 0:
        return ""
    return str(row) if ids is None else ids[row]


def ids_or_numbers(ids: list[str] | None, count: int) -> list[str]:
    """The ids of all rows; their numbers where there are no ids."""
    return [str(row) for row in range(count)] if ids is None else ids
