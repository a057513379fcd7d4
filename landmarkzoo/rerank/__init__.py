"""Re-ranking: from descriptors and labels to better rankings. Knows no model."""

from landmarkzoo.rerank.soft import soft_discriminative
from landmarkzoo.rerank.voting import Votes, vote

__all__ = ["Votes", "soft_discriminative", "vote"]
