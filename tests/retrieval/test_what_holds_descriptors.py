"""An object with ``descriptors``, as an index is, goes wherever Descriptors go."""

import numpy as np
import pytest
import torch

import landmarkzoo as lz
from landmarkzoo.retrieval.stored_vectors import StoredDescriptors, StoredVectors


class Held:
    def __init__(self, descriptors):
        self.descriptors = descriptors

    def __len__(self):
        return len(self.descriptors)


def some(rows, seed, prefix):
    """Descriptors in memory, and the same in two arrays that an object holds."""
    vectors = np.random.default_rng(seed).standard_normal((rows, 8)).astype(np.float32)
    ids = [f"{prefix}{row}" for row in range(rows)]
    provenance = {"model": "m", "weights": "w"}
    parts = StoredVectors([vectors[:3], vectors[3:]], [None, None], np.linalg.norm(vectors, axis=1))
    stored = StoredDescriptors(ids, parts, (), provenance)
    return lz.Descriptors(ids, vectors, provenance=provenance), Held(stored)


QUERIES, INDEX, TRAIN, OTHERS = some(6, 0, "q"), some(40, 1, "x"), some(30, 2, "t"), some(9, 3, "o")
LABELS = np.arange(30) % 4

CALLS = {
    "search": lambda q, x, t, o: lz.search(q, x, 10),
    "search in itself": lambda q, x, t, o: lz.search(x, x, 10, exclude_same_id=True),
    "vote": lambda q, x, t, o: lz.rerank.vote(x, t, LABELS),
    "soft": lambda q, x, t, o: lz.rerank.soft_discriminative(q, x, t, LABELS),
    "hard": lambda q, x, t, o: lz.rerank.hard_discriminative(q, x, t, LABELS),
    "k-reciprocal": lambda q, x, t, o: lz.rerank.k_reciprocal(q, x, k1=5, k2=2),
    "diffusion": lambda q, x, t, o: lz.rerank.diffusion(q, x, neighbors=5, query_neighbors=2),
    "superglobal": lambda q, x, t, o: lz.rerank.superglobal(q, x, shortlist=9, neighbors=3),
    "alpha query expansion": lambda q, x, t, o: lz.rerank.alpha_query_expansion(q, x, k=3),
    "database augmentation": lambda q, x, t, o: lz.rerank.database_augmentation(x, k=3),
    "recognize": lambda q, x, t, o: lz.recognize(q, t, LABELS, non_landmark=o),
    "families": lambda q, x, t, o: lz.ensemble.concat_families([[x], [x]]),
    "concat": lambda q, x, t, o: lz.Descriptors.concat([q, x]),
    "whitening": lambda q, x, t, o: lz.Whitening.fit(x, 4).apply(q),
    "leave one out": lambda q, x, t, o: lz.evaluation.evaluate_leave_one_out(t, LABELS),
    "retrieval": lambda q, x, t, o: lz.evaluation.evaluate_retrieval(q, x, [["x1"]] * 6),
    "revisited": lambda q, x, t, o: lz.evaluation.evaluate_revisited(
        q, x, [{"easy": [1], "hard": [2], "junk": []}] * 6
    ),
    "recognition": lambda q, x, t, o: lz.evaluation.evaluate_recognition(q, t, LABELS, [[1]] * 6),
}


def contents(result):
    """Arrays, names and texts of a result, to be compared."""
    if isinstance(result, (str, int, float, type(None))):
        return result
    if isinstance(result, np.ndarray):
        return result.tolist()
    if isinstance(result, dict):
        return {key: contents(value) for key, value in result.items()}
    if isinstance(result, (list, tuple)):
        return [contents(value) for value in result]
    return {key: contents(value) for key, value in vars(result).items() if not key.startswith("_")}


@pytest.mark.parametrize("call", CALLS)
def test_it_goes_wherever_descriptors_go(call):
    plain, held = (CALLS[call](*(both[i] for both in (QUERIES, INDEX, TRAIN, OTHERS))) for i in (0, 1))
    assert repr(contents(plain)) == repr(contents(held))


class Living:
    """Its first descriptors are asked for once; then there is another commit, with other rows."""

    def __init__(self, held):
        self.commits = [held.descriptors]

    @property
    def descriptors(self):
        now = self.commits[-1]
        self.commits.append(lz.Descriptors(now.ids[::-1], -now.vectors[::-1], provenance=now.provenance))
        return now

    def __len__(self):
        return len(self.commits[-1])


@pytest.mark.parametrize("call", sorted(CALLS.keys() - {"search in itself", "families"}))
def test_a_commit_meanwhile_changes_nothing(call):
    plain = CALLS[call](QUERIES[0], INDEX[0], TRAIN[0], OTHERS[0])
    living = CALLS[call](*(Living(held) for _, held in (QUERIES, INDEX, TRAIN, OTHERS)))
    assert repr(contents(plain)) == repr(contents(living))


def test_evaluate_and_like_take_it():
    photos = lz.rendered.RenderedLandmarks(3, 4, 2, image_size=32)
    colors = lz.Descriptors(photos.ids, np.stack([np.asarray(photo).mean((0, 1)) for photo, _ in photos]))
    assert lz.evaluate(Held(colors), photos).scores == lz.evaluate(colors, photos).scores
    torch.manual_seed(0)
    model = lz.create_model("efficientnet_lite0_gem", pretrained=False).eval()
    pictures = np.random.default_rng(0).integers(0, 255, (2, 64, 64, 3), dtype=np.uint8)
    index = lz.embed(model, pictures, scales=(0.5, 1.0), progress=False)
    ours = lz.embed(model, pictures, like=Held(index), progress=False)
    assert ours.provenance == index.provenance
    assert np.array_equal(ours.vectors, index.vectors)


def test_vectors_on_disk_are_not_read_as_a_whole():
    _, held = INDEX
    stored = held.descriptors
    fresh = StoredDescriptors(stored.ids, stored.stored, (), stored.provenance)
    lz.search(QUERIES[0], fresh, 5)
    lz.rerank.vote(QUERIES[0], StoredDescriptors(TRAIN[0].ids, TRAIN[1].descriptors.stored), LABELS)
    lz.rerank.diffusion(QUERIES[0], fresh, neighbors=5, query_neighbors=2)
    lz.rerank.k_reciprocal(QUERIES[0], fresh, k1=5, k2=2)
    lz.rerank.superglobal(QUERIES[0], fresh, shortlist=9, neighbors=3)
    lz.rerank.alpha_query_expansion(QUERIES[0], fresh, k=3)
    assert "vectors" not in vars(fresh)
