"""Recipes: every step is a model that takes its images, starts from the step before, and runs."""

import shutil

import pytest
import recipes
import torch
import train
from safetensors.torch import load_file

import landmarkzoo as lz


def build(step):
    options = train.ARCHITECTURES.get(step.model)
    with torch.device("meta"):  # shapes only: the largest have 70 million weights
        return options(**step.model_args) if options else lz.create_model(step.model, **step.model_args)


@pytest.mark.parametrize("name", recipes.RECIPES)
def test_steps_fit_each_other(name):
    models = [build(step) for step in recipes.RECIPES[name]]
    for step, model in zip(recipes.RECIPES[name], models):
        side = step.image_size or model.cfg.input_size[1]
        model.check_images(torch.empty(1, 3, side, side, device="meta"))
        named = {part for part, _ in model.named_modules()}
        assert set(step.freeze) <= named | {"head"}
        assert step.image_size in (None, side)
    for before, after, step in zip(models, models[1:], recipes.RECIPES[name][1:]):
        report = lz.transfer_weights(before, after)
        new = {layer.split(".")[0] for layer in report.missing_keys}
        assert new <= {"cnn", "project", "position", "token", "token_key_bias"}
        # timm's weights are asked for where a part of timm's is new, and only there
        assert step.pretrained_backbone == ("cnn" in new)


@pytest.mark.parametrize("name", [name for name in recipes.RECIPES if lz.is_model(name)])
def test_recipes_end_in_the_registered_model(name):
    first, last = recipes.RECIPES[name][0], recipes.RECIPES[name][-1]
    assert (last.model, dict(last.model_args), last.image_size) == (name, {}, None)
    assert first.pretrained_backbone
    assert [step.split for step in recipes.RECIPES[name]][-2:] == ["x", "x"]


def test_every_field_of_a_step_reaches_the_trainer():
    for step in [step for steps in recipes.RECIPES.values() for step in steps]:
        options = train.options_of(["--data", "x", "--out", "y", *recipes.arguments_of(step)])
        for name in set(vars(step)) - {"split", "stop_after", "freeze"}:
            assert getattr(options, name) == getattr(step, name), name
        assert options.stop_after == (step.stop_after or step.epochs)
        assert tuple(options.freeze) == step.freeze


def weights(out, step):
    files = [out / f"step{step}" / "model" / f"{part}.safetensors" for part in ("model", "head")]
    return {f"{file.stem}.{name}": value for file in files for name, value in load_file(file).items()}


def moved(before, after):
    """First parts of the names of those weights that are there before and after, and changed."""
    both = [n for n in before if n in after and before[n].shape == after[n].shape]
    running = ("running_mean", "running_var", "num_batches_tracked")
    changed = [n for n in both if not torch.equal(before[n], after[n]) and not n.endswith(running)]
    return {".".join(n.split(".")[:2]) for n in changed}


def test_each_step_starts_from_the_last(photos, tmp_path, capsys):
    common = ["--data", str(photos), "--out", str(tmp_path), "--val-share", "0.6", "--image-size", "32"]
    common += ["--epochs", "1", "--workers", "0", "--no-pretrained-backbone", "--device", "cpu"]
    for step, rate in ((1, "1e-3"), (2, "0"), (3, "1e-3")):
        recipes.main(["dolg_laptop", "--step", str(step), *common, "--lr", rate])
    said = capsys.readouterr().out
    assert said.count("head: copied") == 2
    assert said.count("missing: nothing") == 2
    one, two, three = (weights(tmp_path, step) for step in (1, 2, 3))
    assert not moved(one, two)  # at a learning rate of 0 it ends as it starts
    assert {"head.weight", "model.backbone", "model.neck"} <= moved(two, three)
    with pytest.raises(SystemExit):
        recipes.main(["dolg_laptop", "--step", "4", *common])


@pytest.mark.slow
def test_hybrid_step_by_step(photos, tmp_path):
    for landmark in ("building_00", "building_01"):
        (tmp_path / "photos" / landmark).mkdir(parents=True)
        for photo in sorted((photos / landmark).iterdir())[:5]:
            shutil.copy(photo, tmp_path / "photos" / landmark)
    common = ["--data", str(tmp_path / "photos"), "--val", str(tmp_path / "photos"), "--out", str(tmp_path)]
    common += ["--epochs", "1", "--batch-size", "5", "--accumulate", "1", "--workers", "0", "--lr", "1e-3"]
    for step in (1, 2, 3, 4):
        recipes.main(["hybrid_laptop", "--step", str(step), *common, "--no-pretrained-backbone"])
    one, two, three, four = (weights(tmp_path, step) for step in (1, 2, 3, 4))
    inside = {
        f"model.transformer.{n[len('model.backbone.') :]}": v for n, v in one.items() if "backbone" in n
    }
    assert not moved({**one, **inside}, two)  # what step 1 trained is frozen in step 2
    assert {"model.transformer", "model.cnn", "model.neck", "head.weight"} <= moved(two, three)
    assert "model.transformer" in moved(three, four)
    assert lz.create_model(f"local-dir:{tmp_path}/step4/model").cfg.args["cnn_level"] == 16
