"""The trainer under torchrun: two processes train what one trains, to float tolerance.

On the CPU torch has no synchronised batch norm, so the model has group norm, and all its parameters train.
"""

import os
import signal
import subprocess
import sys
import time

import pytest
import torch
import train
from safetensors.torch import load_file

from landmarkzoo.finetuning import checkpoints

MODEL = '{"backbone": "test_efficientnet_gn", "embedding_dim": 16, "neck": "fc-silu", "pool": "avg"}'


def command_of(options, out):
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    return [*command, train.__file__, *options, "--out", str(out)]


ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1"}


def torchrun(options, out):
    command = command_of(options, out)
    done = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr[-3000:]
    return done


def kill_in_the_middle(options, out):
    """Start both processes, and kill them at once when a checkpoint of the second epoch is there."""
    command = [*command_of(options, out), "--checkpoint-every", "1"]
    pipes = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE}
    process = subprocess.Popen(command, env=ENVIRONMENT, start_new_session=True, **pipes)
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline and process.poll() is None:
        path = out / "checkpoint.pt"
        if path.is_file() and (place := checkpoints.load(path)["place"])["epoch"] and place["batch"]:
            break
        time.sleep(0.002)
    # The processes of torchrun have sessions of their own.
    children = subprocess.run(
        ["pgrep", "-P", str(process.pid)], capture_output=True, text=True
    ).stdout.split()
    assert len(children) == 2, process.communicate()[1].decode()[-2000:]
    for pid in (process.pid, *map(int, children)):
        os.kill(pid, signal.SIGKILL)
    process.communicate()


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
    out = tmp_path / "two"
    kill_in_the_middle(options, out)
    state = checkpoints.load(out / "checkpoint.pt")
    assert isinstance(state["own"], str)  # nothing of a head or an optimizer went to the first process
    for rank, rows in ((0, 3 * 3), (1, 2 * 3)):  # of 5 classes, 3 centers
        assert len(checkpoints.load_own(out, state, rank)["head"]["weight"]) == rows
    # As if one part of another checkpoint had been written, and the other had not: it does not count.
    checkpoints.save(out / "checkpoint-epoch9-batch9-rank0.pt", {"head": {}, "optimizer": {}})
    with pytest.raises(ValueError, match="processes with classes was 2, is 1"):
        train.main([*options, "--out", str(out), "--resume"])
    torchrun([*options, "--resume"], out)
    assert_equal_runs(one, out)
    parts = [f"checkpoint-epoch2-batch0-rank{rank}.pt" for rank in (0, 1)]
    assert sorted(path.name for path in out.glob("checkpoint*")) == [*parts, "checkpoint.pt"]
