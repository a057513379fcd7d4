"""What is searched in, in one array or in several: rows, their lengths, and a check that they are finite."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor

from landmarkzoo._utils.checks import FloatArray, IntArray
from landmarkzoo.retrieval.descriptors import Vectors, as_matrix, descriptors_of, not_finite
from landmarkzoo.retrieval.stored_vectors import StoredDescriptors, StoredVectors

_BLOCK = 4096
_LARGE_PART = 1024  # rows of a part, on average: a product of fewer is slower than a copy
_SHORT, _LONG = 1e-15, 1e15  # between these, squares of float32 are neither lost nor infinite


class VectorRows:
    """A matrix (N, D) whose rows are read in blocks or by number; its lengths are computed once.

    Args:
        vectors: An array, or vectors in several.
        name: What it is called in error messages.
    """

    def __init__(self, vectors: FloatArray | StoredVectors, name: str = "index") -> None:
        self.vectors = vectors = vectors.joined if isinstance(vectors, StoredVectors) else vectors
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

    def take(self, rows: IntArray) -> FloatArray:
        """Rows by numbers (...), float32 (..., D)."""
        return self[torch.from_numpy(rows)].numpy()

    def norms(self, rows: slice) -> Tensor:
        """Lengths (n,) of a block of rows, float32; those of very short or long ones may be wrong.

        Blocks are asked for in their order, the first time.

        Raises:
            ValueError: If a value is not finite.
        """
        norms = self._norms[rows]
        if rows.stop > self._known:
            block = self[rows].numpy()
            with np.errstate(over="ignore", invalid="ignore"):
                np.sqrt(np.einsum("nd,nd->n", block, block), out=norms.numpy())
                if not np.isfinite(norms.numpy().sum()):
                    self._refuse_infinite(rows.start, block, norms.numpy())
            self._known = rows.stop
        return norms

    @property
    def norms_are_known(self) -> bool:
        """Whether all lengths are known, and values finite."""
        return self._known == len(self)

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
