"""The call as a whole: it gains, saves, says what it did, and gives the same again."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from whole_trainings import QUICK, assert_same_end

import landmarkzoo as lz

GUIDE = Path(__file__).parents[2] / "docs" / "guide" / "finetuning.md"
SMALL = {**QUICK, "epochs": 4, "image_size": 64, "test_size": 64, "batch_size": 9}


@pytest.mark.parametrize("recipe", ["gem", pytest.param("dolg", marks=pytest.mark.slow)])
@pytest.mark.filterwarnings("ignore:whitening from")
def test_it_gains_and_saves(recipe, drawn, tmp_path):
    result = lz.finetune(drawn, tmp_path / "out", recipe=recipe, **SMALL)
    assert result.after["mAP@100"] > result.before["mAP@100"]
    model = lz.create_model(f"local-dir:{tmp_path / 'out'}").eval()
    head, names = lz.load_head(f"local-dir:{tmp_path / 'out'}")
    assert names == result.class_names == [f"building{label}" for label in range(4)]
    assert head.num_classes == 4
    assert model.cfg.input_size == (3, 64, 64)
    assert model.cfg.scores == result.after.scores
    assert model.cfg.architecture == ("DOLG" if recipe == "dolg" else "GlobalDescriptor")
    photos = np.zeros((2, 48, 64, 3), np.uint8)
    saved, returned = (lz.embed(m, photos, progress=False).vectors for m in (model, result.model))
    np.testing.assert_array_equal(saved, returned)
    assert torch.equal(head.weight, result.head.weight)
    assert "mAP@100" in str(result)


@pytest.fixture(scope="module")
def trained(noise, tiny, tmp_path_factory):
    torch.set_num_threads(1)
    out = tmp_path_factory.mktemp("trained") / "out"
    return lz.finetune(noise, out, model=tiny, exclude=["place0/00.png"], **QUICK)


def test_history_has_a_row_for_each_epoch(trained):
    assert [row["epoch"] for row in trained.history] == [1, 2, 3]
    for row in trained.history:
        assert set(row) == {"epoch", "loss", "lr", "accuracy", "mAP@100"}
        assert 0 <= row["accuracy"] <= 1
        assert row["loss"] > 0
    assert [row["lr"] for row in trained.history] == sorted(
        (row["lr"] for row in trained.history), reverse=True
    )


def test_training_json_and_card_say_what_was_done(trained, tiny):
    training = json.loads((trained.out / "training.json").read_text(encoding="utf-8"))
    assert training["recipe"] == {**lz.finetuning.Recipe().to_dict(), **_settings(), "model": tiny}
    assert lz.finetuning.Recipe(**training["recipe"]).epochs == 3
    assert training["left_out"] == ["place0/00.png"]
    assert len(training["validation_ids"]) == 4
    assert training["photos"] == 11
    assert tuple(training["history"]) == trained.history
    assert training["after"] == trained.after.to_dict()
    assert training["precision"] in ("bfloat16", "float32")
    card = (trained.out / "README.md").read_text(encoding="utf-8")
    score = trained.after.scores[0]
    assert f"| {score.metric} | {score.value:.4g} | {score.protocol} |" in card
    assert f"| mAP@100 | {trained.before['mAP@100']:.3f} | {trained.after['mAP@100']:.3f} |" in card
    assert "11 photos of 2 landmarks" in card


def _settings():
    return {name: QUICK[name] for name in ("epochs", "image_size", "test_size", "batch_size")}


def test_confusions_are_those_of_the_head(trained, noise):
    photos = lz.datasets.ImageFolder(noise)
    ids = trained.training["validation_ids"]
    paths = [noise / id_ for id_ in ids]
    how = {"class_names": trained.class_names, "flip": True, "progress": False}
    found = lz.classify(trained.model, trained.head, paths, **how)
    named = zip(ids, found.names[:, 0])
    wrong = [id_ for id_, name in named if id_.split("/")[0] != name]
    assert sorted(id_ for pair in trained.training["confusions"] for id_ in pair["ids"]) == sorted(wrong)
    assert set(ids) < set(photos.ids)


def test_the_page_shows_the_curves_and_the_photos_that_are_confused(trained):
    page = (trained.out / "training.html").read_text(encoding="utf-8")
    assert page.count("<svg") == len(trained.history[0]) - 1
    shown = sum(len(pair["ids"][:12]) for pair in trained.training["confusions"])
    assert page.count("<img ") == shown > 0
    for said in ("left out: 1 photos", f"{trained.after['mAP@100']:.3f}", "start"):
        assert said in page


def test_before_and_after_are_what_embed_and_evaluate_give(trained, noise):
    """Validation photos among those trained on, at the test size, with their mirror images."""
    ids = trained.training["validation_ids"]
    index = [id_ for id_ in lz.datasets.ImageFolder(noise).ids if id_ not in [*ids, "place0/00.png"]]
    q, x = (
        lz.embed(trained.model, [noise / i for i in rows], flip=True, progress=False) for rows in (ids, index)
    )
    place = np.array([id_.split("/")[0] for id_ in index])
    relevant = [np.flatnonzero(place == id_.split("/")[0]) for id_ in ids]
    score = lz.metrics.mean_average_precision(lz.search(q, x), relevant)
    assert trained.after["mAP@100"] == pytest.approx(score, abs=1e-6)
    assert trained.after.query_ids == ids


def test_called_again_it_gives_the_result_and_changes_nothing(trained, noise, tiny):
    before = {path.name: path.stat().st_mtime_ns for path in trained.out.iterdir()}
    again = lz.finetune(noise, trained.out, model=tiny, exclude=["place0/00.png"], **QUICK)
    assert str(again) == str(trained)
    assert again.history == trained.history
    assert before == {path.name: path.stat().st_mtime_ns for path in trained.out.iterdir()}
    with pytest.raises(FileExistsError, match="is not empty"):
        lz.finetune(noise, trained.out, model=tiny, exclude=["place0/00.png"], resume=False, **QUICK)
    with pytest.raises(ValueError, match="is of another call: photos was 11 photos"):
        lz.finetune(noise, trained.out, model=tiny, **QUICK)


def test_the_same_call_elsewhere_gives_the_same_files(trained, noise, tiny, tmp_path):
    """Whatever torch's generator has drawn before, and with processes that read."""
    torch.manual_seed(17)
    options = {**QUICK, "num_workers": 2, "resume": False}
    lz.finetune(noise, tmp_path / "out", model=tiny, exclude=["place0/00.png"], **options)
    drawn = torch.rand(3)
    assert_same_end(tmp_path / "out", trained.out)
    torch.manual_seed(17)
    assert torch.equal(torch.rand(3), drawn)  # and leaves it as it was


