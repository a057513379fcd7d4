"""Small trainings: a tiny model on noise of two kinds, or on rendered landmarks."""

from pathlib import Path

import pytest
import torch
from PIL import Image

import landmarkzoo as lz


@pytest.fixture(autouse=True)
def _one_thread():
    """Sums in one order, so that trainings in this process and in others can be compared."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def noise(tmp_path_factory) -> Path:
    """Sixteen photos of two places."""
    root = tmp_path_factory.mktemp("noise")
    for row in range(16):
        path = root / f"place{row % 2}" / f"{row:02d}.png"
        path.parent.mkdir(exist_ok=True)
        Image.effect_noise((48, 48), 30 + 60 * (row % 2)).convert("RGB").save(path)
    return root


@pytest.fixture(scope="session")
def tiny(tmp_path_factory) -> str:
    """A saved model of some thousand weights, with dropout and batch norms."""
    folder = tmp_path_factory.mktemp("tiny")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        args = {"drop_path_rate": 0.2}
        lz.GlobalDescriptor("test_efficientnet", embedding_dim=16, backbone_args=args).save_pretrained(folder)
    return f"local-dir:{folder}"


@pytest.fixture(scope="session")
def drawn(tmp_path_factory) -> Path:
    """Nine photos of each of four buildings, one folder each."""
    root, data = tmp_path_factory.mktemp("drawn"), lz.rendered.RenderedLandmarks(4, 9, 0, image_size=96)
    for row, id_ in enumerate(data.ids):
        label = int(data.targets[row])
        path = root / f"building{label}" / f"{id_.replace('/', '_')}.png"
        path.parent.mkdir(exist_ok=True)
        data[row][0].save(path)
    return root
