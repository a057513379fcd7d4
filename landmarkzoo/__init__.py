"""landmarkzoo: models, retrieval and recognition of landmarks in photos."""

from landmarkzoo.layers import GeM, OrthogonalFusion

__version__ = "0.1.0.dev0"

__all__ = [
    "GeM",
    "OrthogonalFusion",
]
