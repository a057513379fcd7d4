"""The authors' training checkpoints (Henkel 2021) as models and heads of this package."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from landmarkzoo.backbones.pyramid import uncut_pyramid_names
from landmarkzoo.hub.convert.checkpoint_files import read_checkpoint
from landmarkzoo.hub.convert.hybrid_level import hybrid_arguments
from landmarkzoo.hub.convert.reference_names import (
    HEAD,
    PATCH_PROJECTION,
    REFERENCE_NAMES,
    ReferenceNames,
    our_name,
    their_name,
)
from landmarkzoo.losses import SubCenterArcFaceDynamic
from landmarkzoo.models.descriptor_model import DescriptorModel
from landmarkzoo.models.factory import create_model
from landmarkzoo.models.model_cfg import ModelCfg
from landmarkzoo.models.registry import get_model_cfg

_LOGGER = logging.getLogger(__name__)

_COUNTER = ".num_batches_tracked"  # of batch norms; nothing in evaluation depends on it
_SHOWN = 3  # problems and names in an error


@dataclass(frozen=True)
class ConversionReport:
    """What became of every tensor of a checkpoint. As text it is a summary of a few lines.

    Attributes:
        copied: Pairs of (name in the checkpoint, name in our model); that of the head is ``"head.weight"``.
        unused: Pairs of (name in the checkpoint, why nothing needs it).
        missing: Names in our model that the checkpoint lacks: counters of batches, which stay as they are.
        notes: What was read from the checkpoint, or chosen because it does not tell.

    Examples:
        >>> print(ConversionReport(copied=(("conv_g.bias", "global_project.bias"),)))
        1 tensor copied
    """

    copied: tuple[tuple[str, str], ...] = ()
    unused: tuple[tuple[str, str], ...] = ()
    missing: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def __str__(self) -> str:
        lines = [f"{_count(self.copied)} copied"]
        for reason in dict.fromkeys(reason for _, reason in self.unused):
            names = [name for name, why in self.unused if why == reason]
            lines.append(f"{_count(names)} unused, {reason}: {_preview(names, 1)}")
        if self.missing:
            lines.append(
                f"{_count(self.missing)} not in the checkpoint, left as made: {_preview(self.missing, 1)}"
            )
        return "\n".join([*lines, *self.notes])


def convert_checkpoint(
    path: str | Path, name: str, *, sub_centers: int = 3, **overrides: Any
) -> tuple[DescriptorModel, SubCenterArcFaceDynamic | None]:
    """Convert a training checkpoint of the authors' code to a model that computes what that code computes.

    So DOLG gets ``projection="reference"`` and the hybrids ``aggregation="avg"``. The level of a hybrid is
    read from the checkpoint. What a checkpoint does not tell is that of the registered model: dilations, the
    stride of the first convolution, the image size. A summary of what became of every tensor is logged
    (``logging``, level INFO); :func:`convert_state_dict` returns it.

    Args:
        path: A file of ``torch.save``, the weights wrapped in ``{"model": ...}`` or plain, with or without
            the prefix ``module.``; or a safetensors file. Code in it is never run.
        name: The registered model that it is a checkpoint of.
        sub_centers: Centers of each class in the checkpoint's head.
        **overrides: Arguments of the architecture that replace the registered ones, such as ``dilations``
            or ``stem_stride``.

    Returns:
        The model, and its head, or ``None`` where the checkpoint has none. Both are in training mode and in
        float32. The head has no margins, as a checkpoint has none.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file cannot be read safely; if the model is unknown or the authors published no
            code for it; or if a tensor is missing, fits nothing or has another shape.
    """
    model, head, report = convert_state_dict(
        read_checkpoint(path), name, sub_centers=sub_centers, **overrides
    )
    _LOGGER.info("%s as %s: %s", path, name, report)
    return model, head


def convert_state_dict(
    state_dict: Mapping[str, Any], name: str, *, sub_centers: int = 3, **overrides: Any
) -> tuple[DescriptorModel, SubCenterArcFaceDynamic | None, ConversionReport]:
    """Convert a state dict of the authors' code, see :func:`convert_checkpoint`.

    Args:
        state_dict: Names and tensors, or ``{"model": those}``.
        name: The registered model that it is a state dict of.
        sub_centers: Centers of each class in its head.
        **overrides: Arguments of the architecture that replace the registered ones.

    Returns:
        The model, its head or ``None``, and what became of every tensor.

    Raises:
        ValueError: As :func:`convert_checkpoint`.
    """
    cfg = get_model_cfg(name)
    for argument in ("pretrained", "pretrained_backbone"):
        if argument in overrides:
            raise ValueError(f"{argument}: all weights come from the checkpoint; leave it out")
    tensors, original = _tensors(state_dict)
    names = _names_for(cfg, tensors)
    weight = tensors.pop(HEAD, None)
    head = None if weight is None else _head(weight, sub_centers)
    arguments, notes = {**names.arguments, **overrides}, []
    if cfg.architecture == "HybridSwin":
        geometry, note = hybrid_arguments(tensors[PATCH_PROJECTION], cfg.args, overrides)
        arguments |= geometry
        notes.append(note)
    model = create_model(name, **arguments)
    if cfg.architecture == "DOLG":
        told = ", ".join(f"{a}={model.cfg.args[a]}" for a in ("dilations", "stem_stride"))
        notes.append(f"{told}: registered or as given, a checkpoint does not tell")
    if head is not None and head.embedding_dim != model.embedding_dim:
        raise ValueError(
            f"{HEAD} is for descriptors of size {head.embedding_dim}, the model gives "
            f"{model.embedding_dim}: say embedding_dim={head.embedding_dim}"
        )
    copied, unused, missing = _load(model, tensors, names)
    if head is not None:
        copied[HEAD] = HEAD
        notes.append(f"head: {head.num_classes} classes, {sub_centers} centers each")
    report = ConversionReport(
        copied=tuple((original[theirs], ours) for ours, theirs in copied.items()),
        unused=tuple((original[theirs], reason) for theirs, reason in unused.items()),
        missing=tuple(missing),
        notes=tuple(notes),
    )
    return model, head, report


def _tensors(state_dict: Any) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Tensors by their names without the prefix of DistributedDataParallel, and the names as they came."""
    wrapped = isinstance(state_dict, Mapping) and isinstance(state_dict.get("model"), Mapping)
    found = state_dict["model"] if wrapped else state_dict
    if not isinstance(found, Mapping) or not found:
        raise ValueError(
            "a checkpoint is a state dict, or {'model': state dict}; this one is "
            + (f"a {type(found).__name__}" if not isinstance(found, Mapping) else "empty")
        )
    others = [
        str(name)
        for name, value in found.items()
        if not (isinstance(name, str) and isinstance(value, Tensor))
    ]
    if others:
        raise ValueError(
            f"a checkpoint is a state dict, or {{'model': state dict}}; in this one {_preview(others)} "
            f"{'is no tensor' if len(others) == 1 else 'are no tensors'}. Give convert_state_dict the part "
            "that is the state dict"
        )
    original = {name.removeprefix("module."): name for name in found}
    if len(original) < len(found):
        twice = next(name for name in found if original[name.removeprefix("module.")] != name)
        raise ValueError(f"the checkpoint has {twice!r} twice, with and without 'module.'")
    return {name: found[came] for name, came in original.items()}, original


