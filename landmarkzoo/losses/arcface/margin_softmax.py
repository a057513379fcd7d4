"""Softmax cross entropy over the nearest centers, with an angular margin on the target.

This is section 2.3 of [Henkel 2021](https://arxiv.org/abs/2110.03786). It is one autograd function instead
of a chain of them: of the (C, B) arrays only the cosines and the nearest centers are kept, and the
probabilities are computed again in the backward pass, block by block.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from landmarkzoo.losses.arcface.center_blocks import (
    BestCosines,
    add_own_gradients,
    best_cosines,
    gradients,
    own_cosines,
    refuse_second_derivative,
)
from landmarkzoo.losses.arcface.class_parallel import ProcessGroupInfo
from landmarkzoo.losses.arcface.margins import add_angular_margin
from landmarkzoo.losses.arcface.reusable_buffer import ReusableBuffer

_LOGITS_BLOCK = 2**20  # values


@dataclass(frozen=True)
class MarginSoftmax:
    """The loss: what stays the same from batch to batch.

    Attributes:
        sub_centers: K.
        scale: Factor from cosines to logits.
        label_smoothing: Share of the target that is spread evenly over all classes.
        matmul_dtype: In which matrices are multiplied.
        processes: Over which processes the classes are split.
        buffer: Memory for the gradient of the centers.
    """

    sub_centers: int
    scale: float
    label_smoothing: float
    matmul_dtype: torch.dtype
    processes: ProcessGroupInfo
    buffer: ReusableBuffer

    def losses(self, unit: Tensor, weight: Tensor, targets: Targets) -> Tensor:
        """Loss of each sample (B,), not reduced: embeddings (B, D) of length 1, centers (C * K, D)."""
        losses: Tensor = _Losses.apply(unit, weight, targets, self)
        return losses


@dataclass(frozen=True)
class Targets:
    """The classes of a batch.

    Attributes:
        rows: Row of each sample's class among the classes that are here (B,); -1 if it is elsewhere.
        margins: Margin of each sample's class in radians (B,).
        weights: Weight of each sample's class (B,).
        class_weights: Weight of each class that is here (C,).
    """

    rows: Tensor
    margins: Tensor
    weights: Tensor
    class_weights: Tensor

    def put(self, block: slice, values: Tensor, into: Tensor) -> Tensor:
        """Write the value of each sample (B,) at its class into ``into`` (n, B), a block of (C, B)."""
        # Where the class lies outside the block, what is there is written again: a mask would be a host sync.
        here = (self.rows >= block.start) & (self.rows < block.stop)
        at = (self.rows - block.start).clamp(0, len(into) - 1)
        sample = torch.arange(len(self.rows), device=into.device)
        into[at, sample] = torch.where(here, values, into[at, sample])
        return into

    def only_here(self, values: Tensor) -> Tensor:
        """Values of the samples whose class is here; 0 for the others."""
        return torch.where(self.rows >= 0, values, torch.zeros_like(values))


class _Losses(torch.autograd.Function):
    """With P the softmax of the logits z and Q the target distribution, ``-sum_c Q_c log P_c``."""

    @staticmethod
    def forward(ctx: Any, unit: Tensor, weight: Tensor, targets: Targets, loss: MarginSoftmax) -> Tensor:
        with torch.autocast(unit.device.type, enabled=False):
            best = best_cosines(unit, weight, loss.sub_centers, loss.matmul_dtype)
            # The target in full precision, whatever that of the products: its margin magnifies errors.
            own = own_cosines(unit, weight, targets.rows.clamp(min=0), loss.sub_centers).max(dim=1)
            with_margin, slope = add_angular_margin(own.values, targets.margins)
            target_logit = loss.scale * with_margin
            largest, others, target_logit, smooth = _statistics(best.cosine, target_logit, targets, loss)
            distribution = _target_distribution(targets, loss)
        statistics = (slope, target_logit, largest, others)
        # The class weights are saved so that changing them before the backward pass is an error.
        weights = targets.class_weights
        ctx.save_for_backward(unit, weight, own.indices, *best.parts, *statistics, weights)
        ctx.targets, ctx.loss, ctx.distribution = targets, loss, distribution
        on_target, total, per_class = distribution
        return total * _log_sum(others, target_logit) - on_target * target_logit - per_class * smooth

    @staticmethod
    def backward(ctx: Any, by_loss: Tensor) -> tuple[Tensor | None, Tensor | None, None, None]:
        refuse_second_derivative()
        unit, weight, own_center, cosine, center, inverse_norm, *statistics, _ = ctx.saved_tensors
        slope, target_logit, largest, others = statistics
        targets, loss = ctx.targets, ctx.loss
        best, nothing = BestCosines(cosine, center, inverse_norm), torch.zeros_like(slope)
        on_target, total, per_class = ctx.distribution
        with torch.autocast(unit.device.type, enabled=False):
            by_logit = by_loss * loss.scale  # by a logit divided by the scale
            log_sum = _log_sum(others, target_logit)
            # P - 1 by the others: where P is nearly 1 the difference would have lost its digits.
            at_target = -total * (others / (others + target_logit.exp()))
            at_target = by_logit * (at_target + (total - on_target - per_class * targets.weights)) * slope

            def by_cosine(block: slice) -> tuple[Tensor, Tensor]:
                probability = (cosine[block] * loss.scale).sub_(largest).sub_(log_sum).exp_()  # (n, B)
                g = probability.mul_(by_logit * total)
                if loss.label_smoothing:
                    g -= targets.class_weights[block, None] * (by_logit * per_class)
                return targets.put(block, nothing, g), cosine[block]

            needed = ctx.needs_input_grad[:2]
            by_unit, by_weight = gradients(
                unit, weight, best, by_cosine, loss.matmul_dtype, loss.buffer, needed
            )
            # In full precision, as near its center an embedding's gradient is a small difference.
            own = targets.rows.clamp(min=0) * loss.sub_centers + own_center
            add_own_gradients(by_unit, by_weight, unit, weight, own, targets.only_here(at_target))
        return by_unit, by_weight, None, None


def _target_distribution(targets: Targets, loss: MarginSoftmax) -> tuple[Tensor, Tensor, Tensor]:
    """Q as ``torch.nn.functional.cross_entropy`` has it: on the target (B,), in all (B,), a class ()."""
    on_target = (1 - loss.label_smoothing) * targets.weights
    if not loss.label_smoothing:
        return on_target, on_target, on_target.new_zeros(())
    classes = loss.processes.sum(targets.class_weights.new_tensor(len(targets.class_weights)))
    per_class = loss.label_smoothing / classes  # times the weight of the class
    return on_target, on_target + per_class * loss.processes.sum(targets.class_weights.sum()), per_class


def _statistics(
    cosine: Tensor, target_logit: Tensor, targets: Targets, loss: MarginSoftmax
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Numbers of each sample (B,), over the classes of all processes.

    Returns:
        The largest logit; and, of the logits less the largest, the sum of the exponentials without the
        target, the target, and the sum weighted by the class weights. So a small loss is neither a
        difference of large numbers, nor lost beside the 1 of its target.
    """
    classes, batch = cosine.shape
    size = max(1, _LOGITS_BLOCK // batch)
    blocks = [slice(start, min(start + size, classes)) for start in range(0, classes, size)]

    def logits(block: slice) -> Tensor:
        return targets.put(block, target_logit, cosine[block] * loss.scale)  # (n, B)

    largest = loss.processes.max(torch.stack([logits(block).amax(dim=0) for block in blocks]).amax(dim=0))
    sums = cosine.new_zeros(3, batch)
    sums[1] = targets.only_here(target_logit - largest)
    for block in blocks:
        z = logits(block).sub_(largest)
        if loss.label_smoothing:
            sums[2] += targets.class_weights[block] @ z
        sums[0] += targets.put(block, torch.zeros_like(largest), z.exp_()).sum(dim=0)
    others, target, smooth = loss.processes.sum(sums)
    return largest, others, target, smooth


def _log_sum(others: Tensor, target_logit: Tensor) -> Tensor:
    """Logarithm of the sum of all exponentials of logits less the largest."""
    return torch.where(target_logit == 0, others.log1p(), (others + target_logit.exp()).log())


def sample_classes(rows: Tensor, num_classes: int, rate: float) -> Tensor:
    """Classes to compute a step on, ascending: all of the batch, filled up with others at random.

    This is "Partial FC" of [An et al. 2021](https://arxiv.org/abs/2010.05222).

    Args:
        rows: Class of each sample (B,); -1 for samples whose class is elsewhere.
        num_classes: C.
        rate: Share of the classes wanted, in (0, 1].

    Returns:
        Different classes (n,), ``n = min(C, max(ceil(rate * C), B))``: as many as the batch could need,
        so that their number does not depend on the labels and a GPU need not wait to learn it.

    Examples:
        >>> sample_classes(torch.tensor([4, 0, -1]), num_classes=5, rate=1.0)
        tensor([0, 1, 2, 3, 4])
    """
    count = min(num_classes, max(math.ceil(rate * num_classes), len(rows)))
    priority = torch.rand(num_classes + 1, device=rows.device)  # the last place is for the -1
    priority[rows] = 2.0
    return priority[:-1].topk(count, sorted=False).indices.sort().values


def rows_among(classes: Tensor, rows: Tensor) -> Tensor:
    """Where each sample's class stands among the sampled ones (B,); -1 stays -1.

    Examples:
        >>> rows_among(torch.tensor([2, 5, 9]), torch.tensor([9, -1, 2]))
        tensor([ 2, -1,  0])
    """
    return torch.where(rows >= 0, torch.searchsorted(classes, rows), rows)
