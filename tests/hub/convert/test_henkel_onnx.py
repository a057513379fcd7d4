"""The authors' ONNX release: converted, it computes what their class computes, whatever the exporter did."""

import copy
import random

import pytest
import torch
from henkel_release import export, release, worst_distance

import landmarkzoo as lz

onnx = pytest.importorskip("onnx", reason="needs the extra onnx")
helper, numpy_helper = onnx.helper, onnx.numpy_helper

B0, LITE = "dolg_efficientnet_b0", "dolg_efficientnet_lite0"
IMAGE = torch.zeros(1, 3, 64, 96)
CLOSE = 1e-5

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture
def convert(tmp_path):
    """Saves a changed graph and converts it."""

    def run(model, name=B0, **arguments):
        onnx.save(model, tmp_path / "changed.onnx")
        return lz.convert_checkpoint(tmp_path / "changed.onnx", name, **arguments)[0]

    return run


@pytest.mark.parametrize(
    ("opset", "folding", "as_inputs", "pool"),
    [
        (11, True, False, "avg_pool2d"),
        (11, False, True, "mean"),
        (13, True, True, "adaptive_avg_pool2d"),
        (17, True, False, "mean"),
        (17, False, False, "avg_pool2d"),
        (18, True, False, "mean"),
    ],
)
def test_what_exporters_make_of_their_class(net, tmp_path, opset, folding, as_inputs, pool):
    theirs = copy.deepcopy(net)
    theirs.global_pool.way = pool
    path = export(theirs, tmp_path / "model.onnx", IMAGE, opset, folding, as_inputs)
    norms = [node for node in onnx.load(path).graph.node if node.op_type == "BatchNormalization"]
    assert len(norms) == (1 if folding else 51)  # that of the neck is never folded
    ours, head = lz.convert_checkpoint(path, B0)
    assert head is None
    assert ours.training
    assert ours.cfg.args["projection"] == "reference"
    assert ours.cfg.args["dilations"] == (3, 6, 9)
    assert worst_distance(ours, net) < CLOSE


@pytest.mark.parametrize(
    ("backbone", "dilations", "stem_stride", "name"),
    [
        ("tf_efficientnet_lite0", (6, 12, 18), 2, LITE),
        ("tf_efficientnet_lite0", (2, 2, 2), 2, LITE),  # only their order tells the branches apart
        ("tf_efficientnet_b0", (9, 3, 6), 1, B0),
    ],
)
def test_dilations_and_stem_are_read_from_the_file(tmp_path, backbone, dilations, stem_stride, name):
    theirs = release(backbone, dilations, stem_stride=stem_stride)
    ours, _ = lz.convert_checkpoint(export(theirs, tmp_path / "model.onnx", IMAGE), name)
    assert ours.cfg.args["dilations"] == dilations
    assert ours.cfg.args["stem_stride"] == stem_stride
    assert worst_distance(ours, theirs) < CLOSE
    with pytest.raises(ValueError, match=r"has dilations=.*got dilations=\(1, 2, 3\): leave it out"):
        lz.convert_checkpoint(tmp_path / "model.onnx", name, dilations=(1, 2, 3))


def test_a_saved_model_is_the_same(net, exported, convert, tmp_path):
    ours = convert(exported)
    ours.save_pretrained(tmp_path / "saved")
    assert worst_distance(lz.create_model(f"local-dir:{tmp_path / 'saved'}"), net) < CLOSE


# --- graphs that say the same in another way -----------------------------------------------------------


def as_constant_nodes(model):
    nodes = [
        helper.make_node("Constant", [], [tensor.name], value=tensor) for tensor in model.graph.initializer
    ]
    rest = list(model.graph.node)
    del model.graph.node[:], model.graph.initializer[:]
    model.graph.node.extend(nodes + rest)


