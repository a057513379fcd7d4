"""Which map of its CNN a hybrid checkpoint reads, and the image size that goes with it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from landmarkzoo.backbones.pyramid import pyramid_levels
from landmarkzoo.backbones.swin import grid_size_rule, named_swin_grid


def hybrid_arguments(
    projection: Tensor, registered: Mapping[str, Any], overrides: dict[str, Any]
) -> tuple[dict[str, Any], str]:
    """Arguments ``cnn_level``, ``stem_stride`` and ``image_size`` of the hybrid that a checkpoint is of.

    The level is that whose map has the channels that the checkpoint projects. A checkpoint does not tell the
    stride of the first convolution, nor the image size: the registered ones stay where the map then has the
    grid of the Swin; else the other stem stride is taken where that fits the registered image size; else the
    image size that fits the registered stem stride.

    Args:
        projection: Weight of the checkpoint's patch projection (out, in, 1, 1).
        registered: Arguments of the registered model.
        overrides: Arguments that the user gave: they are taken as they are.

    Returns:
        The three arguments, and a sentence on where they come from.

    Raises:
        ValueError: If no map of the CNN has these channels, or several have and none is the registered one.
    """
    if projection.ndim != 4:
        raise ValueError(
            f"the patch projection of the checkpoint has shape {tuple(projection.shape)}, not (out, in, 1, 1)"
        )
    args, channels = {**registered, **overrides}, projection.shape[1]
    if "cnn_level" in overrides:
        level, origin = overrides["cnn_level"], "as given"
    else:
        level = _level_of(channels, args["cnn"], registered["cnn_level"])
        origin = f"read from the {channels} channels that the checkpoint projects"
    geometry = {"cnn_level": level, **_stem_and_size(level, registered, overrides)}
    usual = {name: registered[name] for name in geometry}
    note = f"cnn_level={level}, {origin}; stem_stride={geometry['stem_stride']} and "
    note += f"image_size={geometry['image_size']}"
    if geometry != usual:
        others = ", ".join(f"{name}={value}" for name, value in usual.items())
        note += f" (registered: {others})"
    return geometry, note


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


def _stem_and_size(level: int, registered: Mapping[str, Any], overrides: dict[str, Any]) -> dict[str, Any]:
    args = {**registered, **overrides}
    stem, size = args["stem_stride"], args["image_size"]
    if level not in (4, 8, 16) or stem not in (1, 2):
        return {"stem_stride": stem, "image_size": size}  # the architecture says what is wrong
    grid = named_swin_grid(args["transformer"])
    for candidate in (stem,) if "stem_stride" in overrides else (stem, 3 - stem):
        if _fits(size, grid, level * candidate // 2):
            return {"stem_stride": candidate, "image_size": size}
    if "image_size" not in overrides:
        size = grid_size_rule(grid, level * stem // 2).maximum
    return {"stem_stride": stem, "image_size": size}


def _fits(image_size: Any, grid: tuple[int, int], stride: int) -> bool:
    height, width = (image_size, image_size) if isinstance(image_size, int) else image_size
    try:
        grid_size_rule(grid, stride).check_size(height, width)
    except ValueError:
        return False
    return True
