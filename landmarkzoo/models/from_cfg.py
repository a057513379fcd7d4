"""From a cfg to a model."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from landmarkzoo._utils.registering import arguments_of
from landmarkzoo.models.descriptor_model import DescriptorModel
from landmarkzoo.models.model_cfg import ModelCfg
from landmarkzoo.models.rebuilding import build
from landmarkzoo.models.registry import check_arguments, find_architecture


def build_from_cfg(
    cfg: ModelCfg, overrides: Mapping[str, Any], *, pretrained_backbone: bool = False
) -> DescriptorModel:
    """A model with random weights, or those of ImageNet, as a cfg describes it.

    Args:
        cfg: The model.
        overrides: Arguments of the architecture that replace those of ``cfg``. What the cfg states of the
            model as it is, such as its scores, is then left out.
        pretrained_backbone: Load ImageNet weights into the timm parts.

    Raises:
        ValueError: If the architecture or an argument is unknown.
    """
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
    if _changes(architecture, cfg.args, overrides):  # its scores do not apply to another model
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


def _changes(
    architecture: type[DescriptorModel], args: Mapping[str, Any], overrides: Mapping[str, Any]
) -> bool:
    """Whether overrides make another model, and do not just say what it is anyway."""
    parameters = inspect.signature(architecture).parameters
    defaults = {name: parameter.default for name, parameter in parameters.items()}
    return any({**defaults, **args}.get(name, defaults) != value for name, value in overrides.items())


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
