"""A model on disk: ``config.json`` with its cfg, ``model.safetensors`` with its weights."""

from __future__ import annotations

import json
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from landmarkzoo.atomic_write import replacing
from landmarkzoo.models.model_cfg import ModelCfg, Score

CONFIG_FILE = "config.json"
WEIGHTS_FILE = "model.safetensors"
_FORMAT = "landmarkzoo.model.v1"
# What a model is built and fed by: defaults in their place would be silently wrong.
_NEEDED = {"architecture", "args", "embedding_dim", "input_size", "mean", "std", "interpolation", "resize"}


def write_model(model: nn.Module, cfg: ModelCfg, folder: Path) -> None:
    """Write weights and cfg into a folder; each file whole or not at all."""
    _config(cfg)  # what cannot be written is noticed before the weights are
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()}
    with replacing(folder / WEIGHTS_FILE) as temporary:
        save_file(tensors, str(temporary), {"format": "pt"})
    write_cfg(cfg, folder)


def write_cfg(cfg: ModelCfg, folder: Path) -> None:
    """Write a cfg into a folder, whole or not at all."""
    with replacing(folder / CONFIG_FILE) as temporary:
        temporary.write_text(_config(cfg), encoding="utf-8")


def _config(cfg: ModelCfg) -> str:
    return json.dumps({"format": _FORMAT, **asdict(cfg)}, ensure_ascii=False, indent=2) + "\n"


def read_cfg(folder: Path) -> ModelCfg:
    """The cfg that :func:`write_model` wrote.

    Raises:
        FileNotFoundError: If there is none.
        ValueError: If it is damaged, something else, or of a newer version.
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
    known = {field.name for field in fields(ModelCfg)}
    wrong = sorted(config.keys() - known) or sorted(_NEEDED - config.keys())
    if wrong:
        raise ValueError(
            f"{path} is damaged or of a newer landmarkzoo: {', '.join(wrong)} unknown or missing"
        )
    try:
        config["scores"] = tuple(Score(**score) for score in config.get("scores", ()))
        return ModelCfg(**{name: _tuples(value) for name, value in config.items()})
    except (TypeError, ValueError) as error:
        raise ValueError(f"{path} is damaged or of a newer landmarkzoo: {error}") from error


def read_weights(model: nn.Module, folder: Path) -> None:
    """Load what :func:`write_model` wrote into a model of the same shape.

    Raises:
        FileNotFoundError: If there are no weights.
        ValueError: If they are damaged, or not those of this model.
    """
    path = folder / WEIGHTS_FILE
    if not path.is_file():
        raise FileNotFoundError(f"no {WEIGHTS_FILE} in {folder}; only safetensors are read")
    try:
        tensors = load_file(str(path))
    except SafetensorError as error:
        raise ValueError(f"{path} is damaged or no safetensors file: {error}") from error
    problems = _differences(tensors, model.state_dict())
    if problems:
        more = f", and {len(problems) - 3} more" if len(problems) > 3 else ""
        raise ValueError(f"{path} does not fit its {CONFIG_FILE}: {', '.join(problems[:3])}{more}")
    model.load_state_dict(tensors)


def _differences(found: dict[str, Tensor], needed: dict[str, Tensor]) -> list[str]:
    missing = [f"{name} is missing" for name in needed.keys() - found.keys()]
    unknown = [f"{name} is unknown" for name in found.keys() - needed.keys()]
    shapes = [
        f"{name} has shape {tuple(found[name].shape)}, not {tuple(tensor.shape)}"
        for name, tensor in needed.items()
        if name in found and found[name].shape != tensor.shape
    ]
    return sorted(missing) + sorted(unknown) + shapes


def _tuples(value: Any) -> Any:
    """JSON knows lists only."""
    if isinstance(value, list):
        return tuple(_tuples(v) for v in value)
    return {k: _tuples(v) for k, v in value.items()} if isinstance(value, dict) else value
