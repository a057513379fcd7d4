"""Training checkpoints of DOLG and hybrid by the code of [Henkel 2021](https://arxiv.org/abs/2110.03786)."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any

from torch import Tensor

from landmarkzoo.backbones.pyramid import pyramid_levels, uncut_pyramid_names
from landmarkzoo.backbones.swin import grid_size_rule, named_swin_grid
from landmarkzoo.hub.convert.layout import Layout

_HEAD = "head.weight"
_PATCH_PROJECTION = "backbone.patch_embed.proj.weight"


def _dolg_arguments(
    tensors: Mapping[str, Tensor], registered: Mapping[str, Any], given: Mapping[str, Any]
) -> tuple[dict[str, Any], str]:
    """Arguments of DOLG. A checkpoint tells neither the dilations nor the stem stride."""
    told = {name: {**registered, **given}[name] for name in ("dilations", "stem_stride")}
    note = ", ".join(f"{name}={value}" for name, value in told.items())
    return {"projection": "reference", **given}, f"{note}: registered or as given, a checkpoint does not tell"


DOLG = Layout(
    name="henkel_dolg",
    architecture="DOLG",
    signature="mam.conv1.weight",
    prefixes=(
        ("backbone.", "backbone."),
        ("mam.d0.", "multi_atrous.branches.0."),
        ("mam.d1.", "multi_atrous.branches.1."),
        ("mam.d2.", "multi_atrous.branches.2."),
        ("mam.conv1.", "multi_atrous.project."),
        ("attention2d.conv1.", "spatial_attention.project."),
        ("attention2d.bn.", "spatial_attention.norm."),
        ("attention2d.conv2.", "spatial_attention.score."),
        ("conv_g.", "global_project."),
        ("bn_g.", "global_norm."),
        ("global_pool.", "global_pool."),
        ("neck.", "neck."),
    ),
    head=_HEAD,
    arguments=_dolg_arguments,
)


def _hybrid_arguments(
    tensors: Mapping[str, Tensor], registered: Mapping[str, Any], given: Mapping[str, Any]
) -> tuple[dict[str, Any], str]:
    """Arguments of a hybrid: the level of its CNN is read from the checkpoint.

    It is the level whose map has the channels that the checkpoint projects. A checkpoint tells neither the
    stride of the first convolution nor the image size. The registered ones stay where the map then has the
    grid of the Swin; else the other stem stride is taken where that fits the registered image size; else the
    image size that fits the registered stem stride.

    Raises:
        ValueError: If no map of the CNN has these channels, or several have and the registered one has not.
    """
    projection = tensors.get(_PATCH_PROJECTION)
    if projection is None:
        raise ValueError(f"this is not a checkpoint of a hybrid: it has no {_PATCH_PROJECTION}")
    if projection.ndim != 4:
        raise ValueError(
            f"the patch projection of the checkpoint has shape {tuple(projection.shape)}, not (out, in, 1, 1)"
        )
    args, channels = {**registered, **given}, projection.shape[1]
    if "cnn_level" in given:
        level, origin = given["cnn_level"], "as given"
    else:
        level = _level_of(channels, args["cnn"], registered["cnn_level"])
        origin = f"read from the {channels} channels that the checkpoint projects"
    geometry = {"cnn_level": level, **_stem_and_size(level, registered, given)}
    usual = {name: registered[name] for name in geometry}
    note = f"cnn_level={level}, {origin}; stem_stride={geometry['stem_stride']} and "
    note += f"image_size={geometry['image_size']}"
    if geometry != usual:
        others = ", ".join(f"{name}={value}" for name, value in usual.items())
        note += f" (registered: {others})"
    return {"aggregation": "avg", **given, **geometry}, note


def _level_of(channels: int, cnn: str, registered: int) -> int:
    levels = {level: width for level, width in pyramid_levels(cnn).items() if level in (4, 8, 16)}
    fitting = [level for level, width in levels.items() if width == channels]
    if registered in fitting:  # the name that the user asked for says which, where several fit
        return registered
    if len(fitting) == 1:
        return fitting[0]
    if fitting:
        raise ValueError(
            f"the checkpoint projects {channels} channels, which {cnn!r} has at the levels {fitting}: say "
            "which with cnn_level=..."
        )
    there = ", ".join(f"{width} at level {level}" for level, width in levels.items()) or "no such maps"
    raise ValueError(
        f"the checkpoint projects {channels} channels, but {cnn!r} has {there}: it is a checkpoint of "
        "another model, or of another CNN, which cnn=... names"
    )


def _stem_and_size(level: int, registered: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    args = {**registered, **given}
    stem, size = args["stem_stride"], args["image_size"]
    if level not in (4, 8, 16) or stem not in (1, 2):
        return {"stem_stride": stem, "image_size": size}  # the architecture says what is wrong
    grid = named_swin_grid(args["transformer"])
    for candidate in (stem,) if "stem_stride" in given else (stem, 3 - stem):
        if _fits(size, grid, level * candidate // 2):
            return {"stem_stride": candidate, "image_size": size}
    if "image_size" not in given:
        size = grid_size_rule(grid, level * stem // 2).maximum
    return {"stem_stride": stem, "image_size": size}


def _fits(image_size: Any, grid: tuple[int, int], stride: int) -> bool:
    height, width = (image_size, image_size) if isinstance(image_size, int) else image_size
    try:
        grid_size_rule(grid, stride).check_size(height, width)
    except ValueError:
        return False
    return True


_DERIVED = re.compile(r"backbone\.layers\.\d+\.blocks\.\d+\.(attn_mask|attn\.relative_position_index)")


def _unused_in_hybrid(names: Collection[str], args: Mapping[str, Any]) -> dict[str, str]:
    whole_cnn = {HYBRID.their_name(f"cnn.{name}") for name in uncut_pyramid_names(args["cnn"])}
    unused = {}
    for name in names:
        if name in whole_cnn:
            unused[name] = f"the CNN behind its map at level {args['cnn_level']}"
        elif _DERIVED.fullmatch(name):
            unused[name] = "derived, computed when a model is made"
        elif name == "global_pool.p":
            unused[name] = "their hybrid makes a GeM and then averages"
    return unused


HYBRID = Layout(
    name="henkel_hybrid",
    architecture="HybridSwin",
    signature="backbone.layers.0.blocks.0.attn.relative_position_bias_table",  # not in a plain transformer
    prefixes=(
        ("backbone.patch_embed.backbone.", "cnn."),
        ("backbone.patch_embed.proj.", "project."),
        # timm 0.4.12 merges patches at the end of a stage, timm from 0.9 on at the start of the next one.
        ("backbone.layers.0.downsample.", "transformer.layers.1.downsample."),
        ("backbone.layers.1.downsample.", "transformer.layers.2.downsample."),
        ("backbone.layers.2.downsample.", "transformer.layers.3.downsample."),
        ("backbone.layers.", "transformer.layers."),
        ("backbone.norm.", "transformer.norm."),
        ("neck.", "neck."),
    ),
    head=_HEAD,
    arguments=_hybrid_arguments,
    unused=_unused_in_hybrid,
)
