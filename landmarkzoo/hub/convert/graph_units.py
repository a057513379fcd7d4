"""The units of an ONNX graph: its weights in order of execution, and which feed which."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass

from landmarkzoo.hub.convert.dataflow import IMAGES, NOTHING, Flow, Unit
from landmarkzoo.hub.convert.onnx_files import DAMAGED, Constant, Node, OnnxGraph

_ACTIVATIONS = {"Sigmoid": "sigmoid", "Relu": "relu", "Softplus": "softplus"}
_ARITHMETIC = {"Add": 0.0, "Sub": 0.0, "Mul": 1.0, "Div": 1.0}  # and the constant that changes nothing
_POOLS = ("GlobalAveragePool", "ReduceMean", "AveragePool")
_SHAPES = ("Shape", "Size", "ConstantOfShape", "Range")  # what they give depends on shapes alone
# fmt: off
_MOVES = (  # operations that move numbers; and the lengths of vectors
    "Cast", "Concat", "Expand", "Flatten", "Gather", "Pad", "ReduceL2", "Reshape", "Slice", "Squeeze", "Tile",
    "Transpose", "Unsqueeze",
)
# fmt: on
_SAME_VALUES = ("Cast", "Squeeze", "Unsqueeze")  # around the batch norm of vectors, in old exporters


@dataclass
class _Power:
    """A GeM on its way: clip, power, mean; the power that takes the root makes it a unit."""

    eps: float
    flow: Flow
    p: Constant | None = None
    is_mean: bool = False
    kernel: tuple[int, ...] | None = None


class GraphUnits:
    """The units of a graph that maps images to descriptors.

    Args:
        graph: What ``read_onnx`` gives.

    Attributes:
        units: In the order of execution; their weights are constants.
        result: What the output is computed from.
        concatenations: For each concatenation of channels, what its parts are computed from.
        arithmetic: How often two values that are computed from images are added, multiplied and so on. A
            value times its own sigmoid does not count.

    Raises:
        ValueError: If an operation is unknown, is not one of evaluation, or has weights in a way that no
            model of ours has.
    """

    def __init__(self, graph: OnnxGraph) -> None:
        if len(graph.inputs) != 1 or len(graph.outputs) != 1:
            raise ValueError(
                f"{graph.path} has {len(graph.inputs)} inputs and {len(graph.outputs)} outputs; a model "
                "takes images and gives descriptors"
            )
        self.graph, self.constants = graph, graph.constants
        self.units: list[Unit[Constant]] = []
        self.concatenations: list[tuple[Flow, ...]] = []
        self.arithmetic: Counter[str] = Counter()
        self._flows = {next(iter(graph.inputs)): Flow(IMAGES)}
        self._uses = Counter(value for node in graph.nodes for value in node.inputs)
        self._direct: dict[str, Unit[Constant]] = {}  # results of units with nothing behind
        self._padded: set[str] = set()
        self._powers: dict[str, _Power] = {}
        self._lengths: set[str] = set()  # of vectors
        self._gates: dict[str, str] = {}  # {sigmoid of a value: that value}
        for node in graph.nodes:
            try:
                self._visit(node)
            except DAMAGED as error:
                raise ValueError(f"{self._at(node)} is not as ONNX defines it") from error
        self.result = self._flows.get(graph.outputs[0], NOTHING)

    def _visit(self, node: Node) -> None:
        data = [value for value in node.inputs if value and value not in self.constants]
        open_powers = {value for value in data if value in self._powers and self._powers[value].p is not None}
        if open_powers and node.op not in (*_POOLS, "Pow"):
            raise ValueError(
                f"{self._at(node)} takes a power, but is no part of a GeM: clip, power, mean, root"
            )
        flow = NOTHING
        for value in data:
            flow |= self._flows[value]
        if node.op in _SHAPES or (not flow.sources and node.op not in ("Conv", "Gemm", "MatMul")):
            self._give(node, NOTHING)
        elif node.op == "Conv":
            self._conv(node, flow)
        elif node.op in ("Gemm", "MatMul"):
            self._linear(node, flow)
        elif node.op == "BatchNormalization":
            self._norm(node, flow)
        elif node.op == "PRelu":
            self._add(node, Unit("prelu", node.name, 0, flow, {"weight": self._constant(node, 1)}))
        elif node.op in ("Clip", "Pow") or (node.op in _POOLS and node.inputs[0] in self._powers):
            self._power(node, flow)
        elif node.op in _ARITHMETIC:
            self._arithmetic(node, flow)
        elif node.op in _ACTIVATIONS:
            if node.op == "Sigmoid":
                self._gates[node.outputs[0]] = node.inputs[0]
            self._give(node, flow | Flow(0, frozenset({_ACTIVATIONS[node.op]})))
        elif node.op in _POOLS[:2] or node.op in _MOVES:
            self._pass(node, flow)
        else:
            raise ValueError(f"{self._at(node)} is an operation that no model of ours has")
        if node.op == "ReduceL2" or (node.op in (*_MOVES, "Clip") and node.inputs[0] in self._lengths):
            self._lengths.update(node.outputs)

    # --- units ---------------------------------------------------------------------------------------

    def _conv(self, node: Node, flow: Flow) -> None:
        weights = {"weight": self._constant(node, 1)}
        if len(node.inputs) > 2 and node.inputs[2]:
            weights["bias"] = self._constant(node, 2)
        shape = weights["weight"].shape
        if len(shape) != 4:
            raise ValueError(f"{self._at(node)} has a weight of shape {shape}, not (out, in, height, width)")
        geometry = {
            "stride": tuple(node.attributes.get("strides", (1, 1))),
            "dilation": tuple(node.attributes.get("dilations", (1, 1))),
            "groups": (node.attributes.get("group", 1),),
        }
        if [len(value) for value in geometry.values()] != [2, 2, 1]:
            raise ValueError(f"{self._at(node)} does not have a stride and a dilation for each side")
        padding = self._padding(node, [d * (k - 1) for d, k in zip(geometry["dilation"], shape[2:])])
        self._add(node, Unit("conv", node.name, 0, flow, weights, geometry, padding=padding))

    def _padding(self, node: Node, reach: list[int]) -> tuple[int, ...] | None:
        """Padding of each side; ``None``: depends on the size of the map."""
        before = node.inputs[0] in self._padded
        auto, pads = node.attributes.get("auto_pad", "NOTSET"), node.attributes.get("pads", (0, 0, 0, 0))
        if auto in ("NOTSET", "VALID") and not before and len(pads) == 4 and pads[:2] == pads[2:]:
            return tuple(pads[:2]) if auto == "NOTSET" else (0, 0)
        if auto == "SAME_UPPER" and not before:
            strides = node.attributes.get("strides", (1, 1))
            even = all(s == 1 and r % 2 == 0 for s, r in zip(strides, reach))
            return tuple(r // 2 for r in reach) if even else None
        if auto in ("NOTSET", "VALID") and len(pads) == 4 and not (before and any(pads)):
            return None
        raise ValueError(f"{self._at(node)} is padded in a way that no model of ours has")

    def _linear(self, node: Node, flow: Flow) -> None:
        positions = [i for i, value in enumerate(node.inputs[:2]) if value in self.constants]
        if node.op == "MatMul" and not positions:  # of two maps
            self._give(node, flow)
            return
        weight, attributes = self._constant(node, 1), node.attributes
        plain = all(attributes.get(key, 1.0) == 1.0 for key in ("alpha", "beta"))
        if positions != [1] or len(weight.shape) != 2 or not plain or attributes.get("transA", 0):
            raise ValueError(f"{self._at(node)} is not a linear layer")
        weights = {"weight": weight if attributes.get("transB", 0) else _transposed(weight)}
        if node.op == "Gemm" and len(node.inputs) > 2 and node.inputs[2]:
            weights["bias"] = self._constant(node, 2)
        self._add(node, Unit("linear", node.name, 0, flow, weights))

    def _norm(self, node: Node, flow: Flow) -> None:
        roles = ("norm.weight", "norm.bias", "norm.mean", "norm.var")
        weights = {role: self._constant(node, i + 1) for i, role in enumerate(roles)}
        if node.attributes.get("training_mode", 0) or len(node.outputs) > 1:
            raise ValueError(f"{self._at(node)} is in training mode: export the model in eval mode")
        eps = float(node.attributes.get("epsilon", 1e-5))
        unit = self._direct.get(node.inputs[0])
        if unit is not None and unit.kind in ("conv", "linear") and not unit.has_norm:
            self._check_only_use(node)
            unit.weights |= weights
            unit.eps = eps
            self._give(node, Flow(unit.bit), unit)
        else:
            self._add(node, Unit("norm", node.name, 0, flow, weights, eps=eps))

    def _power(self, node: Node, flow: Flow) -> None:
        """Clip, power, mean and root of a GeM; a clip that is an activation, or keeps a norm from zero."""
        before, output = node.inputs[0], node.outputs[0]
        power = self._powers.get(before)
        if node.op == "Clip":
            low, high = (self._bound(node, i, key) for i, key in ((1, "min"), (2, "max")))
            if low is None:
                raise ValueError(f"{self._at(node)} has no lower bound")
            self._give(node, flow if high is None else flow | Flow(0, frozenset({"clip"})))
            if high is None:
                self._powers[output] = _Power(low, flow)
            elif (low, high) != (0.0, 6.0):
                raise ValueError(f"{self._at(node)} has the bounds {low} and {high}, not 0 and 6")
        elif node.op == "Pow" and power is not None and power.p is None:
            self._powers[output] = _Power(power.eps, power.flow, self._constant(node, 1))
            self._flows[output] = flow
        elif node.op in _POOLS and power is not None and power.p is not None and not power.is_mean:
            self._check_mean(node)
            kernel = tuple(node.attributes["kernel_shape"]) if node.op == "AveragePool" else None
            self._powers[output] = _Power(power.eps, power.flow, power.p, True, kernel)
            self._flows[output] = flow
        elif node.op == "Pow" and power is not None and power.p is not None and power.is_mean:
            p, root = power.p.number(), self._constant(node, 1).number()
            if p is None or root is None or not math.isclose(p * root, 1.0, rel_tol=1e-3):
                raise ValueError(f"{self._at(node)} takes another root than the power before it")
            weights = {"p": power.p}
            unit = Unit("gem", node.name, 0, power.flow, weights, eps=power.eps, kernel=power.kernel)
            self._add(node, unit)
        else:
            raise ValueError(f"{self._at(node)} is no part of a GeM: clip, power, mean, root")

    # --- the rest ------------------------------------------------------------------------------------

    def _arithmetic(self, node: Node, flow: Flow) -> None:
        if len(set(node.inputs)) < len(node.inputs):
            raise ValueError(f"{self._at(node)} computes with one value twice, as no model of ours does")
        fixed = [value for value in node.inputs if not self._flows.get(value, NOTHING).sources]
        if not fixed:
            self._of_two(node)
            self._give(node, flow)
            return
        data = next(value for value in node.inputs if value != fixed[0])
        constant, unit = self.constants.get(fixed[0]), self._direct.get(data)
        if constant is not None and constant.number() == _ARITHMETIC[node.op] and data == node.inputs[0]:
            self._give(node, flow, unit)
        elif constant is not None and node.op == "Add" and unit is not None and unit.lacks_bias:
            self._check_only_use(node, data)
            unit.weights["bias"] = constant
            self._give(node, Flow(unit.bit), unit)
        else:
            raise ValueError(f"{self._at(node)} computes with the constant {fixed[0]!r}, which fits nothing")

    def _of_two(self, node: Node) -> None:
        """Count an operation on two values; lengths of vectors are only divided by."""
        first, second = node.inputs
        if [value in self._lengths for value in (first, second)] != [False, node.op == "Div"]:
            raise ValueError(f"{self._at(node)} does not divide by the length of a vector, or is no division")
        if node.op != "Mul" or (self._gates.get(first) != second and self._gates.get(second) != first):
            self.arithmetic[node.op] += 1

    def _pass(self, node: Node, flow: Flow) -> None:
        output = node.outputs[0]
        if node.op == "ReduceMean":
            self._check_mean(node)
        for value in node.outputs:
            self._flows[value] = flow
        if node.op in _SAME_VALUES and (unit := self._direct.get(node.inputs[0])) is not None:
            self._direct[output] = unit
        if node.op == "Pad":
            self._padded.add(output)
        if node.op == "Concat" and node.attributes.get("axis") in (1, -3):
            self.concatenations.append(tuple(self._flows.get(value, NOTHING) for value in node.inputs))
            for position, value in enumerate(node.inputs):
                if value in self._direct:
                    self._direct[value].branch = position

    def _check_mean(self, node: Node) -> None:
        """Raise unless a node takes the mean over all positions of a map."""
        axes = node.attributes.get("axes")
        if node.op == "ReduceMean" and len(node.inputs) > 1:
            axes = tuple(self._constant(node, 1).read().flatten()[:5].tolist())
        padded = any(node.attributes.get("pads", ())) or node.attributes.get("auto_pad", "NOTSET") != "NOTSET"
        if padded or (node.op == "ReduceMean" and sorted(a % 4 for a in axes or ()) != [2, 3]):
            raise ValueError(f"{self._at(node)} is not the mean over all positions of a map")

    def _check_only_use(self, node: Node, value: str | None = None) -> None:
        if self._uses[node.inputs[0] if value is None else value] > 1:
            raise ValueError(f"{self._at(node)} stands behind weights whose result is used elsewhere, too")

    def _bound(self, node: Node, position: int, key: str) -> float | None:
        if len(node.inputs) > position and node.inputs[position]:
            return self._constant(node, position).number()
        value: float | None = node.attributes.get(key)
        return value

    def _constant(self, node: Node, position: int) -> Constant:
        name = node.inputs[position] if position < len(node.inputs) else ""
        constant = self.constants.get(name)
        if constant is None or not (constant.floating or node.op == "ReduceMean"):
            raise ValueError(f"{self._at(node)} needs weights as its input {position}, and has {name!r}")
        return constant

    def _give(self, node: Node, flow: Flow, unit: Unit[Constant] | None = None) -> None:
        for value in node.outputs:
            self._flows[value] = flow
        if unit is not None:
            self._direct[node.outputs[0]] = unit

    def _add(self, node: Node, unit: Unit[Constant]) -> None:
        unit.bit = 2 << len(self.units)
        self.units.append(unit)
        self._give(node, Flow(unit.bit), unit)

    def _at(self, node: Node) -> str:
        return f"{self.graph.path}: {node.name}"


def _transposed(weight: Constant) -> Constant:
    return Constant(weight.name, weight.shape[::-1], weight.floating, lambda: weight.read().T)
