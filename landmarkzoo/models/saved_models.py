"""Models that ``save_pretrained`` or ``push_to_hub`` wrote."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from landmarkzoo._utils.bounded_building import TooLargeError, largest_argument, no_larger_than
from landmarkzoo.hub.model_files import (
    CONFIG_FILE,
    WEIGHTS_FILE,
    read_config,
    read_weights,
    stored_tensors,
)
from landmarkzoo.models.descriptor_model import DescriptorModel
from landmarkzoo.models.from_cfg import build_from_cfg
from landmarkzoo.models.model_cfg import ModelCfg
from landmarkzoo.models.registry import check_arguments, find_architecture


def saved_model(folder: Path, overrides: Mapping[str, Any]) -> DescriptorModel:
    """A model that ``save_pretrained`` wrote.

    Args:
        folder: Where it is.
        overrides: Arguments of the architecture that replace the saved ones.

    Raises:
        FileNotFoundError: If a file is missing.
        ValueError: If a file is damaged, or they do not fit each other or what is registered.
    """
    cfg, stored = read_cfg(folder), stored_tensors(folder)
    try:
        check_arguments(find_architecture(cfg.architecture), cfg.args)
    except ValueError as error:
        raise ValueError(f"{folder}: {error}") from error
    try:
        with no_larger_than(stored):
            model = build_from_cfg(cfg, overrides)
    except TooLargeError as error:
        raise ValueError(
            f"{folder / CONFIG_FILE} does not fit {WEIGHTS_FILE} beside it: its model has {error}. Its "
            f"largest argument is {largest_argument(cfg.args)}"
        ) from error
    except Exception as error:  # arguments of a foreign file can make a class fail in any way
        cause = " ".join(str(error).partition("\nException raised from")[0].split()).rstrip(".")
        if not isinstance(error, (TypeError, ValueError)) or "verflow" in cause:  # torch has no class for it
            cause = f"{type(error).__name__}: {cause}; its largest argument is {largest_argument(cfg.args)}"
        raise ValueError(
            f"{folder}: the model that its {CONFIG_FILE} describes cannot be built here: {cause}. If a newer "
            "landmarkzoo or timm saved it, upgrade"
        ) from error
    read_weights(model, folder)
    if not overrides and cfg.embedding_dim != model.embedding_dim:
        raise ValueError(
            f"{folder / CONFIG_FILE} is damaged: its embedding_dim is {cfg.embedding_dim}, but its model "
            f"gives descriptors of size {model.embedding_dim}"
        )
    if not overrides and cfg.input_size != model.cfg.input_size:
        raise ValueError(
            f"{folder / CONFIG_FILE} is damaged: its input_size is {cfg.input_size}, which its model "
            "does not take"
        )
    return model


def read_cfg(folder: Path) -> ModelCfg:
    """The cfg of a model that ``save_pretrained`` wrote.

    Raises:
        FileNotFoundError: If there is none.
        ValueError: If it is damaged.
    """
    try:
        return ModelCfg.from_fields(read_config(folder))
    except ValueError as error:
        path = folder / CONFIG_FILE
        if str(path) in str(error):
            raise
        raise ValueError(f"{path} is damaged or of a newer landmarkzoo: {error}") from error
