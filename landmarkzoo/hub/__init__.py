"""Weights that travel: into folders and from them, to the Hugging Face Hub and from it. Knows no model."""

from landmarkzoo.hub.loading import is_saved, load_head
from landmarkzoo.hub.mixin import HubMixin
from landmarkzoo.hub.model_cards import model_card
from landmarkzoo.hub.onnx_export import export_onnx

__all__ = ["HubMixin", "export_onnx", "is_saved", "load_head", "model_card"]
