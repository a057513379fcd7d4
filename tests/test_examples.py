import subprocess
import sys
from pathlib import Path

import pytest

import landmarkzoo as lz

EXAMPLES = Path(__file__).parents[1] / "examples"


def test_find_similar_photos(tmp_path):
    data = lz.datasets.RenderedLandmarks(3, 4, 0, image_size=96)
    for row, id_ in enumerate(data.ids):
        data[row].save(tmp_path / f"{id_.replace('/', '_')}.png")
    data[0].save(tmp_path / "twin.png")
    command = [sys.executable, str(EXAMPLES / "find_similar_photos.py"), str(tmp_path), "--pairs", "3"]
    lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    assert len(lines) == 3
    assert lines[0].split() == ["1.000", f"{data.ids[0].replace('/', '_')}.png", "twin.png"]


def test_finetune_improves_and_saves_what_can_be_loaded(tmp_path):
    data = lz.datasets.RenderedLandmarks(4, 9, 0, image_size=96)
    for row, (id_, label) in enumerate(zip(data.ids, data.labels)):
        path = tmp_path / "photos" / f"building{label}" / f"{id_.replace('/', '_')}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        data[row].save(path)
    out = tmp_path / "model"
    command = [sys.executable, str(EXAMPLES / "finetune.py"), str(tmp_path / "photos"), "--out", str(out)]
    command += ["--epochs", "4", "--image-size", "64", "--test-size", "64", "--batch-size", "9"]
    text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    before, after = (float(line.split()[1]) for line in text.splitlines() if line.startswith("mAP@100"))
    assert after > before
    model = lz.create_model(f"local-dir:{out}")
    head, names = lz.load_head(f"local-dir:{out}")
    assert names == [f"building{label}" for label in range(4)]
    assert head.num_classes == 4
    assert model.cfg.input_size == (3, 64, 64)
    assert model.cfg.scores[0].value == pytest.approx(after, abs=1e-3)
    assert "held-out photos among the others" in model.cfg.scores[0].protocol
