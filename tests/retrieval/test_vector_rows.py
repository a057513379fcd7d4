"""Rows in several arrays: blocks cover all of them once, and large parts are not copied."""

from dataclasses import replace

import numpy as np
import pytest

from landmarkzoo.retrieval.exact_search import search
from landmarkzoo.retrieval.stored_vectors import StoredDescriptors, StoredVectors
from landmarkzoo.retrieval.vector_rows import VectorRows


def stored(*sizes):
    random = np.random.default_rng(0)
    parts = [random.standard_normal((size, 3), dtype=np.float32) for size in sizes]
    return StoredVectors(parts, [None] * len(parts))


@pytest.mark.parametrize(
    ("sizes", "first", "expected"),
    [
        (
            (3000, 2000),
            1000,
            [(1000, 2500), (2500, 3000), (3000, 4500), (4500, 5000)],
        ),  # cut where a part ends
        ((3, 2, 5), 1, [(1, 10)]),  # many small parts are read together
        ((), 1, [(1, 1501), (1501, 3000)]),  # an array
    ],
)
def test_pieces(sizes, first, expected):
    vectors = stored(*sizes) if sizes else np.ones((3000, 3), np.float32)
    rows = VectorRows(vectors)
    pieces = list(rows.pieces(slice(first, len(rows)), 1500))
    assert [(piece.start, piece.stop) for piece in pieces] == expected


def test_a_piece_of_a_large_part_is_no_copy():
    vectors = stored(2000, 3000)
    for piece in VectorRows(vectors).pieces(slice(500, 5000), 1200):
        block = vectors.block(piece.start, piece.stop)
        assert any(np.shares_memory(block, part) for part in vectors.parts)


def test_small_parts_are_copied_into_one_as_far_as_there_is_room(monkeypatch):
    vectors = stored(5, 7, 2000, 3, 2, 4)
    vectors = replace(vectors, live=[None, np.array([0, 6]), None, np.array([1]), None, None])
    whole = vectors.block(0, len(vectors))
    assert np.diff(replace(vectors).joined.starts).tolist() == [5, 2, 2000, 7]  # two are few
    monkeypatch.setattr("landmarkzoo.retrieval.stored_vectors._FEW", 1)
    for room, sizes in ((2**20, [7, 2000, 7]), (7 * 12, [7, 2000, 1, 2, 4]), (0, [5, 2, 2000, 1, 2, 4])):
        monkeypatch.setattr("landmarkzoo.retrieval.stored_vectors._ROOM", room)
        joined = replace(vectors).joined
        assert np.diff(joined.starts).tolist() == sizes
        assert any(part is vectors.parts[2] for part in joined.parts)
        np.testing.assert_array_equal(joined.block(0, len(joined)), whole)
        np.testing.assert_array_equal(joined.take(np.arange(len(whole))[::-1]), whole[::-1])


@pytest.mark.parametrize("sizes", [(3000, 2000, 1500), (4, 3000, 1, 1, 2500)])
def test_one_query_finds_what_it_finds_in_one_array(sizes):
    vectors = stored(*sizes)
    ids = [str(row) for row in range(len(vectors))]
    query = np.array([[1.0, 2.0, -1.0]])
    found = search(query, StoredDescriptors(ids, vectors), 50)
    wanted = search(query, np.concatenate(vectors.parts), 50)
    np.testing.assert_array_equal(found.indices, wanted.indices)
    np.testing.assert_array_equal(found.scores, wanted.scores)
