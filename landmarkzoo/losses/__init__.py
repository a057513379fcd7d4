"""Losses: they stand beside the layers and know no model."""

from landmarkzoo.losses.head_files import read_head, save_head
from landmarkzoo.losses.label_noise import CenterUsage, Outliers
from landmarkzoo.losses.margins import add_angular_margin, dynamic_margins
from landmarkzoo.losses.memory import MemoryEstimate, memory_estimate
from landmarkzoo.losses.prediction import Predictions
from landmarkzoo.losses.sub_center_arcface import SubCenterArcFaceDynamic

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
