"""Metrics, each named by its protocol; what is ignored, tied or empty is explicit."""

from landmarkzoo.metrics.average_precision import average_precisions, mean_average_precision
from landmarkzoo.metrics.bootstrap_intervals import bootstrap
from landmarkzoo.metrics.global_average_precision import gap, gap_statistic, per_image_gap
from landmarkzoo.metrics.recall_and_precision import hit_rate_at_k, precision_at_k, recall_at_k
from landmarkzoo.metrics.revisited_metrics import revisited, revisited_values
from landmarkzoo.metrics.scores import Interval, Score

__all__ = [
    "Interval",
    "Score",
    "average_precisions",
    "bootstrap",
    "gap",
    "gap_statistic",
    "hit_rate_at_k",
    "mean_average_precision",
    "per_image_gap",
    "precision_at_k",
    "recall_at_k",
    "revisited",
    "revisited_values",
]
