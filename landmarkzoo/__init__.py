"""landmarkzoo: models, retrieval and recognition of landmarks in photos."""

from landmarkzoo import datasets, ensemble, evaluation, layers, losses, metrics, recognition, rerank, weights
from landmarkzoo.data import PhotoError, create_transform
from landmarkzoo.embedding import embed, whiten_neck
from landmarkzoo.evaluation import Evaluation, evaluate
from landmarkzoo.layers import GeM, OrthogonalFusion
from landmarkzoo.losses import SubCenterArcFaceDynamic, dynamic_margins, memory_estimate
from landmarkzoo.models import (
    DOLG,
    CarriedWeights,
    GlobalDescriptor,
    HybridSwin,
    ModelCfg,
    Score,
    WeightsNotFoundError,
    carry_weights,
    freeze,
    parameter_groups,
    unfreeze,
)
from landmarkzoo.recognition import Recognition, recognize
from landmarkzoo.registry import get_model_cfg, is_model, list_models
from landmarkzoo.retrieval import Descriptors, Ranking, Whitening, search
from landmarkzoo.weights import convert_checkpoint, create_model, export_onnx, load_head

__version__ = "0.1.0.dev0"

__all__ = [
    "DOLG",
    "CarriedWeights",
    "Descriptors",
    "Evaluation",
    "GeM",
    "GlobalDescriptor",
    "HybridSwin",
    "ModelCfg",
    "OrthogonalFusion",
    "PhotoError",
    "Ranking",
    "Recognition",
    "Score",
    "SubCenterArcFaceDynamic",
    "WeightsNotFoundError",
    "Whitening",
    "carry_weights",
    "convert_checkpoint",
    "create_model",
    "create_transform",
    "datasets",
    "dynamic_margins",
    "embed",
    "ensemble",
    "evaluate",
    "evaluation",
    "export_onnx",
    "freeze",
    "get_model_cfg",
    "is_model",
    "layers",
    "list_models",
    "load_head",
    "losses",
    "memory_estimate",
    "metrics",
    "parameter_groups",
    "recognition",
    "recognize",
    "rerank",
    "search",
    "unfreeze",
    "weights",
    "whiten_neck",
]
