"""Two processes train one model: each reads its share, and the head is whole in the end."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest
import torch
from safetensors.torch import load_file
from whole_trainings import FILES, QUICK

import landmarkzoo as lz

SCRIPT = """
import json, os, sys
import landmarkzoo as lz
from landmarkzoo.finetuning import photo_store

read = []
real = photo_store.PhotoStore.keep

def keep(store, *arguments):
    real(store, *arguments)
    read.append([store.ids[row] for row in store.kept])

photo_store.PhotoStore.keep = keep
photos, out, options = sys.argv[1:]
result = lz.finetune(photos, out, **json.loads(options))
rank = os.environ["RANK"]
text = json.dumps({"read": read[0], "classes": result.class_names, "after": result.after["mAP@100"]})
open(f"{out}-{rank}.json", "w").write(text)
"""


def start(photos, out, script, **options):
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--standalone"]
    arguments = [str(script), str(photos), str(out), json.dumps({**QUICK, **options})]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen([*command, *arguments], env=environment, start_new_session=True, **pipes)


@pytest.fixture(scope="module")
def script(tmp_path_factory):
    path = tmp_path_factory.mktemp("script") / "train.py"
    path.write_text(SCRIPT)
    return path


def finished(photos, out, script, **options):
    process = start(photos, out, script, **options)
    errors = process.communicate(timeout=300)[1]
    assert process.returncode == 0, errors[-3000:]
    return [json.loads(out.with_name(f"{out.name}-{rank}.json").read_text()) for rank in range(2)]


@pytest.mark.slow
def test_two_processes_are_one_training(noise, tiny, tmp_path, script):
    """Split landmarks or not: the same model, and a whole head."""
    options = {"model": tiny, "average": 0.5, "patience": 3, "precision": "float32"}
    ranks = finished(noise, tmp_path / "plain", script, class_parallel=False, **options)
    split = finished(noise, tmp_path / "split", script, class_parallel=True, **options)
    read = [set(rank["read"]) for rank in ranks]
    assert not read[0] & read[1]
    assert len(read[0] | read[1]) == 12
    assert ranks[0]["after"] == ranks[1]["after"]
    assert ranks[1]["classes"] == ["place0", "place1"]
    assert split[0]["read"] == ranks[0]["read"]
    for name in ("model.safetensors", "head.safetensors"):
        plain, of_split = (load_file(tmp_path / folder / name) for folder in ("plain", "split"))
        assert plain.keys() == of_split.keys()
        for key, tensor in plain.items():
            torch.testing.assert_close(of_split[key], tensor, rtol=1e-3, atol=1e-4, msg=key)
    for folder in ("plain", "split"):
        assert {path.name for path in (tmp_path / folder).iterdir()} == FILES


def test_two_processes_that_split_the_landmarks_are_killed_and_go_on(noise, tiny, tmp_path, script):
    options = {"model": tiny, "class_parallel": True, "epochs": 6}
    out = tmp_path / "out"
    process = start(noise, out, script, **options)
    deadline = time.monotonic() + 300
    while not list(out.glob("checkpoint-epoch[1-9]*-rank1.pt")):
        assert process.poll() is None, process.communicate()[1][-2000:]
        assert time.monotonic() < deadline
        time.sleep(0.002)
    # The processes of torchrun have sessions of their own.
    children = subprocess.run(["pgrep", "-P", str(process.pid)], capture_output=True, text=True).stdout
    for pid in (process.pid, *map(int, children.split())):
        os.kill(pid, signal.SIGKILL)
    process.communicate(timeout=300)
    with pytest.raises(ValueError, match="is of another call: processes was 2, is 1"):
        lz.finetune(noise, out, **{**QUICK, **options})
    finished(noise, out, script, **options)
    assert {path.name for path in out.iterdir()} == FILES
    assert len(json.loads((out / "training.json").read_text())["history"]) == 6
    head, names = lz.load_head(f"local-dir:{out}")
    assert head.weight.shape == (2, 16)
    assert names == ["place0", "place1"]
