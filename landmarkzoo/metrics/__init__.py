"""Metrics, each named by its protocol; what is ignored, tied or empty is explicit."""

from landmarkzoo.metrics.recognition import gap
from landmarkzoo.metrics.retrieval import mean_average_precision

__all__ = ["gap", "mean_average_precision"]
