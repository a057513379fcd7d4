"""Arrays in, arrays out: descriptors, exact search and its result. Knows no model."""

from landmarkzoo.retrieval.descriptors import Descriptors
from landmarkzoo.retrieval.exact_search import search
from landmarkzoo.retrieval.ranking import Ranking
from landmarkzoo.retrieval.whitening import Whitening

__all__ = ["Descriptors", "Ranking", "Whitening", "search"]