def _names_for(cfg: ModelCfg, tensors: dict[str, Tensor]) -> ReferenceNames:
    if cfg.architecture not in REFERENCE_NAMES:
        raise ValueError(
            f"{cfg.name!r} is a {cfg.architecture}; the authors published code, and so names of parameters, "
            f"for {' and '.join(REFERENCE_NAMES)} only: see lz.list_models()"
        )
    names = REFERENCE_NAMES[cfg.architecture]
    if names.signature in tensors:
        return names
    for architecture, others in REFERENCE_NAMES.items():
        if others.signature in tensors:
            raise ValueError(
                f"this is a checkpoint of a {architecture}, but {cfg.name!r} is a {cfg.architecture}"
            )
    raise ValueError(
        f"no checkpoint of a {cfg.architecture} of the authors' code: it has no {names.signature}, but "
        f"{_preview(list(tensors))}"
    )


def _head(weight: Tensor, sub_centers: int) -> SubCenterArcFaceDynamic:
    if weight.ndim != 2 or sub_centers < 1 or weight.shape[0] % sub_centers or not weight.is_floating_point():
        raise ValueError(
            f"{HEAD} has shape {tuple(weight.shape)} and dtype {weight.dtype}; (classes * sub_centers, "
            f"embedding_dim) in floating point is right, with sub_centers={sub_centers}: give the number "
            "that the head was trained with"
        )
    rows, embedding_dim = weight.shape
    # On the meta device no weights are drawn that would be overwritten.
    head = SubCenterArcFaceDynamic(
        embedding_dim, rows // sub_centers, sub_centers=sub_centers, device="meta"
    ).to_empty(device="cpu")
    with torch.no_grad():
        head.weight.copy_(weight)
    return head


