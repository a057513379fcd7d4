import csv
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import landmarkzoo as lz
from landmarkzoo.cli import COMMANDS, main


def run(capsys, *arguments):
    code = main([str(a) for a in arguments])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_models(capsys):
    code, out, _ = run(capsys, "models")
    assert code == 0
    assert [line.split()[0] for line in out.splitlines()[2:]] == lz.list_models()
    assert run(capsys, "models", "*lite0_gem")[1].count("\n") == 3
    code, out, err = run(capsys, "models", "nothing*")
    assert (code, out) == (2, "")
    assert err.startswith("landmarkzoo: error: no model fits")
    err = run(capsys, "models", "gem_resnet50.gl18")[2]
    assert err.endswith("no model fits 'gem_resnet50.gl18'; landmark weights do: add --pretrained\n")
    code, out, err = run(capsys, "models", "--pretrained", "dinov2*")
    assert (code, out) == (2, "")
    assert "no landmark weights that can be loaded by name fit 'dinov2*'" in err
    *lines, last = run(capsys, "models", "--pretrained")[1].splitlines()[2:]
    assert last.endswith("not yet loaded by us.")
    (ours,) = (line for line in lines if line.startswith("efficientnet_lite0_gem.rendered"))
    assert "none, 8 MB in the package  Apache-2.0  landmarks rendered by landmarkzoo" in ours
    assert run(capsys, "models", "*lite0_gem")[1].splitlines()[2].endswith("512         rendered")
    assert [line.split()[0] for line in lines if line[0] != "["] == lz.list_models(pretrained=True)


def test_embed_then_search(capsys, photo_folder, tmp_path):
    index, results = tmp_path / "index.safetensors", tmp_path / "results.csv"
    code, out, err = run(capsys, "embed", photo_folder, "--out", index, "--image-size", 64)
    assert (code, err) == (0, "")  # no progress bar where there is no terminal
    assert "11 photos, 1280 dimensions, 0 skipped" in out
    query = tmp_path / "query.safetensors"
    assert (
        run(capsys, "embed", photo_folder / "b/ü.jpg", "--out", query, "--image-size", 64, "--quiet")[0] == 0
    )
    code, out, err = run(capsys, "search", query, index, "-k", 3, "--out", results)
    assert (code, err) == (0, "")
    assert "b/ü.jpg" in out.splitlines()[2]
    with results.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["rank"] for row in rows] == ["1", "2", "3"]
    assert rows[0]["id"] == "b/ü.jpg"
    assert float(rows[0]["score"]) == pytest.approx(1, abs=1e-5)


def test_searching_a_file_in_itself_leaves_each_photo_out(capsys, tmp_path):
    d = lz.Descriptors([f"p{i}" for i in range(14)], np.random.default_rng(0).random((14, 4)))
    d.save(tmp_path / "d")
    code, out, _ = run(capsys, "search", tmp_path / "d", tmp_path / "." / "d", "-k", 2)
    assert code == 0
    rows = [line.split() for line in out.splitlines()[2:-1]]
    assert len(rows) == 20
    assert all(query != found for query, _, found, _ in rows)
    assert "... 4 more queries: --out FILE writes all" in out


def test_whitened_index_and_queries_fit_each_other(capsys, photo_folder, tmp_path):
    options = ["--whiten", photo_folder, "--image-size", 64, "--quiet"]
    for name in ("a", "b"):
        assert run(capsys, "embed", photo_folder, "--out", tmp_path / name, *options)[0] == 0
    a, b = (lz.Descriptors.load(tmp_path / name) for name in ("a", "b"))
    assert a.provenance == b.provenance
    assert np.array_equal(a.vectors, b.vectors)
    assert a.vectors.shape == (11, 512)
    run(capsys, "embed", photo_folder, "--out", tmp_path / "c", "--image-size", 64, "--quiet")
    code, _, err = run(capsys, "search", tmp_path / "a", tmp_path / "c")
    assert code == 2
    assert "use one model" in err


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_embed_equals_the_library(capsys, photo_folder, tmp_path, precision):
    out = tmp_path / "d.safetensors"
    options = ["--image-size", 64, "--batch-size", 5, "--precision", precision, "--quiet"]
    assert run(capsys, "embed", photo_folder, "--out", out, *options)[0] == 0
    model = lz.create_model("efficientnet_lite0_gem", pretrained_backbone=True, neck="none")
    transform = lz.create_transform(model, image_size=64)
    expected = lz.embed(
        model, photo_folder, transform=transform, batch_size=5, precision=precision, progress=False
    )
    d = lz.Descriptors.load(out)
    assert d.ids == expected.ids
    np.testing.assert_array_equal(d.vectors, expected.vectors)
    assert {key: d.provenance[key] for key in expected.provenance} == expected.provenance


