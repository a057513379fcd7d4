"""Export to ONNX, for runtimes without PyTorch."""

from __future__ import annotations

import copy
import threading
from importlib.util import find_spec
from pathlib import Path

import torch

from landmarkzoo._utils.atomic_writing import atomic_write, check_writable
from landmarkzoo.hub.mixin import HubMixin

_EXPORTING = threading.Lock()  # torch traces one model at a time
_NEEDED = ("onnx", "onnxscript")


def export_onnx(model: HubMixin, path: str | Path) -> None:
    """Write a model as one ONNX file: images (B, 3, H, W), any B, to descriptors (B, D), not normalised.

    Height and width are those of ``model.cfg.input_size``. Its inputs are the outputs of
    ``lz.create_transform(model)``, in float32. A copy in eval mode is exported, and the model left as it is.

    Args:
        model: A model of landmarkzoo.
        path: The file to write, whole or not at all.

    Raises:
        ModuleNotFoundError: If onnx or onnxscript is not installed.
        OSError: If the file cannot be written, which is tried first.
        TypeError: If ``model`` is not a landmarkzoo model.
        ValueError: If it is on the meta device.
    """
    if not isinstance(model, HubMixin):
        raise TypeError(
            f"export_onnx takes a landmarkzoo model, got {type(model).__name__}; in a wrapper it is .module, "
            "or ._orig_mod of torch.compile"
        )
    missing = [name for name in _NEEDED if find_spec(name) is None]
    if missing:
        raise ModuleNotFoundError(
            f"ONNX export needs {' and '.join(missing)}: pip install {' '.join(missing)}"
        )
    check_writable(path)
    parameter = next(model.parameters())
    if parameter.is_meta:
        raise ValueError("the model has no weights that could be exported: it is on the meta device")
    images = torch.zeros(2, *model.cfg.input_size, device=parameter.device, dtype=parameter.dtype)
    with _EXPORTING, atomic_write(path) as temporary:
        torch.onnx.export(
            copy.deepcopy(model).eval(),
            (images,),
            str(temporary),
            input_names=["images"],
            output_names=["descriptors"],
            dynamic_shapes=({0: torch.export.Dim("batch", min=1, max=2**16)},),
            dynamo=True,
            external_data=False,
            verbose=False,
        )
