"""What training and growing a model need to know of its timm parts: names, order of layers, checkpointing.

timm's feature pyramids rename what they wrap (``layers.0.blocks.1`` becomes ``layers_0.blocks.1`` or
``model.layers.0.blocks.1``) and lose the order of layers that the whole model knows.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import torch
from timm.models._features import FeatureGetterNet
from timm.models._manipulate import group_with_matcher
from torch import nn

from landmarkzoo.backbones.imagenet_weights import create_timm_model


def create_structure(name: str, **kwargs: Any) -> nn.Module | None:
    """A timm model to look at, not to run; ``None`` if timm cannot build it with these arguments."""
    return build_on_meta(lambda: create_timm_model(name, **kwargs))


def build_on_meta(create: Callable[[], nn.Module]) -> nn.Module | None:
    """What a function builds, on the meta device if possible; ``None`` if timm cannot build it."""
    # The meta device makes no weights. Older timm computes some numbers while it builds a transformer,
    # which needs a real device.
    for device in ("meta", "cpu"):
        try:
            with torch.device(device):
                return create()
        except (RuntimeError, AttributeError, AssertionError):  # what timm raises if it cannot
            continue
    return None


def whole_name(part: nn.Module, name: str) -> str:
    """Name that a tensor of a timm part has in the whole timm model.

    Args:
        part: A backbone, a pyramid, or a Swin of this room.
        name: Name of a module or tensor in it.
    """
    if isinstance(part, FeatureGetterNet):
        return name.removeprefix("model.")
    if isinstance(part, nn.ModuleDict):  # timm's other wrappers, which flatten one level
        return re.sub(r"^([a-zA-Z]\w*?)_(\d+)(?=\.|$)", r"\1.\2", name)
    return name


def layer_numbers(part: nn.Module) -> dict[str, int]:
    """Number of the layer that each parameter of a part belongs to; 0 is the layer at the input.

    A layer is what timm's ``group_matcher`` of the model says: mostly one block, or the stem. In a model
    without one, timm's or not, it is a child, or a child's numbered child: a stage.

    Args:
        part: A backbone, a pyramid, or a Swin of this room, which knows the timm model that it was made of;
            or any other module.
    """
    names = {name: whole_name(part, name) for name, _ in part.named_parameters()}
    whole: nn.Module | None = part
    if not hasattr(part, "group_matcher"):
        name, args = getattr(part, "timm_name", None), getattr(part, "timm_args", {})
        whole = create_structure(name, **args) if isinstance(name, str) else None
    if whole is None or not hasattr(whole, "group_matcher"):
        stages = {name: re.sub(r"^([^.]+(\.\d+)?).*", r"\1", inside) for name, inside in names.items()}
        in_order = list(dict.fromkeys(stages.values()))
        return {name: in_order.index(stage) for name, stage in stages.items()}
    layers = group_with_matcher(
        ((inside, name) for name, inside in names.items()),
        whole.group_matcher(coarse=False),  # type: ignore[operator]
        return_values=True,
    )
    return {name: number for number, of_layer in layers.items() for name in of_layer}


def set_part_checkpointing(part: nn.Module, enable: bool) -> None:
    """Let a part compute its blocks again in the backward pass, or not.

    Raises:
        ValueError: If its model cannot.
    """
    able = part.model if isinstance(part, FeatureGetterNet) else part
    try:
        able.set_grad_checkpointing(enable)  # type: ignore[operator]
    except (AssertionError, AttributeError) as error:  # what timm raises if it cannot
        if enable:
            raise ValueError(
                f"{type(able).__name__} cannot do gradient checkpointing: use a smaller batch, or "
                "another backbone"
            ) from error
