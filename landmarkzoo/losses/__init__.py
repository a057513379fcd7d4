"""Losses: they stand beside the layers and know no model."""

from landmarkzoo.losses.arcface.head import SubCenterArcFaceDynamic
from landmarkzoo.losses.arcface.label_noise import CenterUsage, Outliers
from landmarkzoo.losses.arcface.margins import add_angular_margin, dynamic_margins
from landmarkzoo.losses.arcface.memory import MemoryEstimate, memory_estimate
from landmarkzoo.losses.arcface.prediction import Predictions
from landmarkzoo.losses.head_files import read_head, save_head

__all__ = [
    "CenterUsage",
    "MemoryEstimate",
    "Outliers",
    "Predictions",
    "SubCenterArcFaceDynamic",
    "add_angular_margin",
    "dynamic_margins",
    "memory_estimate",
    "read_head",
    "save_head",
]
