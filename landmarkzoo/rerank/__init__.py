"""Re-ranking: from descriptors, and labels where there are any, to better rankings. Knows no models."""

from landmarkzoo.rerank.discriminative import hard_discriminative, soft_discriminative
from landmarkzoo.rerank.graph_diffusion import diffusion
from landmarkzoo.rerank.k_reciprocal_neighbors import k_reciprocal
from landmarkzoo.rerank.query_expansion import alpha_query_expansion, database_augmentation
from landmarkzoo.rerank.superglobal_shortlist import superglobal
from landmarkzoo.rerank.voting import Votes, vote

__all__ = [
    "Votes",
    "alpha_query_expansion",
    "database_augmentation",
    "diffusion",
    "hard_discriminative",
    "k_reciprocal",
    "soft_discriminative",
    "superglobal",
    "vote",
]
