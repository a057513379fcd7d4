"""Weights that travel: from a folder, from the Hub and to it, and from checkpoints of the authors."""

from landmarkzoo.weights.conversion import ConversionReport, convert_checkpoint, convert_state_dict
from landmarkzoo.weights.creation import create_model
from landmarkzoo.weights.heads import load_head
from landmarkzoo.weights.model_card import model_card
from landmarkzoo.weights.onnx_export import export_onnx
from landmarkzoo.weights.sources import is_saved

__all__ = [
    "ConversionReport",
    "convert_checkpoint",
    "convert_state_dict",
    "create_model",
    "export_onnx",
    "is_saved",
    "load_head",
    "model_card",
]
