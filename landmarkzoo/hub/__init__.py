"""Saved models: folders, the Hugging Face Hub, model cards, export, and the layouts of other code.

Only ``convert`` knows architectures, by their names and the names of their weights; no class of a model is
imported here.
"""

from landmarkzoo.hub.class_names import fetch_class_names, read_class_names
from landmarkzoo.hub.loading import is_saved
from landmarkzoo.hub.mixin import HubMixin
from landmarkzoo.hub.model_cards import model_card
from landmarkzoo.hub.onnx_export import export_onnx

__all__ = [
    "HubMixin",
    "export_onnx",
    "fetch_class_names",
    "is_saved",
    "model_card",
    "read_class_names",
]
