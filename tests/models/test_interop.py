"""Models outside of eager PyTorch: compiled, exported, as ONNX. The batch is never baked in."""

import pytest
import torch

import landmarkzoo as lz

MODELS = ["dolg_efficientnet_lite0", "hybrid_efficientnet_b0_swin_tiny_224"]


@pytest.fixture(scope="module", params=MODELS)
def model(request):
    torch.manual_seed(0)
    return lz.create_model(request.param).eval()


@pytest.fixture(scope="module")
def images(model):
    return torch.randn(3, *model.cfg.input_size)


@torch.no_grad()
def test_compiles_as_one_graph(model, images):
    compiled = torch.compile(model, backend="eager", fullgraph=True)
    torch.testing.assert_close(compiled(images), model(images))


@torch.no_grad()
def test_exported_program_takes_any_batch(model, images):
    batch = torch.export.Dim("batch", min=1, max=64)
    program = torch.export.export(model, (images[:2],), dynamic_shapes=({0: batch},)).module()
    for size in (1, 3):
        torch.testing.assert_close(program(images[:size]), model(images[:size]), rtol=0, atol=1e-4)


@pytest.mark.slow
@torch.no_grad()
def test_onnx_takes_any_batch(model, images, tmp_path):
    runtime = pytest.importorskip("onnxruntime", reason="pip install onnx onnxscript onnxruntime")
    model.train()
    lz.export_onnx(model, tmp_path / "model.onnx")
    assert model.training
    model.eval()
    session = runtime.InferenceSession(tmp_path / "model.onnx")
    for size in (1, 3):
        (out,) = session.run(["descriptors"], {"images": images[:size].numpy()})
        torch.testing.assert_close(torch.from_numpy(out), model(images[:size]), rtol=0, atol=1e-4)
    assert [path.name for path in tmp_path.iterdir()] == ["model.onnx"]


def test_onnx_errors(tmp_path, monkeypatch):
    with pytest.raises(TypeError, match="takes a landmarkzoo model, got Linear"):
        lz.export_onnx(torch.nn.Linear(2, 2), tmp_path / "model.onnx")
    monkeypatch.setattr("landmarkzoo.hub.onnx_export.find_spec", lambda name: None)
    with pytest.raises(ModuleNotFoundError, match="pip install onnx onnxscript"):
        lz.export_onnx(lz.create_model("efficientnet_lite0_gem"), tmp_path / "model.onnx")
