"""landmarkzoo: models, retrieval and recognition of landmarks in photos."""

from landmarkzoo.layers import GeM, OrthogonalFusion
from landmarkzoo.models import DOLG, GlobalDescriptor, ModelCfg, Score, WeightsNotFoundError
from landmarkzoo.registry import create_model, get_model_cfg, is_model, list_models

__version__ = "0.1.0.dev0"

__all__ = [
    "DOLG",
    "GeM",
    "GlobalDescriptor",
    "ModelCfg",
    "OrthogonalFusion",
    "Score",
    "WeightsNotFoundError",
    "create_model",
    "get_model_cfg",
    "is_model",
    "list_models",
]
