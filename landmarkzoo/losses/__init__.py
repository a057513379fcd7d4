"""Losses over landmarks: heads with centers of classes. They know no model.

``base_head.py`` says what all heads have in common, ``head_files.py`` saves and loads them, ``cosface.py``
is the smallest one, ``arcface/`` that of the paper.
"""

from landmarkzoo.losses.arcface.head import SubCenterArcFaceDynamic
from landmarkzoo.losses.arcface.label_noise import CenterUsage, Outliers
from landmarkzoo.losses.arcface.margins import add_angular_margin, dynamic_margins
from landmarkzoo.losses.arcface.memory_estimates import MemoryEstimate, memory_estimate
from landmarkzoo.losses.base_head import BestClasses, Head, register_head
from landmarkzoo.losses.cosface import CosFace
from landmarkzoo.losses.head_files import read_head, save_head

__all__ = [
    "BestClasses",
    "CenterUsage",
    "CosFace",
    "Head",
    "MemoryEstimate",
    "Outliers",
    "SubCenterArcFaceDynamic",
    "add_angular_margin",
    "dynamic_margins",
    "memory_estimate",
    "read_head",
    "register_head",
    "save_head",
]
