import json
import sys
import unicodedata
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch
from safetensors.numpy import save_file

import landmarkzoo as lz


@pytest.fixture
def descriptors():
    vectors = np.random.default_rng(0).standard_normal((5, 4))
    ids = ["a.jpg", "b/ü 塔.jpg", 'quote".png', "line\nbreak", ""]
    return lz.Descriptors(ids, vectors, [("x.jpg", "broken")], {"model": "m", "weights": "w1"})


def test_rows(descriptors):
    assert len(descriptors) == 5
    assert descriptors.vectors.dtype == np.float32
    part = descriptors[1:3]
    assert part.ids == descriptors.ids[1:3]
    assert np.array_equal(part.vectors, descriptors.vectors[1:3])
    assert part.provenance == descriptors.provenance
    mask = np.array([True, False, False, False, True])
    assert descriptors[mask].ids == descriptors[[0, 4]].ids == descriptors[np.array([0, 4])].ids
    assert descriptors[-1].ids == [""]
    with pytest.raises(IndexError):
        descriptors[7]
    assert "5 x 4, model='m', skipped=1" in repr(descriptors)


def test_rows_by_id(descriptors):
    one = descriptors["b/ü 塔.jpg"]
    assert (one.ids, len(one)) == (["b/ü 塔.jpg"], 1)
    assert np.array_equal(one.vectors, descriptors.vectors[1:2])
    for ids in (["", "a.jpg"], np.array(["", "a.jpg"]), np.array(["", "a.jpg"], dtype=object)):
        assert descriptors[ids].ids == ["", "a.jpg"]
    assert "a.jpg" in descriptors
    assert "b.jpg" not in descriptors
    with pytest.raises(KeyError, match=r"no id 'a\.jpgg' among 5\. Did you mean a\.jpg\?"):
        descriptors["a.jpgg"]
    with pytest.raises(KeyError, match=r"no id '0123456789' among 5\. Ids look like 'a\.jpg'"):
        descriptors["0123456789"]
    twice = lz.Descriptors(["a", "b", "a"], np.eye(3))
    assert "a" in twice
    assert twice["b"].ids == ["b"]
    with pytest.raises(ValueError, match="the id 'a' stands at more than one row"):
        twice["a"]


def test_both_forms_of_a_name_are_one_id():
    composed, decomposed = (unicodedata.normalize(form, "Münster.jpg") for form in ("NFC", "NFD"))
    d = lz.Descriptors(["a", decomposed], np.eye(2))
    assert composed in d
    assert d[composed].ids == [decomposed]
    assert d[[composed, "a"]].ids == [decomposed, "a"]
    both = lz.Descriptors([decomposed, composed], np.eye(2))
    assert both[composed].vectors.tolist() == [[0, 1]]
    assert both[decomposed].vectors.tolist() == [[1, 0]]
    twice = lz.Descriptors([decomposed, decomposed], np.eye(2))
    with pytest.raises(ValueError, match="more than one row"):
        twice[composed]


def test_rows_of_every_kind(descriptors):
    vectors = descriptors.vectors
    chosen = [0, 3]
    for rows in (
        chosen,
        np.array(chosen),
        torch.tensor(chosen),
        np.uint8(chosen),
        [True, False, False, True, False],
    ):
        assert np.array_equal(descriptors[rows].vectors, vectors[chosen])
    for row in (2, np.int64(2), torch.tensor(2), torch.tensor([2]), -3):
        assert np.array_equal(descriptors[row].vectors, vectors[2:3])
    assert np.array_equal(descriptors[torch.tensor([True, False, False, False, True])], vectors[[0, 4]])
    assert np.array_equal(descriptors[::-2].vectors, vectors[::-2])
    assert len(descriptors[[]]) == len(descriptors[np.zeros(5, bool)]) == 0
    for rows, error, message in (
        ([0, 5], IndexError, "row 5 is not among 5 rows"),
        (-6, IndexError, "row -6 is not among 5 rows"),
        (np.ones(4, bool), IndexError, "the mask has 4 values for 5 rows"),
        (0.5, TypeError, "by number, slice, mask or id, got 0.5"),
        (None, TypeError, "by number, slice, mask or id, got None"),
        ((0, 1), TypeError, "several rows are a list"),
        (np.eye(5, dtype=int), TypeError, r"got shape \(5, 5\)"),
    ):
        with pytest.raises(error, match=message):
            descriptors[rows]


