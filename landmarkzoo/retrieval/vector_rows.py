"""What is searched in, in one array or in several: rows, their lengths, and a check that they are finite."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from landmarkzoo._utils.checks import FloatArray, IntArray
from landmarkzoo.retrieval.descriptors import Vectors, as_matrix, descriptors_of, not_finite
from landmarkzoo.retrieval.device_rows import DeviceCopies
from landmarkzoo.retrieval.stored_vectors import StoredDescriptors, StoredVectors

_BLOCK = 4096
_LARGE_PART = 1024  # rows of a part, on average: a product of fewer is slower than a copy
_SHORT, _LONG = 1e-15, 1e15  # between these, squares of float32 are neither lost nor infinite
_VECDOT = getattr(np, "vecdot", None)  # since NumPy 2; it takes two thirds of the time of einsum


class VectorRows:
    """A matrix (N, D) whose rows are read in blocks or by number; its lengths are computed once.

    Args:
        vectors: An array, or vectors in several.
        name: What it is called in error messages.
    """

    def __init__(self, vectors: FloatArray | StoredVectors, name: str = "index") -> None:
        self._given = vectors
        self.shape: tuple[int, int] = (vectors.shape[0], vectors.shape[1])
        self._name = name
        known = None
        if isinstance(vectors, StoredVectors):
            known = vectors.norms
        else:
            self._tensor = _as_tensor(vectors)
        empty = torch.empty(len(self), dtype=torch.float32, device="cpu")
        self._norms = empty if known is None else _as_tensor(known)
        self._known = len(self) if known is not None else 0  # rows, from the first on, whose norms are known

    @cached_property
    def vectors(self) -> FloatArray | StoredVectors:
        """They, with small parts joined: made when they are first read."""
        return self._given.joined if isinstance(self._given, StoredVectors) else self._given

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: slice | Tensor) -> Tensor:
        """Rows as a block (n, D), or by numbers (...) as (..., D); float32, on the CPU."""
        if isinstance(rows, slice):
            if isinstance(self.vectors, StoredVectors):
                return _as_tensor(self.vectors.block(*rows.indices(len(self))[:2]))
            return self._tensor[rows]
        if isinstance(self.vectors, StoredVectors):
            taken = torch.from_numpy(self.vectors.take(rows.flatten().numpy()))
        else:
            taken = self._tensor.index_select(0, rows.flatten())  # several times faster than indexing
        return taken.view(*rows.shape, self.shape[1])

    def pieces(self, rows: slice, size: int) -> Iterator[slice]:
        """Blocks of at most ``size`` rows; each in one part, so without a copy, if the parts are large."""
        ends = np.array([rows.stop])
        if isinstance(self.vectors, StoredVectors) and len(self) >= _LARGE_PART * len(self.vectors.parts):
            starts = self.vectors.starts
            ends = np.append(starts[(starts > rows.start) & (starts < rows.stop)], rows.stop)
        start = rows.start
        for end in ends.tolist():
            while start < end:
                yield slice(start, min(start + size, end))
                start = min(start + size, end)

    @property
    def parts(self) -> list[tuple[NDArray[Any], IntArray | None]]:
        """The arrays that they lie in, with the rows that count; ``None`` for all."""
        if isinstance(self._given, StoredVectors):
            return list(zip(self._given.parts, self._given.live))
        return [(self._given, None)]

    @property
    def dtype(self) -> torch.dtype:
        """Type that holds all values."""
        half = all(array.dtype == np.float16 for array, _ in self.parts)
        return torch.float16 if half else torch.float32

    @property
    def copies(self) -> DeviceCopies:
        """What is kept of them on other devices: of an array nothing, as its values may change."""
        return self._given.copies if isinstance(self._given, StoredVectors) else DeviceCopies()

    def for_device(self, rows: slice) -> tuple[Tensor, Tensor]:
        """A block (n, D) and its lengths (n,), none of them odd: see ``device_rows.py``.

        Raises:
            ValueError: If a value is not finite.
        """
        block, norms = self[rows], self.norms(rows)
        if some_are_odd(norms):
            odd = is_odd(norms)
            values = block[odd].numpy()
            largest = np.abs(values).max(axis=1, keepdims=True)
            few = torch.from_numpy(np.ldexp(values, -np.frexp(largest)[1]))  # without rounding
            block, norms = block.clone(), norms.clone()
            block[odd], norms[odd] = few, torch.linalg.vector_norm(few, dim=1)
            norms[norms == 0] = 1.0
        return block, norms

    def take(self, rows: IntArray) -> FloatArray:
        """Rows by numbers (...), float32 (..., D)."""
        return self[torch.from_numpy(rows)].numpy()

    def norms(self, rows: slice) -> Tensor:
        """Lengths (n,) of a block of rows, float32; those of very short or long ones may be wrong.

        Blocks are asked for in their order, the first time.

        Raises:
            ValueError: If a value is not finite.
        """
        if rows.stop > self._known:
            block = self[rows].numpy()
            squares = np.empty(len(block), np.float32)
            with np.errstate(over="ignore", invalid="ignore"):
                inner_products(block, block, out=squares)
            self.measured(rows, block, squares)
            self._known = rows.stop
        return self._norms[rows]

    def measured(self, rows: slice, block: FloatArray, squares: FloatArray) -> Tensor:
        """Lengths (n,) of rows from their squares; threads may measure others meanwhile, in any order.

        Raises:
            ValueError: If a value of their vectors (n, D) is not finite.
        """
        norms = self._norms[rows]
        np.sqrt(squares, out=norms.numpy())
        with np.errstate(over="ignore", invalid="ignore"):
            if not np.isfinite(norms.numpy().sum()):
                self._refuse_infinite(rows.start, block, norms.numpy())
        return norms

    @property
    def norms_are_known(self) -> bool:
        """Whether all lengths are known, and values finite."""
        return self._known == len(self)

    def know_norms(self, stop: int) -> None:
        """All rows up to ``stop`` were measured."""
        self._known = max(self._known, stop)

    def check_finite(self) -> None:
        """Refuse values that are not finite, where the norms do not tell yet."""
        for start in range(self._known, len(self), _BLOCK):
            self.norms(slice(start, min(start + _BLOCK, len(self))))

    def zero_rows(self) -> Tensor:
        """Which vectors are zero, (N,)."""
        self.check_finite()
        zero = self._norms < _SHORT
        some = zero.nonzero().flatten()
        for few in torch.split(some, _BLOCK):
            zero[few] = ~self[few].any(dim=1)
        return zero

    def _refuse_infinite(self, start: int, block: FloatArray, norms: FloatArray) -> None:
        doubtful = np.flatnonzero(~np.isfinite(norms))  # or only large
        bad = doubtful[~np.isfinite(block[doubtful]).all(axis=1)]
        if len(bad):
            raise ValueError(not_finite(self._name, start + int(bad[0])))


def as_rows(x: Vectors, name: str) -> VectorRows:
    """Rows of descriptors or of an array (N, D). Whether they are finite is seen when they are read.

    Args:
        x: What the user gave.
        name: What it is called in error messages.

    Raises:
        TypeError: If it is not an array of numbers, or a ranking.
        ValueError: If its shape is not (N, D).
    """
    x = descriptors_of(x)
    return VectorRows(x.stored if isinstance(x, StoredDescriptors) else as_matrix(x, name), name)


def joined(first: VectorRows, second: VectorRows) -> VectorRows:
    """The rows of one matrix and behind them those of another, without a copy."""
    both = [
        x.vectors if isinstance(x.vectors, StoredVectors) else StoredVectors((x.vectors,), (None,))
        for x in (first, second)
    ]
    parts = [part for x in both for part in x.parts]
    return VectorRows(StoredVectors(parts, [rows for x in both for rows in x.live]))


def inner_products(x: FloatArray, y: FloatArray, out: FloatArray) -> None:
    """Inner products of vectors (n, D) with as many, or with one (D,), into ``out`` (n,); by one thread."""
    if _VECDOT is None:
        np.einsum("nd,nd->n" if y.ndim == 2 else "nd,d->n", x, y, out=out)
    else:
        _VECDOT(x, y, out=out)


def scaled(block: Tensor, norms: Tensor, out: Tensor) -> None:
    """Vectors (n, D) scaled to length 1 into ``out``; zero vectors stay zero.

    Args:
        block: The vectors, float32.
        norms: Their lengths (n,).
        out: Where they go, (n, D), float32.
    """
    torch.div(block, norms[:, None], out=out)
    odd = is_odd(norms)
    if odd.any():
        out[odd] = unit(block[odd]).float()


def is_odd(norms: Tensor) -> Tensor:
    """Where lengths (n,) need float64: their squares leave the float32 range."""
    return ~((norms >= _SHORT) & (norms <= _LONG))


def some_are_odd(norms: Tensor) -> bool:
    """Whether ``is_odd`` of one of them (n,); quicker."""
    values = norms.numpy()
    return not (values.min() >= _SHORT and values.max() <= _LONG)


def unit(x: Tensor) -> Tensor:
    """Vectors (..., D) of length 1 in float64; zero vectors stay zero."""
    x = x.double()
    norms = torch.linalg.vector_norm(x, dim=-1, keepdim=True)
    return x.div_(torch.where(norms > 0, norms, 1.0))


class _SharedMemory:
    """An array as one that may be written to, without a copy: we do not, but torch warns of others."""

    def __init__(self, array: FloatArray) -> None:
        address, _ = array.__array_interface__["data"]
        self.array = array  # keeps the memory alive
        self.__array_interface__: dict[str, Any] = {**array.__array_interface__, "data": (address, False)}


def _as_tensor(array: FloatArray) -> Tensor:
    return torch.from_numpy(np.asarray(_SharedMemory(array)))
