"""Generalised-mean pooling."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from landmarkzoo.layers.input_checks import check_floating_point

# Below this power GeM is nearly the geometric mean; at 0 it has no value, and below 0 it pools minima.
MIN_POWER = 0.05


def gem(x: Tensor, p: float | Tensor = 3.0, eps: float = 1e-6) -> Tensor:
    """Generalised mean over the positions of a map: ``mean(max(x, eps)^p)^(1/p)``.

    Equation 3 of [Radenović et al. 2018](https://arxiv.org/abs/1711.02512). ``p = 1`` is average pooling,
    ``p -> inf`` max pooling. Computed in float32 at least, as the cube of 41 is already too large for
    float16; the result has the dtype of ``x``.

    Args:
        x: Feature maps (B, C, H, W).
        p: Power, a positive number or a tensor with one element.
        eps: Lower bound of the values before the power is taken.

    Returns:
        Pooled features (B, C).

    Raises:
        TypeError: If ``x`` is not a floating-point tensor.
        ValueError: If ``x`` is not of shape (B, C, H, W), or has no positions; or if ``p`` is a number and
            not positive.

    Examples:
        >>> gem(torch.tensor([[[[1.0, 2.0]]]]), p=2.0)
        tensor([[1.5811]])
    """
    check_floating_point(x, "GeM")
    if not isinstance(p, Tensor) and not p > 0:
        raise ValueError(f"GeM needs p > 0, got p={p}")
    if x.ndim != 4 or 0 in x.shape[-2:]:
        raise ValueError(f"GeM pools maps of shape (B, C, H, W), H and W at least 1, got {tuple(x.shape)}")
    wide = x.to(torch.promote_types(x.dtype, torch.float32))
    power = p.to(wide.dtype) if isinstance(p, Tensor) else p
    return wide.clamp(min=eps).pow(power).mean(dim=(-2, -1)).pow(1.0 / power).to(x.dtype)  # -> (B, C)


class GeM(nn.Module):
    """Generalised-mean pooling, see ``gem``, with a power that can be learned.

    The power stays positive: wherever a step of the optimizer takes ``p``, at least 0.05 is used, with the
    gradient that the power has there, so that ``p`` can come back. ``torch.compile``, ``torch.export`` and
    ``torch.jit.trace`` take this layer; ``torch.jit.script`` does not, as it takes no tensor or number.

    Args:
        p: Power at the start, at least 0.05; 3 in [Henkel 2021](https://arxiv.org/abs/2110.03786), section
            2.2.1.
        eps: Lower bound of the values before the power is taken.
        trainable: Whether ``p`` is a parameter; otherwise it is a buffer.

    Raises:
        TypeError: If ``p`` or ``eps`` is not a number, or the map is not a floating-point tensor.
        ValueError: If ``p`` is less than 0.05 or not finite, if ``eps`` is not positive, or if the map is not
            of shape (B, C, H, W), with H and W at least 1.

    Shape:
        (B, C, H, W) -> (B, C)

    Examples:
        >>> lz.GeM(p=3.0)(torch.ones(2, 8, 7, 7)).shape
        torch.Size([2, 8])
    """

    p: Tensor

    def __init__(self, p: float = 3.0, eps: float = 1e-6, trainable: bool = True) -> None:
        super().__init__()
        given: tuple[object, ...] = (p, eps)
        if any(isinstance(number, str) for number in given):
            raise TypeError(f"GeM needs numbers p and eps, got p={p!r} and eps={eps!r}")
        if not MIN_POWER <= p < math.inf or not eps > 0:
            raise ValueError(f"GeM needs a finite p >= {MIN_POWER} and eps > 0, got p={p} and eps={eps}")
        power = torch.full((1,), float(p))
        if trainable:
            self.p = nn.Parameter(power)
        else:
            self.register_buffer("p", power)
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        """Pool maps (B, C, H, W) to features (B, C)."""
        return gem(x, self._positive_power(), self.eps)

    def _positive_power(self) -> Tensor:
        finite = self.p.clamp(min=torch.finfo(self.p.dtype).min)
        at_least = (finite - finite.detach()) + MIN_POWER  # a constant that has the gradient of p
        return torch.where(self.p < MIN_POWER, at_least, self.p)

    def extra_repr(self) -> str:
        """Show the present power; on the meta device it has no value."""
        power = "?" if self.p.is_meta else f"{self.p.item():.4g}"
        return f"p={power}, eps={self.eps:g}, trainable={isinstance(self.p, nn.Parameter)}"
