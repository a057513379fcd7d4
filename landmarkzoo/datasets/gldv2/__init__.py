"""Google Landmarks v2: its CSV files, the lists made from them, and its photos."""

from landmarkzoo.datasets.gldv2.csv_tables import index_to_train_landmarks
from landmarkzoo.datasets.gldv2.gldv2_dataset import GLDv2
from landmarkzoo.datasets.gldv2.lists import GLDv2Lists, ImageList, build_gldv2_lists
from landmarkzoo.datasets.gldv2.solutions import Solution
from landmarkzoo.datasets.gldv2.wit_list import Ambiguity, WitList, build_wit_list

__all__ = [
    "Ambiguity",
    "GLDv2",
    "GLDv2Lists",
    "ImageList",
    "Solution",
    "WitList",
    "build_gldv2_lists",
    "build_wit_list",
    "index_to_train_landmarks",
]
