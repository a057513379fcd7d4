"""A snapshot: one commit for several calls, whatever is written meanwhile."""

import threading

import numpy as np
import pytest
from PIL import Image

import landmarkzoo as lz

SIZE = 40


@pytest.fixture
def index(tmp_path):
    index = lz.Index.create(tmp_path / "index")
    index.add(
        lz.Descriptors([f"{row}" for row in range(SIZE)], np.eye(SIZE)), labels=[*map(str, range(SIZE))]
    )
    return index


def test_it_stays_as_it_was(index):
    snapshot = index.snapshot()
    index.remove(["3", "7"])
    index.relabel({"5": "other"})
    index.compact()
    assert (len(snapshot), len(index)) == (SIZE, SIZE - 2)
    assert snapshot.ids == snapshot.labels.tolist() == [*map(str, range(SIZE))]
    assert snapshot.descriptors.ids[7] == "7"
    found = snapshot.search(np.eye(SIZE)[7], k=1)
    assert found.ids[0, 0] == snapshot.labels[found.indices[0, 0]] == "7"
    assert repr(snapshot) == f"IndexSnapshot({SIZE} photos, commit 1)"
    assert index.snapshot().ids == index.ids


def test_it_finds_what_the_index_finds(index):
    queries = np.random.default_rng(0).normal(size=(3, SIZE))
    for query in (queries, queries[0], lz.Descriptors(["a"], queries[:1]), index, index.snapshot()):
        ours, its = index.snapshot().search(query, 5), index.search(query, 5)
        np.testing.assert_array_equal(ours.indices, its.indices)
        np.testing.assert_array_equal(ours.scores, its.scores)
        np.testing.assert_array_equal(lz.search(index.snapshot(), index, 5).scores[:, 0], np.ones(SIZE))
    with pytest.raises(ValueError, match="k must be a positive integer, got 0"):
        index.snapshot().search(queries, 0)
    with pytest.raises(ValueError, match="needs its model to embed photos"):
        index.snapshot().search(Image.new("RGB", (8, 8)))


def test_rows_and_labels_are_of_one_commit_while_somebody_writes(index):
    done = threading.Event()

    def write():
        for row in range(0, SIZE - 2, 2):
            index.remove(f"{row}")
        done.set()

    writer = threading.Thread(target=write)
    writer.start()
    answers = 0
    while not done.is_set() or answers == 0:
        snapshot = index.snapshot()
        found = snapshot.search(np.eye(SIZE)[SIZE - 1], k=3)
        assert [snapshot.labels[row] for row in found.indices[0]] == found.ids[0].tolist()
        answers += 1
    writer.join()
    assert len(index) == SIZE - (SIZE - 2) // 2
