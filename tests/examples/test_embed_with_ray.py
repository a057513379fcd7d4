"""Ray on this machine: as it runs on a cluster, with a hard limit of time."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from contextlib import suppress

import pytest

import landmarkzoo as lz
from conftest import EXAMPLES

pytest.importorskip("ray.data", reason="the extra ray is not installed")

SECONDS = 240

# The example, but that a worker dies once, when it is to embed a unit. What is begun stands in a file.
SCRIPT = """
import os, signal, sys
import embed_with_ray

begun = sys.argv.pop(1)

class Dying(embed_with_ray.Worker):
    def __call__(self, batch):
        with open(begun, "a") as file:
            file.write(f"{batch['unit'].item()} ")
        try:
            open(begun + ".died", "x").close()
        except FileExistsError:
            return super().__call__(batch)
        os.kill(os.getpid(), signal.SIGKILL)

embed_with_ray.Worker = Dying
embed_with_ray.main()
"""


@pytest.fixture
def run():
    """Run a script with a Ray of its own, and end all of it in time."""
    ray_folder = tempfile.mkdtemp(prefix="ray-")  # a short path: sockets lie in it
    environment = {"RAY_TMPDIR": ray_folder, "RAY_USAGE_STATS_ENABLED": "0", "OMP_NUM_THREADS": "1"}
    paths = os.pathsep.join([str(EXAMPLES), *filter(None, [os.environ.get("PYTHONPATH")])])

    def run(*command):
        with tempfile.TemporaryFile("w+") as output:  # no pipe, which a process of Ray could keep open
            process = subprocess.Popen(
                [sys.executable, *map(str, command)],
                stdout=output,
                stderr=output,
                env={**os.environ, **environment, "PYTHONPATH": paths},
                start_new_session=True,
            )
            try:
                code = process.wait(SECONDS)
            finally:
                with suppress(ProcessLookupError):  # its processes of Ray are in its group
                    os.killpg(process.pid, signal.SIGKILL)
            output.seek(0)
            return code, output.read()

    yield run
    shutil.rmtree(ray_folder, ignore_errors=True)


class Killed(BaseException):
    pass


def die_after(count):
    def embed_units(units):
        for unit in units.left()[:count]:
            units.embed(unit)
            yield
        raise Killed

    return embed_units


@pytest.mark.slow
def test_ray_goes_on_where_a_driver_died_though_a_worker_dies_and_writes_what_one_process_writes(
    photos, tmp_path, run
):
    model = lz.create_model("efficientnet_lite0_gem", embedding_dim=8)
    transform = lz.create_transform(model, image_size=64)
    alone, index = (
        lz.Index.create(tmp_path / name, model, transform=transform, batch_size=4) for name in ("one", "two")
    )
    alone.add(photos, labels="folder", num_workers=0, progress=False)
    with pytest.raises(Killed):
        lz.index.add_in_units(
            index, photos, die_after(5), labels="folder", num_workers=0, progress=False, unit=8
        )
    assert len(index) == 0

    (tmp_path / "script.py").write_text(SCRIPT)
    begun = tmp_path / "begun"
    code, output = run(tmp_path / "script.py", begun, tmp_path / "two", photos, "--folder-labels")
    assert code == 0, output
    assert f"{len(alone)} photos in" in output
    units = sorted(map(int, begun.read_text().split()))
    assert sorted(set(units)) == list(range(5, 13))  # and the first five stood there
    assert len(units) > 8  # one of them was tried again
    assert index.ids == alone.ids
    assert index.labels.tolist() == alone.labels.tolist()
    assert index.vectors.tobytes() == alone.vectors.tobytes()
    assert not (tmp_path / "two" / "incoming").exists()
