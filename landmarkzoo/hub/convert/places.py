"""Models of CosPlace and EigenPlaces: GeM of a map of unit vectors, and a Linear, on a ResNet.

[Berton et al. 2022](https://arxiv.org/abs/2204.02287) and [2023](https://arxiv.org/abs/2308.10832), code
gmberton/CosPlace and gmberton/EigenPlaces on GitHub.
"""

from __future__ import annotations

from landmarkzoo.hub.convert.layout import Layout, always
from landmarkzoo.hub.convert.pycls_names import sequential_resnet_prefixes

PLACES = Layout(
    name="places",
    architecture="GlobalDescriptor",
    signature="aggregation.1.p",
    prefixes=(
        *sequential_resnet_prefixes("backbone.", "backbone."),
        ("aggregation.1.", "global_pool."),
        ("aggregation.3.", "neck.0."),
    ),
    arguments=always(
        "L2 at each position, GeM, Linear, as in CosPlace and EigenPlaces",
        pool="gem",
        normalize_map=True,
        neck="fc",
    ),
)
