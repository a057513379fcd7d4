"""Architectures: each file reads from top to bottom like the figure of its paper."""

from landmarkzoo.models.descriptor_model import DescriptorModel
from landmarkzoo.models.dolg import DOLG
from landmarkzoo.models.global_descriptor import GlobalDescriptor
from landmarkzoo.models.hybrid_swin import HybridSwin
from landmarkzoo.models.imagenet_weights import WeightsNotFoundError
from landmarkzoo.models.model_cfg import ModelCfg, Score

__all__ = [
    "DOLG",
    "DescriptorModel",
    "GlobalDescriptor",
    "HybridSwin",
    "ModelCfg",
    "Score",
    "WeightsNotFoundError",
]
