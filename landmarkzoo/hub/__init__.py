"""Saved models: folders, the Hugging Face Hub, model cards, export. This room knows no architecture."""

from landmarkzoo.hub.loading import is_saved, load_head
from landmarkzoo.hub.mixin import HubMixin
from landmarkzoo.hub.model_cards import model_card
from landmarkzoo.hub.onnx_export import export_onnx

__all__ = ["HubMixin", "export_onnx", "is_saved", "load_head", "model_card"]
