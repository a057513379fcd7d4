"""The recipes from start to end on a miniature Google Landmarks v2, at toy size; then the paper with them."""

import csv
import io
from contextlib import redirect_stdout

import miniature_gldv2
import paper
import pytest
import recipes
import torch
from recipes import Step
from safetensors.torch import load_file

import landmarkzoo as lz

pytestmark = pytest.mark.slow  # half a minute

# Steps as those of the paper, with models that train in seconds.
LITE0 = {"backbone": "tf_efficientnet_lite0", "hidden_dim": 64, "embedding_dim": 32, "dilations": [1, 2, 3]}
SWIN = {"img_size": 56, "embed_dim": 24, "depths": [1, 1, 1, 1], "num_heads": [1, 2, 4, 8]}
ALONE = {
    "backbone": "swin_tiny_patch4_window7_224",
    "backbone_args": SWIN,
    "pool": "avg",
    "embedding_dim": 32,
}
BOTH = {
    "cnn": "tf_efficientnet_lite0",
    "transformer": "swin_tiny_patch4_window7_224",
    "transformer_args": SWIN,
}
BOTH |= {"image_size": 112, "embedding_dim": 32}
TWO_BLOCKS, THREE_BLOCKS = {**BOTH, "cnn_level": 8}, {**BOTH, "cnn_level": 16, "stem_stride": 1}
TOYS = {
    "dolg_toy": (
        Step("DOLG", "clean", 6, 8, LITE0, 48, lr=1e-3, pretrained_backbone=True),
        Step("DOLG", "x", 4, 8, LITE0, 64, stop_after=3, lr=1e-3),
        Step("DOLG", "x", 2, 8, LITE0, 96, accumulate=2, lr=5e-4),
    ),
    "hybrid_toy": (
        Step("GlobalDescriptor", "clean", 16, 8, ALONE, 56, lr=1e-3),
        Step("HybridSwin", "clean", 2, 8, TWO_BLOCKS, lr=1e-3, freeze=("transformer", "neck", "head")),
        Step("HybridSwin", "x", 12, 8, TWO_BLOCKS, stop_after=11, lr=1e-3),
        Step("HybridSwin", "x", 2, 8, THREE_BLOCKS, stop_after=1, warmup_epochs=0, lr=1e-3),
    ),
}


# A Swin of this size has no ImageNet weights, so it learns a few photos and is scored on these.
VALIDATION = {"dolg_toy": "index_photos.csv", "hybrid_toy": "x_photos.csv"}


@pytest.fixture(scope="module")
def mini(tmp_path_factory):
    root = tmp_path_factory.mktemp("gldv2") / "mini"
    miniature_gldv2.write_gldv2(root, lz.rendered.RenderedLandmarks(5, 35, 12, image_size=96))
    for split in ("index", "x"):
        data = lz.datasets.GLDv2(root, split)
        named = [(data.path(row), data.classes[n]) for row, n in enumerate(data.targets) if n >= 0]
        with (root / f"{split}_photos.csv").open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows([("path", "label"), *named])
    return root


@pytest.fixture(scope="module")
def trained(mini, tmp_path_factory):
    """For each recipe its output folder, the history of its steps, and what was said."""
    results = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(recipes, "RECIPES", TOYS)
        torch.set_num_threads(1)
        for name, steps in TOYS.items():
            out = tmp_path_factory.mktemp(name)
            common = ["--gldv2", str(mini), "--val", str(mini / VALIDATION[name]), "--out", str(out)]
            common += ["--workers", "0", "--device", "cpu"]
            with redirect_stdout(io.StringIO()) as said:
                runs = [
                    recipes.main([name, "--step", str(step), *common]) for step in range(1, len(steps) + 1)
                ]
            results[name] = out, [run.history for run in runs], said.getvalue()
    return results


def test_scores_of_dolg_rise(trained):
    history = trained["dolg_toy"][1]
    print(history)  # for whoever sees this fail
    first, last = history[0][0], history[-1][-1]
    assert last["mAP@100"] > first["mAP@100"] + 0.05
    assert last["GAP"] > first["GAP"] + 0.2
    assert last["loss"] < 0.8 * first["loss"]


def test_scores_of_the_hybrid_rise(trained):
    """In both steps that train all; what is new in the others starts at random here."""
    history = trained["hybrid_toy"][1]
    print(history)
    for step, rise in ((0, 0.1), (2, 0.01)):
        first, last = history[step][0], history[step][-1]
        assert last["GAP"] > first["GAP"] + rise
        assert last["loss"] < 0.95 * first["loss"]


def weights(out, step):
    files = [out / f"step{step}" / "model" / f"{part}.safetensors" for part in ("model", "head")]
    return {f"{file.stem}.{name}": value for file in files for name, value in load_file(file).items()}


def test_weights_are_carried(trained):
    for name, steps in TOYS.items():
        assert trained[name][2].count("head: copied") == len(steps) - 1
    assert trained["dolg_toy"][2].count("missing: nothing\nunexpected: nothing") == 2
    out = trained["hybrid_toy"][0]
    one, two = weights(out, 1), weights(out, 2)
    frozen = [name for name in two if name.startswith(("model.transformer.", "model.neck.", "head."))]
    assert len(frozen) > 50
    for name in frozen:  # in step 2, which has them from step 1
        assert torch.equal(two[name], one[name.replace("model.transformer.", "model.backbone.")]), name


def test_the_paper_with_the_models(trained, mini, tmp_path):
    models = [f"local-dir:{trained[name][0]}/step{len(steps)}/model" for name, steps in TOYS.items()]
    labelled = ["--labelled", "x", str(mini / "wit" / "wit.csv"), "--workers", "0", "--device", "cpu"]
    scores = paper.main([str(mini), "--models", *models, *labelled, "--out", str(tmp_path)])
    print(scores)
    assert scores[models[0]]["re-ranked"] > 0.6
    assert scores[models[0]]["GAP"] > 0.4
    assert set(scores["ensemble"]) == {"re-ranked", "whole index", "GAP"}
