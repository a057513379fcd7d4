"""Photos and options for the examples; ``train`` is imported as users' scripts would import it."""

import sys
from pathlib import Path

import pytest

import landmarkzoo as lz

EXAMPLES = Path(__file__).parents[2] / "examples"
sys.path.insert(0, str(EXAMPLES))


@pytest.fixture(scope="session")
def photos(tmp_path_factory):
    """Five rendered landmarks, twenty views of each, one folder a landmark."""
    folder = tmp_path_factory.mktemp("landmarks")
    data = lz.rendered.RenderedLandmarks(5, 20, 0, image_size=96)
    for row, id_ in enumerate(data.ids):
        (folder / id_).parent.mkdir(exist_ok=True)
        data[row][0].save(folder / f"{id_}.png")
    return folder


@pytest.fixture(scope="session")
def small(photos):
    """Options of a run that takes a second: a tiny model at 32 px, with batch norm, nine steps an epoch."""
    return [
        *("--data", str(photos), "--val-share", "0.25", "--seed", "3"),
        *("--model", "GlobalDescriptor", "--image-size", "32", "--workers", "0"),
        *("--model-args", '{"backbone": "test_efficientnet", "embedding_dim": 16}'),
        *("--epochs", "4", "--batch-size", "8", "--lr", "1e-3", "--device", "cpu"),
    ]


@pytest.fixture(autouse=True, scope="module")
def _one_thread(one_thread):
    """Runs in this process and in others can be compared."""
