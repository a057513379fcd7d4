"""The vectors of an index on another device: a copy that stays there, or blocks that are sent one by one.

A copy belongs to the open index, not to a search: the first search makes it, later ones move no vectors, and
after a commit only new ones go there. It is made if it takes at most half of the memory that is free on the
device; what is larger is sent with every search. On CUDA all goes through pinned memory: while a block is on
its way, and the device computes, the host reads the next one.

Rows change a little on their way: very short and very long ones are scaled by a power of two, which changes
no cosine, and the length of a zero vector is given as 1. So nobody has to ask the device for odd lengths.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from landmarkzoo._utils.checks import IntArray

if TYPE_CHECKING:
    from landmarkzoo.retrieval.vector_rows import VectorRows

_FREE_PART = 2  # a copy takes at most one part in so many of the memory that is free
_ROOM = 16  # and has room for one row more in so many: those of the next commits
_SENT_VALUES = 2**22  # of a block on its way to a copy: 16 MiB


@dataclass(frozen=True, eq=False)
class DeviceCopy:
    """All rows of an index on a device.

    Attributes:
        vectors: (N, D), float32 or float16.
        norms: Their lengths (N,), float32.
    """

    vectors: Tensor
    norms: Tensor


class DeviceCopies:
    """The copies of an open index, at most one a device; they are freed with this object.

    Any number of threads may ask. A search in an older commit goes on with what it has got.
    """

    def __init__(self) -> None:
        self._turn = threading.Lock()
        self._held: dict[torch.device, _Held] = {}

    def __reduce__(self) -> tuple[Any, ...]:  # another process makes its own
        return DeviceCopies, ()

    def of(self, rows: VectorRows, device: torch.device) -> DeviceCopy | None:
        """The copy of some rows; ``None`` if it would take too much memory.

        Raises:
            ValueError: If a value is not finite.
        """
        with self._turn:
            held = self._held.get(device)
            if held is None or not held.take_in(rows):
                if not _fits(rows, device):
                    self._held.pop(device, None)  # there is no room for both
                    held = None
                held = _Held.made(rows, device, held) if _fits(rows, device) else None
                self._held.pop(device, None)
                if held is None:
                    return None
                self._held[device] = held
            return DeviceCopy(held.vectors[: len(rows)], held.norms[: len(rows)])


class _Part(NamedTuple):
    """Rows of an array, and where they lie in a copy."""

    array: weakref.ref[NDArray[Any]]
    live: IntArray | None
    start: int
    stop: int


class _Held:
    """Rows of arrays one below the other on a device, and room behind them.

    Rows that are there never change, so others may read them while new ones come.
    """

    def __init__(self, vectors: Tensor, norms: Tensor) -> None:
        self.vectors, self.norms = vectors, norms
        self._parts: list[_Part] = []

    @classmethod
    def made(cls, rows: VectorRows, device: torch.device, before: _Held | None) -> _Held | None:
        """Rows on a device, those that were there before from there; ``None`` if memory does not suffice."""
        size, dimensions = _capacity(rows), rows.shape[1]
        try:
            with torch.inference_mode(False):  # what is made in it could not be changed outside
                vectors = torch.empty(size, dimensions, dtype=rows.dtype, device=device)
                made = cls(vectors, torch.empty(size, dtype=torch.float32, device=device))
        except torch.OutOfMemoryError:
            return None
        parts, missing = _parts_of(rows), []
        there = {} if before is None else {id(part.array()): part for part in before._parts}
        for part in parts:
            new, old = slice(part.start, part.stop), there.get(id(part.array()))
            if before is None or old is None or not _same(part, old):
                missing.append(new)
                continue
            made.vectors[new] = before.vectors[old.start : old.stop]
            made.norms[new] = before.norms[old.start : old.stop]
        made._upload(rows, missing)
        made._parts = parts
        return made

    def take_in(self, rows: VectorRows) -> bool:
        """Upload what is missing; ``False`` if others lie in its place, or there is no room."""
        parts = _parts_of(rows)
        known = min(len(parts), len(self._parts))
        if len(rows) > len(self.vectors) or not all(map(_same, parts[:known], self._parts[:known])):
            return False
        if len(parts) > known:
            self._upload(rows, [slice(part.start, part.stop) for part in parts[known:]])
        if len(parts) >= len(self._parts):  # also with nothing new: the next search knows them at once
            self._parts = parts
        return True

    def _upload(self, rows: VectorRows, missing: list[slice]) -> None:
        device, dimensions = self.vectors.device, rows.shape[1]
        if sum(part.stop - part.start for part in missing) < len(rows):
            rows.check_finite()  # lengths are computed in the order of the rows
        step = max(1, _SENT_VALUES // dimensions)
        sender = _Sender(step, dimensions, self.vectors.dtype, device)
        for part in missing:
            for start in range(part.start, part.stop, step):
                some = slice(start, min(start + step, part.stop))
                sender.send(*rows.for_device(some), self.vectors[some], self.norms[some])
        if device.type == "cuda":  # once a commit: other threads may use other streams
            torch.cuda.current_stream(device).synchronize()


class DeviceRows:
    """The rows of an index as searches see them on a device.

    Args:
        rows: All of them.
        device: Where they are wanted.

    Raises:
        ValueError: If a value is not finite.
    """

    def __init__(self, rows: VectorRows, device: torch.device) -> None:
        self.device = torch.empty(0, device=device).device  # with its number
        self.shape = rows.shape
        self.copy = rows.copies.of(rows, self.device)
        self._rows = rows

    def __len__(self) -> int:
        return self.shape[0]

    @property
    def has_float64(self) -> bool:
        """Whether the device computes in float64: Apple's do not."""
        return self.device.type in ("cpu", "cuda")

    def blocks(self, size: int) -> Iterator[tuple[slice, Tensor, Tensor]]:
        """Columns, their vectors (n, D) and lengths (n,), none of which is odd; good until the next block."""
        blocks = [slice(start, min(start + size, len(self))) for start in range(0, len(self), size)]
        if self.copy is not None:
            for columns in blocks:
                yield columns, self.copy.vectors[columns], self.copy.norms[columns]
            return
        size, dimensions = min(size, len(self)), self.shape[1]
        sender = _Sender(size, dimensions, torch.float32, self.device)
        vectors = torch.empty(size, dimensions, dtype=torch.float32, device=self.device)
        norms = torch.empty(size, dtype=torch.float32, device=self.device)
        for columns in blocks:  # the device reads a block before it takes the next one: both are in one queue
            count = columns.stop - columns.start
            sender.send(*self._rows.for_device(columns), vectors[:count], norms[:count])
            yield columns, vectors[:count], norms[:count]

    def take(self, rows: Tensor) -> Tensor:
        """Rows by numbers (...), which are on the CPU, as (..., D)."""
        if self.copy is None:
            return sent(self._rows[rows], self.device)
        return self.copy.vectors[sent(rows, self.device)]


