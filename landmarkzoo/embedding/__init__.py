"""Photos and a model in, descriptors out."""

from landmarkzoo.embedding.neck_whitening import whiten_neck
from landmarkzoo.embedding.photos_to_descriptors import embed

__all__ = ["embed", "whiten_neck"]
