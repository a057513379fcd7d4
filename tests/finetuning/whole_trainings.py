"""Quick trainings, and what two that ended alike have in common: every file, bit by bit."""

import json
from pathlib import Path

import torch
from safetensors.torch import load_file

# A training of a second or two.
QUICK = {
    "epochs": 3,
    "image_size": 32,
    "test_size": 32,
    "batch_size": 4,
    "progress": False,
    "num_workers": 0,
    "device": "cpu",
}

FILES = {
    "README.md",
    "classes.json",
    "config.json",
    "head.safetensors",
    "model.safetensors",
    "training.html",
    "training.json",
}


def assert_same_end(out: Path, whole: Path) -> None:
    """Two folders hold the same training, and nothing else."""
    assert {path.name for path in out.iterdir()} == FILES == {path.name for path in whole.iterdir()}
    for name in ("model.safetensors", "head.safetensors"):
        expected, got = load_file(whole / name), load_file(out / name)
        assert expected.keys() == got.keys()
        assert [key for key, tensor in expected.items() if not torch.equal(got[key], tensor)] == []
    for name in ("config.json", "classes.json", "training.html"):
        assert (out / name).read_bytes() == (whole / name).read_bytes()
    assert json.loads((out / "training.json").read_text()) == json.loads(
        (whole / "training.json").read_text()
    )
