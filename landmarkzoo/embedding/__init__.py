"""Photos and a model in, descriptors out."""

from landmarkzoo.embedding.embed_photos import embed
from landmarkzoo.embedding.whitened_neck import whiten_neck

__all__ = ["embed", "whiten_neck"]
