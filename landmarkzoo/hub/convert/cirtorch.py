"""Networks of cirtorch: GeM and a learned whitening on a ResNet.

[Radenović et al. 2018](https://arxiv.org/abs/1711.02512), code filipradenovic/cnnimageretrieval-pytorch on
GitHub.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from landmarkzoo.hub.convert.layout import Layout
from landmarkzoo.hub.convert.pycls_names import sequential_resnet_prefixes


def _arguments(
    tensors: Mapping[str, Tensor], registered: Mapping[str, Any], given: Mapping[str, Any]
) -> tuple[dict[str, Any], str]:
    theirs = {"pool": "gem", "normalize_pooled": True, "neck": "fc"}
    return {**theirs, **given}, "GeM, L2, Linear, as in cirtorch"


CIRTORCH = Layout(
    name="cirtorch",
    architecture="GlobalDescriptor",
    signature="whiten.weight",
    prefixes=(
        *sequential_resnet_prefixes("features.", "backbone."),
        ("pool.", "global_pool."),
        ("whiten.", "neck.0."),
    ),
    arguments=_arguments,
)