def test_photos_that_do_not_fit_into_memory_are_read_again(trained, noise, tiny, tmp_path, monkeypatch):
    monkeypatch.setattr(lz.finetuning.training_job, "room_for_photos", lambda processes: 20_000)
    lz.finetune(noise, tmp_path / "out", model=tiny, exclude=["place0/00.png"], **QUICK)
    assert_same_end(tmp_path / "out", trained.out)


def test_an_average_and_patience_change_what_is_kept(trained, noise, tiny, tmp_path):
    options = {**QUICK, "exclude": ["place0/00.png"], "model": tiny}
    averaged = lz.finetune(noise, tmp_path / "averaged", average=0.9, **options)
    assert [row["loss"] for row in averaged.history] == [row["loss"] for row in trained.history]
    name = "neck.0.weight"
    assert not torch.equal(averaged.model.state_dict()[name], trained.model.state_dict()[name])
    patient = lz.finetune(noise, tmp_path / "patient", patience=1, **{**options, "epochs": 12})
    best = patient.training["best_epoch"]
    assert len(patient.history) in (best + 1, 12)
    watched = [row["mAP@100"] for row in patient.history]
    assert watched.index(max(watched)) == best - 1


def test_a_model_itself_is_trained_in_a_copy(noise, tmp_path):
    model = lz.GlobalDescriptor("test_efficientnet", embedding_dim=16)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    result = lz.finetune(noise, tmp_path / "out", model=model, **QUICK)
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert not torch.equal(result.model.neck[0].weight, model.neck[0].weight)
    assert str(lz.finetune(noise, tmp_path / "out", model=model, **QUICK)) == str(result)


def test_guide_and_recipe_say_the_same():
    text = GUIDE.read_text(encoding="utf-8")
    recipe = lz.finetuning.RECIPES["gem"]
    assert f"crops down to {100 * recipe.smallest_crop:.0f} %" in text
    assert f"layer_decay={recipe.layer_decay}" in text
    assert re.search(rf"test[-_]size.{recipe.test_size}", text)
    assert f"batches of {recipe.batch_size}" in text
