"""Ray on this machine: as it runs on a cluster, with a hard limit of time."""

import os
import subprocess
import sys

import pytest

import landmarkzoo as lz
from conftest import EXAMPLES

pytest.importorskip("ray", reason="the extra ray is not installed")


@pytest.mark.slow
def test_ranks_of_ray_write_what_one_process_writes(photos, tmp_path):
    model = lz.create_model("efficientnet_lite0_gem", embedding_dim=8)
    transform = lz.create_transform(model, image_size=64)
    alone, index = (
        lz.Index.create(tmp_path / name, model, transform=transform, batch_size=8) for name in ("one", "two")
    )
    alone.add(photos, labels="folder", progress=False)
    command = [sys.executable, str(EXAMPLES / "embed_with_ray.py"), str(tmp_path / "two"), str(photos)]
    done = subprocess.run(
        [*command, "--folder-labels", "--ranks", "2"],
        capture_output=True,
        text=True,
        timeout=300,
        env={**os.environ, "RAY_USAGE_STATS_ENABLED": "0", "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr
    assert f"{len(alone)} photos in" in done.stdout
    assert index.ids == alone.ids
    assert index.labels.tolist() == alone.labels.tolist()
    assert index.vectors.tobytes() == alone.vectors.tobytes()
