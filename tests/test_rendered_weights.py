"""The way of weights into the package: the record of a training, and the folder that is made of both."""

import csv
import json
import runpy
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

import landmarkzoo as lz
from landmarkzoo.models.packaged_weights import FOLDER

ROOT = Path(__file__).parents[1]
NAME = "efficientnet_lite0_gem.rendered"
ROWS = ["ImageNet", "whitened on rendered photos", "trained on rendered photos"]
METRICS = ["mAP@100", "k-reciprocal", "GAP"]


def script(name):
    sys.path.insert(0, str(ROOT / "benchmarks"))
    try:
        return runpy.run_path(str(ROOT / "benchmarks" / f"{name}.py"))
    finally:
        sys.path.remove(str(ROOT / "benchmarks"))


@pytest.fixture(scope="module")
def record():
    return {
        "machine": "2026-01-31, x86_64, 2 threads, torch 2.9",
        "versions": {"landmarkzoo": "0.1", "torch": "2.9", "timm": "1.0"},
        "settings": {"landmarks": 1000, "views": 12, "epochs": 6, "image_size": 288, "crop": 256}
        | {"test_size": 384, "lr": 2.5e-4, "trainable": 10, "seed": 7},
        "minutes": 123.4,
        "peak_gib": 2.5,
        "photos": {"queries": 30, "index": 400, "recognized": 50},
        "scores": {name: dict.fromkeys(METRICS, 0.1 * n) for n, name in enumerate(ROWS, 4)},
    }


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A model that has no training behind it; nothing asks for one."""
    folder = tmp_path_factory.mktemp("trained") / "run"
    lz.create_model("efficientnet_lite0_gem", pretrained_backbone=True).save_pretrained(
        folder, lz.losses.CosFace(512, 3), class_names=["a", "b", "c"]
    )
    return folder


def packaged(folder, record, out):
    folder.with_name("run.scores.json").write_text(json.dumps(record))
    return script("package_weights")["package"](folder, out, landmarks=1)


@pytest.fixture(scope="module")
def new(trained, record, tmp_path_factory):
    """The folder of the package."""
    folder = tmp_path_factory.mktemp("package") / "new"
    cosine = packaged(trained, record, folder)
    assert cosine.shape == (4,)
    assert 0.9999 < cosine.min() < 1.000001
    return folder


def test_the_folder_of_the_package(trained, new):
    assert {path.name for path in new.iterdir()} == {path.name for path in (FOLDER / NAME).iterdir()}
    stored, exact = (load_file(folder / "model.safetensors") for folder in (new, trained))
    assert all(torch.equal(stored[key], t.half() if t.is_floating_point() else t) for key, t in exact.items())
    cfg, entry = lz.create_model(new).cfg, lz.get_model_cfg(NAME)
    for name in ("architecture", "name", "weights", "license", "training_data", "mean", "std"):
        assert getattr(cfg, name) == getattr(entry, name)
    assert [(score.metric, round(score.value, 3)) for score in cfg.scores] == [
        ("mAP@100", 0.6),
        ("mAP@100", 0.6),
        ("GAP", 0.6),
    ]
    shared = "landmarks not trained on, 384 px, with the mirror image, measured by us, 2026-01-31"
    assert cfg.scores[1].protocol == f"real photos, k-reciprocal of 30 queries in 400 photos, {shared}"
    assert cfg.scores[2].protocol == f"real photos, recognition with rejection of 50 photos, {shared}"


def test_the_card_says_how_it_was_made(trained, new):
    card = " ".join((new / "README.md").read_text(encoding="utf-8").split())
    for text in (
        f'model = lz.create_model("{NAME}", pretrained=True)',
        "OUT --photos PHOTOS --landmarks 1000 --views 12 --epochs 6 --image-size 288 --crop 256 --test-size ",
        "| Minutes, drawing included | 123 |",
        "landmarkzoo 0.1, torch 2.9, timm 1.0",
        "2026-01-31, x86_64, 2 threads",
        "| ImageNet | 0.400 | 0.400 | 0.400 |",
        "| trained on rendered photos | 0.600 | 0.600 | 0.600 |",
        "Of the weights: Apache-2.0.",
        "`tf_efficientnet_lite0.in1k`, trained on ImageNet by its authors, Apache-2.0",
        "On 4 rendered photos that it was not trained on the cosine",
        "## What it is bad at",
    ):
        assert text in card, text
    assert "hf-hub:" not in card
    assert str(trained.parent) not in card


def test_the_same_training_gives_the_same_files(trained, record, tmp_path):
    record = {**record, "scores": {}, "photos": None, "minutes": None}
    for out in ("first", "second"):
        packaged(trained, record, tmp_path / out)
    for path in (tmp_path / "first").iterdir():
        assert path.read_bytes() == (tmp_path / "second" / path.name).read_bytes()
    card = (tmp_path / "first/README.md").read_text()
    assert "Nothing was measured on real photos." in card
    assert "not counted" in card
    assert lz.create_model(tmp_path / "first").cfg.scores == ()


@pytest.mark.parametrize("damage", ["float16", "size"])
def test_what_cannot_be_packaged_leaves_the_folder_as_it_was(trained, record, tmp_path, damage):
    run, out = tmp_path / "run", tmp_path / "out"
    out.mkdir()
    (out / "config.json").write_text("as it was")
    size = {"embedding_dim": 2048} if damage == "size" else {}
    model = lz.create_model("efficientnet_lite0_gem", pretrained_backbone=True, **size)
    if damage == "float16":
        model.neck[0].weight.data[0, 0] = 1e6
    model.save_pretrained(run)
    message = {"float16": r"neck\.0\.weight has numbers that float16", "size": "10,000,000 at most go in"}[
        damage
    ]
    with pytest.raises(ValueError, match=message):
        packaged(run, record, out)
    assert [path.read_text() for path in out.iterdir()] == ["as it was"]


@pytest.fixture
def real_like(tmp_path):
    """A folder with splits.csv: two landmarks, and photos of none."""
    drawn, rng = lz.rendered.RenderedLandmarks(2, 6, 2, image_size=48), np.random.default_rng(0)
    parts = ["query", "index", "train", "train", "test", "index"] * 2 + ["non_landmark", "non_landmark_test"]
    order = np.argsort(np.where(drawn.targets < 0, 9, drawn.targets), kind="stable")
    rows = []
    for part, row in zip(parts, order):
        name, label = f"{row}.png", int(drawn.targets[row])
        drawn[int(row)][0].save(tmp_path / name)
        label = "" if label < 0 else label
        rows.append({"path": name, "landmark": label, "landmark_id": label, "split": part})
    rng.shuffle(rows)
    with (tmp_path / "splits.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    return tmp_path


@pytest.mark.slow
def test_a_training_is_recorded_and_goes_into_the_package(real_like, tmp_path, monkeypatch):
    run = tmp_path / "runs" / "small"
    sizes = {"landmarks": 2, "views": 4, "epochs": 1, "image-size": 48, "crop": 32, "test-size": 64}
    options = [text for name, size in sizes.items() for text in (f"--{name}", str(size))]
    options += ["--workers", "0"]
    monkeypatch.setattr(sys, "argv", ["rendered_weights.py", str(run), *options, "--photos", str(real_like)])
    script("rendered_weights")["main"]()
    record = json.loads((tmp_path / "runs/small.scores.json").read_text())
    assert list(record["scores"]) == ROWS
    assert all(list(values) == METRICS for values in record["scores"].values())
    assert record["photos"] == {"queries": 2, "index": 8, "recognized": 3}
    assert (record["settings"]["views"], record["settings"]["lr"]) == (4, 2.5e-4)
    monkeypatch.setattr(sys, "argv", ["rendered_weights.py", str(run), *options])
    script("rendered_weights")["main"]()  # is finished already: what was counted stays
    again = json.loads((tmp_path / "runs/small.scores.json").read_text())
    assert again["minutes"] >= record["minutes"] >= 0
    assert again["scores"] == record["scores"]
    script("package_weights")["package"](run, tmp_path / "out", landmarks=1)
    assert lz.create_model(tmp_path / "out").cfg.input_size == (3, 64, 64)
