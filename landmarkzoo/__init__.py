"""landmarkzoo: models, retrieval and recognition of landmarks in photos."""

from landmarkzoo import datasets, evaluation, losses, metrics, rerank
from landmarkzoo.data import PhotoError, create_transform
from landmarkzoo.embedding import embed, whiten_neck
from landmarkzoo.evaluation import Evaluation, evaluate
from landmarkzoo.layers import GeM, OrthogonalFusion
from landmarkzoo.losses import SubCenterArcFaceDynamic, dynamic_margins, memory_estimate
from landmarkzoo.models import DOLG, GlobalDescriptor, HybridSwin, ModelCfg, Score, WeightsNotFoundError
from landmarkzoo.registry import get_model_cfg, is_model, list_models
from landmarkzoo.retrieval import Descriptors, Ranking, search
from landmarkzoo.weights import create_model, export_onnx, load_head

__version__ = "0.1.0.dev0"

__all__ = [
    "DOLG",
    "Descriptors",
    "Evaluation",
    "GeM",
    "GlobalDescriptor",
    "HybridSwin",
    "ModelCfg",
    "OrthogonalFusion",
    "PhotoError",
    "Ranking",
    "Score",
    "SubCenterArcFaceDynamic",
    "WeightsNotFoundError",
    "create_model",
    "create_transform",
    "datasets",
    "dynamic_margins",
    "embed",
    "evaluate",
    "evaluation",
    "export_onnx",
    "get_model_cfg",
    "is_model",
    "list_models",
    "load_head",
    "losses",
    "memory_estimate",
    "metrics",
    "rerank",
    "search",
    "whiten_neck",
]
