"""Labelled photos: data sets with ids, labels and, where they have one, a split."""

from landmarkzoo.datasets.csv_photos import CsvPhotos
from landmarkzoo.datasets.image_folder import ImageFolder
from landmarkzoo.datasets.rendered import RenderedLandmarks

__all__ = ["CsvPhotos", "ImageFolder", "RenderedLandmarks"]