def in_another_order(model):
    """Any order of execution: first what was last, as soon as its inputs are there."""
    known = {tensor.name for tensor in model.graph.initializer} | {value.name for value in model.graph.input}
    waiting, done = list(model.graph.node), []
    shuffle = random.Random(0)
    while waiting:
        ready = [node for node in waiting if all(not name or name in known for name in node.input)]
        node = shuffle.choice(ready[-3:])
        waiting.remove(node)
        done.append(node)
        known.update(node.output)
    assert [node.name for node in done] != [node.name for node in model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(done)


def with_identities(model):
    for node in [node for node in model.graph.node if node.op_type in ("Conv", "Gemm", "PRelu")]:
        at = list(model.graph.node).index(node)
        for i, name in enumerate(node.input[:2]):
            model.graph.node.insert(at, helper.make_node("Identity", [name], [f"{node.name}{name}{i}"]))
            node.input[i] = f"{node.name}{name}{i}"


def anonymous(model):
    """Weights without names that would tell what they are, in the order of their hashes."""
    names = {tensor.name: f"onnx::{abs(hash(tensor.name))}" for tensor in model.graph.initializer}
    for tensor in model.graph.initializer:
        tensor.name = names[tensor.name]
    for node in model.graph.node:
        node.input[:] = [names.get(name, name) for name in node.input]


def gemm(model):
    return next(node for node in model.graph.node if node.op_type == "Gemm")


def weight_of(model, name):
    return next(tensor for tensor in model.graph.initializer if tensor.name == name)


def without_transposition(model):
    node = gemm(model)
    tensor = weight_of(model, node.input[1])
    tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor).T.copy(), tensor.name))
    next(attribute for attribute in node.attribute if attribute.name == "transB").i = 0


def as_matmul_and_add(model):
    without_transposition(model)
    node = gemm(model)
    at = list(model.graph.node).index(node)
    weight, bias, output = node.input[1], node.input[2], node.output[0]
    del model.graph.node[at]
    model.graph.node.insert(at, helper.make_node("Add", [bias, "product"], [output]))
    model.graph.node.insert(at, helper.make_node("MatMul", [node.input[0], weight], ["product"]))


def norm_of_vectors_as_maps(model):
    """As exporters did that knew batch norms of maps only."""
    node = next(node for node in model.graph.node if node.op_type == "BatchNormalization")
    at, (before, after) = list(model.graph.node).index(node), (node.input[0], node.output[0])
    model.graph.initializer.append(numpy_helper.from_array(torch.tensor([2]).numpy(), "two"))
    node.input[0], node.output[0] = "map", "normed"
    model.graph.node.insert(at + 1, helper.make_node("Squeeze", ["normed", "two"], [after]))
    model.graph.node.insert(at, helper.make_node("Unsqueeze", [before, "two"], ["map"]))


def padding_in_numbers(model):
    """As older exporters write padding="same"."""
    branches = [node for node in nodes(model, "Conv") if node.name.startswith("/atrous")]
    for node, dilation in zip(branches, (3, 6, 9), strict=True):
        kept = [item for item in node.attribute if item.name != "auto_pad"]
        assert len(kept) < len(node.attribute)
        del node.attribute[:]
        node.attribute.extend([*kept, helper.make_attribute("pads", [dilation] * 4)])


@pytest.mark.parametrize(
    "change",
    [
        padding_in_numbers,
        as_constant_nodes,
        in_another_order,
        with_identities,
        anonymous,
        without_transposition,
        as_matmul_and_add,
        norm_of_vectors_as_maps,
    ],
)
def test_the_same_graph_in_another_way(net, exported, convert, change):
    model = copy.deepcopy(exported)
    change(model)
    assert worst_distance(convert(model), net, [(64, 96)]) < CLOSE


def test_weights_beside_the_file(net, exported, tmp_path):
    path = tmp_path / "model.onnx"
    onnx.save(
        copy.deepcopy(exported), path, save_as_external_data=True, location="model.data", size_threshold=1
    )
    assert (tmp_path / "model.data").stat().st_size > 10_000_000
    ours, _ = lz.convert_checkpoint(path, B0)
    assert worst_distance(ours, net, [(64, 96)]) < CLOSE


# --- graphs that say something else --------------------------------------------------------------------


def nodes(model, op):
    return [node for node in model.graph.node if node.op_type == op]


def attribute(node, name):
    return next(attribute for attribute in node.attribute if attribute.name == name)


def norm_eps(model):
    attribute(nodes(model, "BatchNormalization")[0], "epsilon").f = 1e-3


def training_mode(model):
    nodes(model, "BatchNormalization")[0].attribute.append(helper.make_attribute("training_mode", 1))


def other_stride(model):
    attribute(nodes(model, "Conv")[3], "strides").ints[:] = [2, 2]


