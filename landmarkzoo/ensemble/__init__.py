"""Several models together: rankings by their scores, descriptors by families. Knows no models."""

from landmarkzoo.ensemble.descriptor_fusion import PAPER_RECOGNITION, PAPER_RETRIEVAL, concat_families
from landmarkzoo.ensemble.score_fusion import sum_scores

__all__ = ["PAPER_RECOGNITION", "PAPER_RETRIEVAL", "concat_families", "sum_scores"]
