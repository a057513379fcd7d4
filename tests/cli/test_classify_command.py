"""The command classify: its table, CSV file and page, and what it says where there is no head."""

import csv

import numpy as np
import pytest
import torch
from PIL import Image

import landmarkzoo as lz
from landmarkzoo.cli import main


def run(capsys, *arguments):
    code = main([str(a) for a in arguments])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """The folder of a small model with a head of 8 classes."""
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("saved") / "model"
    model = lz.create_model("efficientnet_lite0_gem", embedding_dim=16)
    names = ["Taj%20Mahal", *[f"landmark {n}" for n in range(7)]]
    model.save_pretrained(folder, lz.SubCenterArcFaceDynamic(16, 8, margins=0.3), class_names=names)
    return folder


def options(model, *more):
    return ["--model", f"local-dir:{model}", "--image-size", 64, *more]


def expected(model, photos, k=5):
    network = lz.create_model(f"local-dir:{model}")
    head, names = lz.load_head(f"local-dir:{model}")
    transform = lz.create_transform(network, image_size=64)
    return lz.classify(network, head, photos, class_names=names, k=k, transform=transform, progress=False)


def test_a_folder(capsys, model, photo_folder, tmp_path):
    files = ["--out", tmp_path / "out.csv", "--report", tmp_path / "page.html"]
    code, out, err = run(capsys, "classify", photo_folder, *options(model, *files, "-k", 6))
    assert (code, err) == (0, "")
    p = expected(model, photo_folder, k=6)
    with (tmp_path / "out.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 11 * 6
    assert [row["id"] for row in rows[::6]] == p.ids
    assert [int(row["label"]) for row in rows] == p.labels.ravel().tolist()
    assert [row["name"] for row in rows] == p.names.ravel().tolist()
    assert {row["rank"] for row in rows} == set("123456")
    np.testing.assert_allclose([float(row["score"]) for row in rows], p.scores.ravel(), atol=1e-6)
    assert "%20" not in out
    assert len(out.splitlines()) == 2 + 10 * 3 + 3  # ten photos with three classes each
    assert "... 3 more classes of each photo, 1 more photos" in out
    assert f"11 photos, 6 classes each: {tmp_path / 'out.csv'}" in out
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert page.count("<img ") == 11
    assert page.count("<meter ") == 66


def test_one_photo_with_all_classes(capsys, model, photo_folder, tmp_path, monkeypatch):
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    command = ["classify", "../photos/0.png", *options(model, "-k", 100, "--report", "page.html")]
    code, out, err = run(capsys, *command)
    assert (code, err) == (0, "")
    p = expected(model, "../photos/0.png", k=8)
    lines = out.splitlines()[3:11]  # behind the line of the report
    assert [line.split()[0] for line in lines] == ["../photos/0.png"] * 8
    assert [line.split()[1] for line in lines] == list("12345678")
    assert [name in line for name, line in zip(p.names[0], lines)] == [True] * 8
    assert (tmp_path / "elsewhere" / "page.html").read_text(encoding="utf-8").count("<img ") == 1
    code, _, err = run(capsys, *command)
    assert code == 2
    assert "page.html exists: give --overwrite" in err
    assert run(capsys, *command, "--overwrite")[0] == 0


def test_views_change_the_answers(capsys, model, photo_folder, tmp_path):
    for name, more in (("plain", []), ("views", ["--flip", "--scales", "1,1.5"])):
        out = tmp_path / f"{name}.csv"
        assert run(capsys, "classify", photo_folder, *options(model, "--out", out, *more))[0] == 0
    assert (tmp_path / "plain.csv").read_text() != (tmp_path / "views.csv").read_text()


def test_skipped_photos_are_listed(capsys, model, photo_folder):
    (photo_folder / "bad.jpg").write_bytes(b"")
    code, _, err = run(capsys, "classify", photo_folder, *options(model))
    assert code == 2
    assert "bad.jpg: the file is empty" in err
    code, out, err = run(capsys, "classify", photo_folder, *options(model, "--skip-errors", "--workers", 1))
    assert (code, err) == (0, "skipped bad.jpg: the file is empty\n")
    assert "0.png" in out


def test_a_head_of_another_folder_without_names(capsys, model, photo_folder, tmp_path):
    torch.manual_seed(1)
    lz.losses.save_head(lz.losses.CosFace(16, 3), tmp_path / "head")
    head = ["--head", f"local-dir:{tmp_path / 'head'}", "-k", 1]
    code, out, _ = run(capsys, "classify", photo_folder / "0.png", *options(model, *head))
    assert code == 0
    assert out.splitlines()[2].split()[2] in ("0", "1", "2")
    lz.losses.save_head(lz.losses.CosFace(8, 3), tmp_path / "head")
    code, _, err = run(capsys, "classify", photo_folder / "0.png", *options(model, *head))
    assert code == 2
    assert "the model has embedding_dim 16, the head 8" in err


def test_a_head_with_a_name_that_its_model_was_trained_from(capsys, photo_folder, tmp_path):
    """The name alone has weights in the package, of the same size: the head would answer nonsense."""
    lz.losses.save_head(lz.losses.CosFace(512, 3), tmp_path / "head")
    named = ["--model", "efficientnet_lite0_gem", "--head", f"local-dir:{tmp_path / 'head'}"]
    code, out, err = run(capsys, "classify", photo_folder / "0.png", *named)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "efficientnet_lite0_gem is a name without weights: say local-dir:PATH" in err


@pytest.mark.parametrize("name", ["efficientnet_b5_gem", "dolg_efficientnet_b5"])
def test_a_model_without_landmark_weights(capsys, tmp_path, name):
    Image.new("RGB", (40, 40)).save(tmp_path / "one.png")
    code, out, err = run(capsys, "classify", tmp_path / "one.png", "--model", name)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert f"{name} has no landmark weights that can be loaded by name, and so no head. classify needs" in err
    assert "landmarkzoo recognize" in err


def test_a_published_model_that_is_not_downloaded(capsys, tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    Image.new("RGB", (40, 40)).save(tmp_path / "one.png")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    code, out, err = run(capsys, "classify", tmp_path / "one.png", "--model", "dolg_resnet50.gldv2")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "dolg_resnet50.gldv2" in err
    assert "is not cached" in err
    assert "classify needs" not in err
    code, out, err = run(capsys, "classify", tmp_path / "one.png", "--model", "gem_resnet50.gl18")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "the landmark weights of 'gem_resnet50.gl18' have no head: none was published. classify" in err
    code, out, err = run(capsys, "classify", tmp_path / "one.png", "--model", "efficientnet_lite0_gem")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "the landmark weights of 'efficientnet_lite0_gem.rendered' have no head: it is not in the" in err
