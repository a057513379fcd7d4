"""The authors' release of DOLG-EfficientNet-B5 as ONNX: a model without head, and its head.

Of the code of [Henkel 2021](https://arxiv.org/abs/2110.03786). The exporter folds batch norms into the
convolutions before them and gives the results names of its own. So weights are matched by what feeds them
and by their shapes.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from landmarkzoo.hub.convert.dataflow import IMAGES, Flow
from landmarkzoo.hub.convert.graph_units import GraphUnits
from landmarkzoo.hub.convert.module_units import arithmetic_of, units_of_module
from landmarkzoo.hub.convert.onnx_files import DAMAGED, Constant, Node, OnnxGraph
from landmarkzoo.hub.convert.unit_matching import Matching

_SIDE = 64  # of the image that goes through our model: two positions in the coarsest map
_MOST_STEPS = 8  # from centers to where they are multiplied
_COUNTER = ".num_batches_tracked"
# Attention times features; both branches by their lengths; the projection, and the features without it.
_BEHIND_BACKBONE = {"Mul": 2, "Div": 2, "Sub": 1}
# fmt: off
_HEAD_OPERATIONS = (
    "ArgMax", "Cast", "Clip", "Concat", "Div", "Expand", "Gather", "Gemm", "MatMul", "ReduceL2", "ReduceMax",
    "Reshape", "Shape", "Slice", "Softmax", "Squeeze", "TopK", "Transpose", "Unsqueeze",
)
# fmt: on


def dolg_arguments(
    graph: OnnxGraph, registered: Mapping[str, Any], given: Mapping[str, Any]
) -> tuple[dict[str, Any], str]:
    """Arguments of DOLG that the graph tells, those of the user, and a sentence on where they come from.

    Raises:
        ValueError: If it is no graph of a DOLG, or tells something else than the user.
    """
    units = GraphUnits(graph).units
    stem = next((unit for unit in units if unit.flow.sources == IMAGES), None)
    # What is concatenated right behind a convolution are the branches of the multi-atrous part.
    branches = sorted((unit for unit in units if unit.branch is not None), key=lambda unit: unit.branch or 0)
    if stem is None or len(branches) != 3 or any(unit.kind != "conv" for unit in (stem, *branches)):
        raise ValueError(f"{graph.path} is no DOLG by the code of Henkel 2021: it lacks the three branches")
    fused = 2 * {**registered, **given}["hidden_dim"]
    shapes = [unit.weights["weight"].shape for unit in units if unit.kind == "linear"]
    embedding_dim = next((rows for rows, columns in shapes if columns == fused), None)
    if embedding_dim is None:
        raise ValueError(
            f"{graph.path} is no DOLG by the code of Henkel 2021: no neck takes {fused} features"
        )
    found: dict[str, Any] = {
        "dilations": tuple(unit.geometry["dilation"][0] for unit in branches),
        "stem_stride": stem.geometry["stride"][0],
        "embedding_dim": embedding_dim,
    }
    for name, value in found.items():
        wanted = given.get(name, value)
        if (tuple(wanted) if name == "dilations" else wanted) != value:
            raise ValueError(f"{graph.path} has {name}={value}, got {name}={wanted}: leave it out")
    note = ", ".join(f"{name}={value}" for name, value in found.items())
    other = {name: value for name, value in found.items() if registered.get(name) != value}
    return {"projection": "reference", **given, **other}, f"{note}: read from the file"


def dolg_weights(graph: OnnxGraph, model: nn.Module) -> tuple[dict[str, Tensor], dict[str, str]]:
    """The state dict of a model of ours from the graph of a DOLG.

    Args:
        graph: The graph.
        model: The model, made with ``dolg_arguments``.

    Returns:
        The state dict, without counters of batches, and {our name: theirs}. What belongs to a batch norm that
        the exporter folded into a convolution has the name of that convolution's weight or bias.

    Raises:
        ValueError: If a weight of either side fits nothing of the other.
    """
    theirs = GraphUnits(graph)
    ours, result = units_of_module(model, torch.zeros(1, 3, _SIDE, _SIDE))
    shapes = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    matching = Matching(str(graph.path), theirs.units, shapes)
    pairs = [(unit, matching.match(unit)) for unit in ours]
    matching.check_all_taken()
    if matching.translated(result) != theirs.result:
        raise ValueError(f"{graph.path}: its output is not the result of its last layer")
    _check_arithmetic(graph, theirs, model)
    for unit, found in pairs:
        if unit.kind == "gem":
            _check_fusion(graph, theirs, found.bit)
            _check_whole_map(graph, found.kernel, unit.kernel)
    state: dict[str, Tensor] = {}
    names: dict[str, str] = {}
    for unit, found in pairs:
        for our_name, (values, name) in matching.weights(unit, found).items():
            state[our_name], names[our_name] = torch.from_numpy(np.array(values, np.float32)), name
    lacking = [name for name in shapes if name not in state and not name.endswith(_COUNTER)]
    if lacking:
        raise ValueError(f"{graph.path} has nothing for {lacking[0]}")
    return state, names


def _check_arithmetic(graph: OnnxGraph, theirs: GraphUnits, model: nn.Module) -> None:
    """Raise unless values are added, multiplied, subtracted and divided as often as in their code."""
    backbone = model.get_submodule("backbone")
    was_training = backbone.training
    with torch.enable_grad():
        maps = backbone.eval()(torch.zeros(1, 3, _SIDE, _SIDE, requires_grad=True))
    backbone.train(was_training)
    right = arithmetic_of(maps[-1]) + Counter(_BEHIND_BACKBONE)
    for op in ("Add", "Sub", "Mul", "Div"):
        count = theirs.arithmetic[op]
        if count != right[op]:
            raise ValueError(f"{graph.path} has {count} operations {op} on maps, not {right[op]}")


def _check_fusion(graph: OnnxGraph, theirs: GraphUnits, gem: int) -> None:
    """Raise unless local features stand before global ones, as in our neck."""
    fusions = [parts for parts in theirs.concatenations if Flow(gem) in parts]
    if len(fusions) != 1 or len(fusions[0]) != 2 or fusions[0][1] != Flow(gem) or fusions[0][0] == Flow(gem):
        raise ValueError(f"{graph.path} does not put the global features behind the local ones")


def _check_whole_map(graph: OnnxGraph, kernel: tuple[int, ...] | None, ours: tuple[int, ...] | None) -> None:
    """Raise if GeM takes the mean of a part of the map."""
    sides = next(iter(graph.inputs.values()))[-2:]
    if kernel is None or ours is None or None in sides:
        return
    whole = tuple(math.ceil(side / (_SIDE // positions)) for side, positions in zip(sides, ours) if side)
    if tuple(kernel) != whole:
        raise ValueError(f"{graph.path}: GeM takes the mean over {kernel} positions, its map has {whole}")


def head_weight(graph: OnnxGraph) -> tuple[Tensor, int, str]:
    """Centers of the classes from the graph of a head.

    The graph multiplies features with the centers, takes for each class the largest cosine with its centers,
    and the softmax of these. The lengths of the centers do not matter, as the head takes cosines.

    Returns:
        Centers (classes * centers of a class, D), those of a class beside each other; how many a class has;
        and what the file calls them.

    Raises:
        ValueError: If it is no such graph.
    """
    try:
        return _head_weight(graph)
    except DAMAGED as error:
        raise ValueError(f"{graph.path} has nodes that are not as ONNX defines them") from error


def _head_weight(graph: OnnxGraph) -> tuple[Tensor, int, str]:
    unknown = next((node.name for node in graph.nodes if node.op not in _HEAD_OPERATIONS), None)
    if unknown is not None:
        raise ValueError(f"{graph.path}: {unknown} is an operation that no head has")
    makers = {value: node for node in graph.nodes for value in node.outputs}
    found = [
        (node, centers) for node in graph.nodes if (centers := _centers(graph, makers, node)) is not None
    ]
    if len(found) != 1:
        raise ValueError(
            f"{graph.path} is no head: it multiplies with {len(found)} arrays of weights, a head with one, "
            "the centers of its classes"
        )
    node, (constant, is_transposed) = found[0]
    rows, dim = constant.shape[::-1] if is_transposed else constant.shape
    count, is_class_first = _order(graph, node, rows)
    weight = constant.read()
    if is_transposed:
        weight = weight.T
    if not is_class_first:
        weight = weight.reshape(count, rows // count, dim).swapaxes(0, 1).reshape(rows, dim)
    # A copy, as the numbers of a file are read-only.
    return torch.from_numpy(np.array(weight, np.float32, order="C")), count, constant.name


def _centers(graph: OnnxGraph, makers: Mapping[str, Node], node: Node) -> tuple[Constant, bool] | None:
    """The weights that a node multiplies with, and whether they are (D, centers)."""
    if node.op not in ("MatMul", "Gemm"):
        return None
    is_transposed = not (node.op == "Gemm" and node.attributes.get("transB", 0))
    value = node.inputs[1]
    # Centers are normalised in the graph, if the exporter did not do that: c / max(|c|, eps).
    for _ in range(_MOST_STEPS):
        maker = makers.get(value)
        if value in graph.constants or maker is None or maker.op not in ("Div", "Transpose", "Cast"):
            break
        is_transposed ^= maker.op == "Transpose"
        value = maker.inputs[0]
    constant = graph.constants.get(value)
    if constant is None:
        return None
    bias = graph.constants.get(node.inputs[2]) if len(node.inputs) > 2 else None
    if len(constant.shape) != 2 or not constant.floating or (bias is not None and bias.read().any()):
        raise ValueError(f"{graph.path}: {node.name} does not multiply with centers of classes")
    return constant, is_transposed


def _order(graph: OnnxGraph, node: Node, rows: int) -> tuple[int, bool]:
    """Centers of a class, and whether the centers of a class stand beside each other."""
    after = next((n for n in graph.nodes if node.outputs[0] in n.inputs), None)
    if after is None or after.op == "Softmax":
        return 1, True
    if after.op != "Reshape":
        raise ValueError(f"{graph.path}: {after.name} is not what a head does with cosines")
    shape = graph.constants.get(after.inputs[1])
    sides = tuple(int(side) for side in shape.read().flatten()[:4]) if shape is not None else ()
    largest = next((n for n in graph.nodes if after.outputs[0] in n.inputs and n.op == "ReduceMax"), None)
    if len(sides) != 3 or largest is None or min(sides[1:]) < 1 or sides[1] * sides[2] != rows:
        raise ValueError(f"{graph.path}: {after.name} does not give the cosines (images, classes, centers)")
    axes = largest.attributes.get("axes")
    if axes is None and len(largest.inputs) > 1 and largest.inputs[1] in graph.constants:
        axes = tuple(graph.constants[largest.inputs[1]].read().flatten()[:4].tolist())
    axis = axes[0] % 3 if axes and len(axes) == 1 else 0
    if axis == 0:
        raise ValueError(f"{graph.path}: {largest.name} does not take the nearest center of each class")
    return int(sides[axis]), axis == 2