def test_iteration_gives_one_row_after_another(descriptors):
    assert [row.ids for row in descriptors] == [[id_] for id_ in descriptors.ids]
    assert lz.Descriptors.concat(list(descriptors)).ids == descriptors.ids


def test_as_an_array(descriptors):
    vectors = descriptors.vectors
    assert np.shares_memory(np.asarray(descriptors), vectors)
    assert np.asarray(descriptors, dtype=np.float64).dtype == np.float64
    copied = np.array(descriptors)
    assert np.array_equal(copied, vectors)
    assert not np.shares_memory(copied, vectors)
    np.testing.assert_allclose(np.linalg.norm(descriptors, axis=1), np.linalg.norm(vectors, axis=1))
    if np.lib.NumpyVersion(np.__version__) >= "2.0.0":
        assert np.shares_memory(np.array(descriptors, copy=False), vectors)
        with pytest.raises(ValueError, match="float32 as float64 needs a copy"):
            np.array(descriptors, dtype=np.float64, copy=False)


def test_as_a_frame(descriptors):
    pytest.importorskip("pandas")
    frame = descriptors.to_pandas()
    assert frame.shape == (5, 4)
    assert frame.index.name == "id"
    assert np.array_equal(frame.loc["a.jpg"].to_numpy(), descriptors["a.jpg"].vectors[0])
    assert np.array_equal(np.array([str(i) for i in frame.index]), np.array(descriptors.ids))


def test_without_pandas(descriptors, monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)  # as where it is not installed
    with pytest.raises(ModuleNotFoundError, match="pip install pandas"):
        descriptors.to_pandas()


def test_save_and_load_bit_for_bit(descriptors, tmp_path):
    path = tmp_path / "index.safetensors"
    descriptors.save(path)
    loaded = lz.Descriptors.load(path)
    assert loaded.ids == descriptors.ids
    assert loaded.skipped == descriptors.skipped
    assert loaded.provenance == descriptors.provenance
    assert np.array_equal(loaded.vectors, descriptors.vectors)
    assert [p.name for p in tmp_path.iterdir()] == ["index.safetensors"]
    plain = tmp_path / "plain"
    plain.touch()
    assert path.stat().st_mode == plain.stat().st_mode  # readable for whom the user's umask lets
    with pytest.raises(IsADirectoryError, match="it is a folder"):
        descriptors.save(tmp_path)


def test_many_long_ids_do_not_meet_the_limit_of_the_header(tmp_path):
    ids = [f"{'x' * 990}{i}" for i in range(110_000)]  # 109 MB: a safetensors header holds 100
    lz.Descriptors(ids, np.ones((len(ids), 1))).save(tmp_path / "x")
    assert lz.Descriptors.load(tmp_path / "x").ids == ids


def test_concat(descriptors):
    more = lz.Descriptors(["x", "y"], np.ones((2, 4)), [("z", "no photo")], descriptors.provenance)
    both = lz.Descriptors.concat([descriptors, more])
    assert len(both) == 7
    assert both.ids == [*descriptors.ids, "x", "y"]
    assert np.array_equal(both.vectors, np.concatenate([descriptors.vectors, more.vectors]))
    assert both.skipped == [*descriptors.skipped, ("z", "no photo")]
    assert both.provenance == descriptors.provenance
    other = lz.Descriptors(["z"], np.ones((1, 4)), provenance={"model": "n", "weights": "w2"})
    with pytest.raises(ValueError, match="embed both with one model"):
        lz.Descriptors.concat([descriptors, other])
    with pytest.raises(ValueError, match="4 dimensions"):
        lz.Descriptors.concat([descriptors, lz.Descriptors(["z"], np.ones((1, 3)))])
    with pytest.raises(ValueError, match="at least one"):
        lz.Descriptors.concat([])


