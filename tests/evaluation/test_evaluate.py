import numpy as np
import pytest
import torch
from PIL import Image

import landmarkzoo as lz


@pytest.fixture
def folder(tmp_path):
    """Seven photos of three landmarks, one of which has a single photo."""
    random = np.random.default_rng(0)
    for name in ("arch/1", "arch/2", "arch/3", "dome/1", "dome/2", "dome/3", "gate/1"):
        path = tmp_path / f"{name}.png"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(random.integers(0, 255, (4, 5, 3), dtype=np.uint8)).resize((80, 64)).save(path)
    return lz.datasets.ImageFolder(tmp_path)


def random_descriptors(ids, seed=0):
    return lz.Descriptors(ids, np.random.default_rng(seed).standard_normal((len(ids), 8)))


def test_folder_by_descriptors_in_any_order(folder):
    d = random_descriptors(folder.ids)
    result = lz.evaluate(d, folder)
    assert result.metrics == ["mAP@100", "recall@100", "hit rate@1"]
    assert result.query_ids == [id_ for id_ in folder.ids if not id_.startswith("gate")]
    assert result["recall@100"] == 1.0
    assert result.scores[0].protocol == (
        "folder of 7 photos of 3 landmarks; each photo by exact cosine against the 6 others; "
        "1 photo whose label no other photo has is in the index only; "
        "6 queries, the first 100 results of each"
    )
    same = lz.evaluation.evaluate_leave_one_out(d, folder.targets)
    np.testing.assert_array_equal(result.per_query["mAP@100"], same.per_query["mAP@100"])
    order = np.random.default_rng(1).permutation(7)
    others = lz.Descriptors.concat([random_descriptors(["other/9.png"], 5), d[order]])
    again = lz.evaluate(others, folder)
    assert again.to_dict() == result.to_dict()
    assert lz.evaluate(d, folder, seed=1).intervals != result.intervals


def test_a_model_is_embedded_first(folder, tiny_model):
    result = lz.evaluate(tiny_model, folder, progress=False, batch_size=3)
    d = lz.embed(tiny_model, folder, progress=False, batch_size=3)
    assert result.to_dict() == lz.evaluate(d, folder).to_dict()
    assert result.provenance["weights"] == d.provenance["weights"]
    assert f"weights {d.provenance['weights']}" in str(result)


def test_rendered_landmarks_are_split_as_in_the_demo():
    from landmarkzoo.demo import rendered_split

    data = lz.rendered.RenderedLandmarks(5, 8, 5, image_size=32)
    split = rendered_split(5, 8, progress=False)
    assert split.targets.tolist() == data.targets.tolist()
    d = lz.Descriptors(data.ids, np.eye(6)[data.targets] + random_descriptors(data.ids).vectors[:, :6] / 3)
    result = lz.evaluate(d, data)
    labels, query, index, train = data.targets, split.query, split.index, split.train
    assert result.query_ids == [data.ids[row] for row in query]
    relevant = [np.flatnonzero((labels[index] == label) & (label >= 0)) for label in labels[query]]
    ranking = lz.search(d[query], d[index])
    precision = lz.metrics.mean_average_precision(ranking.indices, relevant, skip_empty=True)
    assert result["mAP@100"] == pytest.approx(precision)
    votes = lz.rerank.vote(d[query], d[train], labels[train])
    truth = [[label] if label >= 0 else [] for label in labels[query].tolist()]
    ids = [data.ids[row] for row in query]
    assert result["GAP"] == lz.metrics.gap(votes.labels, votes.confidence, truth, ids=ids)
    assert "rendered landmarks, 8 views of each" in result.scores[-1].protocol
    assert "2 more queries without relevant image left out" in result.scores[0].protocol


class TwoParts:
    """A data set of one's own, with queries and index apart."""

    def __init__(self):
        self.queries = self.photos("query", 2)
        self.index = self.photos("index", 5)
        self.gnd = [{"easy": [0], "hard": [1], "junk": []}, {"easy": [3], "hard": [], "junk": [4]}]

    @staticmethod
    def photos(name, count):
        images = torch.rand(count, 3, 64, 64, generator=torch.Generator().manual_seed(count))

        class Photos(torch.utils.data.Dataset):
            ids = [f"{name} {i}" for i in range(count)]  # noqa: RUF012

            def __len__(self):
                return count

            def __getitem__(self, position):
                return images[position]

        return Photos()


def test_a_data_set_of_ones_own(tiny_model):
    data = TwoParts()
    d = random_descriptors([*data.index.ids, *data.queries.ids])
    with pytest.raises(TypeError, match=r"no protocol for TwoParts; there are protocols for GLDv2, .*ImageF"):
        lz.evaluate(d, data)

    @lz.evaluation.evaluate_dataset.register(TwoParts)
    def protocol(dataset, embed_fn, *, resamples, seed):
        queries, index = embed_fn(dataset.queries), embed_fn(dataset.index)
        return lz.evaluation.evaluate_revisited(queries, index, dataset.gnd, resamples=resamples, seed=seed)

    result = lz.evaluate(d, data, resamples=50)
    expected = lz.evaluation.evaluate_revisited(d[5:], d[:5], data.gnd, resamples=50)
    assert result.to_dict() == expected.to_dict()
    assert lz.evaluate(tiny_model, data, progress=False).query_ids == data.queries.ids