class _Sender:
    """Sends one block after the other. On CUDA two pieces of pinned memory take turns.

    Args:
        rows: Of the largest block.
        dimensions: Of the vectors.
        dtype: Of the vectors where they arrive.
        device: Where that is.
    """

    def __init__(self, rows: int, dimensions: int, dtype: torch.dtype, device: torch.device) -> None:
        self._device = device
        self._turns: list[tuple[Tensor, Tensor, torch.cuda.Event]] = []
        if device.type == "cuda":
            for _ in range(2):
                vectors = torch.empty(rows, dimensions, dtype=dtype, pin_memory=True, device="cpu")
                norms = torch.empty(rows, dtype=torch.float32, pin_memory=True, device="cpu")
                event = torch.cuda.Event()  # type: ignore[no-untyped-call]
                self._turns.append((vectors, norms, event))

    def send(self, block: Tensor, lengths: Tensor, vectors: Tensor, norms: Tensor) -> None:
        """Copy a block (n, D) and its lengths (n,) to the device, for what is queued there afterwards."""
        if not self._turns:
            vectors.copy_(block)
            norms.copy_(lengths)
            return
        self._turns.reverse()
        vectors_here, norms_here, sent_before = self._turns[0]
        sent_before.synchronize()  # the block before the last one
        vectors.copy_(vectors_here[: len(block)].copy_(block), non_blocking=True)
        norms.copy_(norms_here[: len(block)].copy_(lengths), non_blocking=True)
        sent_before.record(torch.cuda.current_stream(self._device))


def sent(x: Tensor, device: torch.device) -> Tensor:
    """A few values on a device, for what is queued there afterwards: the host does not wait for it."""
    return x.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else x.to(device)


def _parts_of(rows: VectorRows) -> list[_Part]:
    parts, start = [], 0
    for array, live in rows.parts:
        stop = start + (len(array) if live is None else len(live))
        parts.append(_Part(weakref.ref(array), live, start, stop))
        start = stop
    return parts


def _same(one: _Part, other: _Part) -> bool:
    """Whether two parts have the same rows, wherever they lie."""
    if one.array() is not other.array() or (one.live is None) != (other.live is None):
        return False
    return one.live is other.live or np.array_equal(one.live, other.live)  # type: ignore[arg-type]


def _capacity(rows: VectorRows) -> int:
    return len(rows) + len(rows) // _ROOM


def _fits(rows: VectorRows, device: torch.device) -> bool:
    needed = _capacity(rows) * (rows.shape[1] * rows.dtype.itemsize + 4)
    return needed <= _free_memory(device) // _FREE_PART


def _free_memory(device: torch.device) -> int:
    """Bytes that are free on a device, with those that torch holds there for later; 0 if nobody knows."""
    if device.type == "cuda":
        for_later = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return int(torch.cuda.mem_get_info(device)[0]) + for_later
    if device.type == "mps":
        return torch.mps.recommended_max_memory() - torch.mps.current_allocated_memory()
    return 0
