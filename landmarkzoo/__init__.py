"""landmarkzoo: models, retrieval and recognition of landmarks in photos."""

from landmarkzoo import datasets, metrics, rerank
from landmarkzoo.data import PhotoError, create_transform
from landmarkzoo.embedding import embed, whiten_neck
from landmarkzoo.layers import GeM, OrthogonalFusion
from landmarkzoo.models import DOLG, GlobalDescriptor, ModelCfg, Score, WeightsNotFoundError
from landmarkzoo.registry import create_model, get_model_cfg, is_model, list_models
from landmarkzoo.retrieval import Descriptors, Ranking, search

__version__ = "0.1.0.dev0"

__all__ = [
    "DOLG",
    "Descriptors",
    "GeM",
    "GlobalDescriptor",
    "ModelCfg",
    "OrthogonalFusion",
    "PhotoError",
    "Ranking",
    "Score",
    "WeightsNotFoundError",
    "create_model",
    "create_transform",
    "datasets",
    "embed",
    "get_model_cfg",
    "is_model",
    "list_models",
    "metrics",
    "rerank",
    "search",
    "whiten_neck",
]