def _load(
    model: DescriptorModel, tensors: dict[str, Tensor], names: ReferenceNames
) -> tuple[dict[str, str], dict[str, str], list[str]]:
    """Copy all tensors into a model: {ours: theirs}, {theirs: why unused}, ours that are not in it."""
    needed, cut = model.state_dict(), _cut_names(model, names)
    copied: dict[str, str] = {}
    unused: dict[str, str] = {}
    problems = []
    for theirs, tensor in tensors.items():
        ours = our_name(theirs, names)
        reason = cut.get(theirs) or _skip_reason(theirs, names)
        if ours in needed and ours not in copied:
            copied[ours] = theirs
            problems += _misfit(theirs, tensor, needed[ours])
        elif reason is not None:
            unused[theirs] = reason
        else:
            problems.append(f"{theirs} fits nothing")
    missing = [name for name in needed if name not in copied]
    lacking = [their_name(name, names) for name in missing if not name.endswith(_COUNTER)]
    problems += [f"{name} is missing" for name in lacking]
    if problems:
        more = f", and {len(problems) - _SHOWN} more" if len(problems) > _SHOWN else ""
        raise ValueError(
            f"the checkpoint does not fit {model.cfg.name!r}: {', '.join(problems[:_SHOWN])}{more}. Is it "
            "one of another model, or trained with other arguments? These can be given by their names"
        )
    found = {ours: tensors[theirs] for ours, theirs in copied.items()}
    # state_dict.half() also casts num_batches_tracked, which may have become infinite.
    found |= {name: tensor.nan_to_num() for name, tensor in found.items() if name.endswith(_COUNTER)}
    model.load_state_dict(found, strict=False)  # all but counters is there: checked above
    return copied, unused, missing


def _misfit(theirs: str, tensor: Tensor, ours: Tensor) -> list[str]:
    if tensor.shape != ours.shape:
        return [f"{theirs} has shape {tuple(tensor.shape)}, not {tuple(ours.shape)}"]
    # Who halves a whole state dict halves counters as well.
    if tensor.is_floating_point() != ours.is_floating_point() and not theirs.endswith(_COUNTER):
        return [f"{theirs} has dtype {tensor.dtype}, not {ours.dtype}"]
    return []


def _cut_names(model: DescriptorModel, names: ReferenceNames) -> dict[str, str]:
    """Their names of what stands in the CNN behind the map that a hybrid reads, with that as the reason."""
    if "cnn" not in model.cfg.args:
        return {}
    reason = f"the CNN behind its map at level {model.cfg.args['cnn_level']}"
    whole = [f"cnn.{name}" for name in uncut_pyramid_names(model.cfg.args["cnn"])]
    return {their_name(name, names): reason for name in whole}


def _skip_reason(theirs: str, names: ReferenceNames) -> str | None:
    return next((reason for pattern, reason in names.unneeded if re.fullmatch(pattern, theirs)), None)


def _count(names: Sequence[Any]) -> str:
    return f"{len(names)} tensor{'' if len(names) == 1 else 's'}"


def _preview(names: Sequence[str], shown: int = _SHOWN) -> str:
    return ", ".join(names[:shown]) + (", ..." if len(names) > shown else "")
