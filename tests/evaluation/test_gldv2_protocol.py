"""lz.evaluate on a tiny Google Landmarks v2, against the metrics by hand."""

import numpy as np
import pytest
from PIL import Image
from torch.utils.data import ConcatDataset, Subset

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
    d = descriptors([*INDEX, "q000", "q002", "q003"])  # the ignored query needs no descriptor
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


def test_gldv2_with_a_model_reads_only_what_the_protocol_asks_for(gldv2, tiny_model):
    rng = np.random.default_rng(0)
    for folder, ids in (("index", INDEX), ("test", ["q000", "q002", "q003"])):  # q001 is ignored
        for id_ in ids:
            path = gldv2 / folder / id_[0] / id_[1] / id_[2] / f"{id_}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(rng.integers(0, 255, (48, 64, 3), dtype=np.uint8)).save(path)
    index, test = lz.datasets.GLDv2(gldv2, "index"), lz.datasets.GLDv2(gldv2, "test")
    d = lz.embed(tiny_model, ConcatDataset([index, Subset(test, [0, 2, 3])]), progress=False)
    expected = lz.evaluate(d, index)
    index.transform = lz.create_transform(tiny_model, training=True)
    result = lz.evaluate(tiny_model, index, progress=False)
    assert result["mAP@100"] == expected["mAP@100"]
    assert result.query_ids == expected.query_ids
    assert result.provenance == d.provenance


def test_gldv2_without_truth_or_of_another_split(gldv2):
    with pytest.raises(ValueError, match="the split 'clean' is for training"):
        lz.evaluate(descriptors(TRAIN), lz.datasets.GLDv2(gldv2, "clean"))
    (gldv2 / "recognition_solution_v2.1.csv").unlink()
    with pytest.raises(ValueError, match="no recognition_solution"):
        lz.evaluate(descriptors([*TRAIN, *TEST]), lz.datasets.GLDv2(gldv2, "test"))


def skipped(d, *names):
    """Without the photos of some names, which could not be read."""
    kept = [row for row, id_ in enumerate(d.ids) if id_ not in names]
    return lz.Descriptors(
        [d.ids[row] for row in kept], d.vectors[kept], [(name, "cut off") for name in names]
    )


def test_a_skipped_photo_counts_as_in_the_competition(gldv2):
    data = lz.datasets.GLDv2(gldv2, "index")
    d = descriptors([*INDEX, "q000", "q002", "q003"])
    result = lz.evaluate(skipped(d, "q003", "i002"), data)
    found = lz.search(d[[3, 4]], d[[0, 1]]).indices
    rows = [*found.tolist(), []]  # q003 finds nothing, and i002 is never found though q000 looks for it
    expected = lz.metrics.mean_average_precision([[*row, -1, -1][:2] for row in rows], [[0, 2], [1], [2]])
    assert result["mAP@100"] == pytest.approx(expected)
    assert result.query_ids == ["q000", "q002", "q003"]
    assert result.per_query["recall@100"].tolist() == [0.5, 1.0, 0.0]
    assert "1 queries could not be read and find nothing" in result.scores[0].protocol
    assert "1 index photos could not be read and are never found" in result.scores[0].protocol
    everything = lz.evaluate(d, data)
    assert "could not" not in everything.scores[0].protocol


def test_a_skipped_test_image_has_no_prediction_and_a_skipped_train_photo_no_vote(gldv2):
    d = descriptors([*TRAIN, *TEST])
    result = lz.evaluate(skipped(d, "q003", "t001"), lz.datasets.GLDv2(gldv2, "test"))
    votes = lz.rerank.vote(d[[3, 4]], d[[0, 2]], [5, 9])
    ids, labels, scores = ["q000", "q001", "q003"], [*votes.labels, -1], [*votes.confidence, 0.0]
    assert result["GAP"] == lz.metrics.gap(labels, scores, [[5], [], [9]], ids=ids)
    assert result.query_ids == ids
    assert "1 test images could not be read and have no prediction" in result.scores[0].protocol
    assert "1 train photos could not be read and do not vote" in result.scores[0].protocol
