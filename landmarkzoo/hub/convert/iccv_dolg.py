"""Checkpoints by the code of [Yang et al. 2021](https://arxiv.org/abs/2108.02927): DOLG on a ResNet."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import torch
from torch import Tensor

from landmarkzoo.hub.convert.layout import Layout
from landmarkzoo.hub.convert.pycls_names import pycls_resnet_prefixes, rgb_input

_NECK = "fc.weight"
_POWER = "pool_g.p"
_FIXED_POWER = 3.0  # of their code where a checkpoint has none
_UNUSED = {
    "desc_cls.t": "a state of their loss",
    "pool1.p": "of a pooling that their model does not have",
}


def _arguments(
    tensors: Mapping[str, Tensor], registered: Mapping[str, Any], given: Mapping[str, Any]
) -> tuple[dict[str, Any], str]:
    theirs = {"dilations": (), "global_map": "pooled", "neck": "fc", "projection": "exact"}
    power = "" if _POWER in tensors else f"; GeM's p={_FIXED_POWER:g}, fixed in their code"
    return {**theirs, **given}, f"blue, green, red became red, green, blue{power}"


def _converted(tensors: Mapping[str, Tensor], arguments: Mapping[str, Any]) -> dict[str, Tensor]:
    """Images in RGB, and the neck behind [local, global], where theirs stands behind [global, local]."""
    ours = rgb_input(tensors, "globalmodel.stem.conv.weight")
    ours.setdefault(_POWER, torch.full((1,), _FIXED_POWER))
    weight = ours.get(_NECK)
    if weight is not None and weight.ndim == 2:  # else an error when it is loaded
        ours[_NECK] = weight.roll(weight.shape[1] // 2, dims=1)
    return ours


def _unused(names: Collection[str], arguments: Mapping[str, Any]) -> dict[str, str]:
    return {name: why for name, why in _UNUSED.items() if name in names}


ICCV_DOLG = Layout(
    name="iccv_dolg",
    architecture="DOLG",
    signature="localmodel.conv1.weight",
    prefixes=(
        *pycls_resnet_prefixes("globalmodel.", "backbone."),
        ("localmodel.conv1.", "spatial_attention.project."),
        ("localmodel.bn.", "spatial_attention.norm."),
        ("localmodel.conv2.", "spatial_attention.score."),
        ("pool_g.", "global_pool."),
        ("fc_t.", "global_fc."),
        ("fc.", "neck.0."),
    ),
    head="desc_cls.weight",
    sub_centers=1,
    arguments=_arguments,
    unused=_unused,
    converted=_converted,
)
