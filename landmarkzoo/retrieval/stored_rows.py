"""The row of an id among millions, without a dictionary of them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from landmarkzoo._utils.checks import IntArray
from landmarkzoo._utils.unicode_names import nfc
from landmarkzoo.retrieval.row_selection import RowsById
from landmarkzoo.retrieval.stored_ids import StoredIds

Hashes = NDArray[np.uint64]
_MANY = 5000  # ids that are looked up at once: reading all ids is quicker than reading these one by one


def id_hashes(ids: Iterable[str]) -> Hashes:
    """8 bytes (n,) for each id, which both Unicode forms of it share.

    Examples:
        >>> from landmarkzoo.retrieval.stored_rows import id_hashes
        >>> id_hashes(["Mu\u0308nster"]) == id_hashes(["M\u00fcnster"])
        array([ True])
    """
    digests = [hashlib.blake2b(nfc(id_).encode("utf-8", "surrogatepass"), digest_size=8) for id_ in ids]
    return np.frombuffer(b"".join(digest.digest() for digest in digests), np.uint64)


class StoredRows(RowsById):
    """The row of each id, found through hashes that lie beside the ids: nothing else is read.

    Args:
        ids: Ids of all rows, each once.
        hashes: What ``id_hashes`` gives for them.

    Examples:
        >>> from landmarkzoo.retrieval.stored_rows import StoredRows, id_hashes
        >>> rows = StoredRows(["a", "b"], id_hashes(["a", "b"]))
        >>> rows["b"], "c" in rows, rows.find(["c", "a"])
        (1, False, array([-1,  0]))
    """

    def __init__(self, ids: StoredIds | Sequence[str], hashes: Hashes) -> None:
        super().__init__(ids)
        self._hashes = hashes

    @cached_property
    def _order(self) -> IntArray:
        return np.argsort(self._hashes, kind="stable").astype(np.int64, copy=False)

    @cached_property
    def _sorted(self) -> Hashes:
        return self._hashes[self._order]

    def find(self, ids: Sequence[str]) -> IntArray:
        """The row (n,) of each id, -1 for one that is not there."""
        rows = np.full(len(ids), -1, dtype=np.int64)
        if not len(self._hashes) or not len(ids):
            return rows
        hashes = id_hashes(ids)
        places = np.searchsorted(self._sorted, hashes)
        known = np.flatnonzero(self._sorted[np.minimum(places, len(self._sorted) - 1)] == hashes)
        spelled = list(self._ids) if len(known) > _MANY else self._ids
        for number in known.tolist():
            rows[number] = self._row(ids[number], int(places[number]), spelled)
        return rows

    def _row(self, id_: str, place: int, spelled: Sequence[str]) -> int:
        """The row of an id, from the first place among the sorted hashes that has its hash."""
        hash_, other_forms = self._sorted[place], []
        while place < len(self._sorted) and self._sorted[place] == hash_:
            row = int(self._order[place])
            if spelled[row] == id_:
                return row
            if nfc(spelled[row]) == nfc(id_):
                other_forms.append(row)
            place += 1
        return other_forms[0] if len(other_forms) == 1 else -1  # of several it is not known which is meant

    def __contains__(self, id_: object) -> bool:
        return isinstance(id_, str) and int(self.find([id_])[0]) >= 0

    def __getitem__(self, id_: str) -> int:
        row = int(self.find([id_])[0])
        return row if row >= 0 else super().__getitem__(id_)  # which says what is near
