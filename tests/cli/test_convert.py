import json

import pytest
import torch
from reference_layout import randomize, reference_state_dict

import landmarkzoo as lz
from landmarkzoo.cli import main

NAMES = ["Taj Mahal", "塔", "Charminar"]


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    """A checkpoint with a head of three classes, its model and the head."""
    torch.manual_seed(0)
    model = randomize(lz.create_model("dolg_efficientnet_lite0", projection="reference"))
    head = lz.SubCenterArcFaceDynamic(512, 3)
    path = tmp_path_factory.mktemp("checkpoint") / "checkpoint.pth"
    torch.save({"model": reference_state_dict(model, head), "epoch": 3}, path)
    return path, model, head


def run(capsys, *arguments):
    code = main(["convert", *map(str, arguments)])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


@pytest.mark.parametrize("kind", ["txt", "json"])
def test_a_folder_that_loads(capsys, checkpoint, tmp_path, kind):
    path, model, head = checkpoint
    names = tmp_path / f"classes.{kind}"
    names.write_text("\n".join(NAMES) + "\n" if kind == "txt" else json.dumps(NAMES), encoding="utf-8")
    out_dir = tmp_path / "models" / "dolg"
    code, out, err = run(capsys, path, "dolg_efficientnet_lite0", out_dir, "--class-names", names)
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert lines[0] == f"matched: {len(model.state_dict()) + 1} tensors"
    assert "head: 3 classes, 3 centers each" in lines
    assert lines[-1] == f"dolg_efficientnet_lite0 and its head: {out_dir}"
    loaded = lz.create_model(f"local-dir:{out_dir}").eval()
    loaded_head, class_names = lz.load_head(f"local-dir:{out_dir}")
    assert loaded.cfg.args["projection"] == "reference"
    assert class_names == NAMES
    assert torch.equal(loaded_head.weight, head.weight)
    images = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        assert torch.equal(loaded(images), model(images))


def test_arguments_of_the_architecture(capsys, checkpoint, tmp_path):
    path, _, _ = checkpoint
    settings = ["--set", "dilations=6,12,18", "--set", "stem_stride=1", "--set", "projection=exact"]
    code, out, _ = run(capsys, path, "dolg_efficientnet_lite0", tmp_path / "m", *settings, "--sub-centers", 1)
    assert code == 0
    assert "head: 9 classes, 1 center each" in out
    args = lz.create_model(f"local-dir:{tmp_path / 'm'}").cfg.args
    assert (args["dilations"], args["stem_stride"], args["projection"]) == ((6, 12, 18), 1, "exact")


def test_a_checkpoint_without_head(capsys, checkpoint, tmp_path):
    _, model, _ = checkpoint
    torch.save(reference_state_dict(model), tmp_path / "c.pth")
    (tmp_path / "names.txt").write_text("a")
    code, out, _ = run(capsys, tmp_path / "c.pth", "dolg_efficientnet_lite0", tmp_path / "m")
    assert code == 0
    assert out.splitlines()[-1].startswith("dolg_efficientnet_lite0, no head: ")
    assert not (tmp_path / "m" / "head.safetensors").exists()
    named = ["--class-names", tmp_path / "names.txt"]
    code, _, err = run(capsys, tmp_path / "c.pth", "dolg_efficientnet_lite0", tmp_path / "n", *named)
    assert code == 2
    assert "the checkpoint has no head, so there are no classes to name" in err


LITE = "dolg_efficientnet_lite0"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere.pth", LITE, "m"], "there is no checkpoint nowhere.pth"),
        (["junk.pth", LITE, "m"], "junk.pth: damaged, or not a checkpoint that torch.load reads"),
        (["c.pth", LITE, "junk.pth"], "cannot write the folder junk.pth: it is a file"),
        (["c.pth", LITE + "x", "m"], "Did you mean dolg_efficientnet_lite0"),
        (["c.pth", "dolg_efficientnet_b0", "m"], "does not fit 'dolg_efficientnet_b0'"),
        (
            ["c.pth", "efficientnet_b3", "m"],
            "a checkpoint of a DOLG, but 'efficientnet_b3' is a GlobalDescriptor",
        ),
        (["c.pth", LITE, "m", "--sub-centers", "4"], "with sub_centers=4"),
        (["c.pth", LITE, "m", "--set", "stem_stride"], "--set takes NAME=VALUE"),
        (["c.pth", LITE, "m", "--set", "stemstride=1"], "Did you mean stem_stride"),
        (
            ["c.pth", LITE, "m", "--set", "embedding_dim=x"],
            "embedding_dim must be a positive integer, got 'x'",
        ),
        (["c.pth", LITE, "m", "--class-names", "nowhere.txt"], "--class-names: there is no file nowhere.txt"),
        (["c.pth", LITE, "m", "--class-names", "two.txt"], "got 2 class names for 3 classes"),
        (["c.pth", LITE, "m", "--class-names", "two.json"], "two.json is damaged"),
        (["c.pth", LITE, "m", "--class-names", "dict.json"], "must hold a list of names, got a dict"),
    ],
)
def test_wrong_input_is_one_line_and_code_2(capsys, checkpoint, arguments, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "c.pth").symlink_to(checkpoint[0])
    (tmp_path / "junk.pth").write_text("no checkpoint")
    for name, text in (("two.txt", "a\nb\n"), ("two.json", '["a", '), ("dict.json", "{}")):
        (tmp_path / name).write_text(text)
    code, out, err = run(capsys, *arguments)
    assert (code, out) == (2, "")
    assert err.startswith("landmarkzoo: error: ")
    assert message in err
    assert err.count("\n") == 1
    assert not (tmp_path / "m" / "model.safetensors").exists()
