"""A floor above zero in place of ReLU in the first stages of a ResNet."""

from __future__ import annotations

import math

from timm.models.resnet import Bottleneck, ResNet
from torch import Tensor, nn


class FlooredReLU(nn.Module):
    """``max(x, floor)``: a ReLU whose smallest value is not 0.

    Args:
        floor: The smallest value.

    Shape:
        Any -> the same

    Examples:
        >>> from landmarkzoo.backbones.relu_floor import FlooredReLU
        >>> FlooredReLU(0.25)(torch.tensor([-1.0, 0.0, 1.0]))
        tensor([0.2500, 0.2500, 1.0000])
    """

    def __init__(self, floor: float) -> None:
        super().__init__()
        self.floor = floor

    def forward(self, x: Tensor) -> Tensor:
        """Raise all smaller values to the floor."""
        return x.clamp(min=self.floor)

    def extra_repr(self) -> str:
        """Show the floor."""
        return f"floor={self.floor:g}"


def set_relu_floor(backbone: nn.Module, floor: float) -> None:
    """Put a floor in place of the ReLUs of a ResNet where SuperGlobal has one; the weights stay.

    "ReLUP" of [Shao et al. 2023](https://arxiv.org/abs/2308.06954), at the places of the authors' code: after
    each block of the stages 1 to 3, and at both activations inside the blocks of stage 1.

    Args:
        backbone: A ResNet of timm whose blocks are bottlenecks with ReLUs; changed in place.
        floor: The smallest value behind these activations; .014 in the authors' code.

    Raises:
        TypeError: If the floor is not a number.
        ValueError: If the floor is negative or not finite, or the backbone is another network.
    """
    if isinstance(floor, bool) or not isinstance(floor, (int, float)):
        raise TypeError(f"relu_floor must be a number, such as 0.014, got {floor!r}")
    if not 0 <= floor < math.inf:
        raise ValueError(f"relu_floor must be 0 or a small positive number, such as 0.014, got {floor}")
    stages = [getattr(backbone, f"layer{number}") for number in (1, 2, 3)] if _fits(backbone) else None
    if stages is None:
        raise ValueError(
            f"relu_floor is for ResNets of bottlenecks with ReLUs, such as 'resnet50' or 'resnet101'; this "
            f"{type(backbone).__name__} is another network: leave relu_floor out"
        )
    for stage in stages:
        for block in stage:
            inner = ("act1", "act2") if stage is stages[0] else ()
            for name in (*inner, "act3"):
                setattr(block, name, FlooredReLU(float(floor)))


def _fits(backbone: nn.Module) -> bool:
    if not isinstance(backbone, ResNet):
        return False
    blocks = [block for number in (1, 2, 3) for block in getattr(backbone, f"layer{number}")]
    return all(
        isinstance(block, Bottleneck)
        and all(isinstance(getattr(block, name), nn.ReLU) for name in ("act1", "act2", "act3"))
        for block in blocks
    )
