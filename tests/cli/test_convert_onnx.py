"""``landmarkzoo convert`` with the authors' ONNX files and names of classes."""

import pytest
import torch
from henkel_release import Head, export, release

import landmarkzoo as lz
from landmarkzoo.cli import main

pytestmark = pytest.mark.filterwarnings("ignore")


def test_the_authors_release(capsys, tmp_path):
    pytest.importorskip("onnx", reason="needs the extra onnx")
    theirs, head = release("tf_efficientnet_lite0"), Head(3).eval()
    export(theirs, tmp_path / "model_headless.onnx", torch.zeros(1, 3, 64, 64))
    export(head, tmp_path / "model_head.onnx", torch.randn(1, 512))
    table = tmp_path / "class2name.csv"
    table.write_text("class_id,name\n0,Taj_Mahal\n1,Caf%C3%A9_Central\n2,Eiffel_Tower\n")

    def run(*arguments):
        code = main(["convert", str(tmp_path / "model_headless.onnx"), *map(str, arguments)])
        return code, *capsys.readouterr()

    out = tmp_path / "dolg"
    named = ("--head", tmp_path / "model_head.onnx", "--class-names", table)
    code, printed, errors = run("dolg_efficientnet_lite0", "--out", out, *named)
    assert (code, errors) == (0, "")
    lines = printed.splitlines()
    assert "dilations=(3, 6, 9), stem_stride=2, embedding_dim=512: read from the file" in lines
    assert "head: 3 classes, 3 centers each" in lines
    assert lines[-1] == f"dolg_efficientnet_lite0 and its head: {out}"
    loaded, names = lz.load_head(f"local-dir:{out}")
    assert names == ["Taj Mahal", "Café Central", "Eiffel Tower"]
    model = lz.create_model(f"local-dir:{out}").eval()
    with torch.no_grad():
        images = torch.randn(2, 3, 64, 96)
        assert loaded.predict(model(images), k=1).classes[:, 0].tolist() == head(theirs(images))[1].tolist()

    code, _, errors = run("dolg_efficientnet_lite0", tmp_path / "m", "--class-names", table)
    assert (code, "the checkpoint has no head" in errors) == (2, True)
    code, _, errors = run("dolg_efficientnet_b0", tmp_path / "m")
    assert (code, errors.count("\n")) == (2, 1)
    assert "not (32, 3, 3, 3) as" in errors or "as backbone" in errors
    assert not (tmp_path / "m").exists()
    inside = ("--head", out / "head.safetensors", "--overwrite")
    code, _, errors = run("dolg_efficientnet_lite0", out, *inside)
    assert (code, "it is" in errors, "which is read" in errors) == (2, True, True)
