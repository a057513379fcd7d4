"""Metrics, each named by its protocol; what is ignored, tied or empty is explicit."""

from landmarkzoo.metrics.confidence import Interval, bootstrap
from landmarkzoo.metrics.first_results import hit_at, precision_at, recall_at
from landmarkzoo.metrics.recognition import gap, gap_of_rows, gap_terms
from landmarkzoo.metrics.retrieval import average_precisions, mean_average_precision
from landmarkzoo.metrics.revisited_protocol import revisited, revisited_values

__all__ = [
    "Interval",
    "average_precisions",
    "bootstrap",
    "gap",
    "gap_of_rows",
    "gap_terms",
    "hit_at",
    "mean_average_precision",
    "precision_at",
    "recall_at",
    "revisited",
    "revisited_values",
]
