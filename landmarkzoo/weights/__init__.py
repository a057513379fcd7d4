"""Weights that travel: models and heads by name, from a folder."""

from landmarkzoo.weights.creation import create_model
from landmarkzoo.weights.heads import load_head
from landmarkzoo.weights.sources import is_saved

__all__ = ["create_model", "is_saved", "load_head"]
