import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, settings
from PIL import Image

import landmarkzoo as lz

# No test fails because a machine is slow. CI draws the same examples in each run, so that it says the same
# twice; elsewhere they are new each time, and what failed is kept and tried again.
settings.register_profile(
    "landmarkzoo",
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    print_blob=True,
    derandomize="CI" in os.environ,
)
settings.load_profile("landmarkzoo")

# A script that starts pytest in the background lets it, and all that it starts, ignore Ctrl-C: tests send it.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Real photos for tests lie beside the checkout where there are any; they are never part of it.
REAL_PHOTOS = Path(os.environ.get("LANDMARKZOO_PHOTOS", Path(__file__).parents[2] / "shared" / "data"))


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


@pytest.fixture(scope="session")
def real_photos() -> Path:
    if not (REAL_PHOTOS / "splits.csv").is_file():
        pytest.skip("no real landmark photos here: set LANDMARKZOO_PHOTOS to a folder with splits.csv")
    return REAL_PHOTOS


@pytest.fixture(scope="session")
def tiny_model() -> lz.GlobalDescriptor:
    """ImageNet weights, pooled features, 64 px: quick, and every photo gets another descriptor."""
    model = lz.GlobalDescriptor("tf_efficientnet_lite0", neck="none", pretrained_backbone=True)
    model.cfg = lz.ModelCfg(
        model.cfg.architecture,
        model.cfg.args,
        input_size=(3, 64, 64),
        mean=(0.5, 0.5, 0.5),
        std=(0.5, 0.5, 0.5),
        embedding_dim=1280,
    )
    return model


@pytest.fixture
def photo_folder(tmp_path: Path) -> Path:
    """Eleven photos, nested, with Unicode names and a file that is none."""
    random = np.random.default_rng(0)
    folder = tmp_path / "photos"
    names = [f"{i}.png" for i in range(6)] + ["b/ü.jpg", "b/塔 1.png", "a/c/deep.webp", "Z.JPG", "a/x.bmp"]
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        coarse = random.integers(0, 255, (4, 5, 3), dtype=np.uint8)
        Image.fromarray(coarse).resize((80, 64)).save(path)
    (folder / "notes.txt").write_text("not a photo")
    (folder / ".hidden.jpg").write_bytes(b"not a photo either")
    return folder


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 64 kB."""
    folder = tmp_path / "small"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", folder], capture_output=True)
    if mounted.returncode != 0:
        pytest.skip("mounting a small disk needs root")
    yield folder
    subprocess.run(["mount", "-o", "remount,rw", folder], check=False, capture_output=True)
    subprocess.run(["umount", "-l", folder], check=True)


@pytest.fixture(scope="module")
def one_thread() -> Iterator[None]:
    """Sums in one order, whatever the number of cores: other processes give the same bits."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def noise(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sixteen photos of two places."""
    root = tmp_path_factory.mktemp("noise")
    for row in range(16):
        path = root / f"place{row % 2}" / f"{row:02d}.png"
        path.parent.mkdir(exist_ok=True)
        Image.effect_noise((48, 48), 30 + 60 * (row % 2)).convert("RGB").save(path)
    return root