def test_concat_refuses_one_photo_twice(descriptors):
    with pytest.raises(ValueError, match=r"different photos, but 'b/ü 塔\.jpg' is there more than once"):
        lz.Descriptors.concat([descriptors[2:], descriptors[1:2], descriptors[1:2]])
    drawn = lz.Descriptors(["a", "a"], np.ones((2, 4)))  # one may draw with replacement, but not join that
    with pytest.raises(ValueError, match="'a' is there more than once"):
        lz.Descriptors.concat([drawn])


def in_memory(ids, skipped=()):
    return lz.Descriptors(ids, np.ones((len(ids), 4)), list(skipped), {"ids": "running numbers"})


def test_concat_numbers_images_in_memory_on():
    d = lz.Descriptors.concat([in_memory([0, 1, 2]), in_memory([0, 2], [(1, "broken")]), in_memory([0])])
    assert d.ids == ["0", "1", "2", "3", "5", "6"]
    assert d.skipped == [("4", "broken")]
    assert d.provenance == {"ids": "running numbers"}
    assert lz.Descriptors.concat(list(d)).ids == d.ids
    assert lz.Descriptors.concat([in_memory([2, 3]), in_memory([0, 1])]).ids == ["2", "3", "0", "1"]
    named = lz.Descriptors(["a", "b"], np.ones((2, 4)))
    mixed = lz.Descriptors.concat([in_memory([0, 1]), named, in_memory([0])])
    assert mixed.ids == ["0", "1", "a", "b", "2"]
    with pytest.raises(ValueError, match="running numbers of images in memory"):
        lz.search(mixed, mixed[:], exclude_same_id=True)
    own = lz.Descriptors(["x", "y"], np.ones((2, 4)), provenance=in_memory([0]).provenance)
    assert lz.Descriptors.concat([in_memory([0]), own]).ids == ["0", "x", "y"]


def test_concat_compares_each_part_with_all_others():
    old = lz.Descriptors(["a"], np.ones((1, 4)), provenance={"weights": "w"})
    small, large = (
        lz.Descriptors([size], np.ones((1, 4)), provenance={"weights": "w", "transform": size})
        for size in ("96", "224")
    )
    with pytest.raises(ValueError, match="an earlier part was embedded with 96, part 3 with 224"):
        lz.Descriptors.concat([old, small, large])


@pytest.mark.parametrize(
    "odd",
    [b"a.jpg", None, 1.0, True, torch.tensor(1), np.float32(1), np.array([1]), ("a",), np.bytes_("a")],
    ids=repr,
)
def test_ids_are_strings_or_whole_numbers(odd):
    with pytest.raises(TypeError, match=r"id must be a string or a whole number, got .* at row 1") as error:
        lz.Descriptors(["a", odd], np.eye(2))
    assert "\n" not in str(error.value)
    with pytest.raises(TypeError, match="at row 1"):
        lz.Ranking([[0]], [[1.0]], None, ["a", odd])
    with pytest.raises(TypeError, match="at row 0"):
        lz.Descriptors(["a"], np.eye(1), [(odd, "broken")])


def test_ids_of_every_good_kind():
    ids = ["a", np.str_("b"), 3, np.int64(4), np.uint8(5), Path("c/d.jpg")]
    assert lz.Descriptors(ids, np.eye(6)).ids == ["a", "b", "3", "4", "5", str(Path("c/d.jpg"))]
    assert all(type(id_) is str for id_ in lz.Descriptors(ids, np.eye(6)).ids)
    assert lz.Descriptors(np.arange(2), np.eye(2)).ids == ["0", "1"]
    assert lz.Descriptors((c for c in "ab"), np.eye(2)).ids == ["a", "b"]
    mine = ["a"]
    d = lz.Descriptors(mine, np.eye(1))
    mine.append("b")
    assert d.ids == ["a"]
    for one in ("ab", b"ab"):
        with pytest.raises(TypeError, match="ids are a list of strings, got one"):
            lz.Descriptors(one, np.eye(2))