def test_whitening_has_the_shrinkage_that_is_given(capsys, photo_folder, tmp_path):
    options = ["--whiten", photo_folder, "--image-size", 64, "--shrinkage", 0.5, "--quiet"]
    assert run(capsys, "embed", photo_folder, "--out", tmp_path / "d", *options)[0] == 0
    model = lz.create_model("efficientnet_lite0_gem", pretrained_backbone=True)
    transform = lz.create_transform(model, image_size=64)
    lz.whiten_neck(model, photo_folder, transform=transform, shrinkage=0.5, progress=False)
    expected = lz.embed(model, photo_folder, transform=transform, progress=False)
    np.testing.assert_array_equal(lz.Descriptors.load(tmp_path / "d").vectors, expected.vectors)


def test_skipped_photos_are_listed(capsys, photo_folder, tmp_path):
    (photo_folder / "bad.jpg").write_bytes(b"")
    arguments = ["embed", photo_folder, "--out", tmp_path / "x", "--image-size", 32, "--quiet"]
    code, _, err = run(capsys, *arguments)
    assert code == 2
    assert err.count("\n") == 1
    assert "bad.jpg: the file is empty" in err
    code, out, err = run(capsys, *arguments, "--skip-errors")
    assert code == 0
    assert "11 photos" in out
    assert "1 skipped" in out
    assert err == "skipped bad.jpg: the file is empty\n"


DOLG = ["--model", "dolg_efficientnet_lite0"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["embed", "nowhere", "--out", "x"], "no such folder or photo: nowhere"),
        (
            ["embed", ".", "--out", "no/where/x"],
            "cannot write no/where/x: the folder no/where does not exist",
        ),
        (["embed", ".", "--out", "."], "cannot write .: it is ., which is read"),
        (["embed", ".", "--out", "x", "--model", "dolg_lite0"], "Did you mean dolg_"),
        (["embed", ".", "--out", "x", *DOLG], "use --model efficientnet_lite0_gem"),
        (["embed", ".", "--out", "x", *DOLG, "--whiten", "."], "has no landmark weights that can be loaded"),
        (["search", "a", "b"], "no descriptors file a"),
        (["demo", "--photos", "nowhere"], "no such folder or file: nowhere"),
        (["embed", ".", "--out", "x", "--device", "foo", "--quiet"], "cannot compute on the device 'foo'"),
        (["embed", ".", "--out", "x", "--batch-size", "0", "--quiet"], "batch_size must be a positive"),
        (["embed", ".", "--out", "x", "--workers", "-1", "--quiet"], "num_workers"),
        (["demo", "--views", "1"], "views"),
        (["demo", "--out", "no/where/x.png"], "the folder no/where does not exist"),
    ],
)
def test_wrong_input_is_one_line_and_code_2(capsys, arguments, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Image.new("RGB", (40, 40)).save(tmp_path / "one.png")
    code, _, err = run(capsys, *arguments)
    assert code == 2
    assert err.startswith("landmarkzoo: error: ")
    assert message in err.splitlines()[-1]
    assert err.count("\n") == 1


def test_every_command_is_listed():
    files = {path.stem for path in Path(lz.cli.__file__).parent.glob("*_command.py")}
    assert sorted(f"{name}_command" for name in COMMANDS) == sorted(files)


@pytest.mark.parametrize("command", COMMANDS)
def test_help(capsys, command):
    with pytest.raises(SystemExit) as stopped:
        main([command, "--help"])
    assert stopped.value.code == 0
    assert f"landmarkzoo {command}" in capsys.readouterr().out


def test_usage_and_version(capsys):
    with pytest.raises(SystemExit) as stopped:
        main(["nonsense"])
    assert stopped.value.code == 2
    with pytest.raises(SystemExit) as stopped:
        main(["--version"])
    assert lz.__version__ in capsys.readouterr().out


def test_interrupt(capsys, monkeypatch, tmp_path):
    def interrupted(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr("landmarkzoo.retrieval.Descriptors.load", interrupted)
    assert run(capsys, "search", "a", "b") == (130, "", "landmarkzoo: interrupted\n")


def test_entry_point_in_a_process_of_its_own():
    entry_point = Path(sys.executable).with_name("landmarkzoo")
    process = subprocess.run([entry_point, "search", "a", "b"], capture_output=True, text=True)
    assert process.returncode == 2
    assert process.stderr == "landmarkzoo: error: no descriptors file a\n"


def test_python_dash_m():
    command = [sys.executable, "-m", "landmarkzoo", "search", "a", "b"]
    process = subprocess.run(command, capture_output=True, text=True)
    assert process.returncode == 2
    assert process.stderr == "landmarkzoo: error: no descriptors file a\n"
