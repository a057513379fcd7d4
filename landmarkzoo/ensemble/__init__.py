"""Several models together: rankings, descriptors, and the paper's two ensembles. Knows no model."""

from landmarkzoo.ensemble.descriptor_fusion import concat_families
from landmarkzoo.ensemble.paper_ensembles import (
    PAPER_RECOGNITION,
    PAPER_RETRIEVAL,
    DescriptorSet,
    Member,
    paper_recognition,
    paper_retrieval,
)
from landmarkzoo.ensemble.score_fusion import sum_scores

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
