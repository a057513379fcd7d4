"""A training that is stopped or killed goes on with the same call, and ends as it would have ended."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from whole_trainings import QUICK, assert_same_end

import landmarkzoo as lz
from landmarkzoo.finetuning.validation_scores import EpochMeasure

SCRIPT = """
import json, sys
import landmarkzoo as lz
photos, out, options = sys.argv[1:]
lz.finetune(photos, out, **json.loads(options))
"""


def start(photos, out, **options):
    command = [sys.executable, "-c", SCRIPT, str(photos), str(out), json.dumps({**QUICK, **options})]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(command, env=environment, start_new_session=True, **pipes)


def wait_for(process, there):
    deadline = time.monotonic() + 300
    while not there():
        assert process.poll() is None, process.communicate()[1][-2000:]
        assert time.monotonic() < deadline
        time.sleep(0.001)


def place_of(out):
    path = out / "checkpoint.pt"
    return torch.load(path, weights_only=True)["place"] if path.is_file() else None


@pytest.fixture(scope="module")
def long(tiny):
    """A training of fifty steps, with all that it keeps: an average, the best weights, new layers."""
    return {"model": tiny, "epochs": 16, "average": 0.9, "patience": 16}


@pytest.fixture(scope="module")
def whole(noise, long, tmp_path_factory):
    torch.set_num_threads(1)
    out = tmp_path_factory.mktemp("whole") / "out"
    lz.finetune(noise, out, **{**QUICK, **long})
    return out


@pytest.mark.parametrize(
    "number", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.slow)], ids=["SIGINT", "SIGTERM"]
)
def test_a_signal_saves_the_place_within_an_epoch(noise, tmp_path, number, long, whole):
    out = tmp_path / "out"
    process = start(noise, out, progress=True, **long)
    wait_for(process, lambda: place_of(out) is not None and place_of(out)["epoch"] >= 2)
    os.killpg(process.pid, number)
    errors = process.communicate(timeout=300)[1]
    place = place_of(out)
    within = f", batch {place['batch']}" if place["batch"] else ""
    said = f"stopped after epoch {place['epoch']}{within}: saved in {out}; started again, it goes on there"
    assert said in errors
    assert process.returncode == -number
    assert not list(out.glob("*.lock"))
    assert lz.create_model(f"local-dir:{out}").embedding_dim == 16  # of use already
    assert lz.load_head(f"local-dir:{out}")[1] == ["place0", "place1"]
    with pytest.raises(
        ValueError, match=r"is of another call: lr was 0\.00025, is 0\.001\. Choose another folder"
    ):
        lz.finetune(noise, out, **{**QUICK, **long, "lr": 1e-3})
    with pytest.raises(FileExistsError, match="is not empty"):
        lz.finetune(noise, out, resume=False, **{**QUICK, **long})
    lz.finetune(noise, out, resume=True, **{**QUICK, **long})
    assert_same_end(out, whole)


def test_a_signal_while_photos_are_measured_loses_no_epoch(noise, tiny, tmp_path, monkeypatch):
    scores, measured = EpochMeasure.scores, []

    def interrupted(self, training):
        measured.append(training.place.epoch)
        if len(measured) == 2:
            os.kill(os.getpid(), signal.SIGINT)
        return scores(self, training)

    monkeypatch.setattr(EpochMeasure, "scores", interrupted)
    with pytest.raises(KeyboardInterrupt):
        lz.finetune(noise, tmp_path / "out", model=tiny, **QUICK)
    place = place_of(tmp_path / "out")
    assert (place["epoch"], place["batch"], len(place["history"])) == (2, 0, 2)
    result = lz.finetune(noise, tmp_path / "out", model=tiny, **QUICK)
    assert measured == [0, 1, 2]
    assert list(result.history[:2]) == place["history"]


def kill_and_go_on(noise, out, long, whole, kills, seed, seconds):
    """Kill a training at random moments; ended trainings count as kills too, but only one may be left."""
    moments = random.Random(seed)
    for _ in range(kills):
        process = start(noise, out, **long)
        while not out.exists() and process.poll() is None:
            time.sleep(0.001)
        time.sleep(moments.uniform(0, seconds))
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate(timeout=300)
    result = lz.finetune(noise, out, **{**QUICK, **long})
    assert len(result.history) == len(json.loads((whole / "training.json").read_text())["history"])
    assert_same_end(out, whole)


def test_killed_twice_it_ends_as_if_undisturbed(noise, tmp_path, long, whole):
    kill_and_go_on(noise, tmp_path / "out", long, whole, kills=2, seed=0, seconds=4)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2])
def test_killed_ten_times_it_ends_as_if_undisturbed(noise, tmp_path, long, whole, seed):
    kill_and_go_on(noise, tmp_path / "out", long, whole, kills=10, seed=seed, seconds=3)


@pytest.mark.slow
def test_killed_before_any_change_of_a_file_it_ends_as_if_undisturbed(
    noise, tmp_path, long, whole, monkeypatch
):
    """The process dies before each rename and each removal in turn: nothing after it has happened."""
    short = {**QUICK, **long, "epochs": 2, "patience": 2}
    lz.finetune(noise, tmp_path / "whole", **short)
    left = [0]

    class Killed(BaseException):
        pass

    def dying(real):
        def change(path, *arguments, **options):
            if path.parent.name.startswith("out") and path.suffix != ".lock":  # which a kill frees
                left[0] -= 1
                if left[0] < 0:
                    raise Killed
            return real(path, *arguments, **options)

        return change

    for name in ("replace", "unlink"):
        monkeypatch.setattr(Path, name, dying(getattr(Path, name)))
    kills, out = 0, tmp_path / "none"
    while True:
        out, left[0] = tmp_path / f"out{kills}", kills
        try:
            lz.finetune(noise, out, **short)
            break
        except Killed:
            left[0] = 10**9
            lz.finetune(noise, out, **short)
            assert_same_end(out, tmp_path / "whole")
            kills += 1
    assert kills > 20
    assert_same_end(out, tmp_path / "whole")


@pytest.mark.slow
def test_stopped_at_once_leaves_nothing(noise, tmp_path, long):
    out = tmp_path / "new" / "out"
    process = start(noise, out, progress=True, **{**long, "model": "efficientnet_lite0_gem"})
    wait_for(process, out.exists)
    os.killpg(process.pid, signal.SIGINT)
    errors = process.communicate(timeout=300)[1]
    assert "stopped before the first epoch: nothing is saved" in errors
    assert list(tmp_path.iterdir()) == []


def test_after_an_error_the_processes_that_read_photos_end(noise, tiny, tmp_path):
    photos = shutil.copytree(noise, tmp_path / "photos")
    (photos / "place0" / "broken.png").write_bytes(b"no photo")
    process = start(photos, tmp_path / "out", model=tiny, num_workers=3)
    errors = process.communicate(timeout=120)[1]  # it ends, and so do all that can write there
    assert "PhotoError" in errors
    assert "atexit" not in errors
    assert process.returncode == 1


def test_a_full_disk_leaves_the_checkpoint_of_before(noise, tiny, tmp_path, monkeypatch):
    out, real = tmp_path / "out", torch.save
    calls = []

    def save(state, file):
        calls.append(state)
        if len(calls) == 3:
            file.write(b"half of it")
            raise RuntimeError("PytorchStreamWriter failed writing file data")
        real(state, file)

    monkeypatch.setattr(torch, "save", save)
    with pytest.raises(OSError, match=r"cannot write .*checkpoint\.pt"):
        lz.finetune(noise, out, model=tiny, **QUICK)
    assert place_of(out)["epoch"] == 1
    assert not list(out.glob(".*"))


def test_a_damaged_checkpoint_is_named(noise, tiny, tmp_path):
    (tmp_path / "checkpoint.pt").write_bytes(b"PK not a checkpoint")
    with pytest.raises(ValueError, match=r"checkpoint\.pt is damaged, or not a checkpoint of this trainer"):
        lz.finetune(noise, tmp_path, model=tiny, **QUICK)
    assert (tmp_path / "checkpoint.pt").read_bytes() == b"PK not a checkpoint"