def test_wrong_input():
    with pytest.raises(ValueError, match="got 1 ids for 2 vectors"):
        lz.Descriptors(["a"], torch.ones(2, 3))
    with pytest.raises(ValueError, match="row 1 has NaN"):
        lz.Descriptors(["a", "b"], [[0.0, 1.0], [np.inf, 0.0]])
    with pytest.raises(ValueError, match="shape"):
        lz.Descriptors(["a", "b"], [0.0, 1.0])


@pytest.mark.parametrize(
    ("vectors", "error", "message"),
    [
        (np.eye(2, dtype=complex), TypeError, "dtype complex128"),
        (torch.eye(2, dtype=torch.complex64), TypeError, "dtype complex64"),
        (torch.eye(2, dtype=torch.bool), TypeError, "dtype bool"),
        (np.eye(2, dtype=bool), TypeError, "dtype bool"),
        (np.array([[{}, 1], [2, 3]], dtype=object), TypeError, "dtype object"),
        ([[1.0, 2.0], [1.0]], TypeError, "got list: .*inhomogeneous"),
        (torch.eye(2).to_sparse(), TypeError, "got Tensor: "),
        (np.full((2, 2), 1e300), ValueError, "row 0 has NaN or infinite values, or values that float32"),
        (torch.tensor([[1.0, 0], [np.nan, 0]], dtype=torch.bfloat16), ValueError, "row 1 has NaN"),
        (None, TypeError, "dtype object"),
    ],
)
def test_vectors_that_are_no_vectors(vectors, error, message, recwarn):
    with pytest.raises(error, match=message):
        lz.Descriptors(["a", "b"], vectors)
    with pytest.raises(error, match=message):
        lz.search(np.eye(2), vectors)
    assert not recwarn.list


def as_bytes(text):
    return np.frombuffer(text.encode(), np.uint8)


def test_damaged_and_foreign_files(descriptors, tmp_path):
    path = tmp_path / "index.safetensors"
    with pytest.raises(FileNotFoundError, match="no descriptors file"):
        lz.Descriptors.load(path)
    descriptors.save(path)
    content = path.read_bytes()
    path.write_bytes(content[:-10])
    with pytest.raises(ValueError, match=r"index\.safetensors is not a descriptors file, or it is damaged"):
        lz.Descriptors.load(path)
    path.write_bytes(b"something else")
    with pytest.raises(ValueError, match="damaged"):
        lz.Descriptors.load(path)
    save_file({"vectors": np.ones((2, 2))}, path)
    with pytest.raises(ValueError, match="its format is None"):
        lz.Descriptors.load(path)
    bare = {"vectors": np.eye(2, dtype=np.float32), "ids": as_bytes('["a", "b"]'), "skipped": as_bytes("[]")}
    save_file(bare, path, {"format": "landmarkzoo.descriptors.v1"})
    assert lz.Descriptors.load(path).provenance == {}
    with pytest.raises(FileNotFoundError, match="folder"):
        descriptors.save(tmp_path / "no" / "x")


GOOD = {"vectors": np.eye(2, dtype=np.float32), "ids": as_bytes('["a", "b"]'), "skipped": as_bytes("[]")}


@pytest.mark.parametrize(
    ("changes", "provenance", "message"),
    [
        ({"ids": None}, "{}", "it has no ids"),
        ({"vectors": None, "skipped": None}, "{}", "it has no skipped and no vectors"),
        ({"ids": np.array(3.0)}, "{}", ""),
        ({"ids": as_bytes('{"a": "b"}')}, "{}", "ids are not a list of strings"),
        ({"ids": as_bytes('["a", 2]')}, "{}", "ids are not a list of strings"),
        ({"ids": as_bytes('["a", ')}, "{}", ""),
        ({"ids": as_bytes("[" * 100_000)}, "{}", ""),
        ({"ids": as_bytes('["a"]')}, "{}", "got 1 ids for 2 vectors"),
        ({"skipped": as_bytes('["ab"]')}, "{}", "skipped photos are not pairs"),
        ({"skipped": as_bytes("null")}, "{}", "skipped photos are not pairs"),
        ({"vectors": np.array(1, np.float32)}, "{}", r"shape \(N, D\), got \(\)"),
        ({"vectors": np.array([[1, np.nan], [0, 1]])}, "{}", "row 0 has NaN"),
        ({"vectors": np.eye(2, dtype=np.complex64)}, "{}", "dtype complex64"),
        ({"vectors": np.eye(2, dtype=bool)}, "{}", "dtype bool"),
        ({}, "no JSON", ""),
        ({}, "[1]", "provenance is not a dictionary of strings"),
        ({}, '{"weights": 3}', "provenance is not a dictionary of strings"),
    ],
)
def test_files_that_hold_something_else(changes, provenance, message, tmp_path):
    tensors = {name: array for name, array in {**GOOD, **changes}.items() if array is not None}
    save_file(tensors, tmp_path / "x", {"format": "landmarkzoo.descriptors.v1", "provenance": provenance})
    with pytest.raises(ValueError, match=f"x is a damaged descriptors file: .*{message}") as error:
        lz.Descriptors.load(tmp_path / "x")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float8_e4m3fn])