def other_groups(model):
    depthwise = next(node for node in nodes(model, "Conv") if attribute(node, "group").i > 1)
    attribute(depthwise, "group").i = 1


def other_padding(model):
    depthwise = next(node for node in nodes(model, "Conv") if attribute(node, "group").i > 1)
    attribute(depthwise, "pads").ints[:] = [0, 0, 0, 0]


def lopsided_padding(model):
    depthwise = next(node for node in nodes(model, "Conv") if attribute(node, "group").i > 1)
    attribute(depthwise, "pads").ints[:] = [0, 0, 2, 2]


def no_padding_by_size(model):
    pad = nodes(model, "Pad")[0]
    nodes(model, "Conv")[0].input[0] = pad.input[0]


def other_activation(model):
    nodes(model, "Relu")[0].op_type = "Sigmoid"


def global_before_local(model):
    fusion = next(node for node in nodes(model, "Concat") if "Tile" in node.input[1])
    fusion.input[:] = list(fusion.input)[::-1]


def other_gem_eps(model):
    clip = nodes(model, "Clip")[-1]
    assert "global_pool" in clip.name
    model.graph.initializer.append(numpy_helper.from_array(torch.tensor(1e-3).numpy(), "low"))
    clip.input[1] = "low"


def other_root(model):
    power = nodes(model, "Pow")[-1]
    model.graph.initializer.append(numpy_helper.from_array(torch.tensor(0.5).numpy(), "root"))
    power.input[1] = "root"


def part_of_the_map(model):
    attribute(nodes(model, "AveragePool")[0], "kernel_shape").ints[:] = [1, 1]


def no_prelu(model):
    prelu = nodes(model, "PRelu")[0]
    model.graph.output[0].name = prelu.input[0]
    model.graph.node.remove(prelu)


def more_behind(model):
    weight = numpy_helper.from_array(torch.eye(512).numpy(), "eye")
    model.graph.initializer.append(weight)
    model.graph.node.append(helper.make_node("MatMul", [model.graph.output[0].name, "eye"], ["more"]))
    model.graph.output[0].name = "more"


def square_of_the_norm(model):
    division = nodes(model, "Div")[-1]
    at = list(model.graph.node).index(division)
    model.graph.node.insert(at, helper.make_node("Mul", [division.input[1]] * 2, ["square"], name="squared"))
    division.input[1] = "square"


def scaled(model):
    model.graph.initializer.append(numpy_helper.from_array(torch.tensor(2.0).numpy(), "two"))
    model.graph.node.append(
        helper.make_node("Mul", [model.graph.output[0].name, "two"], ["more"], name="twice")
    )
    model.graph.output[0].name = "more"


def images_from_0_to_255(model):
    model.graph.initializer.append(numpy_helper.from_array(torch.tensor(255.0).numpy(), "most"))
    name = model.graph.input[0].name
    for node in model.graph.node:
        node.input[:] = ["divided" if value == name else value for value in node.input]
    model.graph.node.insert(0, helper.make_node("Div", [name, "most"], ["divided"], name="divide"))


def without_bias(model):
    del nodes(model, "Conv")[1].input[2]


def smaller_bias(model):
    tensor = weight_of(model, nodes(model, "Conv")[1].input[2])
    tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor)[:1].copy(), tensor.name))


def without_branches(model):
    concat = next(node for node in nodes(model, "Concat") if "atrous" in node.input[0])
    attribute(concat, "axis").i = 0


def two_outputs(model):
    model.graph.output.append(helper.make_tensor_value_info(nodes(model, "Gemm")[0].output[0], 1, None))


def output_before_the_end(model):
    model.graph.output[0].name = nodes(model, "PRelu")[0].input[0]


def of_two(model, op):
    """Nodes with two inputs that other nodes of the graph compute from images, in their order."""
    constants = {node.output[0] for node in nodes(model, "Constant")}
    constants |= {tensor.name for tensor in model.graph.initializer}
    sigmoids = {node.output[0] for node in nodes(model, "Sigmoid")}
    return [
        node
        for node in nodes(model, op)
        if not constants & set(node.input) and (op != "Mul" or not sigmoids & set(node.input))
    ]


def residual_multiplied(model):
    of_two(model, "Add")[0].op_type = "Mul"


def residual_subtracted(model):
    of_two(model, "Add")[-1].op_type = "Sub"


def projection_added(model):
    of_two(model, "Sub")[-1].op_type = "Add"