def test_photos_without_descriptor(folder):
    d = random_descriptors(folder.ids)
    with pytest.raises(
        ValueError, match=r"2 of 7 photos .* the first is 'arch/1\.png'; ids .* 'arch/2\.png'"
    ):
        lz.evaluate(d[1:6], folder)
    with pytest.raises(ValueError, match=r"the photo 'arch/1\.png' has more than one descriptor"):
        lz.evaluate(d[[0, *range(len(d))]], folder)
    more = random_descriptors([*d.ids, "other"])
    twice_but_not_asked_for = more[[*range(len(more)), -1]]
    lz.evaluate(twice_but_not_asked_for, folder)


@pytest.mark.parametrize("by_model", [True, False])
def test_photos_of_a_folder_that_were_skipped_are_left_out(by_model, folder, tiny_model):
    whole = folder.path(2).read_bytes()
    folder.path(2).write_bytes(whole[: len(whole) // 2])
    if by_model:
        result = lz.evaluate(tiny_model, folder, on_error="skip", progress=False)
    else:
        d = lz.embed(tiny_model, folder.root, on_error="skip", progress=False)
        d.save(folder.root / "d.safetensors")  # as `landmarkzoo embed --skip-errors` leaves it
        result = lz.evaluate(lz.Descriptors.load(folder.root / "d.safetensors"), folder)
    kept = [row for row in range(7) if row != 2]
    vectors = lz.embed(tiny_model, [folder.path(row) for row in kept], progress=False).vectors
    expected = lz.evaluation.evaluate_leave_one_out(vectors, folder.targets[kept])
    assert [score.value for score in result.scores] == [score.value for score in expected.scores]
    assert result.query_ids == [folder.ids[row] for row in (0, 1, 3, 4, 5)]
    assert "folder of 7 photos of 3 landmarks; 1 of them left out: could not be read" in str(result)


def test_only_what_was_skipped_may_be_missing(folder):
    d = random_descriptors(folder.ids)
    some = lz.Descriptors(d.ids[2:], d.vectors[2:], [("arch/1.png", "cannot be decoded")])
    with pytest.raises(ValueError, match=r"1 of 7 photos .* no descriptor, the first is 'arch/2\.png'"):
        lz.evaluate(some, folder)
    none = lz.Descriptors([], np.empty((0, 4)), [(id_, "cannot be decoded") for id_ in folder.ids])
    with pytest.raises(ValueError, match="no two photos share a label"):
        lz.evaluate(none, folder)


def test_a_protocol_that_asks_for_all_photos_refuses_skipped_ones(tiny_model):
    data = TwoParts()
    d = random_descriptors([*data.index.ids[1:], *data.queries.ids])
    some = lz.Descriptors(d.ids, d.vectors, [(data.index.ids[0], "cannot be decoded")])
    with pytest.raises(ValueError, match=r"1 of 5 .* skipped, the first is 'index 0' \(cannot be decoded\)"):
        lz.evaluation.dataset_evaluation.align_to_ids(data.index.ids, some)


def test_both_unicode_forms_of_a_name_are_one_photo():
    typed, of_macos = ["M\u00fcnster.jpg", "a.jpg"], ["a.jpg", "Mu\u0308nster.jpg"]
    d = lz.evaluation.dataset_evaluation.align_to_ids(typed, lz.Descriptors(of_macos, np.eye(2)))
    assert d.ids == typed
    np.testing.assert_array_equal(d.vectors, np.eye(2)[[1, 0]])
    both = [typed[0], of_macos[1]]  # two files: one descriptor is not that of both
    with pytest.raises(ValueError, match="1 of 2 photos"):
        lz.evaluation.dataset_evaluation.align_to_ids(both, lz.Descriptors(typed, np.eye(2)))


def test_wrong_arguments(folder, tiny_model):
    d = random_descriptors(folder.ids)
    with pytest.raises(
        TypeError, match=r"takes a model or Descriptors, got ndarray; lz\.Descriptors\(dataset"
    ):
        lz.evaluate(d.vectors, folder)
    with pytest.raises(TypeError, match=r"no protocol for str.*lz\.datasets\.ImageFolder\(folder\)"):
        lz.evaluate(d, "photos/")
    with pytest.raises(TypeError, match="batch_size: for a model only"):
        lz.evaluate(d, folder, batch_size=3)
    with pytest.raises(TypeError, match="does not write descriptors"):
        lz.evaluate(tiny_model, folder, out="d.safetensors")
    with pytest.raises(TypeError, match="no protocol for list"):
        lz.evaluate(tiny_model, [1], progress=False)
