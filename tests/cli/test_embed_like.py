"""``landmarkzoo embed --like INDEX``: queries are embedded as the index was."""

from dataclasses import replace

import numpy as np
import pytest

import landmarkzoo as lz
from landmarkzoo.cli import main


def run(capsys, *arguments):
    code = main([str(a) for a in arguments])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


OPTIONS = {
    "size": ["--image-size", 48],
    "views": ["--image-size", 48, "--scales", "0.7071,1", "--flip"],
    "bfloat16": ["--image-size", 48, "--precision", "bfloat16"],
    "whitened": ["--image-size", 48, "--whiten", "photos", "--shrinkage", 0.3, "--batch-size", 3],
}


@pytest.mark.parametrize("kind", OPTIONS)
def test_queries_of_the_index_find_themselves(capsys, photo_folder, tmp_path, monkeypatch, kind):
    monkeypatch.chdir(tmp_path)
    assert run(capsys, "embed", "photos", "--out", "index", *OPTIONS[kind])[0] == 0
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    query = tmp_path / "photos" / "b" / "ü.jpg"
    code, _, err = run(capsys, "embed", query, "--like", "../index", "--out", "query")
    assert (code, err.count("Error")) == (0, 0)
    index, query = lz.Descriptors.load("../index"), lz.Descriptors.load("query")
    assert query.provenance["weights"] == index.provenance["weights"]
    assert query.provenance["transform"] == index.provenance["transform"]
    ranking = lz.search(query, index, 1)
    assert ranking.ids.tolist() == [["b/ü.jpg"]]
    assert ranking.scores[0, 0] == pytest.approx(1, abs=1e-3)


def test_a_saved_model_is_found_from_any_folder(capsys, photo_folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    lz.create_model("efficientnet_lite0_gem", embedding_dim=16).save_pretrained("model")
    options = ["--model", "local-dir:model", "--image-size", 48]
    assert run(capsys, "embed", "photos", "--out", "index", *options)[0] == 0
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert run(capsys, "embed", "../photos", "--like", "../index", "--out", "again")[0] == 0
    again, index = lz.Descriptors.load("again"), lz.Descriptors.load("../index")
    np.testing.assert_array_equal(again.vectors, index.vectors)


def test_what_cannot_be_alike(capsys, photo_folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    embed = ["embed", "photos", "--out", "x", "--like", "index"]
    options = ["--image-size", 48, "--whiten", photo_folder]
    assert run(capsys, "embed", "photos", "--out", "index", *options)[0] == 0
    for option in (["--image-size", 48], ["--scales", "1"], ["--flip"], ["--precision", "auto"]):
        code, _, err = run(capsys, *embed, *option)
        assert code == 2
        assert f"--like takes {option[0]} from the index" in err
    assert "--shrinkage is for --whiten" in run(capsys, *embed, "--shrinkage", 1)[2]
    assert "numbers with commas" in usage(capsys, "embed", "photos", "--out", "x", "--scales", "a")
    other = run(capsys, *embed, "--model", "efficientnet_lite0_gem")[2]  # without its whitening
    assert "like= needs the model of the index" in other
    assert other.count("\n") == 1
    lz.Descriptors(["a"], np.eye(1)).save("plain")
    assert "does not say which model made it" in run(capsys, *embed[:-1], "plain")[2]
    photo_folder.rename(tmp_path / "moved")
    code, _, err = run(capsys, "embed", "moved", "--out", "x", "--like", "index")
    assert code == 2
    assert "there is no such folder: give --whiten DIR" in err
    assert not (tmp_path / "x").exists()
    assert run(capsys, "embed", "moved", "--out", "x", "--like", "index", "--whiten", "moved")[0] == 0
    (tmp_path / "moved" / "0.png").unlink()
    err = run(capsys, "embed", "moved", "--out", "y", "--like", "index", "--whiten", "moved")[2]
    assert "whitened both times, on the same photos?" in err


def usage(capsys, *arguments):
    with pytest.raises(SystemExit) as stopped:
        main(list(arguments))
    assert stopped.value.code == 2
    return capsys.readouterr().err


def test_the_views_of_the_model_and_how_to_switch_them_off(capsys, photo_folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    model = lz.create_model("efficientnet_lite0_gem", embedding_dim=16)
    model.cfg = replace(model.cfg, resize="longest", input_size=(3, 64, 64), scales=(0.7, 1), flip=True)
    model.save_pretrained("model")

    def origin(*options):
        command = ["embed", photo_folder, "--overwrite", "--out", "x", "--model", "local-dir:model"]
        assert run(capsys, *command, *options)[0] == 0
        return lz.Descriptors.load("x").provenance

    assert origin()["image_size"] == "longest 64"
    assert origin()["views"] == "scales (0.7, 1.0), flip True"
    assert origin("--scales", "1")["views"] == "scales (1.0,), flip True"
    assert "views" not in origin("--scales", "1", "--no-flip")
    assert origin("--no-flip", "--image-size", 80)["image_size"] == "longest 80"
    assert run(capsys, "embed", photo_folder, "--out", "y", "--like", "x")[0] == 0
    again, index = lz.Descriptors.load("y"), lz.Descriptors.load("x")
    assert again.provenance == index.provenance
    np.testing.assert_array_equal(again.vectors, index.vectors)
    err = run(capsys, "embed", photo_folder, "--out", "z", "--like", "x", "--no-flip")[2]
    assert "--like takes --flip from the index" in err
