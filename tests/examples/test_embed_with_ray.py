"""Ray on this machine: as it runs on a cluster, with a hard limit of time."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile

import pytest

import landmarkzoo as lz
from conftest import EXAMPLES

pytest.importorskip("ray", reason="the extra ray is not installed")

SECONDS = 240  # it takes 20 on two idle cores

KILLED = """
import os, signal, sys
from pathlib import Path

import ray

import landmarkzoo as lz
from embed_with_ray import Worker, embed_with_ray

folder, photos, mark = sys.argv[1:]

class Dying(Worker):
    def __call__(self, batch):
        try:
            Path(mark).touch(exist_ok=False)
        except FileExistsError:
            return super().__call__(batch)
        os.kill(os.getpid(), signal.SIGKILL)

def embed_units(units):
    for number, row in enumerate(embed_with_ray(units, 2, 1, 0, Dying), 1):
        yield row
        if number == 4:
            os.kill(os.getpid(), signal.SIGKILL)

ray.init(num_cpus=2, include_dashboard=False)
index = lz.Index.open(folder)
lz.index.add_in_units(index, photos, embed_units, labels="folder", num_workers=0, progress=False, unit=8)
"""


@pytest.fixture
def run():
    """Run a script with a Ray of its own, and end all of it in time."""
    ray_folder = tempfile.mkdtemp(prefix="ray-")  # a short path: sockets lie in it

    def run(script, *arguments):
        environment = {"RAY_TMPDIR": ray_folder, "RAY_USAGE_STATS_ENABLED": "0", "OMP_NUM_THREADS": "1"}
        paths = os.pathsep.join([str(EXAMPLES), *filter(None, [os.environ.get("PYTHONPATH")])])
        with tempfile.TemporaryFile("w+") as output:  # no pipe, which a process of Ray could keep open
            process = subprocess.Popen(
                [sys.executable, str(script), *map(str, arguments)],
                stdout=output,
                stderr=output,
                env={**os.environ, **environment, "PYTHONPATH": paths},
            )
            try:
                code = process.wait(SECONDS)
            finally:
                process.kill()  # the processes of Ray end with it
            output.seek(0)
            return code, output.read()

    yield run
    shutil.rmtree(ray_folder, ignore_errors=True)


@pytest.mark.slow
def test_a_worker_dies_then_the_driver_and_the_next_call_writes_what_one_process_writes(
    photos, tmp_path, run
):
    model = lz.create_model("efficientnet_lite0_gem", embedding_dim=8)
    transform = lz.create_transform(model, image_size=64)
    alone, index = (
        lz.Index.create(tmp_path / name, model, transform=transform, batch_size=4) for name in ("one", "two")
    )
    alone.add(photos, labels="folder", num_workers=0, progress=False)
    (tmp_path / "killed.py").write_text(KILLED)
    code, output = run(tmp_path / "killed.py", tmp_path / "two", photos, tmp_path / "mark")
    assert code == -signal.SIGKILL, output
    assert (tmp_path / "mark").exists()  # and the unit of the dead worker was tried again, or it would stand
    done = [path for path in (tmp_path / "two" / "incoming").glob("*/*.safetensors") if path.stat().st_size]
    assert len(done) >= 4
    assert len(index) == 0

    code, output = run(
        EXAMPLES / "embed_with_ray.py", tmp_path / "two", photos, "--folder-labels", "--unit", "8"
    )
    assert code == 0, output
    assert f"{len(alone)} photos in" in output
    assert index.ids == alone.ids
    assert index.labels.tolist() == alone.labels.tolist()
    assert index.vectors.tobytes() == alone.vectors.tobytes()
    assert not (tmp_path / "two" / "incoming").exists()
