"""Re-ranking: from descriptors, and labels where there are some, to better rankings. Knows no model."""

from landmarkzoo.rerank.graph_diffusion import diffusion
from landmarkzoo.rerank.hard import hard_discriminative
from landmarkzoo.rerank.query_expansion import alpha_query_expansion, database_augmentation
from landmarkzoo.rerank.reciprocal_neighbors import k_reciprocal
from landmarkzoo.rerank.soft import soft_discriminative
from landmarkzoo.rerank.voting import Votes, vote

__all__ = [
    "Votes",
    "alpha_query_expansion",
    "database_augmentation",
    "diffusion",
    "hard_discriminative",
    "k_reciprocal",
    "soft_discriminative",
    "vote",
]
