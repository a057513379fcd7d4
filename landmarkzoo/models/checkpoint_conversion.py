"""Checkpoints of other code as models and heads of this package, whatever their layout."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from landmarkzoo.hub.convert import Layout, read_checkpoint
from landmarkzoo.hub.convert.checkpoint_files import check_finite
from landmarkzoo.hub.published_files import WeightsFile
from landmarkzoo.hub.url_cache import sha256_of
from landmarkzoo.losses import SubCenterArcFaceDynamic
from landmarkzoo.models.descriptor_model import DescriptorModel
from landmarkzoo.models.from_cfg import build_from_cfg
from landmarkzoo.models.layout_choice import chosen_layout
from landmarkzoo.models.onnx_conversion import convert_onnx
from landmarkzoo.models.packaged_weights import packaged_folder
from landmarkzoo.models.registry import get_model_cfg, without_weights

_LOGGER = logging.getLogger(__name__)

_COUNTER = ".num_batches_tracked"  # of batch norms; nothing in evaluation depends on it
_SHOWN = 3  # problems and names in an error
_WRAPPERS = ("model", "state_dict", "model_state")  # where training scripts keep the weights


@dataclass(frozen=True)
class ConversionReport:
    """What became of every tensor of a checkpoint. ``print`` shows a summary of a few lines.

    Attributes:
        matched: {name in our model: name in the checkpoint}; the weight of the head is ``"head.weight"``.
        missing_keys: Names in our model that the checkpoint lacks, and that stay as made: counters of
            batches, and numbers that are fixed in their code.
        unused: {name in the checkpoint: why no model needs it}.
        notes: What was read from the checkpoint, or chosen because it does not tell.

    Examples:
        >>> print(ConversionReport(matched={"global_project.bias": "conv_g.bias"}))
        matched: 1 tensor
    """

    matched: Mapping[str, str] = field(default_factory=dict)
    missing_keys: tuple[str, ...] = ()
    unused: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def __str__(self) -> str:
        lines = [f"matched: {_count(self.matched)}"]
        if self.missing_keys:
            lines.append(
                f"missing: {_count(self.missing_keys)}, left as made: {_preview(self.missing_keys, 1)}"
            )
        for reason in dict.fromkeys(self.unused.values()):
            names = [name for name, why in self.unused.items() if why == reason]
            lines.append(f"unused: {_count(names)}, {reason}: {_preview(names, 1)}")
        return "\n".join([*lines, *self.notes])


def convert_checkpoint(
    path: str | Path,
    name: str,
    *,
    head: str | Path | None = None,
    sub_centers: int | None = None,
    **overrides: Any,
) -> tuple[DescriptorModel, SubCenterArcFaceDynamic | None]:
    """Convert a checkpoint of other code to a model of ours that computes what that code computes.

    Known are the published weights of others, those that ``list_models(pretrained=True)`` names, and training
    checkpoints by the authors' code of [Henkel 2021](https://arxiv.org/abs/2110.03786): DOLG becomes a model
    with ``projection="reference"``, a hybrid one with ``aggregation="avg"``, whose level is read from the
    checkpoint. What a checkpoint does not tell is taken from the registered model: dilations, the stride of
    the first convolution, the image size. A summary of what became of every tensor is logged (``logging``,
    level INFO); ``convert_state_dict`` returns it.

    The authors' ONNX release of DOLG-EfficientNet-B5 is read as well, ``model_headless.onnx`` with
    ``head="model_head.onnx"``; such a file tells dilations and strides, too.

    Args:
        path: A file written by ``torch.save``, the weights under ``"model"``, ``"state_dict"`` or
            ``"model_state"`` or at the top, with or without the prefixes ``module.`` and ``_orig_mod.`` of
            wrappers; or a safetensors file; or an ONNX file (``.onnx``). Code in it never runs.
        name: The registered model that it is a checkpoint of.
        head: The ONNX file of the head, if ``path`` is that of a model; a checkpoint has its head inside.
        sub_centers: Centers of each class in the checkpoint's head; ``None``: as their code has them.
        **overrides: Arguments of the architecture that replace the registered ones, such as ``dilations``
            or ``stem_stride``.

    Returns:
        The model, and its head, or ``None`` if the checkpoint has no head. Both are in training mode and in
        float32. The head has no margins, as a checkpoint does not hold them.

    Raises:
        FileNotFoundError: If there is no such file.
        ModuleNotFoundError: If it is an ONNX file, and onnx is not installed.
        ValueError: If the file cannot be read safely; if the model is unknown, or no layout is known for its
            architecture; or if a tensor is missing, fits nothing or has another shape.
    """
    model, found, report = convert_file(path, name, head=head, sub_centers=sub_centers, **overrides)
    _LOGGER.info("%s as %s: %s", path, name, report)
    return model, found


def convert_file(
    path: str | Path,
    name: str,
    *,
    head: str | Path | None = None,
    sub_centers: int | None = None,
    **overrides: Any,
) -> tuple[DescriptorModel, SubCenterArcFaceDynamic | None, ConversionReport]:
    """``convert_checkpoint``, with the report."""
    if Path(path).suffix.lower() != ".onnx":
        if head is not None:
            raise ValueError(f"head= is for ONNX files; {path} is another checkpoint, with its head inside")
        state_dict = read_checkpoint(path)
        model, found, report = convert_state_dict(state_dict, name, sub_centers=sub_centers, **overrides)
        _check_is_published(model, path)
        return model, found, report
    _check_weights_come_from_file(overrides)
    model, found, matched, notes = convert_onnx(path, name, head=head, sub_centers=sub_centers, **overrides)
    missing = tuple(ours for ours in model.state_dict() if ours not in matched)
    return model, found, ConversionReport(matched, missing, notes=tuple(notes))


def _check_is_published(model: DescriptorModel, path: str | Path) -> None:
    """Let a model state neither licence nor scores if its file is not the one that was published."""
    weights = model.cfg.weights
    known = weights.known.sha256 if isinstance(weights, WeightsFile) else None
    other = known is not None and not sha256_of(Path(path).expanduser()).startswith(known)
    if other or packaged_folder(weights) is not None:
        _LOGGER.warning(
            "%s is not the file that was published as %s, so the model does not state its licence and scores",
            path,
            model.cfg.name,
        )
        model.cfg = without_weights(model.cfg)


def convert_state_dict(
    state_dict: Mapping[str, Any], name: str, *, sub_centers: int | None = None, **overrides: Any
) -> tuple[DescriptorModel, SubCenterArcFaceDynamic | None, ConversionReport]:
    """Convert a state dict of other code, see ``convert_checkpoint``.

    Args:
        state_dict: Names and tensors, or these under ``"model"``, ``"state_dict"`` or ``"model_state"``.
        name: The registered model that it is a state dict of.
        sub_centers: Centers of each class in its head; ``None``: as their code has them.
        **overrides: Arguments of the architecture that replace the registered ones.

    Returns:
        The model, its head or ``None``, and a report of what became of every tensor.

    Raises:
        ValueError: As ``convert_checkpoint``.
    """
    registered = get_model_cfg(name)
    # A name without its tag does not say that these are the published weights.
    cfg = registered if registered.name == name else without_weights(registered)
    _check_weights_come_from_file(overrides)
    tensors, original = _tensors(state_dict)
    layout = chosen_layout(tensors, replace(registered, name=name), overrides)
    centers = layout.sub_centers if sub_centers is None else sub_centers
    weight = None if layout.head is None else tensors.pop(layout.head, None)
    head = None if weight is None else _head(weight, str(layout.head), centers)
    arguments, note = layout.arguments(tensors, cfg.args, overrides)
    notes = [note]
    model = build_from_cfg(cfg, arguments)
    if head is not None and head.embedding_dim != model.embedding_dim:
        raise ValueError(
            f"{layout.head} is for descriptors of size {head.embedding_dim}, the model gives "
            f"{model.embedding_dim}: say embedding_dim={head.embedding_dim}"
        )
    matched, missing, unused = _load(model, layout.converted(tensors, model.cfg.args), layout)
    if head is not None:
        matched["head.weight"] = str(layout.head)
        notes.append(f"head: {head.num_classes} classes, {centers} center{'s' if centers > 1 else ''} each")
    report = ConversionReport(
        matched={ours: original[theirs] for ours, theirs in matched.items() if theirs in original},
        missing_keys=(*missing, *(ours for ours, theirs in matched.items() if theirs not in original)),
        unused={original[theirs]: reason for theirs, reason in unused.items()},
        notes=tuple(notes),
    )
    return model, head, report


def _check_weights_come_from_file(overrides: Mapping[str, Any]) -> None:
    for argument in ("pretrained", "pretrained_backbone"):
        if argument in overrides:
            raise ValueError(f"{argument}: all weights come from the checkpoint; leave it out")


def _tensors(state_dict: Any) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Tensors by their names without the prefixes of wrappers, and the names as they came."""
    inside = [state_dict.get(key) for key in _WRAPPERS] if isinstance(state_dict, Mapping) else []
    found = next((part for part in inside if isinstance(part, Mapping)), state_dict)
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
            "a checkpoint is a state dict, or {'model': state dict}; in this one not all values are tensors: "
            f"{_preview(others)}. Give convert_state_dict the part that is the state dict"
        )
    odd = [name for name, tensor in found.items() if tensor.is_meta or tensor.layout != torch.strided]
    if odd:
        raise ValueError(
            "in a checkpoint tensors are dense and have numbers; sparse, nested or without numbers are here: "
            f"{_preview(odd)}"
        )
    original = dict(zip(_without_wrappers(found), found))
    if len(original) < len(found):
        once = set(original.values())
        twice = next(name for name in found if name not in once)
        raise ValueError(f"the checkpoint has {twice!r} twice, with and without '_orig_mod.'")
    return {name: found[came] for name, came in original.items()}, original


