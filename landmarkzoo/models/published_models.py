"""Registered models with the landmark weights that their entries name.

Weights in a layout of their authors are converted once. The converted model lies beside the download, in a
folder that is called ``name.tag.landmarkzoo-<version>``, and later starts read that. It is made again where
it is damaged, or the download or the entry has changed since. With arguments of the user the file of the
authors is read, as these arguments may change what becomes of it. Weights in our own format, of a repository
or of this package, are read as they are.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from landmarkzoo.hub import client
from landmarkzoo.hub.client import HUB, HubOptions
from landmarkzoo.hub.loading import LOCAL
from landmarkzoo.hub.model_files import CONFIG_FILE, WEIGHTS_FILE
from landmarkzoo.hub.published_files import WeightsFile, fetch, sha256_of_fetched
from landmarkzoo.models.checkpoint_conversion import convert_checkpoint
from landmarkzoo.models.descriptor_model import DescriptorModel
from landmarkzoo.models.kept_copies import keep_copy
from landmarkzoo.models.model_cfg import ModelCfg
from landmarkzoo.models.packaged_weights import packaged_folder
from landmarkzoo.models.published_entries import BY_HAND
from landmarkzoo.models.saved_models import read_cfg, saved_model

_LOGGER = logging.getLogger(__name__)
_CONVERTER = 1  # counts up when a layout is converted to other values than before
_PHOTOS_IN = ("input_size", "mean", "std", "interpolation", "resize")


def published_model(cfg: ModelCfg, options: HubOptions, overrides: Mapping[str, Any]) -> DescriptorModel:
    """A registered model with its landmark weights, downloaded if they are neither here nor in the cache.

    Args:
        cfg: Its entry.
        options: Token, cache and the like.
        overrides: Arguments of the architecture that replace the registered ones.

    Raises:
        ConnectionError: If the weights are not cached and there is no answer.
        FileNotFoundError: If they have moved, or are not cached and no request may be made.
        OSError: If they cannot be written.
        PermissionError: If access is refused.
        ValueError: If the entry names none, they are damaged or others than the entry says, or ``options``
            have no use.
    """
    packaged = packaged_folder(cfg.weights)
    if packaged is not None:
        replace(options, local_files_only=False).check_unused(cfg.name)  # no network is what they need
        return _from_folder(cfg, packaged, f"{LOCAL}{packaged}", overrides).float()  # stored in float16
    if isinstance(cfg.weights, str):
        folder = client.download(cfg.weights, options, (WEIGHTS_FILE,))
        return _from_folder(cfg, folder, f"{HUB}{cfg.weights}", overrides)
    file = fetched_file(cfg, options)
    if overrides:
        return convert_checkpoint(file, str(cfg.name), **overrides)[0]
    try:
        folder = converted_folder(cfg, file)
    except OSError as error:
        _LOGGER.warning("%s is converted, but that cannot be kept for the next time: %s", cfg.name, error)
        return convert_checkpoint(file, str(cfg.name))[0]
    model = saved_model(folder, {})
    model.cfg = replace(cfg, args=model.cfg.args)
    return model


def model_from_file(cfg: ModelCfg, path: str | Path, overrides: Mapping[str, Any]) -> DescriptorModel:
    """A registered model with the landmark weights of a file that is here.

    Args:
        cfg: Its entry.
        path: The file, in the layout of the entry.
        overrides: Arguments of the architecture that replace the registered ones.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it cannot be read safely, or does not fit.
    """
    if packaged_folder(cfg.weights) is not None:
        raise ValueError(
            f"weights_file is for weights in a layout of their authors; those of {cfg.name!r} lie in "
            "landmarkzoo itself: pretrained=True loads them"
        )
    if isinstance(cfg.weights, str):
        raise ValueError(
            f"weights_file is for weights in a layout of their authors; those of {cfg.name!r} were saved by "
            f"landmarkzoo, hf-hub:{cfg.weights}: give a copy of them as 'local-dir:path'"
        )
    return convert_checkpoint(path, str(cfg.name), **overrides)[0]


def fetched_file(cfg: ModelCfg, options: HubOptions) -> Path:
    """The file that an entry names, in a layout of its authors, in the cache.

    Raises:
        ConnectionError: As :func:`published_model`, like all that follow.
        FileNotFoundError: It is not there.
        PermissionError: It may not be read.
        ValueError: It is another one than was published.
    """
    if not isinstance(cfg.weights, WeightsFile):
        raise ValueError(_no_weights(str(cfg.name)))
    return fetch(cfg.weights, options, name=str(cfg.name), license=cfg.license)


def converted_folder(cfg: ModelCfg, file: Path) -> Path:
    """The folder that holds the file of an entry as a model of ours, with its head if it has one.

    Args:
        cfg: The entry.
        file: The download.

    Raises:
        OSError: If the folder cannot be written; ``errno`` is then set.
        ValueError: If the file cannot be read safely, or does not fit.
    """
    assert isinstance(cfg.weights, WeightsFile)
    folder = file.parent / f"{cfg.name}.landmarkzoo-{_CONVERTER}"
    weights = replace(cfg.weights, sha256=sha256_of_fetched(file))

    def write(new: Path) -> None:
        model, head = convert_checkpoint(file, str(cfg.name))
        model.cfg = replace(model.cfg, weights=weights)
        model.save_pretrained(new, head)

    made_of = {"architecture": cfg.architecture, "args": cfg.args, "weights": asdict(weights)}
    keep_copy(folder, made_of, write)
    return folder


def _from_folder(cfg: ModelCfg, folder: Path, saved: str, overrides: Mapping[str, Any]) -> DescriptorModel:
    """A registered model whose weights are in our own format, and called ``saved`` there."""
    found = read_cfg(folder)
    wrong = [key for key in ("architecture", *_PHOTOS_IN) if getattr(found, key) != getattr(cfg, key)]
    wrong += [key for key, value in cfg.args.items() if found.args.get(key) != value]
    if wrong:
        raise ValueError(
            f"{cfg.weights} is not {cfg.name!r} as it is registered: its {CONFIG_FILE} has other values of "
            f"{', '.join(wrong)}; {saved!r} loads what it is"
        )
    try:
        model = saved_model(folder, overrides)
    except ValueError as error:
        if not overrides or "does not fit" not in str(error):
            raise
        shown = ", ".join(f"{name}={value!r}" for name, value in overrides.items())
        it = "it" if len(overrides) == 1 else "them"
        raise ValueError(
            f"the landmark weights of {cfg.name!r} do not fit {shown}: leave {it} out, or say "
            "pretrained_backbone=True for ImageNet weights"
        ) from error
    model.cfg = replace(model.cfg, name=cfg.name, weights=cfg.weights)
    return model


def _no_weights(name: str) -> str:
    base = name.partition(".")[0]
    if base in BY_HAND:
        return (
            f"no landmark weights of {name!r} can be loaded by name: {BY_HAND[base]}. To train from "
            "ImageNet weights of the backbone, say pretrained_backbone=True"
        )
    return (
        f"no landmark weights of {name!r} can be loaded by name. What works: ImageNet weights of the "
        "backbone, pretrained_backbone=True, to train from, or with neck='none' as they are; a model that "
        "somebody trained and saved, 'hf-hub:org/repo' or 'local-dir:path'; or a name of "
        "lz.list_models(pretrained=True), such as 'efficientnet_lite0_gem.rendered', which is in this package"
    )
