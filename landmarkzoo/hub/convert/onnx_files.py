"""Reading ONNX files as data: nodes and constants come out, nothing in them is executed.

The graph comes out simpler than it stands in the file: constants are named once, wherever the exporter put
them (initializers, ``Constant`` nodes, transposed or cast ones), and ``Identity`` nodes are gone.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from onnx import AttributeProto, GraphProto, ModelProto, NodeProto, TensorProto

_MOST_NODES = 20_000  # DOLG on EfficientNet-B7 has about 3,000
_MOST_INPUTS = 100_000
_SHOWN = 80  # letters of a name in a message
_MOST_SIDES = 8  # of an array

# Kinds of numbers that weights and shapes have: ONNX's name, bytes of one, the field if not raw_data.
_FIELDS = {
    "FLOAT": (4, "float_data"),
    "DOUBLE": (8, "double_data"),
    "FLOAT16": (2, "int32_data"),
    "BFLOAT16": (2, "int32_data"),
    "INT32": (4, "int32_data"),
    "INT64": (8, "int64_data"),
    "BOOL": (1, "int32_data"),
}
# What reading a node raises if it lacks inputs, or has attributes of other kinds than ONNX defines.
DAMAGED = (AttributeError, IndexError, KeyError, OverflowError, StopIteration, TypeError)
_FLOATING = ("FLOAT", "DOUBLE", "FLOAT16", "BFLOAT16")


@dataclass(frozen=True)
class Constant:
    """A constant of a graph. Its shape is known at once, its numbers are read when they are needed.

    Attributes:
        name: As in the file.
        shape: Its shape.
        floating: Whether its numbers are floating point.
        read: Gives the numbers, float32 if they are floating point.
    """

    name: str
    shape: tuple[int, ...]
    floating: bool
    read: Callable[[], NDArray[Any]]

    def number(self) -> float | None:
        """The number, if there is one only."""
        return float(self.read().reshape(())) if math.prod(self.shape) == 1 else None


@dataclass(frozen=True)
class Node:
    """An operation of a graph.

    Attributes:
        op: Which one, such as ``"Conv"``.
        name: For messages: the operation, and what the file calls the node.
        inputs: Names of values; ``""`` is one that is left out.
        outputs: Names of values.
        attributes: Numbers, strings and lists of them.
    """

    op: str
    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Any]


@dataclass(frozen=True)
class OnnxGraph:
    """What an ONNX file computes.

    Attributes:
        path: The file.
        inputs: Shape of each input that is no constant; ``None`` for a side of any length.
        outputs: Names of the results.
        nodes: In the order of execution, without those that only make constants.
        constants: By name.
    """

    path: Path
    inputs: Mapping[str, tuple[int | None, ...]]
    outputs: tuple[str, ...]
    nodes: tuple[Node, ...]
    constants: Mapping[str, Constant]


def read_onnx(path: str | Path) -> OnnxGraph:
    """Read an ONNX file, and weights that it keeps in files beside it.

    Args:
        path: The file.

    Raises:
        FileNotFoundError: If there is no such file.
        IsADirectoryError: If it is a folder.
        ModuleNotFoundError: If onnx is not installed.
        ValueError: If it is damaged, claims more numbers than it has, keeps weights outside of its folder, is
            not in order of execution, or has functions, graphs inside of nodes, or operations of others.
    """
    if find_spec("onnx") is None:
        raise ModuleNotFoundError("reading ONNX files needs onnx: pip install onnx")
    import onnx
    from google.protobuf.message import DecodeError  # type: ignore[import-untyped]

    path = Path(path).expanduser()
    if path.is_dir():
        raise IsADirectoryError(f"{path} is a folder: give the ONNX file in it")
    if not path.is_file():
        raise FileNotFoundError(f"there is no ONNX file {path}")
    try:
        model = onnx.load(str(path), format="protobuf", load_external_data=False)
    except DecodeError as error:
        raise ValueError(f"{path} is damaged or not an ONNX file: {error}") from error
    if not model.graph.node:
        raise ValueError(f"{path} is damaged or not an ONNX file: it has no graph")
    return _Reader(path).graph(model)


class _Reader:
    def __init__(self, path: Path) -> None:
        self.path = path
        self.constants: dict[str, Constant] = {}
        self.real_names: dict[str, str] = {}  # of what Identity gives another name
        self.known: set[str] = set()

    def graph(self, model: ModelProto) -> OnnxGraph:
        graph = model.graph
        self._check_plain(model)
        self._check_texts(*(named.name for named in (*graph.initializer, *graph.input, *graph.output)))
        for tensor in graph.initializer:
            self._define(tensor.name)
            self.constants[tensor.name] = self._constant(tensor, tensor.name)
        inputs = {}
        for value in graph.input:
            if value.name not in self.constants:  # old exporters list constants as inputs, too
                self._define(value.name)
                sides = value.type.tensor_type.shape.dim
                inputs[value.name] = tuple(s.dim_value if s.HasField("dim_value") else None for s in sides)
        nodes = []
        for proto in graph.node:
            try:
                node = self._node(proto)
            except DAMAGED as error:
                raise ValueError(f"{self.path}: {_name(proto)} is not as ONNX defines it") from error
            if node is not None:
                nodes.append(node)
        for value in graph.output:
            if value.name not in self.known:
                raise ValueError(f"{self.path}: nothing computes its output {value.name!r}")
        outputs = tuple(self.real_names.get(value.name, value.name) for value in graph.output)
        return OnnxGraph(self.path, inputs, outputs, tuple(nodes), self.constants)

    def _check_plain(self, model: ModelProto) -> None:
        graph: GraphProto = model.graph
        if model.functions or graph.sparse_initializer:
            raise ValueError(f"{self.path} has functions or sparse weights, which are not read: {_EXPORT}")
        many = sum(len(node.input) + len(node.output) for node in graph.node[: _MOST_NODES + 1])
        if len(graph.node) > _MOST_NODES or many > _MOST_INPUTS or len(graph.initializer) > _MOST_NODES:
            raise ValueError(f"{self.path} has {len(graph.node)} nodes, far more than any model known here")

    def _check_texts(self, *texts: str | bytes) -> None:
        """Raise if a name is no text: protobuf then gives its bytes."""
        wrong = next((text for text in texts if isinstance(text, bytes)), None)
        if wrong is not None:
            raise ValueError(f"{self.path} is damaged: the name {wrong[:_SHOWN]!r} in it is not UTF-8")

    def _define(self, name: str) -> None:
        if name in self.known:
            raise ValueError(f"{self.path} is damaged: it defines {name!r} twice")
        self.known.add(name)

    def _node(self, proto: NodeProto) -> Node | None:
        """A node, or ``None`` for one that only makes a constant or another name."""
        self._check_texts(proto.op_type, proto.name, proto.domain, *proto.input, *proto.output)
        self._check_texts(*(attribute.name for attribute in proto.attribute))
        name = _name(proto)
        if proto.domain not in ("", "ai.onnx"):
            raise ValueError(f"{self.path}: {name} is an operation of {proto.domain!r}, which is not read")
        for value in proto.input:
            if value and value not in self.known:
                raise ValueError(
                    f"{self.path}: {name} needs {value!r}, which nothing gives before it: a weight is "
                    "missing, the nodes are not in order of execution, or they go in a circle"
                )
        attributes = {a.name: self._attribute(a, name) for a in proto.attribute}
        inputs = tuple(self.real_names.get(value, value) for value in proto.input)
        for output in proto.output:
            if output:
                self._define(output)
        node = Node(proto.op_type, name, inputs, tuple(proto.output), attributes)
        if node.op == "Identity" and len(inputs) == len(node.outputs) == 1:
            self.real_names[node.outputs[0]] = inputs[0]
            return None
        constant = self._made_constant(node) if len(node.outputs) == 1 else None
        if constant is not None:
            self.constants[node.outputs[0]] = constant
            return None
        return node

    def _made_constant(self, node: Node) -> Constant | None:
        """What a node makes of constants alone, where it is needed to read weights."""
        output, attributes = node.outputs[0], node.attributes
        if node.op == "Constant":
            if len(attributes) != 1 or not isinstance(value := next(iter(attributes.values())), Constant):
                raise ValueError(f"{self.path}: {node.name} is not an array of numbers")
            return Constant(output, value.shape, value.floating, value.read)
        found = [self.constants.get(name) for name in node.inputs]
        constants = [constant for constant in found if constant is not None]
        if not constants or len(constants) < len(found):
            return None
        first = constants[0]
        if node.op == "Cast":
            return first
        if node.op == "Transpose":
            axes = tuple(attributes.get("perm", range(len(first.shape))[::-1]))
            if sorted(axes) != list(range(len(first.shape))):
                raise ValueError(f"{self.path}: {node.name} has perm={axes} for the shape {first.shape}")
            shape = tuple(first.shape[axis] for axis in axes)
            return Constant(first.name, shape, first.floating, lambda: first.read().transpose(axes))
        return _computed_number(node, constants)

    def _attribute(self, attribute: AttributeProto, node: str) -> Any:
        kind = attribute.AttributeType.Name(attribute.type)
        if kind in ("INT", "FLOAT"):
            return attribute.i if kind == "INT" else attribute.f
        if kind in ("INTS", "FLOATS"):
            return tuple(attribute.ints if kind == "INTS" else attribute.floats)
        if kind == "STRING":
            return attribute.s.decode("utf-8", "replace")
        if kind == "TENSOR":
            return self._constant(attribute.t, node)
        raise ValueError(f"{self.path}: {node} holds a {kind.lower()}, which is not read: {_EXPORT}")

    def _constant(self, tensor: TensorProto, name: str) -> Constant:
        """A constant whose claims have been checked against the bytes that there are."""
        dtype, shape = _kinds().get(tensor.data_type, "?"), tuple(tensor.dims[:_MOST_SIDES])
        if dtype not in _FIELDS:
            raise ValueError(f"{self.path}: {name!r} has numbers of a kind that is not read ({dtype})")
        # Without numbers a side could be of any length: such arrays are for lists only.
        smallest = 0 if len(shape) == 1 else 1
        if len(tensor.dims) > len(shape) or min(shape, default=1) < smallest:
            raise ValueError(f"{self.path} is damaged: {name!r} claims the shape {shape}")
        itemsize, field = _FIELDS[dtype]
        count, floating = math.prod(shape), dtype in _FLOATING
        if tensor.data_location == tensor.EXTERNAL:
            place = self._external(tensor, name, count * itemsize)
            return Constant(name, shape, floating, lambda: _read_external(*place, dtype, shape))
        raw = tensor.HasField("raw_data")
        there = len(tensor.raw_data) // itemsize if raw else len(getattr(tensor, field))
        if there != count or (raw and len(tensor.raw_data) % itemsize):
            raise ValueError(
                f"{self.path} is damaged: {name!r} claims the shape {shape}, so {count} numbers, and "
                f"has {there}"
            )
        return Constant(name, shape, floating, lambda: _read_inside(tensor, floating))

    def _external(self, tensor: TensorProto, name: str, size: int) -> tuple[Path, int, int]:
        """File, first byte and number of bytes of a weight that stands in a file beside."""
        entries = {entry.key: entry.value for entry in tensor.external_data}
        self._check_texts(*entries, *entries.values())
        location, folder = entries.get("location", ""), self.path.parent.resolve()
        parts = location.replace("\\", "/").split("/")
        inside = bool(location) and "\0" not in location and ".." not in parts
        file = folder / location if inside else folder
        if not inside or Path(location).is_absolute() or not file.resolve().is_relative_to(folder):
            raise ValueError(
                f"{self.path}: the weight {name!r} is kept in {location!r}, outside of the file's folder, "
                "which is not read"
            )
        if not file.is_file():
            raise ValueError(f"{self.path}: the file {file} with the weight {name!r} is missing")
        numbers = [entries.get("offset", "0"), entries.get("length", str(size))]
        start, length = (int(n) if n.isascii() and n.isdigit() and len(n) < 20 else -1 for n in numbers)
        if start < 0 or length != size or start + size > file.stat().st_size:
            raise ValueError(
                f"{self.path} is damaged: {name!r} claims {size} bytes at {numbers[0]} of {file}, which has "
                f"{file.stat().st_size}"
            )
        return file, start, size


def _name(node: NodeProto) -> str:
    op = node.op_type if node.op_type.isidentifier() else repr(node.op_type)
    return f"{op[:_SHOWN]} {(node.name or ''.join(node.output[:1]))[:_SHOWN]!r}"


_EXPORT = "export the model again with torch.onnx.export(..., dynamo=False)"


def _kinds() -> dict[int, str]:
    from onnx import TensorProto

    return {number: name for name, number in TensorProto.DataType.items()}


def _read_inside(tensor: TensorProto, floating: bool) -> NDArray[Any]:
    from onnx import numpy_helper

    array: NDArray[Any] = numpy_helper.to_array(tensor)
    return array.astype(np.float32, copy=False) if floating else array


def _read_external(file: Path, start: int, size: int, dtype: str, shape: tuple[int, ...]) -> NDArray[Any]:
    from onnx import TensorProto

    with file.open("rb") as stream:
        stream.seek(start)
        raw = stream.read(size)
    if len(raw) < size:
        raise ValueError(f"{file} became shorter while it was read")
    tensor = TensorProto(data_type=TensorProto.DataType.Value(dtype), dims=shape, raw_data=raw)
    return _read_inside(tensor, dtype in _FLOATING)


def _computed_number(node: Node, constants: list[Constant]) -> Constant | None:
    """What an exporter that folds no constants leaves of ``1 / p``."""
    if node.op not in ("Reciprocal", "Div", "Mul") or not all(constant.floating for constant in constants):
        return None
    x, y = constants[0].number(), constants[-1].number()
    if x is None or y is None:
        return None
    if node.op == "Reciprocal" and x:
        value = 1 / x
    elif node.op == "Div" and y:
        value = x / y
    elif node.op == "Mul":
        value = x * y
    else:
        return None  # division by zero
    array = np.full(constants[0].shape, value, np.float32)
    return Constant(node.outputs[0], array.shape, True, lambda: array)
