"""Arrays in, arrays out: descriptors, search, exact or by other backends, and its result. Knows no model."""

from landmarkzoo.retrieval.descriptors import Descriptors
from landmarkzoo.retrieval.exact_search import search
from landmarkzoo.retrieval.faiss_backends import FaissFlat, FaissHNSW, FaissIVF
from landmarkzoo.retrieval.milvus import Milvus
from landmarkzoo.retrieval.ranking import Ranking
from landmarkzoo.retrieval.whitening import Whitening

__all__ = ["Descriptors", "FaissFlat", "FaissHNSW", "FaissIVF", "Milvus", "Ranking", "Whitening", "search"]
