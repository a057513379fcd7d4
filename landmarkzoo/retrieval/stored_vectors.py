"""Vectors in files or in several arrays as one matrix: blocks and rows of it, never a copy of all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import groupby
from typing import Any

import numpy as np
from numpy.typing import NDArray

from landmarkzoo._utils.checks import FloatArray, IntArray
from landmarkzoo.retrieval.descriptors import Descriptors
from landmarkzoo.retrieval.device_rows import DeviceCopies

_SMALL = 1024  # rows of a part
_FEW = 2  # small parts that are no burden: such as a few queries and what they are joined with
_ROOM = 2**27  # bytes for the copy of small parts


@dataclass(frozen=True, eq=False)
class StoredVectors:
    """A matrix (N, D) whose rows lie in several arrays, of which some rows may not count.

    Attributes:
        parts: Arrays (n, D), float32 or float16, in memory or mapped from files; all values finite.
        live: For each part the rows that count, ascending; ``None`` for all of them.
        norms: Lengths (N,) of the rows that count, float32, where they are known; else ``None``.
        copies: What searches keep of them on other devices; commits of one index share it.

    Examples:
        >>> from landmarkzoo.retrieval.stored_vectors import StoredVectors
        >>> parts = (np.eye(2, dtype=np.float32), np.ones((2, 2), np.float16))
        >>> x = StoredVectors(parts, (None, np.array([1])))
        >>> len(x), x.block(1, 3).tolist(), x.take(np.array([2, 0])).tolist()
        (3, [[0.0, 1.0], [1.0, 1.0]], [[1.0, 1.0], [1.0, 0.0]])
    """

    parts: Sequence[NDArray[Any]]
    live: Sequence[IntArray | None]
    norms: FloatArray | None = None
    copies: DeviceCopies = field(default_factory=DeviceCopies)

    @cached_property
    def starts(self) -> IntArray:
        """Number of the first row of each part, and behind them N."""
        sizes = [len(part) if rows is None else len(rows) for part, rows in zip(self.parts, self.live)]
        return np.concatenate([np.zeros(1, np.int64), np.cumsum(sizes, dtype=np.int64)])

    def __len__(self) -> int:
        return int(self.starts[-1])

    @property
    def shape(self) -> tuple[int, int]:
        """(N, D)."""
        return len(self), self.parts[0].shape[1]

    def block(self, start: int, stop: int) -> FloatArray:
        """Rows ``start`` to ``stop``, float32 (n, D); a view if they lie in one float32 part."""
        pieces = []
        first = int(np.searchsorted(self.starts, start, side="right")) - 1
        for number in range(first, len(self.parts)):
            begin, end = int(self.starts[number]), int(self.starts[number + 1])
            if begin >= stop:
                break
            rows, some = self.live[number], slice(max(start - begin, 0), min(stop, end) - begin)
            if some.start < some.stop:
                pieces.append(self.parts[number][some if rows is None else rows[some]])
        if len(pieces) == 1:
            return np.asarray(pieces[0], np.float32)
        return (
            np.concatenate(pieces, dtype=np.float32) if pieces else np.empty((0, self.shape[1]), np.float32)
        )

    @cached_property
    def joined(self) -> StoredVectors:
        """The same rows, with small parts that are neighbours copied into one array, up to 128 MB.

        Search in many small parts would take several times as long as in one.
        """
        parts, live, room = list[NDArray[Any]](), list[IntArray | None](), _ROOM
        for is_small, run in groupby(range(len(self.parts)), lambda number: len(self.parts[number]) < _SMALL):
            numbers = list(run)
            start, stop = int(self.starts[numbers[0]]), int(self.starts[numbers[-1] + 1])
            size = 4 * (stop - start) * self.shape[1]
            if is_small and len(numbers) > _FEW and size <= room:
                parts.append(self.block(start, stop))
                live.append(None)
                room -= size
            else:
                parts += [self.parts[number] for number in numbers]
                live += [self.live[number] for number in numbers]
        return replace(self, parts=parts, live=live)

    def take(self, rows: IntArray) -> FloatArray:
        """Rows by number, float32 (m, D)."""
        taken = np.empty((len(rows), self.shape[1]), np.float32)
        of_part = np.searchsorted(self.starts, rows, side="right") - 1
        for number in np.unique(of_part):
            mine, live = of_part == number, self.live[number]
            inside = rows[mine] - self.starts[number]
            taken[mine] = self.parts[number][inside if live is None else live[inside]]
        return taken


class StoredDescriptors(Descriptors):
    """Descriptors whose vectors stay where they lie: what an ``Index`` gives of its last commit.

    ``vectors`` is a matrix in memory, made when somebody asks for it; search needs only ``stored``.

    Args:
        ids: One id a vector, all different.
        stored: The vectors, as ``StoredVectors`` wants them.
        skipped: Photos that could not be read, with the reason.
        provenance: Where the vectors come from.

    Raises:
        ValueError: If ids and vectors do not fit each other.
    """

    stored: StoredVectors

    def __init__(
        self,
        ids: list[str],
        stored: StoredVectors,
        skipped: Sequence[tuple[str, str]] = (),
        provenance: Mapping[str, str] | None = None,
    ) -> None:
        if len(ids) != len(stored):
            raise ValueError(f"got {len(ids)} ids for {len(stored)} vectors")
        given = {"ids": ids, "stored": stored, "skipped": list(skipped), "provenance": dict(provenance or {})}
        for name, value in given.items():  # it is frozen
            object.__setattr__(self, name, value)

    @cached_property
    def vectors(self) -> FloatArray:
        """All of them (N, D), float32."""
        return self.stored.block(0, len(self.stored))

    def __repr__(self) -> str:
        return f"StoredDescriptors({len(self)} x {self.stored.shape[1]})"  # without reading the vectors
