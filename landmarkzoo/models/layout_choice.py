"""Which layout a checkpoint of other code has, and whether it is one of the model that the user named."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from landmarkzoo.hub.convert import LAYOUTS, Layout
from landmarkzoo.hub.convert.pycls_names import resnet_name
from landmarkzoo.models.model_cfg import ModelCfg
from landmarkzoo.models.registry import get_model_cfg, list_models

_SHOWN = 3  # names in an error


def chosen_layout(tensors: Mapping[str, Tensor], cfg: ModelCfg, given: Mapping[str, Any]) -> Layout:
    """The layout of a checkpoint that must be one of a registered model.

    Args:
        tensors: The checkpoint.
        cfg: The registered model.
        given: Arguments of the user, which replace the registered ones.

    Raises:
        ValueError: If the checkpoint has no known layout, or is one of another model; the message names the
            models that it fits.
    """
    candidates = [layout for layout in LAYOUTS if layout.architecture == cfg.architecture]
    if not candidates:
        known = list(dict.fromkeys(layout.architecture for layout in LAYOUTS))
        raise ValueError(
            f"{cfg.name!r} is a {cfg.architecture}; checkpoints of other code are known for "
            f"{', '.join(known[:-1])} and {known[-1]} only: see lz.list_models()"
        )
    layout = next((layout for layout in LAYOUTS if layout.signature in tensors), None)
    if layout is None:
        needed = " or ".join(layout.signature for layout in candidates)
        names = ", ".join(list(tensors)[:_SHOWN]) + (", ..." if len(tensors) > _SHOWN else "")
        raise ValueError(
            f"this is not a checkpoint of a {cfg.architecture} in a known layout: it has no {needed}, but "
            f"{names}"
        )
    told = _told(layout, tensors)
    fits = _fitting(layout, told)
    if layout.architecture != cfg.architecture:
        raise ValueError(
            f"this is a checkpoint of a {layout.architecture}, but {cfg.name!r} is a {cfg.architecture}{fits}"
        )
    expected = _layout_name(cfg)
    if expected not in (None, layout.name):
        raise ValueError(
            f"this is a checkpoint in the layout {layout.name!r}, but those of {cfg.name!r} have the layout "
            f"{expected!r}{fits}"
        )
    wrong = _differing(told, cfg, given)
    if wrong:
        raise ValueError(
            f"this checkpoint has {_shown(told, wrong)}, but {cfg.name!r} has {_shown(wrong, wrong)}"
            f"{fits or f'; give {_shown(told, wrong)} if that is meant'}"
        )
    return layout


def _told(layout: Layout, tensors: Mapping[str, Tensor]) -> dict[str, Any]:
    """Arguments of a model on a ResNet that the names and shapes of a checkpoint tell; empty for others."""
    ours = {layout.our_name(name): tensor for name, tensor in tensors.items()}
    backbone = resnet_name([name for name in ours if name is not None])
    if backbone is None:
        return {}
    weight = ours.get("neck.0.weight")
    size = {} if weight is None or weight.ndim != 2 else {"embedding_dim": weight.shape[0]}
    return {"backbone": backbone, **size}


def _differing(told: Mapping[str, Any], cfg: ModelCfg, given: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments of a model that differ from what a checkpoint tells."""
    args = {"embedding_dim": cfg.embedding_dim, **cfg.args, **given}
    return {
        name: args[name]
        for name, value in told.items()
        if name in args and (str(args[name]).partition(".")[0] != str(value))  # a backbone may have a tag
    }


def _fitting(layout: Layout, told: Mapping[str, Any]) -> str:
    """The registered models of a checkpoint, as the end of a sentence."""
    cfgs = {name: get_model_cfg(name) for name in list_models(pretrained=True)}
    fits = [
        name
        for name, cfg in cfgs.items()
        if _layout_name(cfg) == layout.name and not _differing(told, cfg, {})
    ]
    if not fits:
        return ""
    return f". It fits {', '.join(fits[:_SHOWN])}" + (", ..." if len(fits) > _SHOWN else "")


def _layout_name(cfg: ModelCfg) -> str | None:
    """The layout of the published weights of a model, or ``None`` if it has none in other code's layout."""
    return getattr(cfg.weights, "layout", None)


def _shown(values: Mapping[str, Any], names: Mapping[str, Any]) -> str:
    return " and ".join(f"{name}={values[name]!r}" for name in names)
