"""Rows of a collection of Milvus: ids as keys and texts that it takes, and batches of one request."""

from __future__ import annotations

import json
from collections.abc import Iterator
from hashlib import blake2b

import numpy as np

from landmarkzoo._utils.checks import FloatArray
from landmarkzoo.retrieval.comparability import RUNNING_NUMBERS
from landmarkzoo.retrieval.descriptors import Descriptors, Vectors, descriptors_of
from landmarkzoo.retrieval.ranking import Ranking
from landmarkzoo.retrieval.row_selection import first_repeated
from landmarkzoo.retrieval.vector_rows import as_rows

ROWS = 1000  # of one request, at most
VALUES = 2**20  # of its vectors: 4 MiB
ID_BYTES = 65_535  # of a text that Milvus takes


def checked(x: Vectors) -> Descriptors:
    """Descriptors whose ids can stand in a collection.

    Raises:
        TypeError: If they are something else.
        ValueError: If an id stands there twice, is too long or only a running number.
    """
    descriptors = descriptors_of(x)
    if not isinstance(descriptors, Descriptors):
        raise TypeError(
            f"Milvus needs ids: pass Descriptors, lz.Descriptors(ids, x), got {type(descriptors).__name__}"
        )
    ids = list(descriptors.ids)  # those of an index are read from files, once
    if (twice := first_repeated(ids)) is not None:
        raise ValueError(f"Milvus needs ids that stand for one photo, but {twice!r} is there more than once")
    if RUNNING_NUMBERS in descriptors.provenance.get("ids", "") and any(id_.isdecimal() for id_ in ids):
        raise ValueError(
            "Milvus needs ids that name photos, but these are running numbers of images in memory: give them "
            "ids, lz.Descriptors(ids, x.vectors)"
        )
    for id_ in ids:
        if len(id_) > ID_BYTES // 6 - 1 and len(as_text(id_).encode()) > ID_BYTES:
            raise ValueError(f"Milvus takes ids of {ID_BYTES} bytes at most, but {id_[:30]!r}... is longer")
    return descriptors


def requests_of(descriptors: Descriptors) -> Iterator[tuple[list[str], FloatArray]]:
    """Ids and vectors of one request after the other."""
    x, all_ids = as_rows(descriptors, "descriptors"), list(descriptors.ids)
    step = max(1, min(ROWS, VALUES // x.shape[1]))
    for start in range(0, len(x), step):
        some = slice(start, start + step)
        yield all_ids[some], x[some].numpy()


def key_of(id_: str) -> str:
    """What Milvus finds an id by: 32 letters that need no quotes in its filters, whatever the id is."""
    return blake2b(id_.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def digest_of(vector: FloatArray) -> str:
    """What tells whether a vector (D,) is the one that was sent."""
    return blake2b(vector.tobytes(), digest_size=8).hexdigest()


def as_text(id_: str) -> str:
    r"""An id as a JSON string: file names may hold what Milvus does not take, such as half of a letter.

    Examples:
        >>> as_text("Münster"), as_text("a\udcff"), from_text(as_text("a\udcff")) == "a\udcff"
        ('"Münster"', '"a\\udcff"', True)
    """
    return json.dumps(id_, ensure_ascii=False).encode("utf-8", "backslashreplace").decode()


def from_text(text: str) -> str:
    """The id that ``as_text`` wrote."""
    return str(json.loads(text))


def ranking_of(found: list[list[tuple[float, str]]], k: int, query_ids: list[str] | None) -> Ranking:
    """The ranking of what each query found, (score, id), best first.

    Examples:
        >>> ranking_of([[(0.9, "b"), (0.5, "a")], [(0.7, "a")]], 2, None).indices
        array([[ 0,  1],
               [ 1, -1]])
    """
    row_of: dict[str, int] = {}
    rows, scores = np.full((len(found), k), -1), np.full((len(found), k), -np.inf, np.float32)
    for query, pairs in enumerate(found):
        for place, (score, id_) in enumerate(pairs):
            rows[query, place], scores[query, place] = row_of.setdefault(id_, len(row_of)), score
    return Ranking(rows, scores, query_ids, list(row_of))
