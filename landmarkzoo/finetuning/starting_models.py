"""What a fine-tuning starts from: a model by its name, its neck as a whitening, and what of it is trained."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias

import torch
from torch import nn

from landmarkzoo._utils.user_warnings import warn_user
from landmarkzoo.backbones import backbone_channels
from landmarkzoo.backbones.layer_depth import create_structure
from landmarkzoo.embedding.fingerprints import weights_fingerprint
from landmarkzoo.finetuning.recipes import Recipe
from landmarkzoo.hub.loading import is_saved
from landmarkzoo.models import DescriptorModel, ModelCfg, create_model, freeze, get_model_cfg
from landmarkzoo.models.descriptor_model import timm_part
from landmarkzoo.models.optimizer_groups import layer_depths
from landmarkzoo.models.wrappers import unwrapped
from landmarkzoo.photos.resizing import fitting_sides

StartingModel: TypeAlias = "str | Path | nn.Module"

_LAST_BLOCKS = 4  # of a plain transformer: as in the training of SALAD, arXiv 2311.15937
_LOCAL_DILATIONS = (3, 6, 9)


@dataclass(frozen=True)
class Start:
    """A model before the first step.

    Attributes:
        model: The model, on the CPU.
        is_trained: Whether it has a neck that was trained for descriptors; else the neck is to be whitened.
    """

    model: DescriptorModel
    is_trained: bool


def starting_model(model: StartingModel, recipe: Recipe) -> Start:
    """The model that a name stands for.

    A registered name starts from ImageNet weights; with the tag of its landmark weights, or where these are
    the only ones that it has, from them. A DOLG from ImageNet weights takes the whole backbone's descriptor
    for its global branch, so that it begins as well as a model without a local branch.

    Raises:
        TypeError: If it is neither a name nor a model of landmarkzoo.
        ValueError: If the name is unknown or damaged, or the model could not be saved.
        WeightsNotFoundError: If ImageNet weights cannot be found.
    """
    torch.manual_seed(recipe.seed)  # new layers are drawn
    if isinstance(model, nn.Module):
        return Start(_copy_of(model), is_trained=True)
    if not isinstance(model, (str, Path)):
        raise TypeError(
            f"model is a name, such as 'efficientnet_lite0_gem', or a model, got {type(model).__name__}"
        )
    if isinstance(model, Path) or is_saved(model):
        return Start(create_model(model, **recipe.model_args), is_trained=True)
    cfg = get_model_cfg(model)
    if "." in model or (cfg.name == model and cfg.weights is not None):
        return Start(create_model(model, pretrained=True, **recipe.model_args), is_trained=True)
    args = {**_gentle_arguments(cfg, recipe.model_args), **recipe.model_args}
    return Start(create_model(model, pretrained_backbone=True, **args), is_trained=False)


def identity_of(model: StartingModel) -> str:
    """A short text that another model changes."""
    if isinstance(model, nn.Module):
        return f"{type(unwrapped(model)).__name__} with weights {weights_fingerprint(model)}"
    return str(model)


def can_be_whitened(model: DescriptorModel) -> bool:
    """Whether the neck can be a whitening; a warning says what to do where a new one cannot."""
    if model.neck.kind == "fc-silu":
        warn_user(
            f"the neck 'fc-silu' of {model.cfg.name or model.cfg.architecture} starts at random, as its SiLU "
            "cannot be a whitening: model_args={'neck': 'fc-bn'} starts from one"
        )
    return model.neck.kind not in ("fc-silu", "none")


def choose_trained_part(model: DescriptorModel, trainable: int | str) -> None:
    """Freeze all batch norms, and the layers of the backbone that are not trained.

    Args:
        model: The model.
        trainable: See ``Recipe``.
    """
    norms = [
        name for name, module in model.named_modules() if isinstance(module, nn.modules.batchnorm._BatchNorm)
    ]
    if norms:
        freeze(model, *norms)
    if trainable == "auto":
        trainable = _LAST_BLOCKS if is_plain_transformer(model) else "all"
    if trainable == "all":
        return
    frozen = {name for name, depth in layer_depths(model).items() if depth > int(trainable)}
    whole = [
        name
        for name, module in model.named_modules()
        if name and _parameters(name, module) and _parameters(name, module) <= frozen
    ]
    parts = [*whole, *(name for name in frozen if "." in name)]
    if parts:
        freeze(model, *parts)


def is_plain_transformer(model: DescriptorModel) -> bool:
    """Whether the backbone is a stack of equal blocks over patches, as a ViT is."""
    parts = [timm_part(model, name) for name in model.timm_parts]
    return len(parts) == 1 and all(
        hasattr(part, "blocks") and hasattr(part, "patch_embed") and hasattr(part, "pos_drop")
        for part in parts
    )


def fitting_size(model: DescriptorModel, wanted: int) -> tuple[int, int]:
    """Height and width near ``wanted`` that a model takes.

    Examples:
        >>> from landmarkzoo.finetuning.starting_models import fitting_size
        >>> fitting_size(lz.create_model("efficientnet_lite0_gem"), 250)
        (250, 250)
    """
    rule = model.size_rule
    if rule.fixed is not None:
        return rule.fixed
    height, width = fitting_sides(wanted, wanted, rule)
    if rule.maximum is not None:
        most = rule.maximum - rule.maximum % rule.multiple
        height, width = min(height, most), min(width, most)
    return height, width


def with_test_size(cfg: ModelCfg, size: tuple[int, int]) -> ModelCfg:
    """The cfg with the size at which photos are embedded; a photo that kept its own is shrunk to it."""
    resize = "longest" if cfg.resize == "none" else cfg.resize
    return replace(cfg, input_size=(3, *size), resize=resize)


def _copy_of(model: nn.Module) -> DescriptorModel:
    inner = unwrapped(model)
    if not isinstance(inner, DescriptorModel):
        raise TypeError(f"model is a name or a model of landmarkzoo, got {type(inner).__name__}")
    inner = copy.deepcopy(inner).cpu().float()
    inner.check_saveable()
    return inner.requires_grad_(True)


def _gentle_arguments(cfg: ModelCfg, given: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments of a DOLG whose start is good, unless the user chooses its global branch."""
    if cfg.architecture != "DOLG" or {"global_map", "hidden_dim"} & given.keys():
        return {}
    backbone, args = (given.get(name, cfg.args.get(name)) for name in ("backbone", "backbone_args"))
    whole = create_structure(backbone, num_classes=0, **(args or {}))
    if whole is None:
        return {}
    dilations = tuple(cfg.args.get("dilations", ())) or _LOCAL_DILATIONS
    return {"global_map": "head", "hidden_dim": backbone_channels(whole), "dilations": dilations}


def _parameters(prefix: str, module: nn.Module) -> set[str]:
    return {f"{prefix}.{name}" for name, _ in module.named_parameters()}
