"""Every command of the training guide runs, in order, with less to do."""

import re
import shlex
from pathlib import Path

import pytest
import recipes
import train
from PIL import Image

GUIDE = Path(__file__).parents[2] / "docs" / "guide" / "training.md"
COMMANDS = re.findall(r"```sh\n(.*?)```", GUIDE.read_text(encoding="utf-8"), re.DOTALL)
COMMANDS = [line for block in COMMANDS for line in block.replace("\\\n", " ").splitlines()]
TINY = [
    "--model",
    "GlobalDescriptor",
    "--model-args",
    '{"backbone": "test_efficientnet", "embedding_dim": 16}',
]
LESS = ["--epochs", "1", "--batch-size", "8", "--image-size", "32", "--workers", "0", "--device", "cpu"]


def gldv2(root, photos):
    names = {landmark.name: sorted(landmark.iterdir()) for landmark in photos.iterdir()}
    clean, rows = "landmark_id,images\n", "id,url,landmark_id\n"
    for label, files in enumerate(names.values()):
        ids = [f"{label}ab{number:02d}" for number in range(len(files))]
        clean += f"{label},{' '.join(ids)}\n"
        rows += "".join(f"{id_},,{label}\n" for id_ in ids)
        for id_, file in zip(ids, files):
            path = root / "train" / id_[0] / id_[1] / id_[2] / f"{id_}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.open(file).save(path)
    (root / "train_clean.csv").write_text(clean)
    (root / "train.csv").write_text(rows)


def test_commands_of_the_guide_run(photos, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("photos-to-train-on").symlink_to(photos)
    gldv2(Path("gldv2"), photos)
    ran = []
    for command in COMMANDS:
        words = shlex.split(command)
        script = next(i for i, word in enumerate(words) if word.startswith("examples/"))
        assert words[:script] in (["python"], ["torchrun", "--nproc-per-node", words[script - 1]])
        arguments = words[script + 1 :]
        small = [*LESS]
        if "runs/first" not in command:  # whose weights are installed
            small.append("--no-pretrained-backbone")
            small += [] if "_laptop" in command else TINY
        if "--gldv2" in command:
            small += ["--val-share", "0.3"]
        parts = {"examples/train.py": train, "examples/recipes.py": recipes}
        run = parts[words[script]].main([*arguments, *small])
        assert len(run.history) == 1
        ran.append(run)
    assert len(ran) == 7
    assert ran[1].history != ran[2].history
    assert ran[0].history == ran[2].history  # --resume found nothing left to do


def test_the_guide_knows_the_options():
    text = GUIDE.read_text(encoding="utf-8")
    known = set(vars(train.options_of(["--data", "x", "--out", "y"])))
    extra = {"step", "gldv2", "nproc_per_node", "help"}
    named = {name.replace("-", "_") for name in re.findall(r"--([a-z][a-z0-9-]*)", text)}
    assert named <= known | extra
    assert known <= named | {"seed"}


@pytest.mark.parametrize("name", ["dolg_efficientnet_b5", "dolg_efficientnet_b7"])
def test_tables_of_the_guide_are_those_of_the_recipes(name):
    text = GUIDE.read_text(encoding="utf-8")
    rows = re.findall(r"^\| ([123]) \| GLDv2(c|x) \| (\d+)(.*)$", text, re.MULTILINE)
    for (number, split, pixels, rest), step in zip(rows, recipes.RECIPES[name]):
        assert step.split == {"c": "clean", "x": "x"}[split], number
        if name == "dolg_efficientnet_b5":
            assert (step.image_size or 768) == int(pixels)
            assert f"| {step.stop_after or step.epochs}" in rest
            assert f"| {step.batch_size}" in rest
