"""Cosines of queries and index images in float32 or bfloat16, with a proven bound on their error.

The cosine of q and x is that of the vectors of length 1. Let u = 2^-24, the rounding of float32. Lengths and
products that are added up in float32, in any order, are off by at most (D + 16) 2u in all.

In bfloat16 q becomes q1 and x becomes x1, which leaves out dq = q - q1 and dx = x - x1. By Cauchy and Schwarz
``|q.x - q1.x1| = |q1.dx + dq.x| <= |q1| |dx| + |dq| |x|``. These lengths are measured, not assumed: they are
about 0.4 of what the worst case, 2^-8 each, would be. Products of bfloat16 are exact in float32, where they
are added up. Last, the sum is rounded to bfloat16, which moves it by at most 2^-8 of itself.

Libraries may compute float32 products in TF32 or bfloat16, if the user chose so for training, and another
thread may choose so at any time. It is not changed here, but seen in each product by a probe: one more query
and one more index image, whose product shows how many bits were used.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import repeat
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from landmarkzoo._utils.checks import FloatArray
from landmarkzoo.retrieval.device_rows import DeviceRows, sent
from landmarkzoo.retrieval.vector_rows import VectorRows, inner_products, is_odd, scaled, some_are_odd, unit

PROBE = 1 + 2.0**-12 + 2.0**-23  # needs all 24 bits of float32
_LARGE_PRODUCT = 2**26  # multiplications
_CACHED_VALUES = 2**17  # of vectors that are turned into bfloat16 at once
_MEASURED_VALUES = 2**18  # of vectors whose lengths and products are computed at once
_MANY_VALUES = 2**22  # of an index: threads that read a smaller one take longer to start
_READ_TIMES = 64  # blocks that threads share among them
_FEW_TIMES = 7  # blocks of which the scores of a few queries are looked through at once, by one thread


class Products(Protocol):
    """Scores of a block of queries with one block of the index after the other."""

    def blocks(self, queries: Tensor, size: int) -> Iterator[tuple[slice, Tensor]]:
        """Columns and approximate cosines (q, n) with queries (q, D); what is beyond the columns is room.

        The memory is used again for the next block.
        """

    def highest(self, approximate: Tensor) -> Tensor:
        """The largest cosines that approximate ones (q,) may stand for, float64; after all blocks."""


class Float32Products:
    """Products in float32 on the CPU."""

    def __init__(self, index: VectorRows) -> None:
        self._index = index
        self._full_precision = True

    def blocks(self, queries: Tensor, size: int) -> Iterator[tuple[slice, Tensor]]:
        """See ``Products``."""
        self._full_precision = True
        q = _with_probe(queries)
        x = out = torch.empty(0, 0, dtype=torch.float32, device="cpu")
        for columns in _blocks(len(self._index), size):
            count = columns.stop - columns.start
            if len(x) != _room(count):  # the first and the last
                x, out = _memory(q, count)
            scaled(self._index[columns], self._index.norms(columns), out=x[:count])
            self._full_precision &= products(q, x, out)
            yield columns, out[:-1]

    def highest(self, approximate: Tensor) -> Tensor:
        """See ``Products``."""
        margin = float32_margin(self._index.shape[1])
        return approximate.double() + (margin if self._full_precision else 2 * margin + 2.0**-14)


class DeviceProducts:
    """Products in float32 on another device.

    Between two blocks nothing waits for it, so the probes are read after the last one. Only the very first of
    a search is read at once: it tells whether vectors have to be taken in two parts.
    """

    def __init__(self, index: DeviceRows) -> None:
        self._index = index
        self._in_two_parts: bool | None = None
        self._all_as_the_first: Tensor | None = None

    def blocks(self, queries: Tensor, size: int) -> Iterator[tuple[slice, Tensor]]:
        """See ``Products``."""
        q = sent(_with_probe(queries), self._index.device)
        x = out = torch.empty(0, 0, dtype=torch.float32, device=q.device)
        whole = torch.ones((), dtype=torch.bool, device=q.device)
        for columns, block, norms in self._index.blocks(size):
            count = columns.stop - columns.start
            if len(x) != _room(count):  # the first and the last
                x, out = _memory(q, count)
            torch.div(block, norms[:, None], out=x[:count])
            if not self._in_two_parts:
                torch.mm(q, x.T, out=out)
                full = out[-1, -1] == PROBE
                whole &= full
                if self._in_two_parts is None:
                    self._in_two_parts = not bool(full)
            if self._in_two_parts:
                _multiply_in_two_parts(q, x, out)
            yield columns, out[:-1]
        self._all_as_the_first = whole

    def highest(self, approximate: Tensor) -> Tensor:
        """See ``Products``."""
        margin = float32_margin(self._index.shape[1])
        if self._in_two_parts:
            return approximate.double() + 2 * margin + 2.0**-14
        if self._all_as_the_first is not None and not bool(self._all_as_the_first):
            self._in_two_parts = True  # from now on: somebody has changed the setting meanwhile
            return approximate.double() + 2 * margin + 2.0**-6  # each value is off by 2^-8 of itself at most
        return approximate.double() + margin


class BFloat16Products:
    """Products in bfloat16, for CPUs that have them in hardware: about twice as fast as float32."""

    def __init__(self, index: VectorRows) -> None:
        self._index = index
        self._left_out: dict[int, float] = {}  # the largest |dx| of each block, by its first row
        self._margin = torch.empty(0, dtype=torch.float64, device="cpu")

    def blocks(self, queries: Tensor, size: int) -> Iterator[tuple[slice, Tensor]]:
        """See ``Products``."""
        unit_queries = torch.empty_like(queries)
        scaled(queries, _norms(queries), out=unit_queries)
        q = unit_queries.bfloat16()
        size = min(2 * size + 2, len(self._index))  # they take half the memory, and there is no probe
        buffer = torch.empty(size, q.shape[1], dtype=torch.bfloat16, device="cpu")
        out = torch.empty(0, 0, dtype=torch.bfloat16, device="cpu")
        for columns in _blocks(len(self._index), size):
            first = buffer[: columns.stop - columns.start]
            self._round(columns, out=first)
            if out.shape[1] != len(first):  # the first and the last
                out = torch.empty(len(q), len(first), dtype=torch.bfloat16, device="cpu")
            torch.mm(q, first.T, out=out)  # with out=, autocast leaves it as it is
            yield columns, out
        left_out = max(self._left_out.values())
        margin = _length(q.float()) * left_out + _length(unit_queries.sub_(q)) * (1 + 2.0**-10)
        self._margin = (1 + 2.0**-10) * margin.double() + 2 * float32_margin(q.shape[1])

    def highest(self, approximate: Tensor) -> Tensor:
        """See ``Products``."""
        a = approximate.double()
        return a + a.abs() * (2.0**-8 + 2.0**-15) + self._margin

    def _round(self, columns: slice, out: Tensor) -> None:
        """Vectors of the index of length 1 into ``out``, by parts that stay in the cache."""
        block, norms = self._index[columns], self._index.norms(columns)
        step = max(1, _CACHED_VALUES // block.shape[1])
        known, left_out = columns.start in self._left_out, 0.0
        for part in _blocks(len(block), step):
            x = torch.empty_like(block[part])
            scaled(block[part], norms[part], out=x)
            out[part] = x
            if not known:
                left_out = max(left_out, float(_length(x.sub_(out[part])).max()))
        if not known:
            self._left_out[columns.start] = left_out


class FewProducts:
    """Products of a few queries: reading the index takes the time, so it is read once, and not copied.

    Each thread reads a part of it. Lengths that nobody knows yet are computed of vectors that are still in
    its cache. NumPy does both, one vector after the other: it knows no other precision.
    """

    def __init__(self, index: VectorRows) -> None:
        self._index = index

    def blocks(self, queries: Tensor, size: int) -> Iterator[tuple[slice, Tensor]]:
        """See ``Products``."""
        unit_queries = torch.empty_like(queries)
        scaled(queries, _norms(queries), out=unit_queries)
        q = unit_queries.numpy()
        threads = torch.get_num_threads() if len(self._index) * q.shape[1] >= _MANY_VALUES else 1
        with ThreadPoolExecutor(threads) as pool:
            run = pool.map if threads > 1 else map
            for many in _blocks(len(self._index), _READ_TIMES * (size + 1)):
                scores = np.empty((len(q), many.stop - many.start), np.float32)
                parts = list(self._index.pieces(many, 2 * (size + 1)))
                outs = [scores[:, part.start - many.start : part.stop - many.start] for part in parts]
                for _ in run(self._multiply, repeat(q), parts, outs):
                    pass
                self._index.know_norms(many.stop)  # for all before it were measured
                for some in _blocks(scores.shape[1], _FEW_TIMES * (size + 1)):
                    columns = slice(many.start + some.start, many.start + some.stop)
                    yield columns, torch.from_numpy(scores[:, some])

    def _multiply(self, q: FloatArray, part: slice, out: FloatArray) -> None:
        """Cosines (q, n) of queries (q, D) with a part of the index."""
        vectors = self._index[part]
        block, known = vectors.numpy(), self._index.norms_are_known
        squares = np.empty(len(block), np.float32)
        with np.errstate(all="ignore"):  # lengths that are odd
            for some in _blocks(len(block), max(1, _MEASURED_VALUES // block.shape[1])):
                x = block[some]
                if not known:
                    inner_products(x, x, out=squares[some])
                for query, products in zip(q, out):
                    inner_products(x, query, out=products[some])
            norms = self._index.norms(part) if known else self._index.measured(part, block, squares)
            np.divide(out, norms.numpy(), out=out)
        if some_are_odd(norms):
            odd = is_odd(norms)
            out[:, odd.numpy()] = q @ unit(vectors[odd]).float().numpy().T

    def highest(self, approximate: Tensor) -> Tensor:
        """See ``Products``."""
        return approximate.double() + float32_margin(self._index.shape[1])


def float32_margin(dimensions: int) -> float:
    """Bound on the error of a float32 product of two vectors that were scaled to length 1 in float32."""
    return (dimensions + 16) * 2.0**-23


def products(q: Tensor, x: Tensor, out: Tensor) -> bool:
    """Products (q, n) of vectors with a probe each, whatever precision torch is told to use.

    Returns:
        Whether they have the precision of float32. Otherwise each vector was taken as the sum of two that
        bfloat16 and TF32 can hold: of its first 8 bits exactly, and of the rest but for a part in 2^16.
    """
    _multiply(q, x, out)
    if out[-1, -1].item() == PROBE:
        return True
    _multiply_in_two_parts(q, x, out)
    return False


def _multiply_in_two_parts(q: Tensor, x: Tensor, out: Tensor) -> None:
    q_first, x_first = q.bfloat16().float(), x.bfloat16().float()
    torch.mm(q_first, x_first.T, out=out)
    part = torch.empty_like(out)
    out += torch.mm(q - q_first, x_first.T, out=part)
    out += torch.mm(q_first, (x - x_first).T, out=part)


def _with_probe(queries: Tensor) -> Tensor:
    """Queries (q, D) of length 1, and the probe."""
    q = torch.zeros(len(queries) + 1, queries.shape[1], dtype=torch.float32, device="cpu")
    scaled(queries, _norms(queries), out=q[:-1])
    q[-1, 0] = PROBE
    return q


def _room(count: int) -> int:
    return count + 8 - count % 8  # for the probe, and for whole groups


def _memory(q: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Where ``count`` index images and the probe go, and their products with queries (q, D)."""
    x = torch.zeros(_room(count), q.shape[1], dtype=torch.float32, device=q.device)
    x[-1, 0] = 1.0
    return x, torch.empty(len(q), len(x), dtype=torch.float32, device=q.device)


