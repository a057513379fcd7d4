"""The authors' ONNX release: converted, it computes what their class computes, whatever the exporter did."""

import copy
import random

import pytest
import torch
from henkel_release import export, release, worst_distance
from onnx_graphs import gemm, nodes, weight_of

import landmarkzoo as lz

onnx = pytest.importorskip("onnx", reason="needs the extra onnx")
helper, numpy_helper = onnx.helper, onnx.numpy_helper

B0, LITE = "dolg_efficientnet_b0", "dolg_efficientnet_lite0"
IMAGE = torch.zeros(1, 3, 64, 96)
CLOSE = 1e-5

pytestmark = pytest.mark.filterwarnings("ignore")


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
