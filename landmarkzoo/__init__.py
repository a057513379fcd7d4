"""landmarkzoo: models, retrieval and recognition of landmarks in photos.

All names are imported when the first one is used: ``import landmarkzoo`` and ``landmarkzoo --help`` do not
wait for PyTorch.
"""

from importlib import import_module as _import_module
from threading import RLock as _RLock
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from landmarkzoo import (
        datasets,
        ensemble,
        evaluation,
        finetuning,
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
    from landmarkzoo.classification import Predictions, classify
    from landmarkzoo.embedding import embed, whiten_neck
    from landmarkzoo.evaluation import Evaluation, evaluate
    from landmarkzoo.finetuning import FinetuneResult, finetune
    from landmarkzoo.hub import export_onnx
    from landmarkzoo.index import Index
    from landmarkzoo.layers import GeM, OrthogonalFusion
    from landmarkzoo.losses import SubCenterArcFaceDynamic, dynamic_margins, memory_estimate
    from landmarkzoo.metrics import Score
    from landmarkzoo.models import (
        DOLG,
        SALAD,
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
        load_head,
        parameter_groups,
        register_architecture,
        register_model,
        transfer_weights,
        unfreeze,
    )
    from landmarkzoo.photos import PhotoError, create_transform
    from landmarkzoo.recognition import Recognition, recognize
    from landmarkzoo.retrieval import Descriptors, Milvus, Ranking, Whitening, search

__version__ = "0.1.0.dev0"

__all__ = [
    "DOLG",
    "SALAD",
    "Descriptors",
    "Evaluation",
    "FinetuneResult",
    "GeM",
    "GlobalDescriptor",
    "HybridSwin",
    "Index",
    "Milvus",
    "ModelCfg",
    "OrthogonalFusion",
    "PhotoError",
    "Predictions",
    "Ranking",
    "Recognition",
    "Score",
    "SubCenterArcFaceDynamic",
    "TransferReport",
    "WeightsNotFoundError",
    "Whitening",
    "classify",
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
    "finetune",
    "finetuning",
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

if not TYPE_CHECKING:
    # Public names by the folder that they come from. The other public names are folders themselves.
    _NAMES_OF = {
        "classification": "Predictions classify",
        "embedding": "embed whiten_neck",
        "evaluation": "Evaluation evaluate",
        "finetuning": "FinetuneResult finetune",
        "hub": "export_onnx",
        "index": "Index",
        "layers": "GeM OrthogonalFusion",
        "losses": "SubCenterArcFaceDynamic dynamic_margins memory_estimate",
        "metrics": "Score",
        "models": "DOLG GlobalDescriptor HybridSwin ModelCfg SALAD TransferReport WeightsNotFoundError "
        "convert_checkpoint create_model freeze get_model_cfg is_model list_models load_head "
        "parameter_groups register_architecture register_model transfer_weights unfreeze",
        "photos": "PhotoError create_transform",
        "recognition": "Recognition recognize",
        "retrieval": "Descriptors Milvus Ranking Whitening search",
    }

    # Two threads that import PyTorch at once see each other's half of it, and crash.
    _lock = _RLock()

    def __getattr__(name: str) -> object:
        if name not in __all__ and name not in {*_NAMES_OF, "backbones"}:  # lz.retrieval.search, too
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        with _lock:
            for folder, names in _NAMES_OF.items():
                room = _import_module(f"landmarkzoo.{folder}")
                globals().update({public: getattr(room, public) for public in names.split()})
            for folder in set(__all__) - set(globals()):
                _import_module(f"landmarkzoo.{folder}")
            return globals()[name]

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__})
