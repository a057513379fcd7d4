"""Regional GeM: every position of a map also takes in its neighbourhood, before GeM pools them all."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from landmarkzoo.layers.input_checks import check_floating_point
from landmarkzoo.layers.pooling import GeM, gem

REGION = 5  # side of a neighbourhood, in positions
MIN_MAP = REGION // 2 + 1  # a reflection needs one position more than it adds
_REGION_POWER = 2.5
_SMALLEST_MEAN = 1e-37  # above 0, where the root has no gradient, and within float32


def regional_map(x: Tensor) -> Tensor:
    """The mean of a map and of the generalised means of its neighbourhoods.

    ``x / 2 + mean(x^2.5)^(1/2.5) / 2``, where the inner mean is over the 5 x 5 positions around each one; the
    map is reflected at its borders. "Regional-GeM" of SuperGlobal
    ([Shao et al. 2023](https://arxiv.org/abs/2308.06954)), with the constants of the authors' code. Negative
    values, which a map behind a ReLU does not have, count as 0 in a neighbourhood.

    Args:
        x: Maps (B, C, H, W), H and W at least 3.

    Returns:
        Maps (B, C, H, W), in float32 at least.

    Raises:
        TypeError: If ``x`` is not a floating-point tensor.
        ValueError: If ``x`` is not of shape (B, C, H, W), or too small to be reflected.

    Examples:
        >>> from landmarkzoo.layers import regional_map
        >>> regional_map(torch.ones(1, 1, 3, 4)).unique()
        tensor([1.])
    """
    check_floating_point(x, "regional GeM")
    if x.ndim != 4 or min(x.shape[-2:]) < MIN_MAP:
        raise ValueError(
            f"regional GeM takes maps (B, C, H, W), H and W at least {MIN_MAP}, got {tuple(x.shape)}: at a "
            f"stride of 32 photos need sides of {32 * (MIN_MAP - 1) + 1} px or more"
        )
    wide = x.to(torch.promote_types(x.dtype, torch.float32))
    padded = F.pad(wide.clamp(min=0), [REGION // 2] * 4, mode="reflect")  # -> (B, C, H + 4, W + 4)
    powers = F.avg_pool2d(padded.pow(_REGION_POWER), REGION, stride=1)  # -> (B, C, H, W)
    return 0.5 * wide + 0.5 * powers.clamp(min=_SMALLEST_MEAN).pow(1 / _REGION_POWER)


class RegionalGeM(GeM):
    """GeM over a map whose positions have taken in their neighbourhoods, see ``regional_map``.

    The pooling of SuperGlobal ([Shao et al. 2023](https://arxiv.org/abs/2308.06954)), with the power and the
    ``eps`` of the authors' code.

    Args:
        p: Power of GeM at the start, at least 0.05.
        eps: Lower bound of the values before the power is taken.
        trainable: Whether ``p`` is a parameter; otherwise it is a buffer.

    Raises:
        TypeError: As for ``GeM``.
        ValueError: As for ``GeM``; or if H or W is less than 3.

    Shape:
        (B, C, H, W) -> (B, C)

    Examples:
        >>> lz.layers.RegionalGeM()(torch.ones(2, 8, 7, 7)).shape
        torch.Size([2, 8])
    """

    def __init__(self, p: float = 4.6, eps: float = 1e-8, trainable: bool = True) -> None:
        super().__init__(p, eps, trainable)

    def forward(self, x: Tensor) -> Tensor:
        """Pool maps (B, C, H, W) to features (B, C)."""
        return gem(regional_map(x), self._positive_power(), self.eps).to(x.dtype)
