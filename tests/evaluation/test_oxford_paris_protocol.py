"""lz.evaluate on tiny Revisited data sets, against the metrics by hand."""

import pickle

import numpy as np
import pytest
from PIL import Image

import landmarkzoo as lz


@pytest.mark.parametrize(
    ("kind", "file", "overlap"),
    [
        (lz.datasets.RevisitedOxford, "gnd_roxford5k.pkl", 36),
        (lz.datasets.RevisitedParis, "gnd_rparis6k.pkl", 38),
    ],
)
def test_revisited_by_a_model_on_cropped_queries(kind, file, overlap, tmp_path, tiny_model):
    random, names = np.random.default_rng(0), ["a", "b", "c", "d", "q"]
    (tmp_path / "jpg").mkdir()
    for name in names:
        image = Image.fromarray(random.integers(0, 255, (6, 8, 3), dtype=np.uint8)).resize((128, 96))
        image.save(tmp_path / "jpg" / f"{name}.jpg")
    truth = {"bbx": [10.0, 5.0, 90.0, 80.0], "easy": [1], "hard": [3], "junk": [0]}
    content = {"imlist": names[:4], "qimlist": ["q"], "gnd": [truth]}
    (tmp_path / file).write_bytes(pickle.dumps(content))
    data = kind(tmp_path)
    result = lz.evaluate(tiny_model, data, progress=False)
    box = [(10, 5, 90, 80)]
    query = lz.embed(tiny_model, [tmp_path / "jpg" / "q.jpg"], boxes=box, progress=False)
    index = lz.embed(tiny_model, [tmp_path / "jpg" / f"{n}.jpg" for n in names[:4]], progress=False)
    expected = lz.metrics.revisited(lz.search(query, index, k=4).indices, [truth])
    for setup in ("easy", "medium", "hard"):
        assert result[f"{setup} mAP"] == pytest.approx(expected[setup]["map"])
    assert f"{overlap} of the 70 queries" in result.scores[0].protocol
