"""From descriptors to labels, and to "no landmark". Knows no models."""

from landmarkzoo.recognition.recognizer import Recognition, recognize
from landmarkzoo.recognition.thresholds import threshold_at_precision

__all__ = ["Recognition", "recognize", "threshold_at_precision"]
