"""The fast part behind the head: cosines with many centers and their gradients, in blocks of classes.

The plain version is ``normalize(x) @ normalize(weight).T``, the maximum over the centers of a class, and
autograd; ``tests/losses`` compares the two. What makes this one lean and fast:

- No normalised copy of the weights: the norms divide the products, and their part of the gradient is one
  number a center, ``dw = (sum_b g_b x_b - (sum_b g_b cos_b) w / |w|) / |w|``.
- Of the K cosines of a class only the largest stays, and which one it was as uint8: (C, B), not (B, C * K).
  Classes come first, so that the maximum over K and all that follows runs along contiguous rows.
- A block of centers stays in the cache while all is done with it; the same buffers serve all blocks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from landmarkzoo.layers.autocast import has_bfloat16
from landmarkzoo.losses.arcface.reusable_buffer import ReusableBuffer

_CPU_BLOCK_VALUES = 2**21  # 8 MiB of centers: they stay in the last-level cache
_GPU_BLOCK_VALUES = 2**26  # large enough to keep a GPU busy
_LARGE_WEIGHT = 2**22  # values of the weight from which products in bfloat16 are worth their rounding

MatmulDtype = Literal["auto", "float32", "bfloat16"]


def resolve_matmul_dtype(choice: MatmulDtype, unit: Tensor, weight: Tensor) -> torch.dtype:
    """In which dtype embeddings (B, D) are multiplied with centers (C * K, D).

    Args:
        choice: ``"float32"`` means that of the embeddings, which is float32 or float64.
        unit: The embeddings.
        weight: The centers.

    Examples:
        >>> resolve_matmul_dtype("auto", torch.ones(1, 2), torch.ones(3, 2))
        torch.float32
    """
    if choice == "auto":
        low = torch.is_autocast_enabled(unit.device.type) and weight.numel() >= _LARGE_WEIGHT
        choice = "bfloat16" if low and has_bfloat16(unit.device) else "float32"
    return torch.bfloat16 if choice == "bfloat16" and unit.dtype == torch.float32 else unit.dtype


@dataclass(frozen=True)
class BestCosines:
    """For each class and embedding, the cosine of the nearest center and which of the K it is.

    Attributes:
        cosine: (C, B), float32 or float64.
        center: (C, B), uint8.
        inverse_norm: One over the length of each center (C * K, 1).
    """

    cosine: Tensor
    center: Tensor
    inverse_norm: Tensor

    @property
    def parts(self) -> tuple[Tensor, Tensor, Tensor]:
        """For autograd, which saves tensors."""
        return self.cosine, self.center, self.inverse_norm


def inverse_norms(x: Tensor) -> Tensor:
    """One over the length of each vector (..., D) -> (..., 1); 1 for zero vectors, so that they stay zero.

    Examples:
        >>> inverse_norms(torch.tensor([[3.0, 4.0], [0.0, 0.0]]))
        tensor([[0.2000], [1.0000]])
    """
    norms = torch.linalg.vector_norm(x, dim=-1, keepdim=True)
    smallest = torch.finfo(norms.dtype).tiny ** 0.5  # below it squares vanish
    return torch.where(norms > smallest, norms, 1.0).reciprocal()


def own_cosines(unit: Tensor, weight: Tensor, rows: Tensor, sub_centers: int) -> Tensor:
    """Cosine of each embedding with the centers of one class each: (B, D), class rows (B,) -> (B, K)."""
    centers = weight.view(-1, sub_centers, weight.shape[1])[rows].to(unit.dtype)  # (B, K, D)
    # Products and a sum, not a matmul, which may run in TF32: this is the cosine that the loss turns on.
    return (centers * unit[:, None]).sum(dim=2) * inverse_norms(centers).squeeze(2)


def best_cosines(unit: Tensor, weight: Tensor, sub_centers: int, matmul_dtype: torch.dtype) -> BestCosines:
    """Cosine of each embedding with the nearest center of each class.

    Args:
        unit: Embeddings of length 1 (B, D), float32 or float64.
        weight: Centers (C * K, D), rows c * K + k, of any length.
        sub_centers: K.
        matmul_dtype: In which embeddings and centers are multiplied; all else has the dtype of ``unit``.

    Returns:
        The cosines and which center they belong to: the first, where several are equally near.
    """
    classes, batch = len(weight) // sub_centers, len(unit)
    cosine = unit.new_empty(classes, batch)
    center = torch.zeros(classes, batch, dtype=torch.uint8, device=unit.device)
    inverse = unit.new_empty(len(weight), 1)
    columns = unit.T.to(matmul_dtype).contiguous()  # (D, B)
    blocks = _Blocks(unit, weight, sub_centers, matmul_dtype)
    product = unit.new_empty(blocks.rows, batch, dtype=matmul_dtype)
    for block, rows in blocks:
        centers = weight[rows].to(unit.dtype)
        inverse[rows] = inverse_norms(centers)
        torch.mm(blocks.cast(centers), columns, out=product[: len(centers)])  # (n * K, B)
        cosines = product[: len(centers)].to(unit.dtype).mul_(inverse[rows])
        _largest(cosines.view(-1, sub_centers, batch), cosine[block], center[block])
    return BestCosines(cosine, center, inverse)


def _largest(cosines: Tensor, best: Tensor, center: Tensor) -> None:
    """Maximum over K of (n, K, B) into ``best`` and its place into ``center``, both (n, B)."""
    best.copy_(cosines[:, 0])
    for k in range(1, cosines.shape[1]):
        nearer = cosines[:, k] > best
        torch.maximum(center, nearer.view(torch.uint8) * k, out=center)  # k is larger than all before
        torch.maximum(best, cosines[:, k], out=best)


def gradients(
    unit: Tensor,
    weight: Tensor,
    best: BestCosines,
    by_cosine: Callable[[slice], tuple[Tensor, Tensor]],
    matmul_dtype: torch.dtype,
    buffer: ReusableBuffer,
    needed: tuple[bool, bool] = (True, True),
) -> tuple[Tensor | None, Tensor | None]:
    """Gradients of a function of ``best_cosines``.

    Args:
        unit: Embeddings of length 1 (B, D).
        weight: Centers (C * K, D).
        best: What ``best_cosines`` gave for them.
        by_cosine: For a block of classes the derivative by their cosines, and these cosines, both (n, B).
        matmul_dtype: In which matrices are multiplied.
        buffer: Memory for the gradient of the centers.
        needed: Which of the two gradients to compute.

    Returns:
        Gradients by the unit embeddings (B, D) and by the centers (C * K, D).
    """
    (classes, batch), dim = best.cosine.shape, unit.shape[1]
    k = len(weight) // classes
    by_unit = unit.new_zeros(dim, batch) if needed[0] else None
    by_weight = buffer.empty(weight.shape, weight.dtype, weight.device) if needed[1] else None
    unit_cast = unit.to(matmul_dtype)
    blocks = _Blocks(unit, weight, k, matmul_dtype)
    by_dot, scratch = unit.new_empty(2, blocks.rows, batch)
    zero = unit.new_zeros(())
    for block, rows in blocks:
        centers, inverse = weight[rows].to(unit.dtype), best.inverse_norm[rows]
        slope, cosine = by_cosine(block)  # (n, B)
        g = by_dot[: len(centers)].view(-1, k, batch)  # (n, K, B): zero but at the nearest center
        for i in range(k):
            torch.where(best.center[block] == i, slope, zero, out=g[:, i])
        g *= inverse.view(-1, k, 1)
        g_cast = g.view(-1, batch).to(matmul_dtype)  # (n * K, B)
        if by_unit is not None:
            _add_product(by_unit, blocks.cast(centers).T, g_cast)
        if by_weight is not None:
            along = torch.mul(g, cosine[:, None], out=scratch[: len(centers)].view_as(g)).sum(dim=2)  # (n, K)
            torch.mul(centers, -along.view(-1, 1) * inverse, out=by_weight[rows])
            _add_product(by_weight[rows], g_cast, unit_cast, blocks.workspace[: len(centers)])
    return None if by_unit is None else by_unit.T, by_weight


def add_own_gradients(
    by_unit: Tensor | None,
    by_weight: Tensor | None,
    unit: Tensor,
    weight: Tensor,
    rows: Tensor,
    slope: Tensor,
) -> None:
    """Add the gradients of one cosine for each embedding, in full precision.

    Args:
        by_unit: Gradient by the embeddings (B, D), added to.
        by_weight: Gradient by the centers (C * K, D), added to.
        unit: Embeddings of length 1 (B, D).
        weight: Centers (C * K, D).
        rows: The center of each embedding (B,).
        slope: Derivative by the cosine of the two (B,); 0 where nothing is to be added.
    """
    centers = weight[rows].to(unit.dtype)  # (B, D)
    inverse, slope = inverse_norms(centers), slope[:, None]
    directions = centers * inverse
    if by_unit is not None:
        by_unit += slope * directions
    if by_weight is not None:
        cosine = (unit * directions).sum(dim=1, keepdim=True)
        across = (unit - cosine * directions) * (slope * inverse)
        by_weight.index_add_(0, rows, across.to(by_weight.dtype))


def _add_product(total: Tensor, a: Tensor, b: Tensor, buffer: Tensor | None = None) -> None:
    """``total += a @ b``, added up in the dtype of ``total``; ``buffer`` has the dtype of ``a``."""
    if a.dtype == total.dtype:
        total.addmm_(a, b)
    else:
        total += torch.mm(a, b) if buffer is None else torch.mm(a, b, out=buffer)


def refuse_second_derivative() -> None:
    """Refuse ``create_graph=True``; to be called in a backward pass, where gradients are on only then.

    Raises:
        RuntimeError: If a graph is made, which would hold only a part of the derivative.
    """
    if torch.is_grad_enabled():
        raise RuntimeError("the head has no second derivative: leave out create_graph=True")


class NearestCosines(torch.autograd.Function):
    """Cosine with the nearest center of each class, (B, D) of length 1 -> (B, C), with gradient."""

    @staticmethod
    def forward(
        ctx: Any,
        unit: Tensor,
        weight: Tensor,
        sub_centers: int,
        matmul_dtype: torch.dtype,
        buffer: ReusableBuffer,
    ) -> Tensor:
        """See ``best_cosines``."""
        with torch.autocast(unit.device.type, enabled=False):
            best = best_cosines(unit, weight, sub_centers, matmul_dtype)
        ctx.save_for_backward(unit, weight, *best.parts)
        ctx.matmul_dtype, ctx.buffer = matmul_dtype, buffer
        return best.cosine.T.clone(memory_format=torch.contiguous_format)  # the user's to change

    @staticmethod
    def backward(ctx: Any, by_cosine: Tensor) -> tuple[Tensor | None, ...]:
        """See ``gradients``."""
        refuse_second_derivative()
        unit, weight, cosine, center, inverse_norm = ctx.saved_tensors
        best, columns = BestCosines(cosine, center, inverse_norm), by_cosine.T.contiguous()  # (C, B)
        with torch.autocast(unit.device.type, enabled=False):
            by_unit, by_weight = gradients(
                unit,
                weight,
                best,
                lambda block: (columns[block], cosine[block]),
                ctx.matmul_dtype,
                ctx.buffer,
                ctx.needs_input_grad[:2],
            )
        return by_unit, by_weight, None, None, None


def block_classes(classes: int, sub_centers: int, batch: int, dim: int, device: torch.device) -> int:
    """How many classes are computed at a time.

    Examples:
        >>> block_classes(81_313, 3, 64, 512, torch.device("cpu"))
        1365
    """
    values = _CPU_BLOCK_VALUES if device.type == "cpu" else _GPU_BLOCK_VALUES
    return max(1, min(classes, values // (sub_centers * max(batch, dim))))


class _Blocks:
    """Blocks of classes with their rows of the weights, and a workspace for centers of another dtype."""

    def __init__(self, unit: Tensor, weight: Tensor, sub_centers: int, matmul_dtype: torch.dtype) -> None:
        self.classes, self.sub_centers = len(weight) // sub_centers, sub_centers
        self.size = block_classes(self.classes, sub_centers, len(unit), unit.shape[1], weight.device)
        self.rows = self.size * sub_centers
        needed = matmul_dtype != unit.dtype
        self.workspace = weight.new_empty(self.rows if needed else 0, weight.shape[1], dtype=matmul_dtype)

    def __iter__(self) -> Iterator[tuple[slice, slice]]:
        k = self.sub_centers
        for start in range(0, self.classes, self.size):
            stop = min(start + self.size, self.classes)
            yield slice(start, stop), slice(start * k, stop * k)

    def cast(self, centers: Tensor) -> Tensor:
        """Centers (n * K, D) in the dtype of the matrix products; valid until the next call."""
        if centers.dtype == self.workspace.dtype:
            return centers
        return self.workspace[: len(centers)].copy_(centers)
