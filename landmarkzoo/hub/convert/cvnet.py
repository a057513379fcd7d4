"""The global branch of CVNet, which SuperGlobal reads in its own way.

[Lee et al. 2022](https://arxiv.org/abs/2204.01458), code sungonce/CVNet on GitHub: a ResNet of pycls, which
takes blue, green, red. [Shao et al. 2023](https://arxiv.org/abs/2308.06954), code ShihaoShao-GH/SuperGlobal.
One file holds the weights of both; the arguments of the registered model say what is done with them.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from torch import Tensor

from landmarkzoo.hub.convert.layout import Layout
from landmarkzoo.hub.convert.pycls_names import pycls_resnet_prefixes, rgb_input
from landmarkzoo.layers import RegionalGeM

_ENCODER = "encoder_q."
_FIRST = f"{_ENCODER}stem.conv.weight"
_POWER = f"{_ENCODER}head.pool.p"


def _arguments(
    tensors: Mapping[str, Tensor], registered: Mapping[str, Any], given: Mapping[str, Any]
) -> tuple[dict[str, Any], str]:
    args = {"neck": "fc", **given}
    note = "the input is RGB: the first convolution took blue, green, red"
    if {**registered, **args}.get("pool") == "regional-gem":
        note += "; the power of GeM is that of SuperGlobal, not the learned one of the checkpoint"
    return args, note


def _unused(names: Collection[str], args: Mapping[str, Any]) -> dict[str, str]:
    return {name: "CVNet's re-ranker" for name in names if not name.startswith(_ENCODER)}


def _converted(tensors: Mapping[str, Tensor], args: Mapping[str, Any]) -> Mapping[str, Tensor]:
    tensors = rgb_input(tensors, _FIRST)
    if args["pool"] == "regional-gem" and _POWER in tensors:
        tensors[_POWER] = RegionalGeM(**args["pool_args"]).p.detach()
    return tensors


CVNET = Layout(
    name="cvnet",
    architecture="GlobalDescriptor",
    signature=_FIRST,
    prefixes=(
        *pycls_resnet_prefixes(_ENCODER, "backbone."),
        (f"{_ENCODER}head.pool.", "global_pool."),
        (f"{_ENCODER}head.fc.", "neck.0."),
    ),
    arguments=_arguments,
    unused=_unused,
    converted=_converted,
)
