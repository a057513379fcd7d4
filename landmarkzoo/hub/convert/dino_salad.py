"""The published checkpoint of [SALAD](https://arxiv.org/abs/2311.15937) on DINOv2.

The module of torch.hub is inside a wrapper, and has the token that stands for hidden patches in training.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from torch import Tensor

from landmarkzoo.hub.convert.layout import Layout
from landmarkzoo.hub.convert.megaloc import aggregation_sizes


def _arguments(
    tensors: Mapping[str, Tensor], registered: Mapping[str, Any], given: Mapping[str, Any]
) -> tuple[dict[str, Any], str]:
    """Arguments of SALAD: sizes are read from the checkpoint, which has no Linear behind the aggregation."""
    sizes = aggregation_sizes(tensors, "aggregator.")
    note = f"{', '.join(f'{name}={value}' for name, value in sizes.items())}: read from the checkpoint"
    arguments = {"embedding_dim": None, "position_resize": "dinov2", **sizes, **given}
    return arguments, f"{note}; positions are resized as DINOv2's"


def _unused(names: Collection[str], args: Mapping[str, Any]) -> dict[str, str]:
    return {"backbone.model.mask_token": "for hidden patches, which DINOv2 has in training only"}


DINO_SALAD = Layout(
    name="dino_salad",
    architecture="SALAD",
    signature="aggregator.dust_bin",
    prefixes=(("backbone.model.", "backbone."), ("aggregator.", "aggregation.")),
    arguments=_arguments,
    unused=_unused,
)
