"""Classes of photos and descriptors: against an explicit loop, in blocks, with every head, and in threads."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

import landmarkzoo as lz
from landmarkzoo.classification import classify_photos
from landmarkzoo.losses import base_head

HEADS = {
    "ArcFace": lambda dim, classes: lz.SubCenterArcFaceDynamic(dim, classes),
    "one center": lambda dim, classes: lz.SubCenterArcFaceDynamic(dim, classes, sub_centers=1),
    "CosFace": lz.losses.CosFace,
}


def by_hand(vectors, head, k):
    """One photo and one center after the other, in float64."""
    weight = head.weight.detach().double().numpy()
    rows = []
    for x in vectors.astype(np.float64):
        best = []
        for c in range(head.num_classes):
            centers = weight[c * head.sub_centers : (c + 1) * head.sub_centers]
            cosines = [x @ w / np.linalg.norm(x) / np.linalg.norm(w) for w in centers]
            best.append((-max(cosines), c))
        rows.append([(c, -cosine) for cosine, c in sorted(best)[:k]])
    labels, scores = np.array(rows).transpose(2, 0, 1)
    return labels.astype(int), scores


def descriptors(count, dim=16, seed=0):
    vectors = np.random.default_rng(seed).standard_normal((count, dim)).astype(np.float32)
    return lz.Descriptors([f"{n}.jpg" for n in range(count)], vectors)


@pytest.mark.parametrize("make_head", HEADS.values(), ids=HEADS)
@pytest.mark.parametrize("k", [1, 5, 40])
def test_equals_the_loop(make_head, k):
    head, d = make_head(16, 40), descriptors(30)
    p = lz.classify(None, head, d, k=k)
    labels, scores = by_hand(d.vectors, head, k)
    np.testing.assert_array_equal(p.labels, labels)
    np.testing.assert_allclose(p.scores, scores, atol=1e-6)
    assert (p.ids, p.names, p.labels.dtype, p.scores.dtype) == (d.ids, None, np.int64, np.float32)


def test_one_class_and_more_than_there_are():
    d = descriptors(4)
    assert lz.classify(None, lz.losses.CosFace(16, 1), d).labels.tolist() == [[0]] * 4
    p = lz.classify(None, lz.losses.CosFace(16, 3), d, k=100)  # as in lz.search
    assert np.sort(p.labels, axis=1).tolist() == [[0, 1, 2]] * 4


def test_no_photo():
    p = lz.classify(None, lz.losses.CosFace(16, 3), descriptors(0), class_names=["a", "b", "c"], k=2)
    assert (len(p), p.labels.shape, p.names.shape) == (0, (0, 2), (0, 2))


def test_a_descriptor_of_zeros_is_similar_to_nothing():
    p = lz.classify(None, HEADS["ArcFace"](4, 3), lz.Descriptors(["a"], np.zeros((1, 4))))
    assert (p.labels.tolist(), p.scores.tolist()) == ([[0, 1, 2]], [[0, 0, 0]])


@given(st.data())
def test_order_and_ties(data):
    """Centers and photos along axes: cosines are exact, and most of them tie."""
    classes, dim, k = data.draw(st.integers(1, 12)), 4, data.draw(st.integers(1, 14))
    axes = st.lists(st.sampled_from([0, 1, 2, 3]), min_size=classes, max_size=classes)
    head = lz.losses.CosFace(dim, classes)
    with torch.no_grad():
        head.weight.copy_(torch.eye(dim)[data.draw(axes)])
    photos = np.eye(dim)[data.draw(st.lists(st.sampled_from([0, 1, 2, 3]), min_size=1, max_size=5))]
    p = lz.classify(None, head, lz.Descriptors(range(len(photos)), photos), k=k)
    cosines = photos @ head.weight.detach().numpy().T
    for row in range(len(photos)):
        expected = sorted(range(classes), key=lambda c: (-cosines[row, c], c))[:k]
        assert p.labels[row].tolist() == expected
        assert p.scores[row].tolist() == cosines[row, expected].tolist()


@pytest.mark.parametrize("make_head", HEADS.values(), ids=HEADS)
def test_blocks(monkeypatch, make_head):
    """Never all photos x all classes; and the answers are those of one block."""
    head, d = make_head(16, 40), descriptors(100)
    whole = lz.classify(None, head, d, k=3)
    monkeypatch.setattr(classify_photos, "_ROWS", 30)
    monkeypatch.setattr(base_head, "_PREDICT_VALUES", 40 * 7)
    sizes, cosine = [], type(head).cosine
    monkeypatch.setattr(type(head), "cosine", lambda self, x: (sizes.append(len(x)), cosine(self, x))[1])
    blocks = lz.classify(None, head, d, k=3)
    assert (sum(sizes), max(sizes)) == (100, 7)
    np.testing.assert_array_equal(blocks.labels, whole.labels)
    np.testing.assert_allclose(blocks.scores, whole.scores, atol=1e-6)


def test_names_are_those_of_the_classes():
    head, names = lz.losses.CosFace(16, 4), ["Taj%20Mahal", "Eiffel_Tower", "100% pure", "Ch%C3%A2teau"]
    shown = ["Taj Mahal", "Eiffel_Tower", "100% pure", "Château"]
    p = lz.classify(None, head, descriptors(20), class_names=names, k=4)
    assert p.names.tolist() == [[shown[c] for c in row] for row in p.labels]
    assert names[0] == "Taj%20Mahal"  # the user's list stays
    assert lz.classify(None, head, descriptors(2), class_names=np.array(names)).names.shape == (2, 4)


class TestHeads:
    @pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
    @pytest.mark.parametrize("make_head", HEADS.values(), ids=HEADS)
    def test_other_types(self, make_head, dtype):
        head, d = make_head(16, 40).to(dtype), descriptors(10)
        p = lz.classify(None, head, d)
        labels, scores = by_hand(d.vectors, head, 5)
        np.testing.assert_array_equal(p.labels, labels)
        np.testing.assert_allclose(p.scores, scores, atol=1e-6)  # float32 at least

    def test_an_autocast_around_it_changes_nothing(self):
        head, d = HEADS["ArcFace"](16, 40), descriptors(10)
        expected = lz.classify(None, head, d)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            p = lz.classify(None, head, d)
        np.testing.assert_array_equal(p.scores, expected.scores)

    def test_training_mode(self):
        class Dropped(lz.losses.CosFace):
            def __init__(self, *args):
                super().__init__(*args)
                self.drop = nn.Dropout(0.9)

            def cosine(self, embeddings):
                return super().cosine(self.drop(embeddings))

        head, d = Dropped(16, 40), descriptors(10)
        p = lz.classify(None, head, d)
        assert head.training
        assert head.drop.training
        np.testing.assert_array_equal(p.labels, by_hand(d.vectors, head, 5)[0])
        np.testing.assert_array_equal(p.scores, lz.classify(None, head.eval(), d).scores)

    def test_a_head_that_projects(self):
        """Whatever its cosine is: the base class is all that classify knows."""

        class Projected(lz.losses.Head):
            def __init__(self, embedding_dim, num_classes):
                super().__init__(embedding_dim, num_classes)
                self.weight = nn.Parameter(torch.randn(num_classes, 3))
                self.project = nn.Linear(embedding_dim, 3)

            def cosine(self, embeddings):
                return F.normalize(self.project(embeddings)) @ F.normalize(self.weight).T

            def forward(self, embeddings, labels):
                return F.cross_entropy(self.cosine(embeddings), labels)

        head, d = Projected(16, 10), descriptors(20)
        cosines = head.cosine(torch.from_numpy(d.vectors)).detach().numpy()
        p = lz.classify(None, head, d, k=1)
        np.testing.assert_array_equal(p.labels[:, 0], cosines.argmax(axis=1))
        np.testing.assert_allclose(p.scores[:, 0], cosines.max(axis=1), atol=1e-6)

    @pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA here")
    @pytest.mark.parametrize("make_head", HEADS.values(), ids=HEADS)
    def test_on_cuda(self, make_head):
        head, d = make_head(16, 40), descriptors(100)
        expected = lz.classify(None, head, d)
        p = lz.classify(None, head.cuda(), d)
        np.testing.assert_allclose(p.scores, expected.scores, atol=1e-3)  # its products may be in TF32
        assert isinstance(p.labels, np.ndarray)

    def test_nothing_is_left_behind(self):
        head = HEADS["ArcFace"](16, 40)
        before = {name: tensor.clone() for name, tensor in head.state_dict().items()}
        lz.classify(None, head, descriptors(10))
        assert head.weight.grad is None
        assert all(torch.equal(tensor, before[name]) for name, tensor in head.state_dict().items())

    def test_threads(self):
        head, parts = HEADS["ArcFace"](16, 200).train(), [descriptors(50, seed=n) for n in range(8)]
        alone = [lz.classify(None, head, d) for d in parts]
        with ThreadPoolExecutor(8) as pool:
            together = list(pool.map(lambda d: lz.classify(None, head, d), parts * 4))
        for p, expected in zip(together, alone * 4):
            np.testing.assert_array_equal(p.labels, expected.labels)
            np.testing.assert_array_equal(p.scores, expected.scores)


@pytest.mark.parametrize(
    ("call", "error", "says"),
    [
        (lambda h, d: lz.classify(None, h, d, k=0), ValueError, "k must be a positive integer, got 0"),
        (lambda h, d: lz.classify(None, (h, None), d), TypeError, "head, class_names = lz.load_head(name)"),
        (lambda h, d: lz.classify(h, nn.Linear(16, 3), d), TypeError, "lz.losses.Head, such as SubCenterA"),
        (lambda h, d: lz.classify(None, h, ["a.jpg"]), TypeError, "photos need the model"),
        (
            lambda h, d: lz.classify("local-dir:x", h, ["a.jpg"]),
            TypeError,
            r"must be a torch.nn.Module, got str",
        ),
        (lambda h, d: lz.classify(None, h, d, flip=True), ValueError, "flip would be ignored"),
        (lambda h, d: lz.classify(None, h, d, scales=[1], boxes=[]), ValueError, "scales, boxes would be"),
        (
            lambda h, d: lz.classify(None, h, descriptors(2, dim=8)),
            ValueError,
            "the descriptors have 8 dimensions, the head 16",
        ),
        (
            lambda h, d: lz.classify(None, h, d, class_names=["a"]),
            ValueError,
            "got 1 class names for 3 classes",
        ),
        (lambda h, d: lz.classify(None, h, d, class_names={"a", "b", "c"}), TypeError, "must be a list"),
        (lambda h, d: lz.classify(None, h, d, class_names=["a", None, "c"]), TypeError, "got None"),
        (lambda h, d: lz.classify(None, h.to("meta"), d), ValueError, "the head is on the meta device"),
    ],
)
def test_what_is_refused(call, error, says):
    with pytest.raises(error) as raised:
        call(lz.losses.CosFace(16, 3), descriptors(4))
    assert says in str(raised.value)
    assert len(str(raised.value).splitlines()) == 1


def test_centers_that_are_nan():
    head = lz.losses.CosFace(16, 3)
    nn.init.constant_(head.weight[1], torch.nan)
    with pytest.raises(ValueError, match="cosines that are NaN: its centers are damaged"):
        lz.classify(None, head, descriptors(2))
