"""Networks of cirtorch: GeM and a learned whitening on a ResNet.

[Radenović et al. 2018](https://arxiv.org/abs/1711.02512), code filipradenovic/cnnimageretrieval-pytorch on
GitHub.
"""

from __future__ import annotations

from landmarkzoo.hub.convert.layout import Layout, always
from landmarkzoo.hub.convert.pycls_names import sequential_resnet_prefixes

CIRTORCH = Layout(
    name="cirtorch",
    architecture="GlobalDescriptor",
    signature="whiten.weight",
    prefixes=(
        *sequential_resnet_prefixes("features.", "backbone."),
        ("pool.", "global_pool."),
        ("whiten.", "neck.0."),
    ),
    arguments=always("GeM, L2, Linear, as in cirtorch", pool="gem", normalize_pooled=True, neck="fc"),
)
