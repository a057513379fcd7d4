"""A fine-tuning that is stopped or killed goes on with the same command, and ends as it would have ended."""

import os
import signal
import subprocess
import sys
import time

import finetune
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

import landmarkzoo as lz

LESS = ["--epochs", "3", "--image-size", "32", "--test-size", "32", "--batch-size", "4"]


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    root = tmp_path_factory.mktemp("drawn")
    for row in range(16):
        path = root / f"place{row % 2}" / f"{row}.png"
        path.parent.mkdir(exist_ok=True)
        Image.effect_noise((48, 48), 30 + 60 * (row % 2)).convert("RGB").save(path)
    return root


@pytest.fixture(scope="module")
def whole(drawn, tmp_path_factory):
    out = tmp_path_factory.mktemp("whole") / "out"
    torch.set_num_threads(1)
    finetune.main([str(drawn), "--out", str(out), *LESS])
    return out


def start(drawn, out, *options):
    command = [sys.executable, finetune.__file__, str(drawn), "--out", str(out), *LESS, *options]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(command, env=environment, start_new_session=True, **pipes)


def wait_for(process, there):
    deadline = time.monotonic() + 300
    while not there():
        assert process.poll() is None, process.communicate()[1].decode()[-2000:]
        assert time.monotonic() < deadline
        time.sleep(0.002)


def epochs_of(out):
    path = out / "checkpoint.pt"
    return torch.load(path, weights_only=True)["epoch"] if path.is_file() else -1


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL], ids=lambda n: n.name)
def test_the_same_command_goes_on_bit_by_bit(drawn, whole, tmp_path, number):
    out = tmp_path / "out"
    process = start(drawn, out)
    wait_for(process, lambda: epochs_of(out) >= 1)
    os.killpg(process.pid, number)
    errors = process.communicate(timeout=300)[1].decode()
    epoch = epochs_of(out)
    assert epoch >= 1
    if number == signal.SIGKILL:
        assert process.returncode == -number
    else:
        assert process.returncode == 128 + number
        end = f"its model is saved in {out}, and the same command goes on"
        assert errors.strip().splitlines()[-1] == f"stopped after epoch {epoch}: {end}"
        assert "Traceback" not in errors
        assert not list(out.glob("*.tmp"))
        assert lz.create_model(f"local-dir:{out}").cfg.input_size == (3, 32, 32)  # of use already
        assert lz.load_head(f"local-dir:{out}")[1] == ["place0", "place1"]
    for name in ("--epochs", "--held-out", "--seed"):
        with pytest.raises(ValueError, match=f"is of another command: {name[2:].replace('-', '_')} was"):
            finetune.main([str(drawn), "--out", str(out), *LESS, name, "0.4" if "held" in name else "4"])
    finetune.main([str(drawn), "--out", str(out), *LESS])
    left = {path.name for path in out.iterdir() if not path.name.startswith(".")}  # what a killed one left
    assert left == {path.name for path in whole.iterdir()}
    for name in ("model.safetensors", "head.safetensors"):
        expected, got = load_file(whole / name), load_file(out / name)
        assert expected.keys() == got.keys()
        assert all(torch.equal(got[key], tensor) for key, tensor in expected.items())
    assert (out / "config.json").read_text() == (whole / "config.json").read_text()
    with pytest.raises(FileExistsError, match="is not empty: choose another folder"):
        finetune.main([str(drawn), "--out", str(out), *LESS])


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda n: n.name)
def test_stopped_at_once_leaves_nothing(drawn, tmp_path, number):
    out = tmp_path / "new" / "out"
    process = start(drawn, out)
    wait_for(process, out.exists)
    os.killpg(process.pid, number)
    errors = process.communicate(timeout=300)[1].decode()
    assert process.returncode == 128 + number
    assert errors.strip().splitlines()[-1] == "stopped before the first epoch: nothing is saved"
    assert "Traceback" not in errors
    assert list(tmp_path.iterdir()) == []


def test_a_target_that_cannot_be_written_is_found_before_the_work(drawn, tmp_path):
    (tmp_path / "file").touch()
    process = start(drawn, tmp_path / "file" / "out")
    out, errors = (text.decode() for text in process.communicate(timeout=300))
    assert process.returncode == 1
    assert errors.startswith("finetune.py: ")
    assert len(errors.splitlines()) == 1
    assert "mAP" not in out


def test_a_full_disk_leaves_the_checkpoint_of_before(drawn, tmp_path, monkeypatch):
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
        finetune.main([str(drawn), "--out", str(out), *LESS])
    assert epochs_of(out) == 1
    assert not list(out.glob(".*"))


def test_a_damaged_checkpoint_is_named(drawn, tmp_path):
    (tmp_path / "checkpoint.pt").write_bytes(b"PK not a checkpoint")
    with pytest.raises(ValueError, match=r"checkpoint\.pt is damaged, or not a checkpoint of this trainer"):
        finetune.main([str(drawn), "--out", str(tmp_path), *LESS])
    assert (tmp_path / "checkpoint.pt").read_bytes() == b"PK not a checkpoint"
