"""Damaged and hostile ONNX files are refused in one sentence, and take no memory for what they claim."""

import copy
import os
import random

import numpy as np
import pytest

import landmarkzoo as lz
from landmarkzoo.hub.convert.graph_units import GraphUnits
from landmarkzoo.hub.convert.henkel_onnx import dolg_arguments, head_weight
from landmarkzoo.hub.convert.onnx_files import read_onnx

onnx = pytest.importorskip("onnx", reason="needs the extra onnx")
TensorProto, helper, numpy_helper = onnx.TensorProto, onnx.helper, onnx.numpy_helper

NAME = "dolg_efficientnet_b0"
REGISTERED = {"hidden_dim": 1024}


def tensor(name="w", shape=(4, 3, 1, 1)):
    return numpy_helper.from_array(np.ones(shape, np.float32), name)


def conv(source="x", weight="w", output="y", **attributes):
    return helper.make_node("Conv", [source, weight], [output], name=f"make {output}", **attributes)


def model_of(nodes, tensors=(), output="y"):
    image = helper.make_tensor_value_info("x", TensorProto.FLOAT, (1, 3, 64, 64))
    result = helper.make_tensor_value_info(output, TensorProto.FLOAT, None)
    return helper.make_model(helper.make_graph(nodes, "g", [image], [result], list(tensors)))


@pytest.fixture
def refuse(tmp_path):
    def run(model, message):
        path = tmp_path / "model.onnx"
        path.write_bytes(model if isinstance(model, bytes) else model.SerializeToString())
        with pytest.raises(ValueError, match=message) as error:
            lz.convert_checkpoint(path, NAME)
        assert "\n" not in str(error.value)
        assert str(path) in str(error.value)

    return run


