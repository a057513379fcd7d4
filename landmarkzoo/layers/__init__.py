"""Building blocks that work in any PyTorch model: pooling, fusion, local branch, neck, mixed precision."""

from landmarkzoo.layers.autocast import mixed_precision
from landmarkzoo.layers.local_branch import MultiAtrous, SpatialAttention
from landmarkzoo.layers.neck import Neck
from landmarkzoo.layers.optimal_transport import OptimalTransportAggregation, transport_plan
from landmarkzoo.layers.orthogonal_fusion import OrthogonalFusion, orthogonal_part
from landmarkzoo.layers.pooling import GeM, gem
from landmarkzoo.layers.regional_pooling import RegionalGeM, regional_map

__all__ = [
    "GeM",
    "MultiAtrous",
    "Neck",
    "OptimalTransportAggregation",
    "OrthogonalFusion",
    "RegionalGeM",
    "SpatialAttention",
    "gem",
    "mixed_precision",
    "orthogonal_part",
    "regional_map",
    "transport_plan",
]
