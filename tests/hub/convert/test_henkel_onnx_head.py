"""The head of the authors' ONNX release: its centers in our order, whatever the exporter did."""

import henkel_release
import pytest
import torch
from henkel_release import export

import landmarkzoo as lz

onnx = pytest.importorskip("onnx", reason="needs the extra onnx")
TensorProto, helper, numpy_helper = onnx.TensorProto, onnx.helper, onnx.numpy_helper

B0 = "dolg_efficientnet_b0"

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.mark.parametrize(
    ("opset", "folding", "as_inputs", "class_first"),
    [(11, True, False, True), (13, False, True, True), (17, True, True, False), (18, True, False, False)],
)
def test_a_head(net, exported, tmp_path, opset, folding, as_inputs, class_first):
    theirs = henkel_release.Head(7, class_first=class_first).eval()
    path = export(theirs, tmp_path / "model_head.onnx", torch.randn(1, 512), opset, folding, as_inputs)
    onnx.save(exported, tmp_path / "model_headless.onnx")
    model, head = lz.convert_checkpoint(tmp_path / "model_headless.onnx", B0, head=path)
    assert (head.num_classes, head.sub_centers, head.margins) == (7, 3, None)
    descriptors = torch.randn(20, 512)
    confidences, classes = theirs(descriptors)
    found = head.cosine(descriptors).softmax(1).max(1)
    assert torch.equal(found.indices, classes)
    assert torch.allclose(found.values, confidences, atol=1e-6)
    assert len(set(classes.tolist())) > 2
    images = torch.randn(2, 3, 64, 96)
    with torch.no_grad():
        assert torch.equal(head.predict(model.eval()(images), k=1).classes[:, 0], theirs(net(images))[1])


def test_a_head_of_folded_centers(exported, tmp_path):
    """As other tools fold it: centers of length 1, transposed, one a class."""
    weight = torch.nn.functional.normalize(torch.randn(5, 512))
    graph = helper.make_graph(
        [
            helper.make_node("MatMul", ["features", "w"], ["cosine"]),
            helper.make_node("Softmax", ["cosine"], ["p"], axis=1),
        ],
        "head",
        [helper.make_tensor_value_info("features", TensorProto.FLOAT, (1, 512))],
        [helper.make_tensor_value_info("p", TensorProto.FLOAT, (1, 5))],
        [numpy_helper.from_array(weight.T.contiguous().numpy(), "w")],
    )
    onnx.save(helper.make_model(graph), tmp_path / "head.onnx")
    onnx.save(exported, tmp_path / "model.onnx")
    _, head = lz.convert_checkpoint(tmp_path / "model.onnx", B0, head=tmp_path / "head.onnx")
    assert (head.num_classes, head.sub_centers) == (5, 1)
    assert torch.equal(head.weight, weight)


def test_wrong_heads(exported, tmp_path):
    onnx.save(exported, tmp_path / "model.onnx")

    def convert(**arguments):
        return lz.convert_checkpoint(tmp_path / "model.onnx", B0, **arguments)

    with pytest.raises(ValueError, match="is an operation that no head has"):
        convert(head=tmp_path / "model.onnx")
    with pytest.raises(ValueError, match="an ONNX model has no head in it"):
        convert(sub_centers=3)
    path = export(henkel_release.Head(7, dim=16).eval(), tmp_path / "head.onnx", torch.randn(1, 16))
    with pytest.raises(ValueError, match="is for descriptors of size 16, the model gives 512"):
        convert(head=path)
    with pytest.raises(ValueError, match="has 3 centers a class, got sub_centers=2"):
        convert(head=path, sub_centers=2)
    torch.save({"w": torch.zeros(1)}, tmp_path / "a.pth")
    with pytest.raises(ValueError, match="head= is for ONNX files"):
        lz.convert_checkpoint(tmp_path / "a.pth", B0, head=path)
