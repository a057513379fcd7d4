"""From photos to the classes that a head was trained on: no reference photos are needed."""

from landmarkzoo.classification.classify_photos import classify
from landmarkzoo.classification.predictions import Predictions

__all__ = ["Predictions", "classify"]