def test_files_of_types_that_numpy_does_not_know(dtype, tmp_path):
    tensors = {name: torch.from_numpy(array.copy()) for name, array in GOOD.items()}
    tensors["vectors"] = tensors["vectors"].to(dtype)
    safetensors.torch.save_file(tensors, tmp_path / "x", {"format": "landmarkzoo.descriptors.v1"})
    with pytest.raises(ValueError, match=r"x is (not a|a damaged) descriptors file"):
        lz.Descriptors.load(tmp_path / "x")


def test_every_cut_of_a_file_is_an_error_with_its_name(descriptors, tmp_path):
    descriptors.save(tmp_path / "x")
    content = (tmp_path / "x").read_bytes()
    for length in range(0, len(content), 7):
        (tmp_path / "x").write_bytes(content[:length])
        with pytest.raises(ValueError, match="x is not a descriptors file, or it is damaged"):
            lz.Descriptors.load(tmp_path / "x")


def test_a_failed_write_leaves_the_old_file(descriptors, tmp_path):
    resource = pytest.importorskip("resource")
    path = tmp_path / "index.safetensors"
    descriptors.save(path)
    before = path.read_bytes()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (5_000, limits[1]))  # as on a disk that is full
    try:
        with pytest.raises(OSError, match=r"cannot write .*index"):
            lz.Descriptors(range(1000), np.ones((1000, 4))).save(path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert path.read_bytes() == before
    assert len(list(tmp_path.iterdir())) == 1


def test_provenance_is_readable_without_us(descriptors, tmp_path):
    descriptors.save(tmp_path / "x")
    raw = (tmp_path / "x").read_bytes()
    header = json.loads(raw[8 : 8 + int.from_bytes(raw[:8], "little")])
    assert json.loads(header["__metadata__"]["provenance"]) == descriptors.provenance


def test_as_a_tensor(descriptors):
    for tensor in (torch.as_tensor(descriptors), torch.tensor(descriptors)):
        assert torch.equal(tensor, torch.from_numpy(descriptors.vectors))
    vectors = np.eye(2, dtype=np.float32)
    vectors.flags.writeable = False
    tensor = torch.as_tensor(lz.Descriptors(["a", "b"], vectors))
    assert tensor.tolist() == [[1.0, 0.0], [0.0, 1.0]]
    tensor[0, 0] = 5
    assert vectors[0, 0] == 1


def test_a_ranking_is_not_descriptors(descriptors):
    ranking = lz.search(descriptors, descriptors, 4)  # of as many columns as the descriptors
    message = "must be Descriptors or a float array .* got a Ranking: these are row numbers of results"
    for call in (
        lambda: lz.search(ranking, descriptors),
        lambda: lz.search(descriptors, ranking),
        lambda: lz.Descriptors(list("abcde"), ranking),
        lambda: lz.Whitening.fit(ranking),
        lambda: lz.rerank.vote(ranking, descriptors, range(5)),
        lambda: lz.rerank.soft_discriminative(descriptors, descriptors, ranking, range(5)),
        lambda: lz.recognize(descriptors, descriptors, range(5), non_landmark=ranking),
    ):
        with pytest.raises(TypeError, match=message):
            call()
