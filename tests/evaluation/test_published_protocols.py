"""lz.evaluate on tiny data sets in the published formats, against the metrics by hand."""

import pickle

import numpy as np
import pytest
from PIL import Image

import landmarkzoo as lz

TEST, INDEX, TRAIN = ["q000", "q001", "q002", "q003"], ["i000", "i001", "i002"], ["t000", "t001", "t002"]
FILES = {
    "train.csv": "id,url,landmark_id\nt000,,5\nt001,,5\nt002,,9\n",
    "train_clean.csv": "landmark_id,images\n5,t000 t001\n9,t002\n",
    "index.csv": "id\ni000\ni001\ni002\n",
    "recognition_solution_v2.1.csv": (
        "id,landmarks,Usage\nq000,5,Public\nq001,,Private\nq002,9,Ignored\nq003,9,Private\n"
    ),
    "retrieval_solution_v2.1.csv": (
        "id,images,Usage\nq000,i000 i002,Public\nq001,None,Ignored\nq002,i001,Private\nq003,i002,Private\n"
    ),
}


@pytest.fixture
def gldv2(tmp_path):
    for name, content in FILES.items():
        (tmp_path / name).write_text(content)
    return tmp_path


def descriptors(ids, seed=0):
    return lz.Descriptors(ids, np.random.default_rng(seed).standard_normal((len(ids), 5)))


def test_gldv2_retrieval_leaves_ignored_queries_out(gldv2):
    d = descriptors([*INDEX, "q000", "q002", "q003"])  # of ignored ones none is needed
    result = lz.evaluate(d, lz.datasets.GLDv2(gldv2, "index"))
    queries, index = d[[3, 4, 5]], d[[0, 1, 2]]
    expected = lz.metrics.mean_average_precision(lz.search(queries, index).indices, [[0, 2], [1], [2]])
    assert result["mAP@100"] == pytest.approx(expected)
    assert result.query_ids == ["q000", "q002", "q003"]
    assert "Google Landmarks v2 retrieval" in result.scores[0].protocol


def test_gldv2_recognition_is_in_landmark_ids(gldv2):
    d = descriptors([*TRAIN, *TEST])
    result = lz.evaluate(d, lz.datasets.GLDv2(gldv2, "test"))
    votes = lz.rerank.vote(d[[3, 4, 6]], d[[0, 1, 2]], [5, 5, 9])
    ids = ["q000", "q001", "q003"]
    assert result["GAP"] == lz.metrics.gap(votes.labels, votes.confidence, [[5], [], [9]], ids=ids)
    assert result.query_ids == ids


def test_gldv2_without_truth_or_of_another_split(gldv2):
    with pytest.raises(ValueError, match="the split 'clean' is for training"):
        lz.evaluate(descriptors(TRAIN), lz.datasets.GLDv2(gldv2, "clean"))
    (gldv2 / "recognition_solution_v2.1.csv").unlink()
    with pytest.raises(ValueError, match="no recognition_solution"):
        lz.evaluate(descriptors([*TRAIN, *TEST]), lz.datasets.GLDv2(gldv2, "test"))


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
