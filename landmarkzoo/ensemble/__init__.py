"""Several models together: rankings, descriptors, and the paper's two ensembles. Knows no model."""

from landmarkzoo.ensemble.families import concat_families
from landmarkzoo.ensemble.paper import (
    PAPER_RECOGNITION,
    PAPER_RETRIEVAL,
    DescriptorSet,
    Member,
    paper_recognition,
    paper_retrieval,
)
from landmarkzoo.ensemble.score_sums import sum_scores

__all__ = [
    "PAPER_RECOGNITION",
    "PAPER_RETRIEVAL",
    "DescriptorSet",
    "Member",
    "concat_families",
    "paper_recognition",
    "paper_retrieval",
    "sum_scores",
]
