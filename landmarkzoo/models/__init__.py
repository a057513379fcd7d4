"""Architectures: each file reads from top to bottom like the figure of its paper."""

from landmarkzoo.models.descriptor_model import DescriptorModel
from landmarkzoo.models.dolg import DOLG
from landmarkzoo.models.freezing import freeze, unfreeze
from landmarkzoo.models.global_descriptor import GlobalDescriptor
from landmarkzoo.models.growth import CarriedWeights, carry_weights
from landmarkzoo.models.hybrid_swin import HybridSwin
from landmarkzoo.models.imagenet_weights import WeightsNotFoundError
from landmarkzoo.models.model_cfg import ModelCfg, Score
from landmarkzoo.models.optimizer_groups import parameter_groups

__all__ = [
    "DOLG",
    "CarriedWeights",
    "DescriptorModel",
    "GlobalDescriptor",
    "HybridSwin",
    "ModelCfg",
    "Score",
    "WeightsNotFoundError",
    "carry_weights",
    "freeze",
    "parameter_groups",
    "unfreeze",
]
