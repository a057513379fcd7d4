"""Architectures, each like the figure of its paper; the zoo by name; and what is done to models."""

from landmarkzoo.backbones.imagenet_weights import WeightsNotFoundError
from landmarkzoo.models.checkpoint_conversion import ConversionReport, convert_checkpoint, convert_state_dict
from landmarkzoo.models.descriptor_model import DescriptorModel, register_architecture
from landmarkzoo.models.dolg import DOLG
from landmarkzoo.models.factory import create_model
from landmarkzoo.models.freezing import freeze, unfreeze
from landmarkzoo.models.global_descriptor import GlobalDescriptor
from landmarkzoo.models.head_loading import load_head
from landmarkzoo.models.hybrid_swin import HybridSwin
from landmarkzoo.models.model_cfg import ModelCfg
from landmarkzoo.models.optimizer_groups import parameter_groups
from landmarkzoo.models.registry import get_model_cfg, is_model, list_models, register_model
from landmarkzoo.models.salad import SALAD
from landmarkzoo.models.weight_transfer import TransferReport, transfer_weights

__all__ = [
    "DOLG",
    "SALAD",
    "ConversionReport",
    "DescriptorModel",
    "GlobalDescriptor",
    "HybridSwin",
    "ModelCfg",
    "TransferReport",
    "WeightsNotFoundError",
    "convert_checkpoint",
    "convert_state_dict",
    "create_model",
    "freeze",
    "get_model_cfg",
    "is_model",
    "list_models",
    "load_head",
    "parameter_groups",
    "register_architecture",
    "register_model",
    "transfer_weights",
    "unfreeze",
]