def attention_added(model):
    of_two(model, "Mul")[-1].op_type = "Add"


def multiplied_by_the_length(model):
    of_two(model, "Div")[0].op_type = "Mul"


def length_divided(model):
    node = of_two(model, "Div")[-1]
    node.input[:] = reversed(node.input)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (residual_multiplied, "operations Add on maps, not"),
        (residual_subtracted, "operations Add on maps, not"),
        (projection_added, "operations Add on maps, not"),
        (attention_added, "operations Add on maps, not"),
        (multiplied_by_the_length, "does not divide by the length of a vector"),
        (length_divided, "does not divide by the length of a vector"),
        (norm_eps, r"has eps=0.001, not 1e-05 as neck.0"),
        (training_mode, "is in training mode: export the model in eval mode"),
        (other_stride, r"has stride \(2, 2\), not \(1, 1\) as backbone.blocks.0.0.se.conv_expand"),
        (other_groups, r"has groups \(1,\), not \(32,\) as backbone.blocks.0.0.conv_dw"),
        (other_padding, r"has padding \(0, 0\), not \(1, 1\) as backbone.blocks.0.0.conv_dw"),
        (lopsided_padding, r"has padding by size|has padding half of its reach"),
        (no_padding_by_size, r"has padding \(0, 0\), not by size as backbone.conv_stem"),
        (other_activation, "has activations sigmoid, not relu as spatial_attention.project"),
        (global_before_local, "does not put the global features behind the local ones"),
        (other_gem_eps, "has eps=0.001, not 1e-06 as global_pool"),
        (other_root, "takes another root than the power before it"),
        (part_of_the_map, r"GeM takes the mean over \(1, 1\) positions, its map has \(2, 3\)"),
        (no_prelu, "has nothing for neck.2: no prelu stands where it stands"),
        (more_behind, "MatMul 'more' fits nothing in the model"),
        (square_of_the_norm, "Mul 'squared' computes with one value twice"),
        (scaled, "Mul 'twice' computes with the constant 'two', which fits nothing"),
        (images_from_0_to_255, "Div 'divide' computes with the constant 'most', which fits nothing"),
        (without_bias, "has nothing for backbone.blocks.0.0.bn1.bias"),
        (smaller_bias, r"has shape \(1,\), not \(32,\) as backbone.blocks.0.0.bn1.bias"),
        (without_branches, "is no DOLG by the code of Henkel 2021: it lacks the three branches"),
        (two_outputs, "has 1 inputs and 2 outputs"),
        (output_before_the_end, "its output is not the result of its last layer"),
    ],
)
def test_another_graph_is_refused(exported, convert, change, message):
    model = copy.deepcopy(exported)
    change(model)
    with pytest.raises(ValueError, match=message) as error:
        convert(model)
    assert "\n" not in str(error.value)


def test_other_models_are_refused(exported, convert, tmp_path):
    with pytest.raises(ValueError, match=r"has a weight of shape \(32, 3, 3, 3\), not \(48, 3, 3, 3\)"):
        convert(exported, "dolg_efficientnet_b5")
    with pytest.raises(ValueError, match="of ONNX files only those of DOLG are known"):
        convert(exported, "efficientnet_b3")
    with pytest.raises(ValueError, match="all weights come from the checkpoint"):
        convert(exported, pretrained_backbone=True)
    with pytest.raises(ValueError, match="has embedding_dim=512, got embedding_dim=256"):
        convert(exported, embedding_dim=256)
    export(release("efficientnet_b0"), tmp_path / "symmetric.onnx", IMAGE)  # padded as in PyTorch
    with pytest.raises(ValueError, match=r"has padding \(1, 1\), not by size as backbone.conv_stem"):
        lz.convert_checkpoint(tmp_path / "symmetric.onnx", B0)


@pytest.mark.slow
def test_the_model_of_the_paper(tmp_path):
    theirs = release("tf_efficientnet_b5", (6, 12, 18))
    path = export(theirs, tmp_path / "model_headless.onnx", torch.zeros(1, 3, 192, 192))
    ours, _ = lz.convert_checkpoint(path, "dolg_efficientnet_b5")
    assert ours.cfg.args["dilations"] == (6, 12, 18)
    assert worst_distance(ours, theirs, [(192, 192), (129, 200)]) < CLOSE