def test_files_that_are_none(refuse, tmp_path):
    refuse(b"", "is damaged or not an ONNX file: it has no graph")
    refuse(b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "is damaged or not an ONNX file")
    whole = model_of([conv()], [tensor()]).SerializeToString()
    refuse(whole[: len(whole) // 2], "is damaged or not an ONNX file")
    with pytest.raises(FileNotFoundError, match=r"there is no ONNX file nowhere\.onnx"):
        lz.convert_checkpoint("nowhere.onnx", NAME)
    (tmp_path / "folder.onnx").mkdir()
    with pytest.raises(IsADirectoryError, match=r"folder\.onnx is a folder: give the ONNX file in it"):
        lz.convert_checkpoint(tmp_path / "folder.onnx", NAME)


def test_without_onnx(monkeypatch):
    monkeypatch.setattr("landmarkzoo.hub.convert.onnx_files.find_spec", lambda name: None)
    with pytest.raises(ModuleNotFoundError, match="reading ONNX files needs onnx: pip install onnx"):
        lz.convert_checkpoint("model.onnx", NAME)


# --- the order of nodes, and what they are ---------------------------------------------------------------


def relu(source, output):
    return helper.make_node("Relu", [source], [output], name=f"make {output}")


@pytest.mark.parametrize(
    ("nodes", "message"),
    [
        ([relu("a", "y"), conv(output="a")], "Relu 'make y' needs 'a', which nothing gives before it"),
        ([relu("b", "a"), relu("a", "b"), relu("b", "y")], "or they go in a circle"),
        ([relu("y", "y")], "needs 'y', which nothing gives before it"),
        ([conv(weight="missing")], "Conv 'make y' needs 'missing'.*a weight is missing"),
        ([relu("x", "a"), relu("x", "a"), relu("a", "y")], "is damaged: it defines 'a' twice"),
        ([relu("x", "w"), relu("w", "y")], "is damaged: it defines 'w' twice"),
        ([relu("x", "a")], "nothing computes its output 'y'"),
        (
            [helper.make_node("Erf", ["x"], ["y"], name="e")],
            "Erf 'e' is an operation that no model of ours has",
        ),
        ([helper.make_node("Mine", ["x"], ["y"], domain="my.org")], "an operation of 'my.org', which is not"),
        ([helper.make_node("Conv", ["x"], ["y"])], "needs weights as its input 1, and has ''"),
        ([helper.make_node("Conv", ["x", "x"], ["y"])], "needs weights as its input 1, and has 'x'"),
        ([conv(strides=3)], "is not as ONNX defines it"),
        ([conv(strides=[1])], "does not have a stride and a dilation for each side"),
        ([conv(pads=[1])], "is padded in a way that no model of ours has"),
        ([conv(auto_pad="MIDDLE")], "is padded in a way that no model of ours has"),
        ([helper.make_node("Pow", ["x", "w"], ["y"])], "is no part of a GeM"),
        ([helper.make_node("Clip", ["x"], ["y"])], "has no lower bound"),
        ([helper.make_node("ReduceMean", ["x"], ["y"], axes=[1])], "is not the mean over all positions"),
        ([helper.make_node("Transpose", ["w"], ["y"], perm=[0, 9, 1, 2])], "has perm="),
        ([helper.make_node("Transpose", ["w"], ["y"], perm=0)], "is not as ONNX defines it"),
        ([helper.make_node("Constant", [], ["y"], value_string="text")], "is not an array of numbers"),
        ([relu("x", "y")], "is no DOLG by the code of Henkel 2021"),
        ([conv()], "is no DOLG by the code of Henkel 2021"),
        (
            [relu("x", f"a{i}") for i in range(21_000)] + [relu("x", "y")],
            "21001 nodes, far more than any model",
        ),
    ],
)
def test_nodes(refuse, nodes, message):
    refuse(model_of(nodes, [tensor()]), message)


def test_graphs_in_graphs_functions_and_sparse_weights(refuse):
    inner = helper.make_graph([], "inner", [], [helper.make_tensor_value_info("x", 1, None)])
    refuse(model_of([helper.make_node("If", ["x"], ["y"], then_branch=inner)]), "holds a graph, which is not")
    model = model_of([conv()], [tensor()])
    model.functions.append(helper.make_function("d", "f", ["a"], ["b"], [], []))
    refuse(model, "has functions or sparse weights, which are not read: export the model again")
    model = model_of([conv()], [tensor()])
    values, places = tensor("s", (1,)), numpy_helper.from_array(np.array([0], np.int64))
    model.graph.sparse_initializer.append(helper.make_sparse_tensor(values, places, [4]))
    refuse(model, "has functions or sparse weights")


def test_as_many_nodes_as_are_read_take_no_time(refuse):
    """10,000 results go into each of 5 others, and on from there: nothing grows with the square."""
    convs = [conv(output=f"a{i}") for i in range(10_000)]
    sums = [helper.make_node("Concat", [f"a{i}" for i in range(10_000)], [f"b{j}"], axis=1) for j in range(5)]
    chain = [helper.make_node("Add", [f"c{i}", "b0"], [f"c{i + 1}"]) for i in range(5_000)]
    refuse(model_of([*convs, *sums, relu("b1", "c0"), *chain, relu("c5000", "y")], [tensor()]), "is no DOLG")


# --- weights ---------------------------------------------------------------------------------------------


def claims(**fields):
    return TensorProto(name="w", **{"data_type": TensorProto.FLOAT, **fields})


@pytest.mark.parametrize(
    ("weight", "message"),
    [
        (
            claims(dims=(2**31, 2**31), raw_data=b"1234"),
            r"claims the shape .* so 4611686018427387904 numbers",
        ),
        (claims(dims=(10**12,), float_data=[1.0]), "and has 1"),
        (claims(dims=(2,), raw_data=b"123456789"), "claims the shape"),
        (claims(dims=(0, 2**60), raw_data=b""), r"claims the shape \(0, 1152921504606846976\)"),
        (claims(dims=(-1, 4), raw_data=b"1234"), r"claims the shape \(-1, 4\)"),
        (claims(dims=(1,) * 1000, raw_data=b"1234"), "claims the shape"),
        (claims(dims=(1,), data_type=TensorProto.STRING, string_data=[b"a"]), r"not read \(STRING\)"),
        (claims(dims=(1,), data_type=99, raw_data=b"1234"), r"not read \(\?\)"),
    ],
)
def test_what_weights_claim(refuse, weight, message):
    refuse(model_of([conv()], [weight]), message)
    refuse(model_of([helper.make_node("Constant", [], ["w"], value=weight), conv()]), message)


def test_weights_of_no_size_are_not_made_large(refuse):
    """A few bytes that are used again and again do not become a large model."""
    branches = [conv(output=f"a{i}") for i in range(1000)]
    join = helper.make_node("Concat", [f"a{i}" for i in range(1000)], ["y"], axis=1)
    refuse(model_of([*branches, join], [tensor()]), "it lacks the three branches")
    branches = [conv(output=f"a{i}") for i in range(3)]
    join = helper.make_node("Concat", ["a0", "a1", "a2"], ["b"], axis=1)
    wide = helper.make_node("MatMul", ["b", "neck"], ["y"])
    refuse(model_of([*branches, join, wide], [tensor(), tensor("neck", (1, 10**6))]), "no neck takes 2048")


def external(location, offset=None, length=None, shape=(4, 3, 1, 1)):
    weight = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=shape)
    weight.data_location = TensorProto.EXTERNAL
    for key, value in (("location", location), ("offset", offset), ("length", length)):
        if value is not None:
            weight.external_data.add(key=key, value=str(value))
    return weight


def test_weights_beside_the_file_stay_in_its_folder(refuse, tmp_path):
    outside = tmp_path.parent / f"{tmp_path.name}.secret"
    outside.write_bytes(bytes(48))
    (tmp_path / "link").symlink_to(outside)
    (tmp_path / "folder").symlink_to(tmp_path.parent)
    (tmp_path / "data").write_bytes(bytes(48))
    for location in (
        *(str(outside), f"../{outside.name}", f"folder/{outside.name}", "link", f"a/../../{outside.name}"),
        *(f"..\\{outside.name}", "", "data\0", str(tmp_path / "data"), "a/../data"),
    ):
        refuse(model_of([conv()], [external(location)]), "outside of the file's folder, which is not read")
    refuse(model_of([conv()], [external("none")]), "the file .*none with the weight 'w' is missing")
    refuse(model_of([conv()], [external(".")]), "with the weight 'w' is missing")
    os.mkfifo(tmp_path / "pipe")
    refuse(model_of([conv()], [external("pipe")]), "with the weight 'w' is missing")
    for offset, length in ((1, None), (-4, None), ("a", None), (0, 44), (10**30, None), ("٣", None)):
        refuse(model_of([conv()], [external("data", offset, length)]), "claims 48 bytes at")
    refuse(
        model_of([conv()], [external("data", shape=(2**40,))]), "claims 4398046511104 bytes at 0 of .*data"
    )
    model = model_of([conv()], [external("data", 0, 48)])
    (tmp_path / "model.onnx").write_bytes(model.SerializeToString())
    weight = read_onnx(tmp_path / "model.onnx").constants["w"]
    assert weight.read().shape == (4, 3, 1, 1)
    (tmp_path / "data").write_bytes(bytes(40))
    with pytest.raises(ValueError, match="became shorter while it was read"):
        weight.read()


def test_kinds_of_numbers(tmp_path):
    numbers = np.array([0.5, -2.0, 3.0])
    kinds = {"FLOAT": np.float32, "DOUBLE": np.float64, "FLOAT16": np.float16}
    tensors = [numpy_helper.from_array(numbers.astype(kind), name) for name, kind in kinds.items()]
    tensors += [
        helper.make_tensor(f"list of {name}", TensorProto.DataType.Value(name), (3,), numbers)
        for name in (*kinds, "BFLOAT16")
    ]
    tensors += [numpy_helper.from_array(np.array([3, -1]), "INT64"), tensor("half", (2,))]
    path = tmp_path / "model.onnx"
    path.write_bytes(model_of([relu("x", "y")], tensors).SerializeToString())
    constants = read_onnx(path).constants
    for name, constant in constants.items():
        if name not in ("INT64", "half"):
            assert constant.read().dtype == np.float32, name
            assert constant.read().tolist() == numbers.tolist(), name
    assert constants["INT64"].read().tolist() == [3, -1]
    assert not constants["INT64"].floating


# --- anything --------------------------------------------------------------------------------------------


def whole_head():
    nodes = [
        helper.make_node("ReduceL2", ["w"], ["norm"], axes=[1], keepdims=1),
        helper.make_node("Div", ["w", "norm"], ["unit"]),
        helper.make_node("Transpose", ["unit"], ["columns"], perm=[1, 0]),
        helper.make_node("MatMul", ["x", "columns"], ["cosine"]),
        helper.make_node("Reshape", ["cosine", "shape"], ["centers"]),
        helper.make_node("ReduceMax", ["centers"], ["nearest"], axes=[2], keepdims=0),
        helper.make_node("Softmax", ["nearest"], ["y"], axis=1),
    ]
    shape = numpy_helper.from_array(np.array([-1, 4, 3]), "shape")
    return model_of(nodes, [tensor("w", (12, 8)), shape])


def mutated(model, draw):
    """A copy with a few changes anywhere in it."""
    model = copy.deepcopy(model)
    graph = model.graph
    for _ in range(draw.randint(1, 3)):
        node = draw.choice(graph.node)
        way = draw.randrange(8)
        if way == 0:
            graph.node.remove(node)
        elif way == 1:
            node.op_type = draw.choice(
                ["Conv", "Gemm", "Add", "Pow", "Clip", "Concat", "Reshape", "Div", "Pad"]
            )
        elif way == 2 and node.input:
            node.input[draw.randrange(len(node.input))] = draw.choice(["", "w", "x", "y", "shape", "cosine"])
        elif way == 3 and node.input:
            node.input.pop()
        elif way == 4 and node.output:
            node.output.pop()
        elif way == 5:
            del node.attribute[:]
        elif way == 6 and node.attribute:
            chosen = draw.choice(node.attribute)
            changed = draw.choice([3, -7, 2.5, [1, 2, 3], [0.5], "text", tensor("t", (2,))])
            chosen.CopyFrom(helper.make_attribute(chosen.name, changed))
        elif way == 7:
            chosen = draw.choice(graph.initializer)
            chosen.dims[:] = [draw.choice([0, 1, 2, -3, 2**40]) for _ in range(draw.randrange(4))]
        if not graph.node:
            break
    return model


def refused(path, use):
    """Whether a file is refused in a sentence; anything else that it raises is a failure."""
    try:
        use(read_onnx(path))
    except ValueError as error:
        message = str(error)
        if "\n" in message or str(path) not in message:
            pytest.fail(f"not one sentence about the file: {message}")
        return True
    return False


def test_changed_graphs_are_read_or_refused(tmp_path):
    draw, path, read = random.Random(1), tmp_path / "model.onnx", 0
    whole = whole_head()
    path.write_bytes(whole.SerializeToString())
    weight, count, name = head_weight(read_onnx(path))
    assert (tuple(weight.shape), count, name) == ((12, 8), 3, "w")
    for _ in range(500):
        path.write_bytes(mutated(whole, draw).SerializeToString())
        read += not refused(path, head_weight)
    assert 0 < read < 400


def test_changed_bytes_are_read_or_refused(tmp_path):
    draw, path = random.Random(2), tmp_path / "model.onnx"
    whole = whole_head().SerializeToString()
    for _ in range(500):
        content = bytearray(whole)
        for _ in range(draw.randint(1, 4)):
            content[draw.randrange(len(content))] = draw.randrange(256)
        path.write_bytes(content)
        for use in (head_weight, GraphUnits, lambda graph: dolg_arguments(graph, REGISTERED, {})):
            refused(path, use)
