"""landmarkzoo: models, retrieval and recognition of landmarks in photos."""

from landmarkzoo import (
    datasets,
    ensemble,
    evaluation,
    hub,
    layers,
    losses,
    metrics,
    models,
    photos,
    recognition,
    rendered,
    rerank,
)
from landmarkzoo.embedding import embed, whiten_neck
from landmarkzoo.evaluation import Evaluation, evaluate
from landmarkzoo.hub import export_onnx, load_head
from landmarkzoo.layers import GeM, OrthogonalFusion
from landmarkzoo.losses import SubCenterArcFaceDynamic, dynamic_margins, memory_estimate
from landmarkzoo.metrics import Score
from landmarkzoo.models import (
    DOLG,
    GlobalDescriptor,
    HybridSwin,
    ModelCfg,
    TransferReport,
    WeightsNotFoundError,
    convert_checkpoint,
    create_model,
    freeze,
    get_model_cfg,
    is_model,
    list_models,
    parameter_groups,
    register_architecture,
    register_model,
    transfer_weights,
    unfreeze,
)
from landmarkzoo.photos import PhotoError, create_transform
from landmarkzoo.recognition import Recognition, recognize
from landmarkzoo.retrieval import Descriptors, Ranking, Whitening, search

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
    "Recognition",
    "Score",
    "SubCenterArcFaceDynamic",
    "TransferReport",
    "WeightsNotFoundError",
    "Whitening",
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
    "hub",
    "is_model",
    "layers",
    "list_models",
    "load_head",
    "losses",
    "memory_estimate",
    "metrics",
    "models",
    "parameter_groups",
    "photos",
    "recognition",
    "recognize",
    "register_architecture",
    "register_model",
    "rendered",
    "rerank",
    "search",
    "transfer_weights",
    "unfreeze",
    "whiten_neck",
]
