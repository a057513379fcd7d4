"""lz.Index with descriptors that are brought along: what goes in comes out, and nothing else changes."""

import numpy as np
import pytest

import landmarkzoo as lz
from landmarkzoo.retrieval.stored_rows import StoredRows, id_hashes


def some(start, stop, dimensions=16):
    rows = [np.random.default_rng(number).normal(size=dimensions) for number in range(start, stop)]
    return lz.Descriptors([f"{'ab'[n % 2]}/{n}.jpg" for n in range(start, stop)], np.array(rows))


@pytest.fixture
def index(tmp_path):
    index = lz.Index.create(tmp_path / "index")
    index.add(some(0, 40), labels="folder")
    index.add(some(40, 60))
    return index


def test_what_goes_in_comes_out_also_in_another_process(index, tmp_path):
    whole = some(0, 60)
    for seen in (index, lz.Index.open(tmp_path / "index")):
        assert seen.ids == whole.ids
        np.testing.assert_array_equal(seen.vectors, whole.vectors)
        np.testing.assert_array_equal(np.asarray(seen), whole.vectors)
        np.testing.assert_array_equal(seen.labels, ["a", "b"] * 20 + [None] * 20)
        assert len(seen) == 60
        assert "a/2.jpg" in seen
        assert "a/1.jpg" not in seen
        np.testing.assert_array_equal(seen["b/41.jpg"].vectors, whole["b/41.jpg"].vectors)
        assert seen[-2:].ids == whole.ids[-2:]
        np.testing.assert_array_equal(seen[[3, 50]].vectors, whole[[3, 50]].vectors)


def test_search_is_that_of_descriptors(index):
    index.remove([f"a/{n}.jpg" for n in range(0, 60, 4)])
    left = [n for n in range(60) if n % 4]
    plain, queries = some(0, 60)[left], some(100, 110)
    for _ in range(2):
        found, wanted = index.search(queries, 7), lz.search(queries, plain, 7)
        np.testing.assert_array_equal(found.ids, wanted.ids)
        np.testing.assert_array_equal(found.scores, wanted.scores)
        assert index.search(queries.vectors[0], 1).ids == wanted.ids[:1, :1]
        index.compact()


def test_norms_and_descriptors_stay_until_the_next_commit(index):
    before = index.descriptors
    assert index.descriptors is before
    lengths = np.linalg.norm(index.vectors.astype(np.float64), axis=1)
    np.testing.assert_array_equal(before.stored.norms, lengths.astype(np.float32))
    lz.Index.open(index._files.path).remove("a/0.jpg")
    assert index.descriptors is not before
    assert len(index) == 59
    assert len(before) == 60
    assert before.ids[0] == "a/0.jpg"


def test_only_what_is_new_or_other_is_written(index):
    generation = index.info.generation
    index.add(some(0, 60))
    assert index.info.generation == generation
    changed = lz.Descriptors(["b/1.jpg", "x"], np.ones((2, 16)))
    index.add(changed, labels={"b/1.jpg": "c"})
    assert index.ids[-2:] == ["b/1.jpg", "x"]
    assert index.ids.count("b/1.jpg") == 1
    assert index.labels[-2:].tolist() == ["c", None]
    assert index.info.tombstones == 1


def test_labels_are_corrected_without_embedding(index):
    index.add(some(40, 60), labels={"a/40.jpg": "z", "a/42.jpg": None})
    index.relabel({"b/1.jpg": None, "a/0.jpg": 7})
    expected = ["7", None, *["a", "b"] * 19, "z", *[None] * 19]
    assert index.labels.tolist() == expected
    index.remove("a/2.jpg")
    index.compact()
    assert index.labels.tolist() == expected[:2] + expected[3:]
    with pytest.raises(KeyError, match=r"no id 'a/00\.jpg' among 59\. Did you mean a/0\.jpg"):
        index.relabel({"a/00.jpg": "a"})
    with pytest.raises(TypeError, match="labels are a dictionary by id, got list"):
        index.relabel(["a/0.jpg"])


def test_compact_drops_what_was_removed(index):
    index.remove("a/2.jpg")
    ids, vectors, labels = index.ids, index.vectors, index.labels
    assert index.info.tombstones == 1
    assert index.info.shards == 2
    index.compact()
    assert index.info.tombstones == 0
    assert index.info.shards == 1
    assert index.ids == ids
    np.testing.assert_array_equal(index.vectors, vectors)
    np.testing.assert_array_equal(index.labels, labels)
    generation = index.info.generation
    index.compact()
    assert index.info.generation == generation  # nothing to do
    index.remove(index.ids)
    index.compact()
    assert len(index) == 0
    assert index.info.shards == 0
    with pytest.raises(ValueError, match="the index is empty"):
        index.search(some(0, 1))
    index.add(some(0, 3))
    assert index.ids == some(0, 3).ids


def test_what_a_reader_does_with_ids_and_labels_is_not_written(index):
    index.remove("a/2.jpg")
    ids, labels = index.ids, index.labels.tolist()
    index.ids.reverse()
    index.skipped.append(("x", "y"))
    with pytest.raises(ValueError, match="read-only"):
        index.labels[:] = "z"
    index.compact()
    assert index.ids == ids
    assert index.labels.tolist() == labels
    assert index.skipped == []


def test_a_photo_that_others_could_not_read_makes_no_commit(index):
    generation = index.info.generation
    index.add(lz.Descriptors(["a/0.jpg"], some(0, 1).vectors, skipped=[("b/1.jpg", "broken")]))
    assert index.info.generation == generation
    assert index.skipped == []
    index.add(lz.Descriptors(["a/0.jpg"], some(0, 1).vectors, skipped=[("c.jpg", "broken")]))
    assert index.skipped == [("c.jpg", "broken")]


