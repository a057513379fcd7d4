"""Generalised-mean pooling (Radenović et al. 2018, "Fine-tuning CNN image retrieval", eq. 3)."""

from __future__ import annotations

import torch
from torch import Tensor, nn


def gem(x: Tensor, p: float | Tensor = 3.0, eps: float = 1e-6) -> Tensor:
    """Generalised mean over the positions of a map: ``mean(max(x, eps)^p)^(1/p)``.

    ``p = 1`` is average pooling, ``p -> inf`` max pooling. Computed in float32 at least, as a
    power of 3 leaves the range of float16 at 40; the result has the dtype of ``x``.

    Args:
        x: Feature maps (B, C, H, W).
        p: Power, a positive number or a tensor of one.
        eps: Smallest value that enters the power.

    Returns:
        Pooled features (B, C).

    Examples:
        >>> gem(torch.tensor([[[[1.0, 2.0]]]]), p=2.0)
        tensor([[1.5811]])
    """
    wide = x.to(torch.promote_types(x.dtype, torch.float32))
    powers = wide.clamp(min=eps).pow(p)
    return powers.mean(dim=(-2, -1)).pow(1.0 / p).to(x.dtype)  # (B, C, H, W) -> (B, C)


class GeM(nn.Module):
    """Generalised-mean pooling with a power that can be learned.

    Args:
        p: Power at the start; 3 in the paper (section 2.2.1).
        eps: Smallest value that enters the power.
        trainable: Whether ``p`` is a parameter; otherwise it is a buffer.

    Raises:
        ValueError: If ``p`` or ``eps`` is not positive.

    Shape:
        (B, C, H, W) -> (B, C)

    Examples:
        >>> lz.GeM(p=3.0)(torch.ones(2, 8, 7, 7)).shape
        torch.Size([2, 8])
    """

    p: Tensor

    def __init__(self, p: float = 3.0, eps: float = 1e-6, trainable: bool = True) -> None:
        super().__init__()
        if not p > 0 or not eps > 0:
            raise ValueError(f"GeM needs p > 0 and eps > 0, got p={p} and eps={eps}")
        power = torch.full((1,), float(p))
        if trainable:
            self.p = nn.Parameter(power)
        else:
            self.register_buffer("p", power)
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        """Pool maps (B, C, H, W) to features (B, C)."""
        if x.ndim != 4:
            raise ValueError(f"GeM pools maps of shape (B, C, H, W), got {tuple(x.shape)}")
        return gem(x, self.p.to(torch.promote_types(x.dtype, torch.float32)), self.eps)

    def extra_repr(self) -> str:
        """Show the power as it stands."""
        trainable = isinstance(self.p, nn.Parameter)
        return f"p={self.p.item():.4g}, eps={self.eps:g}, trainable={trainable}"
