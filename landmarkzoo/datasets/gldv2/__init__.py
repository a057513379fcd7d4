"""Google Landmarks v2: its CSV files, the lists made from them, and its photos."""

from landmarkzoo.datasets.gldv2.lists import GLDv2Lists, ImageList, build_gldv2_lists
from landmarkzoo.datasets.gldv2.solutions import Solution
from landmarkzoo.datasets.gldv2.splits import GLDv2
from landmarkzoo.datasets.gldv2.tables import index_to_train_landmarks

__all__ = [
    "GLDv2",
    "GLDv2Lists",
    "ImageList",
    "Solution",
    "build_gldv2_lists",
    "index_to_train_landmarks",
]
