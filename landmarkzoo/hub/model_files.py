"""A model on disk: ``config.json`` with its cfg, ``model.safetensors`` with its weights."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from landmarkzoo._utils.atomic_writing import atomic_write
from landmarkzoo._utils.bounded_building import tensors_in

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

CONFIG_FILE = "config.json"
WEIGHTS_FILE = "model.safetensors"
_FORMAT = "landmarkzoo.model.v1"
_LARGEST_CONFIG = 2**20  # bytes; those of our models have about a thousand
# A file holds weights in these types, or whole numbers where the model has whole numbers.
_FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)


def plain_state_dict(model: nn.Module) -> dict[str, Tensor]:
    """The state dict by the names that it has without ``torch.compile`` of the model or of parts of it."""
    state = model.state_dict()
    return {".".join(part for part in name.split(".") if part != "_orig_mod"): state[name] for name in state}


def model_writers(model: nn.Module, cfg: DataclassInstance) -> dict[str, Callable[[Path], object]]:
    """The files of a model by name, each with what writes it, for ``write_together``.

    Raises:
        TypeError: If JSON cannot hold the cfg.
        ValueError: If the model has no weights, as it is on the meta device.
    """
    text, state = _config(cfg), plain_state_dict(model)
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
    size = path.stat().st_size
    if size > _LARGEST_CONFIG:
        raise ValueError(f"{path} has {size} bytes, which no {CONFIG_FILE} of landmarkzoo has")
    try:
        config = json.loads(path.read_text(encoding="utf-8"), parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} is damaged: {error}") from error
    if not isinstance(config, dict):
        raise ValueError(f"{path} is no {CONFIG_FILE} of a model: it holds a {type(config).__name__}")
    found = config.pop("format", None)
    if found != _FORMAT:
        newer = str(found).startswith("landmarkzoo.model.v")
        fix = "it was written by a newer landmarkzoo: upgrade" if newer else "it is of another library"
        raise ValueError(f"{path} has the format {repr(found)[:80]}, {_FORMAT!r} is needed: {fix}")
    return {name: _tuples(value) for name, value in config.items()}


def _no_number(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no value that it can hold")


def stored_tensors(folder: Path) -> dict[str, Tensor]:
    """Names, shapes and dtypes of the weights that ``save_pretrained`` wrote, on the meta device.

    Raises:
        FileNotFoundError: If the folder has no ``model.safetensors``.
        ValueError: If it is damaged.
    """
    path = folder / WEIGHTS_FILE
    if not path.is_file():
        raise FileNotFoundError(f"no {WEIGHTS_FILE} in {folder}; only safetensors are read")
    try:
        return tensors_in(path)
    except SafetensorError as error:
        raise ValueError(f"{path} is damaged or not a safetensors file: {error}") from error


def read_weights(model: nn.Module, folder: Path) -> None:
    """Load what ``save_pretrained`` wrote into a model of the same shape, which takes the dtypes of the file.

    Raises:
        FileNotFoundError: If the folder has no ``model.safetensors``.
        ValueError: If it is damaged, or does not fit the model.
    """
    stored, path = stored_tensors(folder), folder / WEIGHTS_FILE
    needed = model.state_dict()
    problems = differences(stored, needed) or _other_dtypes(stored, needed)
    if problems:
        more = f", and {len(problems) - 3} more" if len(problems) > 3 else ""
        raise ValueError(f"{path} does not fit its {CONFIG_FILE}: {', '.join(problems[:3])}{more}")
    _take_dtypes(model, stored)
    model.load_state_dict(load_file(str(path)))


def _other_dtypes(stored: dict[str, Tensor], needed: dict[str, Tensor]) -> list[str]:
    """Weights of a type that none of our models has."""
    return [
        f"{name} has dtype {stored[name].dtype}, not {tensor.dtype}"
        for name, tensor in needed.items()
        if stored[name].dtype not in (_FLOATS if tensor.is_floating_point() else (tensor.dtype,))
    ]


def _take_dtypes(model: nn.Module, stored: dict[str, Tensor]) -> None:
    """Give a model the floating point types of stored tensors, so that no digit is lost."""
    floats = {tensor.dtype for tensor in stored.values() if tensor.is_floating_point()}
    if len(floats) == 1:
        model.to(floats.pop())  # with buffers that are not saved
        return
    for name, tensor in model.state_dict(keep_vars=True).items():
        if tensor.is_floating_point():
            tensor.data = tensor.data.to(stored[name].dtype)


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