def test_an_empty_index_is_added(index, tmp_path):
    index.add(lz.Index.create(tmp_path / "empty"))
    assert len(index) == 60


def test_descriptors_have_their_own_ids(index):
    with pytest.raises(ValueError, match=r"ids= is for photos, and descriptors have their own"):
        index.add(some(0, 2), ids=["u", "v"])


def test_float16_takes_half_the_room(tmp_path):
    index = lz.Index.create(tmp_path / "half", storage="float16")
    index.add(some(0, 50))
    np.testing.assert_array_equal(index.vectors, some(0, 50).vectors.astype(np.float16))
    assert index.descriptors.stored.parts[0].dtype == np.float16
    generation = index.info.generation
    index.add(some(0, 50))
    assert index.info.generation == generation
    with pytest.raises(ValueError, match=r"row 1 has .* that float16 cannot hold"):
        index.add(lz.Descriptors(["x", "y"], np.full((2, 16), [[1.0], [1e6]])))
    assert "x" not in index
    with pytest.raises(ValueError, match=r"storage must be one of .* got 'int8'"):
        lz.Index.create(tmp_path / "other", storage="int8")


def test_names_of_any_kind(tmp_path):
    ids = ["Mu\u0308nster.jpg", "塔\n1.png", "", "\udcff.jpg", "x" * 5000]
    index = lz.Index.create(tmp_path / "index")
    index.add(lz.Descriptors(ids, np.eye(5)))
    index.add(lz.Descriptors(["a"], np.eye(5)[:1]))
    again = lz.Index.open(tmp_path / "index")
    assert again.ids == [*ids, "a"]
    assert again.descriptors.ids[3] == "\udcff.jpg"
    assert "M\u00fcnster.jpg" in again
    again.remove(["M\u00fcnster.jpg"])
    assert again.ids == [*ids[1:], "a"]


def test_what_does_not_fit_is_refused(index, tmp_path):
    with pytest.raises(ValueError, match="the index has 16 dimensions, and these vectors have 3"):
        index.add(lz.Descriptors(["x"], np.ones((1, 3))))
    with pytest.raises(ValueError, match="'x' stands there twice"):
        index.add(lz.Descriptors(["x", "x"], np.ones((2, 16))))
    numbered = lz.Descriptors(["0"], np.ones((1, 16)), provenance={"ids": "running numbers"})
    with pytest.raises(ValueError, match="running numbers: give them ids"):
        index.add(numbered)
    one = lz.Index.create(tmp_path / "one")
    one.add(lz.Descriptors(["x"], np.ones((1, 4)), provenance={"weights": "1", "model": "m"}))
    with pytest.raises(ValueError, match=r"the index comes from m \(weights 1\)"):
        one.add(lz.Descriptors(["y"], np.ones((1, 4)), provenance={"weights": "2", "model": "n"}))
    assert one.ids == ["x"]
    assert one.provenance == {"weights": "1", "model": "m"}
    with pytest.raises(KeyError, match=r"Did you mean a/0\.jpg"):
        index.remove(["b/1.jpg", "a/0jpg"])
    assert len(index) == 60
    with pytest.raises(ValueError, match=r"labels must have shape \(60,\)"):
        index.add(some(0, 60), labels=["a"])
    with pytest.raises(ValueError, match="does not say what model"):
        lz.Index.open(tmp_path / "index", model=lz.create_model("efficientnet_lite0_gem"))
    with pytest.raises(ValueError, match="needs its model to embed photos"):
        one.search("photo.jpg")


def test_an_index_into_another(index, tmp_path):
    index.remove("a/0.jpg")
    other = lz.Index.create(tmp_path / "other")
    other.add(index)
    assert other.ids == index.ids
    np.testing.assert_array_equal(other.vectors, index.vectors)
    assert index.search(other, 1).ids[:, 0].tolist() == index.ids


def test_folders_that_are_no_index(index, tmp_path):
    with pytest.raises(FileExistsError, match="is an index already"):
        lz.Index.create(tmp_path / "index")
    assert len(lz.Index.create(tmp_path / "index", exist_ok=True)) == 60
    with pytest.raises(ValueError, match="its storage is float32, not float16"):
        lz.Index.create(tmp_path / "index", exist_ok=True, storage="float16")
    with pytest.raises(FileExistsError, match="is a folder with other files, such as index"):
        lz.Index.create(tmp_path)
    with pytest.raises(FileNotFoundError, match=r"is no index: it has no manifest\.json"):
        lz.Index.open(tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(FileExistsError, match="is a file: an index is a folder"):
        lz.Index.create(tmp_path / "file")


def test_rows_are_found_by_hash_whatever_the_hashes_are():
    ids = ["a", "b", "Mu\u0308nster", "M\u00fcnster", "o\u0308"]
    for hashes in (id_hashes(ids), np.zeros(5, np.uint64)):
        rows = StoredRows(ids, hashes)
        if hashes.any():
            assert rows.find([*reversed(ids), "c", "\u00f6"]).tolist() == [4, 3, 2, 1, 0, -1, 4]
        else:  # all have one hash: no id of another hash is found
            assert rows.find(["a", "c"]).tolist() == [-1, -1]
    same = np.full(5, id_hashes(["b"])[0])
    assert StoredRows(ids, same).find(["b"]).tolist() == [1]
    assert StoredRows([], id_hashes([])).find(["b"]).tolist() == [-1]
    many = [str(n) for n in range(6000)]
    np.testing.assert_array_equal(StoredRows(many, id_hashes(many)).find(many[::-1]), np.arange(6000)[::-1])
