"""A run that was ended, killed or asked to stop goes on as if nothing had happened."""

import os
import shutil
import signal
import subprocess
import sys
import time

import pytest
import torch
import train
from safetensors.torch import load_file

from landmarkzoo.finetuning import checkpoints

FILES = ("model/model.safetensors", "model/head.safetensors")


@pytest.fixture(scope="module")
def whole(small, tmp_path_factory):
    """Four epochs in one go."""
    torch.set_num_threads(1)
    return train.main([*small, "--out", str(tmp_path_factory.mktemp("whole"))])


def assert_same_end(run, whole, **tolerance):
    assert len(run.history) == len(whole.history) == 4
    for row, expected in zip(run.history, whole.history):
        assert row == pytest.approx(expected, **tolerance)
    for name in FILES:
        mine, theirs = load_file(run.options.out / name), load_file(whole.options.out / name)
        for key, tensor in theirs.items():
            torch.testing.assert_close(mine[key], tensor, rtol=tolerance["rel"], atol=tolerance["abs"])


def start(options, out):
    """The trainer in a process group of its own, with a checkpoint after every step."""
    command = [sys.executable, train.__file__, *options, "--out", str(out), "--checkpoint-every", "1"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}  # sums in one order, as in this process
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen(command, env=environment, start_new_session=True, **pipes)


def wait_until_the_middle_of_an_epoch(process, out):
    """Until a checkpoint is of the second epoch. Each that is there is whole, whenever one looks."""
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline and process.poll() is None:
        if (out / "checkpoint.pt").is_file():
            place = torch.load(out / "checkpoint.pt", weights_only=True)["place"]
            if place["epoch"] >= 1 and place["batch"] >= 1:
                return
        time.sleep(0.002)
    raise AssertionError(f"no checkpoint in time: {process.communicate()[1].decode()[-2000:]}")


def test_two_and_two_epochs_are_four(small, whole, tmp_path):
    half = train.main([*small, "--out", str(tmp_path), "--stop-after", "2"])
    assert half.history == whole.history[:2]
    # photos are read elsewhere now, which changes nothing
    rest = train.main([*small, "--out", str(tmp_path), "--resume", "--workers", "1"])
    assert_same_end(rest, whole, rel=0, abs=0)
    again = train.main([*small, "--out", str(tmp_path), "--resume"])  # it is at its end already
    assert_same_end(again, whole, rel=0, abs=0)


def test_float16_goes_on_with_its_scale(small, tmp_path):
    options = [*small, "--precision", "float16", "--epochs", "2", "--val-share", "0.7"]
    whole = train.main([*options, "--out", str(tmp_path / "whole")])
    train.main([*options, "--out", str(tmp_path / "parts"), "--stop-after", "1"])
    rest = train.main([*options, "--out", str(tmp_path / "parts"), "--resume"])
    assert whole.scaler.state_dict()["scale"] < 65536  # it left steps out
    assert rest.scaler.state_dict() == whole.scaler.state_dict()
    assert rest.history == whole.history


def test_killed_in_the_middle_of_an_epoch(small, whole, tmp_path):
    process = start(small, tmp_path)
    wait_until_the_middle_of_an_epoch(process, tmp_path)
    os.killpg(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert_same_end(train.main([*small, "--out", str(tmp_path), "--resume"]), whole, rel=1e-5, abs=1e-6)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "Ctrl-C"])
def test_signals_save_and_end(small, whole, tmp_path, number):
    process = start([*small, "--workers", "1", "--checkpoint-every", "5"], tmp_path)
    wait_until_the_middle_of_an_epoch(process, tmp_path)
    os.killpg(process.pid, number)  # as schedulers and terminals do it: to the workers as well
    out, errors = (text.decode() for text in process.communicate(timeout=300))
    assert process.returncode == 128 + number, errors
    assert "stopped in epoch 2, batch" in out
    assert "Traceback" not in errors
    before = torch.load(tmp_path / "checkpoint.pt", weights_only=True)["place"]
    assert (before["epoch"], before["batch"]) > (1, 0)
    assert not (tmp_path / "model").exists()
    assert_same_end(train.main([*small, "--out", str(tmp_path), "--resume"]), whole, rel=1e-5, abs=1e-6)


def test_after_a_photo_that_cannot_be_read_no_process_stays(small, photos, tmp_path):
    shutil.copytree(photos, tmp_path / "photos")
    for folder in (tmp_path / "photos").iterdir():
        for photo in folder.iterdir():
            photo.write_bytes(b"no photo")
    process = start([*small, "--data", str(tmp_path / "photos"), "--workers", "2"], tmp_path / "out")
    errors = process.communicate(timeout=120)[1].decode()  # it ends, and so do all that can write there
    assert "PhotoError" in errors
    assert process.returncode == 1


def test_a_checkpoint_that_cannot_be_written_leaves_the_old_one(small, tmp_path):
    train.main([*small, "--out", str(tmp_path), "--stop-after", "1"])
    before = (tmp_path / "checkpoint.pt").read_bytes()

    def fail_in_the_middle(file):
        file.write(b"half of")
        raise OSError("no space left on device")

    with pytest.raises(OSError, match="no space left"):
        checkpoints.write_whole(tmp_path / "checkpoint.pt", fail_in_the_middle)
    assert (tmp_path / "checkpoint.pt").read_bytes() == before
    assert not list(tmp_path.glob("*.tmp"))
    assert len(train.main([*small, "--out", str(tmp_path), "--resume", "--stop-after", "2"]).history) == 2


def test_resume_refuses_another_run(small, photos, tmp_path):
    options = [*small, "--out", str(tmp_path)]
    train.main([*options, "--epochs", "1"])
    with pytest.raises(ValueError, match="is there already: --resume goes on with it, another --out starts"):
        train.main([*options, "--epochs", "1"])
    with pytest.raises(ValueError, match=r"of another run.*lr was 0\.001, is 0\.002"):
        train.main([*options, "--epochs", "1", "--resume", "--lr", "2e-3"])
    with pytest.raises(ValueError, match=r"photos was \d+ with hash .*, is \d+ with hash"):
        train.main([*options, "--epochs", "1", "--resume", "--val-share", "0.3"])
    with pytest.raises(ValueError, match="epochs was 1, is 4"):
        train.main([*options, "--resume"])


def test_resume_starts_where_there_is_no_checkpoint(small, tmp_path):
    options = ["--out", str(tmp_path), "--resume", "--epochs", "1", "--val-share", "0.7"]
    assert len(train.main([*small, *options]).history) == 1
