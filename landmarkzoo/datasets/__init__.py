"""Labelled photos: data sets with ids, labels and, where they have one, a split."""

from landmarkzoo.datasets.csv_photos import CsvPhotos
from landmarkzoo.datasets.image_folder import ImageFolder
from landmarkzoo.datasets.rendered import RenderedLandmarks
from landmarkzoo.datasets.revisited import RevisitedOxford, RevisitedParis, RevisitedPhotos

__all__ = [
    "CsvPhotos",
    "ImageFolder",
    "RenderedLandmarks",
    "RevisitedOxford",
    "RevisitedParis",
    "RevisitedPhotos",
]
