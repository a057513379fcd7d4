"""The authors' ONNX release of the paper's own model as a model and head of this package."""

from __future__ import annotations

from inspect import signature
from pathlib import Path
from typing import Any

from landmarkzoo.hub.convert.checkpoint_files import check_finite
from landmarkzoo.hub.convert.henkel_onnx import dolg_arguments, dolg_weights, head_weight
from landmarkzoo.hub.convert.onnx_files import read_onnx
from landmarkzoo.losses import SubCenterArcFaceDynamic
from landmarkzoo.models.descriptor_model import DescriptorModel
from landmarkzoo.models.dolg import DOLG
from landmarkzoo.models.from_cfg import build_from_cfg
from landmarkzoo.models.registry import get_model_cfg, without_weights


def convert_onnx(
    path: str | Path,
    name: str,
    *,
    head: str | Path | None = None,
    sub_centers: int | None = None,
    **overrides: Any,
) -> tuple[DescriptorModel, SubCenterArcFaceDynamic | None, dict[str, str], list[str]]:
    """Convert the ONNX files of a DOLG by the authors' code, see ``convert_checkpoint``.

    Returns:
        The model, its head or ``None``, {our name: theirs}, and what was read from the files.
    """
    cfg = get_model_cfg(name)
    if cfg.architecture != "DOLG":
        raise ValueError(f"{name!r} is a {cfg.architecture}; of ONNX files only those of DOLG are known")
    if head is None and sub_centers is not None:
        raise ValueError("sub_centers: an ONNX model has no head in it; give the file of its head as well")
    if cfg.name != name:  # a name without its tag does not say that these are the published weights
        cfg = without_weights(cfg)
    usual = {argument: parameter.default for argument, parameter in signature(DOLG).parameters.items()}
    graph = read_onnx(path)
    arguments, note = dolg_arguments(graph, {**usual, **cfg.args}, overrides)
    model = build_from_cfg(cfg, arguments)
    state, matched = dolg_weights(graph, model)
    check_finite({matched[ours]: tensor for ours, tensor in state.items()}, str(path))
    model.load_state_dict(state, strict=False)  # only counters of batches are missing: dolg_weights checks it
    notes, found = [note], None
    if head is not None:
        found, matched["head.weight"] = _head(head, model.embedding_dim, sub_centers)
        count = found.sub_centers
        notes.append(f"head: {found.num_classes} classes, {count} center{'s' if count > 1 else ''} each")
    return model, found, matched, notes


def _head(
    path: str | Path, embedding_dim: int, sub_centers: int | None
) -> tuple[SubCenterArcFaceDynamic, str]:
    weight, count, theirs = head_weight(read_onnx(path))
    check_finite({theirs: weight}, str(path))
    rows, dim = weight.shape
    if sub_centers not in (None, count):
        raise ValueError(f"{path} has {count} centers a class, got sub_centers={sub_centers}: leave it out")
    if dim != embedding_dim:
        raise ValueError(
            f"{path} is for descriptors of size {dim}, the model gives {embedding_dim}: it is the head of "
            "another model"
        )
    # On the meta device no weights are drawn that would be thrown away.
    head = SubCenterArcFaceDynamic(dim, rows // count, sub_centers=count, device="meta")
    head.load_state_dict({"weight": weight}, assign=True)
    return head, theirs
