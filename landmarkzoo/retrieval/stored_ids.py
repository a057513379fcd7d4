"""Ids that stay in their files: one is read when somebody asks for it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from landmarkzoo._utils.checks import IntArray

_ENCODING = ("utf-8", "surrogatepass")  # names of files may hold halves of characters


def texts_as_arrays(texts: Iterable[str]) -> tuple[NDArray[np.uint8], IntArray]:
    """Texts as the bytes of all of them, and where each one ends.

    Examples:
        >>> from landmarkzoo.retrieval.stored_ids import texts_as_arrays
        >>> texts_as_arrays(["a", "bc"])
        (array([97, 98, 99], dtype=uint8), array([1, 3]))
    """
    encoded = [text.encode(*_ENCODING) for text in texts]
    ends = np.cumsum([len(text) for text in encoded], dtype=np.int64)
    return np.frombuffer(b"".join(encoded), np.uint8), ends


class StoredIds(Sequence[str]):
    """A list of ids in several parts, of which some rows may not count, as ``StoredVectors`` has them.

    Args:
        parts: For each part what ``texts_as_arrays`` gives.
        live: For each part the rows that count, ascending; ``None`` for all of them.

    Examples:
        >>> from landmarkzoo.retrieval.stored_ids import StoredIds, texts_as_arrays
        >>> parts = [texts_as_arrays(["a", "b", "c"]), texts_as_arrays(["d"])]
        >>> ids = StoredIds(parts, [np.array([0, 2]), None])
        >>> len(ids), ids[1], ids[-2:], list(ids)
        (3, 'c', ['c', 'd'], ['a', 'c', 'd'])
    """

    def __init__(
        self, parts: Sequence[tuple[NDArray[np.uint8], IntArray]], live: Sequence[IntArray | None]
    ) -> None:
        self._parts, self._live = parts, live

    @cached_property
    def _starts(self) -> IntArray:
        sizes = [len(ends) if rows is None else len(rows) for (_, ends), rows in zip(self._parts, self._live)]
        return np.concatenate([np.zeros(1, np.int64), np.cumsum(sizes, dtype=np.int64)])

    def __len__(self) -> int:
        return int(self._starts[-1])

    @overload
    def __getitem__(self, row: int) -> str: ...
    @overload
    def __getitem__(self, row: slice) -> list[str]: ...
    def __getitem__(self, row: int | slice) -> str | list[str]:
        if isinstance(row, slice):
            return [self[number] for number in range(*row.indices(len(self)))]
        row = range(len(self))[row]
        part = int(np.searchsorted(self._starts, row, side="right")) - 1
        (texts, ends), live, inside = self._parts[part], self._live[part], row - int(self._starts[part])
        inside = inside if live is None else int(live[inside])
        return texts[int(ends[inside - 1]) if inside else 0 : int(ends[inside])].tobytes().decode(*_ENCODING)

    def __iter__(self) -> Iterator[str]:
        for (texts, ends), live in zip(self._parts, self._live):
            yield from _all_texts(texts, ends, live)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, (list, StoredIds)) and list(self) == list(other)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return repr(list(self))


def _all_texts(texts: NDArray[np.uint8], ends: IntArray, live: IntArray | None) -> list[str]:
    raw = texts.tobytes()
    stops = ends.tolist()
    starts = [0, *stops[:-1]]
    if raw.isascii():  # characters are bytes, and slices of a string are quick
        text = raw.decode()
        found = [text[a:b] for a, b in zip(starts, stops)]
    else:
        found = [raw[a:b].decode(*_ENCODING) for a, b in zip(starts, stops)]
    chosen: Any = found if live is None else [found[row] for row in live.tolist()]
    return list(chosen)
