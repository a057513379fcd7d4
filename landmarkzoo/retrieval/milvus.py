"""Descriptors in a collection of Milvus: for what outgrows one process, or one machine."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from weakref import ref

import numpy as np

from landmarkzoo._utils.checks import FloatArray, IntArray, check_count, check_number, unit
from landmarkzoo._utils.unicode_names import ByName
from landmarkzoo.retrieval.comparability import joined_provenance, refuse_unlike
from landmarkzoo.retrieval.descriptors import Descriptors, HasDescriptors, Vectors, as_vectors, descriptors_of
from landmarkzoo.retrieval.milvus_connection import MilvusConnection
from landmarkzoo.retrieval.milvus_rows import (
    ID_BYTES,
    ROWS,
    VALUES,
    as_text,
    checked,
    digest_of,
    from_text,
    key_of,
    ranking_of,
    requests_of,
)
from landmarkzoo.retrieval.ranking import Ranking
from landmarkzoo.retrieval.row_selection import as_ids
from landmarkzoo.retrieval.vector_rows import VectorRows, as_rows

_PROPERTY = "landmarkzoo"  # of a collection: where its vectors come from
_FORMAT = "1"
_RESULTS, _QUERIES = 2**16, 64  # of one request: a slow machine answers in time, too
_MOST = 16_384  # results of a query that Milvus gives


@dataclass(frozen=True)
class _Described:
    """What a collection says of itself."""

    dimensions: int
    provenance: dict[str, str]


class Milvus:
    """A collection of `Milvus <https://milvus.io>`_ that holds descriptors with their ids.

    A path that ends in ``.db`` is a database of milvus-lite, in this process; an address is a server or a
    cluster. Nothing is opened before it is needed. Needs ``pip install 'landmarkzoo[milvus]'``.

    ``lz.search(queries, index, k, backend=milvus)`` brings the collection to what the index holds, and
    searches it: what is missing or has another vector is added, what the index does not have is removed.
    This is done once for an index object, and again if the number of rows differs. If more than half would
    be removed, it is refused. With ``index=None`` the collection is searched as it is.

    Args:
        uri: ``"photos.db"``, or ``"http://localhost:19530"``.
        collection: Its name: letters, digits and underscores; made by the first ``add``.
        token: ``"user:password"`` or a key, where the server wants one.
        index_type: Index that Milvus builds when it makes the collection, such as ``"HNSW"``,
            ``"IVF_FLAT"`` or ``"DISKANN"``; its own choice unless told otherwise.
        index_options: Parameters of that index, such as ``{"M": 32, "efConstruction": 200}``.
        search_options: Parameters of each search, such as ``{"ef": 256}``.
        timeout: Seconds that one request may take. A server that cannot be reached is told after 5 at most.

    Raises:
        ValueError: If the path, the name or a number is not as described.

    Examples:
        >>> milvus = lz.Milvus("photos.db", "monuments")
        >>> milvus
        Milvus('photos.db', 'monuments')
    """

    def __init__(
        self,
        uri: str | Path,
        collection: str,
        *,
        token: str | None = None,
        index_type: str = "AUTOINDEX",
        index_options: Mapping[str, Any] | None = None,
        search_options: Mapping[str, Any] | None = None,
        timeout: float = 30.0,
    ) -> None:
        if not re.fullmatch(r"[A-Za-z_]\w{0,254}", collection, re.ASCII):
            raise ValueError(
                "collection must be letters, digits and underscores, at most 255, no digit first, got "
                f"{collection!r}"
            )
        if check_number(timeout, "timeout") <= 0:
            raise ValueError(f"timeout must be positive seconds, got {timeout}")
        self.collection = collection
        self._index = {"index_type": index_type, "params": dict(index_options or {})}
        self._search_options = dict(search_options or {})
        self._connection = MilvusConnection(uri, token, timeout)
        self._lock = self._connection.changing
        self._loaded_by: Any = None  # the client: of a new one nothing is known
        self._rows_of: tuple[ref[Descriptors], dict[str, int]] | None = None  # of the index that it holds

    def __repr__(self) -> str:
        return f"Milvus({self._connection.uri!r}, {self.collection!r})"

    def __len__(self) -> int:
        """Number of vectors; 0 if there is no collection yet."""
        if self._described() is None:
            return 0
        self._load()
        return int(self._ask("query", "count", filter="", output_fields=["count(*)"])[0]["count(*)"])

    @property
    def ids(self) -> list[str]:
        """Ids of all vectors, sorted: a collection has no order. All are read."""
        if self._described() is None:
            return []
        return sorted(from_text(row["id"]) for row in self._all_rows("id"))

    @property
    def provenance(self) -> dict[str, str]:
        """Where the vectors come from; empty if there is no collection yet."""
        described = self._described()
        return {} if described is None else described.provenance

    def add(self, descriptors: Descriptors | HasDescriptors) -> int:
        """Add descriptors, and make the collection if there is none; those of known ids take their place.

        What is there already, with the same vector, is not sent again: a call that was killed is
        repeated, and goes on.

        Returns:
            How many were sent.

        Raises:
            ConnectionError: If Milvus cannot be reached.
            RuntimeError: If Milvus refuses.
            TypeError: If they are not Descriptors.
            ValueError: If an id stands there twice, is too long or only a running number, if sizes differ, if
                they were not embedded like those in the collection, or it was not made by landmarkzoo.
        """
        with self._lock:
            descriptors = checked(descriptors)
            self._prepare(descriptors)
            sent = sum(
                self._send(ids, vectors, self._known([key_of(id_) for id_ in ids]))
                for ids, vectors in requests_of(descriptors)
            )
            self._settle(sent)
            return sent

    def remove(self, ids: Iterable[str]) -> int:
        """Remove vectors by id; ids that are not there are passed over.

        Returns:
            How many were removed.
        """
        keys = [key_of(id_) for id_ in dict.fromkeys(as_ids(ids))]
        with self._lock:
            if self._described() is None:
                return 0
            self._load()
            known = [
                key for start in range(0, len(keys), ROWS) for key in self._known(keys[start : start + ROWS])
            ]
            self._delete(known)
            return len(known)

    def search(self, queries: Vectors, k: int = 100, *, exclude_same_id: bool = False) -> Ranking:
        """Best ``k`` of the whole collection by cosine; ``lz.search(queries, None, k, backend=self)``.

        Args:
            queries: Descriptors or an array (Q, D).
            k: How many; ``min(k, N)`` come back, at most 16,384.
            exclude_same_id: Leave out the photo with the query's id; the queries must be Descriptors.

        Returns:
            A ranking whose ``ids`` are those of the collection; ``indices`` number the ids that were found.
            Scores are those of Milvus; ties by id. A row with fewer than k results ends in -1, score -inf.

        Raises:
            ConnectionError: If Milvus cannot be reached.
            RuntimeError: If Milvus refuses.
            ValueError: If there is no such collection or it is empty, sizes differ, or the queries were not
                embedded like those in the collection.
        """
        queries = descriptors_of(queries)
        q, k = as_vectors(queries, "queries"), check_count(k, "k")
        query_ids = queries.ids if isinstance(queries, Descriptors) else None
        if exclude_same_id and query_ids is None:
            raise ValueError("exclude_same_id needs ids: pass Descriptors as queries")
        described = self._described()
        if described is None:
            raise ValueError(
                f"there is no collection {self.collection!r} at {self._connection}: add descriptors first"
            )
        self._check(described, queries, q.shape[1], "queries")
        if (count := len(self)) == 0:
            raise ValueError(f"the collection {self.collection!r} is empty: there is nothing to search in")
        if (wanted := min(k, count)) > _MOST:
            raise ValueError(f"k must be at most {_MOST}, which is what Milvus gives, got {k}")
        found = []
        for row, hits in enumerate(self._found(q, min(wanted + exclude_same_id, count, _MOST), ["id"])):
            ids = [from_text(hit["entity"]["id"]) for hit in hits]
            own = ByName(dict(zip(ids, ids))).get(query_ids[row]) if query_ids and exclude_same_id else None
            pairs = zip(np.clip(np.float32(hits.distances), -1, 1).tolist(), ids)
            best = sorted(((score, id_) for score, id_ in pairs if id_ != own), key=lambda x: (-x[0], x[1]))
            found.append(best[:wanted])
        return ranking_of(found, wanted, query_ids)

    def candidates(self, queries: FloatArray, vectors: VectorRows, index: Vectors, k: int) -> IntArray:
        """Rows (Q, k) of an index with probably the largest cosines; the collection is brought to it."""
        if k > _MOST:
            raise ValueError(
                f"k is too large: Milvus gives {_MOST} results, a ninth of which are spare; take at most "
                f"{_MOST * 8 // 9}"
            )
        rows_of = self._brought_to(index)
        rows = np.full((len(queries), k), -1, np.int64)
        for query, hits in enumerate(self._found(queries, k, [])):
            rows[query, : len(hits.ids)] = [rows_of.get(key, -1) for key in hits.ids]
        return rows

    def drop(self) -> None:
        """Remove the collection with all that is in it; one that is not there is no error.

        Raises:
            ValueError: If it was not made by landmarkzoo.
        """
        with self._lock:
            if self._described() is not None:
                self._ask("drop_collection", "drop")
            self._rows_of = self._loaded_by = None

    def close(self) -> None:
        """Disconnect; the next call connects again. A ``.db`` is then free for other processes."""
        self._connection.close()

    def _ask(self, method: str, doing: str, **arguments: Any) -> Any:
        client = getattr(self._connection.client, method)
        with self._connection.errors(doing):
            return client(self.collection, timeout=self._connection.timeout, **arguments)

    def _described(self) -> _Described | None:
        """What the collection says of itself; ``None`` if there is none."""
        if not self._ask("has_collection", "look up"):
            return None
        described = self._ask("describe_collection", "describe")
        try:
            known = json.loads(described["properties"][_PROPERTY])
            sizes = [field["params"]["dim"] for field in described["fields"] if field["name"] == "vector"]
            return _Described(int(sizes[0]), known["provenance"])
        except (KeyError, IndexError, TypeError, ValueError) as error:
            raise ValueError(
                f"the collection {self.collection!r} at {self._connection} was not made by landmarkzoo: "
                "choose another name"
            ) from error

    def _check(self, described: _Described, x: Vectors, size: int, name: str) -> None:
        """Refuse what cannot be compared with the collection."""
        whole = f"the collection {self.collection!r}"
        if size != described.dimensions:
            raise ValueError(
                f"{name} has {size} dimensions, {whole} has {described.dimensions}: use one model and one "
                "whitening"
            )
        if isinstance(x, Descriptors):
            refuse_unlike(x.provenance, described.provenance, name, whole)

    def _prepare(self, descriptors: Descriptors) -> None:
        """Make the collection if there is none, and note where its vectors will come from."""
        described = self._described()
        if described is None:
            self._create(descriptors)
            described = self._described() or _Described(0, {})
        self._check(described, descriptors, as_rows(descriptors, "descriptors").shape[1], "descriptors")
        joined = joined_provenance([described.provenance, descriptors.provenance])
        if joined != described.provenance:
            self._ask("alter_collection_properties", "note provenance", properties=_property(joined))
        self._load()

    def _create(self, descriptors: Descriptors) -> None:
        from pymilvus import DataType

        schema = self._connection.client.create_schema(auto_id=False, enable_dynamic_field=False)
        schema.add_field("key", DataType.VARCHAR, is_primary=True, max_length=32)
        schema.add_field("id", DataType.VARCHAR, max_length=ID_BYTES)
        schema.add_field("digest", DataType.VARCHAR, max_length=16)
        schema.add_field("vector", DataType.FLOAT_VECTOR, dim=as_rows(descriptors, "descriptors").shape[1])
        options = {"consistency_level": "Strong", "properties": _property(descriptors.provenance)}
        try:
            self._ask("create_collection", "create", schema=schema, **options)
        except RuntimeError:
            if self._described() is None:  # otherwise somebody else made it just now
                raise

    def _load(self) -> None:
        """Make it searchable: a call that was killed may have made the collection, and no more."""
        with self._lock:
            if self._loaded_by is self._connection.client:
                return
            if not self._ask("list_indexes", "look up"):
                index = self._connection.client.prepare_index_params()
                index.add_index("vector", metric_type="IP", **self._index)
                try:
                    self._ask("create_index", "create the index", index_params=index)
                except RuntimeError:
                    if not self._ask("list_indexes", "look up"):
                        raise
            self._ask("load_collection", "load")
            self._loaded_by = self._connection.client

    def _brought_to(self, index: Vectors) -> dict[str, int]:
        """Bring the collection to what an index holds; the row of each key."""
        with self._lock:
            if self._rows_of is not None and self._rows_of[0]() is index and len(self) == len(index):
                return self._rows_of[1]
            descriptors = checked(index)
            rows_of = {key_of(id_): row for row, id_ in enumerate(descriptors.ids)}
            here: dict[str, str] = {}
            if (described := self._described()) is not None:
                self._check(described, descriptors, as_rows(descriptors, "descriptors").shape[1], "index")
                here = {row["key"]: row["digest"] for row in self._all_rows("key", "digest")}
            gone = [key for key in here if key not in rows_of]
            if 2 * len(gone) > len(here):
                raise ValueError(
                    f"the collection {self.collection!r} holds {len(here)} vectors, and the index does not "
                    f"have {len(gone)} of them, which would be removed: search it as it is, with "
                    "index=None, or drop() it first"
                )
            self._prepare(descriptors)
            self._settle(sum(self._send(ids, vectors, here) for ids, vectors in requests_of(descriptors)))
            self._delete(gone)
            self._rows_of = (ref(descriptors), rows_of)
            return rows_of

    def _send(self, ids: list[str], vectors: FloatArray, known: Mapping[str, str]) -> int:
        """Send those of a batch that are not known with the same vector."""
        rows = [
            {"key": key_of(id_), "id": as_text(id_), "digest": digest_of(vector), "vector": length_one}
            for id_, vector, length_one in zip(ids, vectors, unit(vectors).astype(np.float32))
        ]
        new = [row for row in rows if known.get(row["key"]) != row["digest"]]
        if new:
            self._ask("upsert", "add", data=new)
        return len(new)

    def _settle(self, sent: int) -> None:
        """Have milvus-lite index what was sent, or each search reads it row by row; servers do so anyway."""
        if sent and self._connection.path is not None:
            self._ask("flush", "flush")

    def _delete(self, keys: list[str]) -> None:
        for start in range(0, len(keys), ROWS):
            self._ask("delete", "remove", ids=keys[start : start + ROWS])

    def _known(self, keys: list[str]) -> dict[str, str]:
        """Digests of those keys that are there."""
        if not keys:
            return {}
        found = self._ask(
            "query", "look up", filter=f"key in {json.dumps(keys)}", output_fields=["key", "digest"]
        )
        return {row["key"]: row["digest"] for row in found}

    def _all_rows(self, *fields: str) -> Iterator[dict[str, Any]]:
        self._load()
        rows = self._ask("query_iterator", "list", batch_size=ROWS, filter="", output_fields=list(fields))
        while True:
            with self._connection.errors("list"):
                batch = rows.next()
            if not batch:
                break
            yield from batch
        rows.close()

    def _found(self, queries: FloatArray, k: int, fields: list[str]) -> Iterator[Any]:
        """Hits of each query, best first."""
        step = max(1, min(_QUERIES, _RESULTS // k, VALUES // queries.shape[1]))
        parameters = {"metric_type": "IP", "params": self._search_options}
        for start in range(0, len(queries), step):
            block = list(unit(queries[start : start + step]).astype(np.float32))
            yield from self._ask(
                "search", "search", data=block, limit=k, output_fields=fields, search_params=parameters
            )


def _property(provenance: Mapping[str, str]) -> dict[str, str]:
    return {_PROPERTY: json.dumps({"format": _FORMAT, "provenance": dict(provenance)})}
