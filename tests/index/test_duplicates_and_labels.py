"""Pairs that are nearly the same, and labels that their neighbours contradict, against plain loops."""

import numpy as np
import pytest
from tqdm import tqdm

import landmarkzoo as lz
from landmarkzoo.index import near_duplicates


def pairs_by_hand(x, ids, threshold):
    unit = x.astype(np.float64) / np.linalg.norm(x.astype(np.float64), axis=1, keepdims=True)
    cosines = (unit @ unit.T).astype(np.float32)
    found = [
        (-cosines[a, b], a, b)
        for a in range(len(x))
        for b in range(a + 1, len(x))
        if cosines[a, b] >= np.float32(threshold)
    ]
    return [(ids[a], ids[b]) for _, a, b in sorted(found)]


@pytest.mark.parametrize("block", [7, 2048])
def test_duplicates_are_those_of_a_plain_loop(tmp_path, monkeypatch, block):
    monkeypatch.setattr(near_duplicates, "_BLOCK", block)
    random = np.random.default_rng(0)
    x = random.normal(size=(12, 8)).repeat(5, axis=0) + 0.2 * random.normal(size=(60, 8))
    x[40] = 3 * x[3]
    ids = [f"{row}.jpg" for row in range(60)]
    index = lz.Index.create(tmp_path / "index")
    index.add(lz.Descriptors(ids[:30], x[:30]))
    index.add(lz.Descriptors(ids[30:], x[30:]))
    index.remove(["5.jpg", "33.jpg"])
    left = [row for row in range(60) if row not in (5, 33)]
    found = index.duplicates(0.95)
    assert [pair[:2] for pair in found] == pairs_by_hand(index.vectors, [ids[row] for row in left], 0.95)
    assert found[0] == ("3.jpg", "40.jpg", 1.0)
    assert len(found) > 20
    with pytest.raises(ValueError, match="threshold must be a cosine, at most 1, got 98"):
        index.duplicates(98)
    with pytest.raises(TypeError, match="threshold must be a number"):
        index.duplicates("0.9")


def test_the_bar_of_duplicates_ends_at_its_end(tmp_path, monkeypatch):
    bars = []

    class Bar(tqdm):
        def close(self):
            if not self.disable:
                bars.append((self.n, self.total))
            super().close()

    monkeypatch.setattr(near_duplicates, "tqdm", Bar)
    monkeypatch.setattr(near_duplicates, "_BLOCK", 7)
    index = lz.Index.create(tmp_path / "index")
    index.add(lz.Descriptors(map(str, range(30)), np.random.default_rng(0).normal(size=(30, 8))))
    assert index.duplicates(progress=True) == index.duplicates()
    assert bars[0] == (435, 435)  # 30 * 29 / 2 pairs


def test_the_score_of_a_label(tmp_path):
    vectors = np.array([[1, 0], [1, 0], [1, 0], [0, 1], [0, 1], [0, 1], [1, 0]], dtype=float)
    labels = ["a", "a", "b", "b", "b", "b", None]
    index = lz.Index.create(tmp_path / "index")
    index.add(lz.Descriptors(list("tuvwxyz"), vectors), labels=labels)
    assert index.suspicious_labels(neighbors=2) == [("v", "b", "a", 1.0)]
    # Of the two nearest of t one has its label and one has another: neither has more votes.
    index.relabel({"v": "a", "w": "a"})
    assert index.suspicious_labels(neighbors=2) == [("w", "a", "b", 1.0)]
    index.relabel(dict.fromkeys("tuvwxyz"))
    assert index.suspicious_labels() == []


def test_wrong_labels_are_found(tmp_path):
    random = np.random.default_rng(1)
    x = np.eye(6).repeat(8, axis=0) + 0.1 * random.normal(size=(48, 6))
    labels = [f"landmark {row // 8}" for row in range(48)]
    labels[3], labels[20] = "landmark 4", "landmark 1"
    index = lz.Index.create(tmp_path / "index")
    index.add(lz.Descriptors([str(row) for row in range(48)], x), labels=labels)
    found = index.suspicious_labels(5)
    assert {(id_, likelier) for id_, _, likelier, _ in found} == {("3", "landmark 0"), ("20", "landmark 2")}
    assert all(0.5 < score <= 1 for *_, score in found)