def _without_wrappers(names: Iterable[str]) -> list[str]:
    """Names without what torch.compile adds, and without ``module.`` as long as all begin with it."""
    inside = [".".join(part for part in name.split(".") if part != "_orig_mod") for name in names]
    while all(name.startswith("module.") for name in inside):
        inside = [name.removeprefix("module.") for name in inside]
    return inside


def _head(weight: Tensor, name: str, sub_centers: int) -> SubCenterArcFaceDynamic:
    if weight.ndim != 2 or sub_centers < 1 or weight.shape[0] % sub_centers or not weight.is_floating_point():
        raise ValueError(
            f"{name} has shape {tuple(weight.shape)} and dtype {weight.dtype}; (classes * sub_centers, "
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
    check_finite({name: head.weight}, "the checkpoint")
    return head


def _load(
    model: DescriptorModel, tensors: Mapping[str, Tensor], layout: Layout
) -> tuple[dict[str, str], list[str], dict[str, str]]:
    """Copy all tensors into a model. Returns {ours: theirs}, ours that are missing, {theirs: why unused}."""
    needed, reasons = model.state_dict(), layout.unused(tensors.keys(), model.cfg.args)
    matched: dict[str, str] = {}
    unused: dict[str, str] = {}
    problems = []
    for theirs, tensor in tensors.items():
        ours = layout.our_name(theirs)
        if ours in needed and ours not in matched:
            matched[ours] = theirs
            problems += _misfit(theirs, tensor, needed[ours])
        elif theirs in reasons:
            unused[theirs] = reasons[theirs]
        else:
            problems.append(f"{theirs} fits nothing")
    missing = [name for name in needed if name not in matched]
    lacking = [layout.their_name(name) for name in missing if not name.endswith(_COUNTER)]
    problems += [f"{name} is missing" for name in lacking]
    if problems:
        more = f", and {len(problems) - _SHOWN} more" if len(problems) > _SHOWN else ""
        raise ValueError(
            f"the checkpoint does not fit {model.cfg.name!r}: {', '.join(problems[:_SHOWN])}{more}. Is it "
            "one of another model, or trained with other arguments? These can be given by their names"
        )
    found = {ours: tensors[theirs] for ours, theirs in matched.items()}
    # state_dict.half() also casts num_batches_tracked, which may have become infinite.
    found |= {name: tensor.nan_to_num() for name, tensor in found.items() if name.endswith(_COUNTER)}
    model.load_state_dict(found, strict=False)  # only counters may be missing: checked above
    loaded = model.state_dict()
    check_finite({theirs: loaded[ours] for ours, theirs in matched.items()}, "the checkpoint")
    return matched, missing, unused


def _misfit(theirs: str, tensor: Tensor, ours: Tensor) -> list[str]:
    if tensor.shape != ours.shape:
        return [f"{theirs} has shape {tuple(tensor.shape)}, not {tuple(ours.shape)}"]
    # Counters are whole numbers here, but not in a state dict that was halved as a whole.
    if tensor.is_floating_point() != ours.is_floating_point() and not theirs.endswith(_COUNTER):
        return [f"{theirs} has dtype {tensor.dtype}, not {ours.dtype}"]
    return []


def _count(names: Collection[str]) -> str:
    return f"{len(names)} tensor{'' if len(names) == 1 else 's'}"


def _preview(names: Sequence[str], shown: int = _SHOWN) -> str:
    return ", ".join(names[:shown]) + (", ..." if len(names) > shown else "")
