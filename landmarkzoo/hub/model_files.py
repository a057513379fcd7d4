"""A model on disk: ``config.json`` with its cfg, ``model.safetensors`` with its weights."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from landmarkzoo._utils.atomic_writing import atomic_write

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

CONFIG_FILE = "config.json"
WEIGHTS_FILE = "model.safetensors"
_FORMAT = "landmarkzoo.model.v1"


def model_writers(model: nn.Module, cfg: DataclassInstance) -> dict[str, Callable[[Path], object]]:
    """The files of a model by name, each with what writes it, for ``write_together``.

    Raises:
        TypeError: If JSON cannot hold the cfg.
        ValueError: If the model has no weights, as it is on the meta device.
    """
    text, state = _config(cfg), model.state_dict()
    on_meta = [name for name, tensor in state.items() if tensor.is_meta]
    if on_meta:
        raise ValueError(
            f"the model has no weights that could be written: {on_meta[0]} is on the meta device. Load them "
            "first, by model.load_state_dict(weights, assign=True)"
        )
    return {
        WEIGHTS_FILE: lambda path: save_file(_apart(state), path, {"format": "pt"}),
        CONFIG_FILE: lambda path: path.write_text(text, encoding="utf-8"),
    }


def write_cfg(cfg: DataclassInstance, folder: Path) -> None:
    """Write a cfg into a folder, whole or not at all."""
    with atomic_write(folder / CONFIG_FILE) as temporary:
        temporary.write_text(_config(cfg), encoding="utf-8")


def _apart(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Tensors on the CPU that share no memory, which safetensors would refuse."""
    tensors: dict[str, Tensor] = {}
    places = set()
    for name, tensor in state.items():
        tensor = tensor.detach().cpu().contiguous()
        place = tensor.untyped_storage().data_ptr()
        tensors[name] = tensor.clone() if place in places else tensor
        places.add(place)
    return tensors


def _config(cfg: DataclassInstance) -> str:
    return json.dumps({"format": _FORMAT, **asdict(cfg)}, ensure_ascii=False, indent=2) + "\n"


def read_config(folder: Path) -> dict[str, Any]:
    """The fields of the cfg that ``save_pretrained`` wrote, with tuples for lists.

    Raises:
        FileNotFoundError: If the folder has no ``config.json``.
        ValueError: If it is damaged, of another library, or of a newer version.
    """
    path = folder / CONFIG_FILE
    if not path.is_file():
        raise FileNotFoundError(f"no {CONFIG_FILE} in {folder}: model.save_pretrained writes it")
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} is damaged: {error}") from error
    found = config.pop("format", None) if isinstance(config, dict) else None
    if found != _FORMAT:
        newer = str(found).startswith("landmarkzoo.model.v")
        fix = "it was written by a newer landmarkzoo: upgrade" if newer else "it is of another library"
        raise ValueError(f"{path} has the format {found!r}, {_FORMAT!r} is needed: {fix}")
    return {name: _tuples(value) for name, value in config.items()}


def read_weights(model: nn.Module, folder: Path) -> None:
    """Load what ``save_pretrained`` wrote into a model of the same shape.

    Raises:
        FileNotFoundError: If the folder has no ``model.safetensors``.
        ValueError: If it is damaged, or does not fit the model.
    """
    path = folder / WEIGHTS_FILE
    if not path.is_file():
        raise FileNotFoundError(f"no {WEIGHTS_FILE} in {folder}; only safetensors are read")
    try:
        tensors = load_file(str(path))
    except SafetensorError as error:
        raise ValueError(f"{path} is damaged or not a safetensors file: {error}") from error
    problems = differences(tensors, model.state_dict())
    if problems:
        more = f", and {len(problems) - 3} more" if len(problems) > 3 else ""
        raise ValueError(f"{path} does not fit its {CONFIG_FILE}: {', '.join(problems[:3])}{more}")
    model.load_state_dict(tensors)


def through_json(value: Any) -> Any:
    """A value as it comes back from ``config.json``.

    Raises:
        TypeError: If JSON cannot hold it.
        ValueError: If it holds itself.

    Examples:
        >>> through_json({"dilations": [3, 6], 1: 2})
        {'dilations': (3, 6), '1': 2}
    """
    return _tuples(json.loads(json.dumps(value)))


def differences(found: dict[str, Tensor], needed: dict[str, Tensor]) -> list[str]:
    """How two state dicts differ in names and shapes, one text for each tensor."""
    missing = [f"{name} is missing" for name in needed.keys() - found.keys()]
    unknown = [f"{name} is unknown" for name in found.keys() - needed.keys()]
    shapes = [
        f"{name} has shape {tuple(found[name].shape)}, not {tuple(tensor.shape)}"
        for name, tensor in needed.items()
        if name in found and found[name].shape != tensor.shape
    ]
    return sorted(missing) + sorted(unknown) + shapes


def _tuples(value: Any) -> Any:
    """Lists become tuples again: JSON has lists only."""
    if isinstance(value, list):
        return tuple(_tuples(v) for v in value)
    return {k: _tuples(v) for k, v in value.items()} if isinstance(value, dict) else value
