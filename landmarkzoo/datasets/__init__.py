"""Labelled photos: map-style data sets with ids, as in torchvision; and submissions to competitions."""

from landmarkzoo.datasets.csv_photos import CsvPhotos
from landmarkzoo.datasets.gldv2 import (
    Ambiguity,
    GLDv2,
    GLDv2Lists,
    ImageList,
    Solution,
    WitList,
    build_gldv2_lists,
    build_wit_list,
    index_to_train_landmarks,
)
from landmarkzoo.datasets.image_folder import ImageFolder
from landmarkzoo.datasets.oxford_paris import RevisitedOxford, RevisitedParis, RevisitedPhotos
from landmarkzoo.datasets.photo_dataset import PhotoDataset, PhotoFiles
from landmarkzoo.datasets.submissions import (
    RecognitionSubmission,
    read_recognition_submission,
    read_retrieval_submission,
    write_recognition_submission,
    write_retrieval_submission,
)

__all__ = [
    "Ambiguity",
    "CsvPhotos",
    "GLDv2",
    "GLDv2Lists",
    "ImageFolder",
    "ImageList",
    "PhotoDataset",
    "PhotoFiles",
    "RecognitionSubmission",
    "RevisitedOxford",
    "RevisitedParis",
    "RevisitedPhotos",
    "Solution",
    "WitList",
    "build_gldv2_lists",
    "build_wit_list",
    "index_to_train_landmarks",
    "read_recognition_submission",
    "read_retrieval_submission",
    "write_recognition_submission",
    "write_retrieval_submission",
]