def _multiply(q: Tensor, x: Tensor, out: Tensor) -> None:
    """``q @ x.T`` into ``out``, which may get other memory.

    torch.mm is that of MKL, which on CPUs of others than Intel takes twice as long as that of oneDNN.
    """
    if _ONEDNN_LINEAR is not None and q.device.type == "cpu" and out.numel() * q.shape[1] >= _LARGE_PRODUCT:
        out.set_(_ONEDNN_LINEAR(q, x, None, "none", [], ""))
    else:
        torch.mm(q, x.T, out=out)  # with out=, autocast leaves it as it is


def _onednn_linear() -> Any:
    """The linear layer of oneDNN, which torch.compile uses; ``None`` where torch has none."""
    mkldnn: Any = torch.backends.mkldnn
    try:
        return torch.ops.mkldnn._linear_pointwise.default if mkldnn.is_available() else None
    except (AttributeError, RuntimeError):
        return None


_ONEDNN_LINEAR = _onednn_linear()


def _blocks(stop: int, size: int) -> Iterator[slice]:
    for first in range(0, stop, size):
        yield slice(first, min(first + size, stop))


def _norms(x: Tensor) -> Tensor:
    norms: Tensor = torch.linalg.vector_norm(x, dim=1)
    return norms


def _length(x: Tensor) -> Tensor:
    """Lengths (n,) of short vectors (n, D), float64, without loss where squares are too small for float32."""
    return _norms(x).double() + 1e-15
