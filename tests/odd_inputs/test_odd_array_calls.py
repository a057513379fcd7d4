"""Descriptors, search and rankings of odd arrays."""

from pathlib import Path

import numpy as np
import pytest
import torch
from odd_cases import Call, params

import landmarkzoo as lz

IDS = [f"{place}/{n}.png" for place in ("bridge", "tower") for n in range(3)]
EYE = np.eye(6, 8, dtype=np.float32)


def rows(count):
    return lambda found: len(found) == count and bool(np.isfinite(found.vectors).all())


def index():
    return lz.Descriptors.load("index.st")


def _round_trip(descriptors):
    descriptors.save("d.st")
    try:
        return lz.Descriptors.load("d.st")
    finally:
        Path("d.st").unlink()


ARRAYS = [
    Call(
        "ids are a text",
        lambda: lz.Descriptors("abcdef", EYE),
        TypeError,
        "ids are a list of strings, got one str 'abcdef'",
    ),
    Call(
        "ids are None",
        lambda: lz.Descriptors(None, EYE),
        TypeError,
        "ids are a list of strings, got NoneType",
    ),
    Call(
        "ids are floats",
        lambda: lz.Descriptors([0.5] * 6, EYE),
        TypeError,
        "an id must be a string or a whole number, got 0.5 (float) at",
    ),
    Call(
        "ids are true",
        lambda: lz.Descriptors([True] * 6, EYE),
        TypeError,
        "an id must be a string or a whole number, got True (bool) at",
    ),
    Call(
        "ids are a dict",
        lambda: lz.Descriptors(dict.fromkeys("abcdef"), EYE),
        right=lambda d: d.ids == list("abcdef"),
    ),
    Call(
        "ids with half a character",
        lambda: _round_trip(lz.Descriptors(["\ud800", *"bcdef"], EYE)),
        right=lambda d: d.ids[0] == "\ud800",
    ),
    Call(
        "vectors text",
        lambda: lz.Descriptors(["a"], [["x"]]),
        TypeError,
        "vectors must be Descriptors or a float array (N, D), got",
    ),
    Call(
        "vectors complex",
        lambda: lz.Descriptors(["a"], np.ones((1, 2), complex)),
        TypeError,
        "vectors must be Descriptors or a float array (N, D), got",
    ),
    Call(
        "vectors ragged",
        lambda: lz.Descriptors(["a", "b"], [[1, 2], [3]]),
        TypeError,
        "vectors must be Descriptors or a float array (N, D), got",
    ),
    Call(
        "vectors dates",
        lambda: lz.Descriptors(["a"], np.array([["2020-01-01"]], "M8[D]")),
        TypeError,
        "vectors must be Descriptors or a float array (N, D), got",
    ),
    Call(
        "vectors sparse",
        lambda: lz.Descriptors(["a"], torch.eye(1).to_sparse()),
        TypeError,
        "vectors must be Descriptors or a float array (N, D), got",
    ),
    Call(
        "vectors on meta",
        lambda: lz.Descriptors(["a"], torch.ones(1, 2, device="meta")),
        TypeError,
        "vectors must be Descriptors or a float array (N, D), got",
    ),
    Call(
        "vectors that need gradients",
        lambda: lz.Descriptors(["a"], torch.ones(1, 2, requires_grad=True)),
        right=rows(1),
    ),
    Call(
        "vectors big endian",
        lambda: lz.Descriptors(["a"], np.ones((1, 2), ">f4")),
        right=lambda d: d.vectors.tolist() == [[1, 1]],
    ),
    Call(
        "vectors read only",
        lambda: lz.search(np.broadcast_to(EYE[0], (2, 8)), EYE, 1),
        right=lambda r: r.indices.tolist() == [[0], [0]],
    ),
    Call(
        "row float", lambda: index()[1.0], TypeError, "rows are chosen by number, slice, mask or id, got 1.0"
    ),
    Call(
        "row None", lambda: index()[None], TypeError, "rows are chosen by number, slice, mask or id, got None"
    ),
    Call("row beyond", lambda: index()[6], IndexError, "row 6 is not among 6 rows"),
    Call(
        "row of 10**30",
        lambda: index()[10**30],
        TypeError,
        "rows are chosen by number, slice, mask or id, got",
    ),
    Call(
        "row unknown id",
        lambda: index()["tower/9.png"],
        KeyError,
        "\"there is no id 'tower/9.png' among 6. Did you mean",
    ),
    Call(
        "row ids and numbers",
        lambda: index()[["tower/0.png", 1]],
        KeyError,
        "\"there is no id '1' among 6. Ids look like 'bridge/0.png'.\"",
    ),
    Call(
        "row mask too short", lambda: index()[[True, False]], IndexError, "the mask has 2 values for 6 rows"
    ),
    Call(
        "row two axes",
        lambda: index()[0, 0],
        TypeError,
        "rows are chosen along one axis, got (0, 0): several rows are",
    ),
    Call("row nothing", lambda: index()[[]], right=lambda d: len(d) == 0),
    Call(
        "save with a null byte",
        lambda: index().save("a\0b"),
        OSError,
        "cannot write 'a\\x00b': no file can have this name (embedded",
    ),
    Call(
        "save to a folder by its slash",
        lambda: index().save("new/"),
        OSError,
        "cannot write new/: a name that ends with / is that of a folder",
    ),
    Call(
        "save to a number",
        lambda: index().save(5),
        TypeError,
        "expected str, bytes or os.PathLike object, not int",
    ),
    Call("load nothing", lambda: lz.Descriptors.load(""), ValueError, "is a folder and not a descriptors"),
    Call("load a null byte", lambda: lz.Descriptors.load("a\0b"), FileNotFoundError, "no descriptors file a"),
    Call("concat one that is no list", lambda: lz.Descriptors.concat(index()), right=rows(6)),
    Call(
        "concat arrays",
        lambda: lz.Descriptors.concat([EYE, EYE]),
        TypeError,
        "concat joins Descriptors, got ndarray: give vectors ids first",
    ),
    Call(
        "concat with itself",
        lambda: lz.Descriptors.concat([index(), index()]),
        ValueError,
        "the parts of concat must be of different photos, but",
    ),
    Call(
        "concat dimensions",
        lambda: lz.Descriptors.concat([index(), lz.Descriptors(["x"], np.ones((1, 9)))]),
        ValueError,
        "8 dimensions",
    ),
    Call("search k 0", lambda: lz.search(EYE, EYE, 0), ValueError, "k must be a positive integer, got 0"),
    Call(
        "search k numpy", lambda: lz.search(EYE, EYE, np.int32(2)), right=lambda r: r.indices.shape == (6, 2)
    ),
    Call(
        "search k 2.0", lambda: lz.search(EYE, EYE, 2.0), ValueError, "k must be a positive integer, got 2.0"
    ),
    Call(
        "search k 2**64",
        lambda: lz.search(EYE, EYE, 2**64),
        ValueError,
        "k must be a positive integer that fits into 64 bits, got",
    ),
    Call(
        "search with swapped axes",
        lambda: lz.search(EYE, EYE.T, 2),
        ValueError,
        "queries has 8 dimensions, index has 6: use one model",
    ),
    Call(
        "search one vector",
        lambda: lz.search(EYE[0], EYE, 2),
        ValueError,
        "queries must have shape (N, D), got (8,); one vector is",
    ),
    Call(
        "search a ranking",
        lambda: lz.search(lz.search(EYE, EYE, 2), EYE, 2),
        TypeError,
        "queries must be Descriptors or a float array (N, D), got a",
    ),
    Call(
        "search infinity",
        lambda: lz.search(np.full((6, 8), np.inf), EYE, 2),
        ValueError,
        "queries must be finite, but row 0 has NaN or infinite values,",
    ),
    Call(
        "search tiny vectors",
        lambda: lz.search(EYE * np.float32(1e-30), EYE, 1),
        right=lambda r: r.indices.ravel().tolist() == list(range(6)) and np.allclose(r.scores, 1),
    ),
    Call(
        "search huge vectors",
        lambda: lz.search(EYE * np.float32(1e30), EYE, 1),
        right=lambda r: np.allclose(r.scores, 1),
    ),
    Call(
        "search subnormal vectors",
        lambda: lz.search(EYE * np.float32(1e-44), EYE, 1),
        right=lambda r: np.allclose(r.scores, 1),
    ),
    Call(
        "search itself without ids",
        lambda: lz.search(EYE, EYE, 1, exclude_same_id=True),
        ValueError,
        "exclude_same_id needs ids: pass Descriptors on both sides",
    ),
    Call(
        "ranking rows beyond",
        lambda: lz.Ranking(np.array([[9]]), np.ones((1, 1)), ["q"], ["a"]),
        ValueError,
        "row 9 is not in an index of 1 ids",
    ),
    Call(
        "ranking of floats",
        lambda: lz.Ranking(np.array([[0.5]]), np.ones((1, 1))),
        TypeError,
        "the indices of a ranking are row numbers, integers, got dtype",
    ),
    Call(
        "ranking of NaN",
        lambda: lz.Ranking(np.array([[0]]), np.full((1, 1), np.nan)),
        ValueError,
        "query 0 has a score that is NaN: a ranking needs numbers that",
    ),
]


@pytest.mark.parametrize("case", params(ARRAYS))
def test_odd_array_call(case, world):
    case.check(world)
