"""The trainer under torchrun: two processes train what one trains, to float tolerance.

On the CPU torch has no synchronised batch norm, so the model has group norm, and all its parameters train.
"""

import os
import subprocess
import sys

import pytest
import torch
import train
from safetensors.torch import load_file

MODEL = '{"backbone": "test_efficientnet_gn", "embedding_dim": 16, "neck": "fc-silu", "pool": "avg"}'


def torchrun(options, out):
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    command += [train.__file__, *options, "--out", str(out)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr[-3000:]
    return done


def state_of(out):
    files = ("model/model.safetensors", "model/head.safetensors")
    return {name: value for file in files for name, value in load_file(out / file).items()}


def assert_equal_runs(one, out):
    history = torch.load(out / "checkpoint.pt", weights_only=True)["place"]["history"]
    assert len(history) == len(one.history) == 2
    for row, expected in zip(history, one.history):
        assert row == pytest.approx(expected, rel=1e-3)
    theirs = state_of(out)
    for name, value in state_of(one.options.out).items():
        torch.testing.assert_close(theirs[name], value, rtol=1e-3, atol=1e-4)


def test_two_processes_equal_one(small, tmp_path):
    options = [*small, "--model-args", MODEL, "--epochs", "2", "--accumulate", "2"]
    one = train.main([*options, "--out", str(tmp_path / "one")])
    train.main([*options, "--out", str(tmp_path / "two"), "--stop-after", "1"])
    torchrun([*options, "--resume"], tmp_path / "two")  # what one process began, two may go on with
    assert_equal_runs(one, tmp_path / "two")


def test_two_processes_with_a_part_of_the_classes_each_equal_one(small, tmp_path):
    options = [*small, "--model-args", MODEL, "--epochs", "2", "--class-parallel", "--clip", "0.5"]
    one = train.main([*options, "--out", str(tmp_path / "one")])
    torchrun([*options, "--stop-after", "1"], tmp_path / "two")  # in two goes: each has a part to save
    state = torch.load(tmp_path / "two" / "checkpoint.pt", weights_only=True)
    assert [len(own["head"]["weight"]) for own in state["owns"]] == [3 * 3, 2 * 3]  # of 5 classes, 3 centers
    with pytest.raises(ValueError, match="processes with classes was 2, is 1"):
        train.main([*options, "--out", str(tmp_path / "two"), "--resume"])
    torchrun([*options, "--resume"], tmp_path / "two")
    assert_equal_runs(one, tmp_path / "two")
