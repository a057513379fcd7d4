"""Labelled photos: data sets with ids, labels and, where they have one, a split."""

from landmarkzoo.datasets.image_folder import ImageFolder

__all__ = ["ImageFolder"]
