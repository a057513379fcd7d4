"""The published weights of [MegaLoc](https://arxiv.org/abs/2502.17237), a safetensors file.

Its backbone has the names and shapes of timm's ``vit_base_patch14_dinov2``, positions of 37 x 37 patches
included. Their model takes images of any size and resizes them to multiples of 14 px (bilinear, with
antialias); ours leaves that to the transform.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from landmarkzoo.hub.convert.layout import Layout


def aggregation_sizes(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, int]:
    """Arguments of ``SALAD`` that the weights of its aggregation tell; those that are there.

    Examples:
        >>> aggregation_sizes({"agg.score.3.bias": torch.zeros(64)}, "agg.")
        {'clusters': 64}
    """
    told = {
        "clusters": "score.3.bias",
        "cluster_dim": "cluster_features.3.bias",
        "token_dim": "token_features.2.bias",
        "hidden_dim": "token_features.0.bias",
    }
    return {size: len(tensors[prefix + name]) for size, name in told.items() if prefix + name in tensors}


def _arguments(
    tensors: Mapping[str, Tensor], registered: Mapping[str, Any], given: Mapping[str, Any]
) -> tuple[dict[str, Any], str]:
    """Arguments of SALAD: sizes are read from the checkpoint."""
    sizes: dict[str, Any] = aggregation_sizes(tensors, "aggregator.agg.")
    if "aggregator.linear.bias" in tensors:
        sizes["embedding_dim"] = len(tensors["aggregator.linear.bias"])
    note = f"{', '.join(f'{name}={value}' for name, value in sizes.items())}: read from the checkpoint"
    return {"position_resize": "dinov2", **sizes, **given}, f"{note}; positions are resized as DINOv2's"


MEGALOC = Layout(
    name="megaloc",
    architecture="SALAD",
    signature="aggregator.agg.dust_bin",
    prefixes=(
        ("backbone.", "backbone."),
        ("aggregator.agg.", "aggregation."),
        ("aggregator.linear.", "neck.0."),
    ),
    arguments=_arguments,
)
