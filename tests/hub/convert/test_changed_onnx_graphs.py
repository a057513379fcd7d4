"""ONNX graphs that compute something else than the authors' class are refused."""

import copy

import pytest
import torch
from onnx_graphs import attribute, nodes, weight_of

onnx = pytest.importorskip("onnx", reason="needs the extra onnx")
helper, numpy_helper = onnx.helper, onnx.numpy_helper

pytestmark = pytest.mark.filterwarnings("ignore")


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
