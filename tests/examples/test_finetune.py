"""Gentle fine-tuning: the commands of its guide gain and save, and the whole recipe is what it says."""

import re
import shlex
from dataclasses import replace
from pathlib import Path

import finetune
import numpy as np
import pytest
import torch

import landmarkzoo as lz

GUIDE = Path(__file__).parents[2] / "docs" / "guide" / "finetuning.md"
COMMANDS = [
    shlex.split(line)
    for block in re.findall(r"```sh\n(.*?)```", GUIDE.read_text(encoding="utf-8"), re.DOTALL)
    for line in block.splitlines()
    if "examples/finetune.py" in line
]
LESS = ["--epochs", "4", "--image-size", "64", "--test-size", "64", "--batch-size", "9"]


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    """Photos of 4 buildings, one folder each."""
    root, data = tmp_path_factory.mktemp("drawn"), lz.rendered.RenderedLandmarks(4, 9, 0, image_size=96)
    for row, (id_, label) in enumerate(zip(data.ids, data.targets)):
        path = root / f"building{label}" / f"{id_.replace('/', '_')}.png"
        path.parent.mkdir(exist_ok=True)
        data[row][0].save(path)
    return root


@pytest.mark.parametrize("command", COMMANDS, ids=["gem", "dolg"])
def test_a_command_of_the_guide_gains_and_saves(command, drawn, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("photos-to-train-on").symlink_to(drawn)
    assert command[:2] == ["python", "examples/finetune.py"]
    finetune.main([*command[2:], *LESS])
    text = capsys.readouterr().out
    before, after = (float(line.split()[1]) for line in text.splitlines() if line.startswith("mAP@100"))
    assert after > before
    out = command[command.index("--out") + 1]
    model, (head, names) = lz.create_model(f"local-dir:{out}"), lz.load_head(f"local-dir:{out}")
    assert names == [f"building{label}" for label in range(4)]
    assert head.num_classes == 4
    assert model.cfg.input_size == (3, 64, 64)
    assert model.cfg.scores[0].value == pytest.approx(after, abs=1e-3)
    assert "held-out photos among those trained on, flip=True" in model.cfg.scores[0].protocol
    assert model.cfg.architecture == ("DOLG" if "dolg" in command else "GlobalDescriptor")
    score = model.cfg.scores[0]
    card = (Path(out) / "README.md").read_text(encoding="utf-8")
    assert f"| {score.metric} | {score.value:.4g} | {score.protocol} |" in card


def test_guide_and_recipes_say_the_same():
    text = GUIDE.read_text(encoding="utf-8")
    recipe = finetune.RECIPES["gem"]
    assert f"crops down to {100 * recipe.smallest_crop:.0f} %" in text
    assert f"layer_decay={recipe.layer_decay}" in text
    assert f"--test-size {recipe.test_size}" in text
    assert f"batches of {recipe.batch_size}" in text
    assert f"hidden_dim={finetune.RECIPES['dolg'].model_args['hidden_dim']}" in text


def test_batch_norms_stay_and_all_else_moves(drawn):
    data = lz.datasets.ImageFolder(drawn)
    train = finetune.Photos([drawn / id_ for id_ in data.ids], data.targets)
    recipe = replace(finetune.Recipe(), epochs=1, image_size=64, batch_size=9)
    before = finetune.whitened_model(recipe, train, progress=False).state_dict()
    model = finetune.whitened_model(recipe, train, progress=False)
    finetune.finetune(recipe, model, train, progress=False)
    after = model.state_dict()
    norms = {name.rpartition(".")[0] for name in after if name.endswith("running_mean")}
    for name, tensor in before.items():
        assert torch.equal(tensor, after[name]) == (name.rpartition(".")[0] in norms), name


def test_head_starts_at_the_mean_descriptors(drawn):
    data = lz.datasets.ImageFolder(drawn)
    train = finetune.Photos([drawn / id_ for id_ in data.ids], data.targets)
    model = finetune.whitened_model(finetune.Recipe(), train, progress=False)
    head = finetune.head_of_class_means(finetune.Recipe(), model, train, progress=False)
    vectors = lz.embed(model, train.paths, progress=False).vectors
    for label in range(4):
        mean = vectors[data.targets == label].mean(axis=0)
        np.testing.assert_allclose(head.weight[label].detach(), mean / np.linalg.norm(mean), atol=1e-6)


def test_a_whitened_model_is_that_of_its_seed(drawn):
    data = lz.datasets.ImageFolder(drawn)
    train = finetune.Photos([drawn / id_ for id_ in data.ids], data.targets)
    of_seed = [
        finetune.whitened_model(replace(finetune.RECIPES["dolg"], seed=seed), train, progress=False)
        for seed in (0, 0, 1)
    ]
    weights = [model.multi_atrous.project.weight for model in of_seed]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


@pytest.mark.parametrize(
    ("options", "error"),
    [
        (["--batch-size", "30"], "--batch-size must be 1 to 28, the photos that are trained on"),
        (["--epochs", "0"], "--epochs 1 or more"),
        (["--held-out", "1.5"], "--held-out must be between 0 and 1, got 1.5"),
    ],
)
def test_what_cannot_be_is_said_before_any_work(options, error, drawn, tmp_path):
    with pytest.raises(ValueError, match=error):
        finetune.main([str(drawn), "--out", str(tmp_path / "out"), *options])
    assert not (tmp_path / "out").exists()
    with pytest.raises(ValueError, match="two are needed"):
        finetune.held_out(np.arange(3), 0.25, seed=0)


def test_one_landmark_and_a_folder_in_use_are_refused(drawn, tmp_path):
    (tmp_path / "parent").mkdir()
    (tmp_path / "parent" / "all").symlink_to(drawn)
    with pytest.raises(ValueError, match="one landmark only, 'all': each needs a folder of its own"):
        finetune.main([str(tmp_path / "parent"), "--out", str(tmp_path / "out")])
    (tmp_path / "used").mkdir()
    (tmp_path / "used" / "README.md").write_text("precious")
    with pytest.raises(FileExistsError, match="used is not empty"):
        finetune.main([str(drawn), "--out", str(tmp_path / "used"), "--batch-size", "9"])
    assert (tmp_path / "used" / "README.md").read_text() == "precious"


@pytest.mark.parametrize(("counts", "held"), [([8, 4, 2, 1], [2, 1, 1, 0])])
def test_held_out_share_of_each_landmark(counts, held):
    labels = np.repeat(np.arange(len(counts)), counts)
    rows = finetune.held_out(labels, 0.25, seed=0)
    assert np.bincount(labels[rows], minlength=len(counts)).tolist() == held
    assert not np.array_equal(rows, finetune.held_out(labels, 0.25, seed=1))
