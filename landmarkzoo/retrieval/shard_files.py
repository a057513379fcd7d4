"""A shard: rows in one safetensors file, which is written once and never changed.

An index keeps its rows in shards, and so does a long job of embedding until it is done.
"""

from __future__ import annotations

import json
import secrets
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from landmarkzoo._utils.checks import FloatArray, IntArray
from landmarkzoo.retrieval.stored_ids import StoredIds, texts_as_arrays
from landmarkzoo.retrieval.stored_rows import Hashes, id_hashes
from landmarkzoo.retrieval.tensor_files import save_tensors

Storage = Literal["float32", "float16"]

KIND = "shard"
SUFFIX = ".safetensors"
_DTYPES = {
    "F32": np.float32,
    "F16": np.float16,
    "I64": np.int64,
    "I32": np.int32,
    "U8": np.uint8,
    "U64": np.uint64,
}
_DTYPES_OF: dict[str, tuple[Any, ...]] = {
    "vectors": (np.float32, np.float16),
    "norms": (np.float32,),
    "id_ends": (np.int64,),
    "id_hashes": (np.uint64,),
    "labels": (np.int32,),
    "states": (np.int64,),
}  # of the arrays that are no bytes
_FORMAT = f"landmarkzoo.{KIND}.v1"


class FileState(NamedTuple):
    """What tells whether a photo has changed since it was read.

    Attributes:
        size: Bytes.
        mtime: Nanoseconds.
        root: The folder that its id starts from; ``""`` for other photos in files.
    """

    size: int
    mtime: int
    root: str = ""


class SkippedPhoto(NamedTuple):
    """A photo that could not be read."""

    id: str
    reason: str
    state: FileState | None = None


@dataclass(eq=False)
class NewRows:
    """Rows on their way into a shard, in order.

    Attributes:
        ids: One a row.
        vectors: Arrays (n, D), one below the other.
        labels: One a row, ``None`` for no landmark or unknown.
        states: One a row, ``None`` for what is in no file.
        skipped: Photos that could not be read.
    """

    ids: list[str] = field(default_factory=list)
    vectors: list[NDArray[Any]] = field(default_factory=list)
    labels: list[str | None] = field(default_factory=list)
    states: list[FileState | None] = field(default_factory=list)
    skipped: list[SkippedPhoto] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.ids) + len(self.skipped)


def joined_rows(batches: list[NewRows]) -> NewRows:
    """Rows one below the other."""
    whole = NewRows()
    for batch in batches:
        whole.ids += batch.ids
        whole.vectors += batch.vectors
        whole.labels += batch.labels
        whole.states += batch.states
        whole.skipped += batch.skipped
    return whole


def new_name() -> str:
    """A name that no other shard has, whoever writes it."""
    return secrets.token_hex(8)


def as_stored(vectors: NDArray[Any], storage: Storage) -> NDArray[Any]:
    """Vectors (n, D) in the type that is kept.

    Raises:
        ValueError: If a value is not finite in it.
    """
    with np.errstate(over="ignore"):
        stored = np.ascontiguousarray(vectors, dtype=storage)
    if not np.isfinite(stored).all():
        row = int(np.flatnonzero(~np.isfinite(stored).all(axis=1))[0])
        raise ValueError(f"row {row} has NaN or infinite values, or values that {storage} cannot hold")
    return stored


def write_shard(path: Path, rows: NewRows, dimensions: int, storage: Storage) -> None:
    """Write rows, whole or not at all, and onto the disk.

    Raises:
        OSError: If they cannot be written, such as on a full disk.
    """
    empty = np.empty((0, dimensions), storage)
    vectors = np.concatenate(rows.vectors) if rows.vectors else empty
    names = sorted({label for label in rows.labels if label is not None})
    code_of: dict[str | None, int] = {name: code for code, name in enumerate(names)} | {None: -1}
    roots = sorted({state.root for state in rows.states if state is not None})
    number_of = {root: number for number, root in enumerate(roots)}
    states = [
        (-1, -1, -1) if state is None else (state.size, state.mtime, number_of[state.root])
        for state in rows.states
    ]
    ids, id_ends = texts_as_arrays(rows.ids)
    tensors: dict[str, NDArray[Any]] = {
        "vectors": vectors,
        "norms": _norms(vectors),
        "ids": ids,
        "id_ends": id_ends,
        "id_hashes": id_hashes(rows.ids),
        "labels": np.array([code_of[label] for label in rows.labels], dtype=np.int32),
        "label_names": _as_bytes(names),
        "states": np.array(states, dtype=np.int64).reshape(-1, 3),
        "roots": _as_bytes(roots),
        "skipped": _as_bytes(rows.skipped),
    }
    save_tensors(path, KIND, tensors)


class Shard:
    """A shard that is mapped from its file: nothing is read before somebody asks for it.

    Args:
        path: The file.

    Raises:
        FileNotFoundError: If it is gone.
        ValueError: If it is damaged.
    """

    def __init__(self, path: Path) -> None:
        try:
            self._tensors = _tensors_in(_mapped(path))
            _check_arrays(self._tensors)
        except (ValueError, KeyError, TypeError, AttributeError, IndexError, struct.error) as error:
            raise ValueError(f"{path} is no shard, or it is damaged: {error}") from error
        self.path, self.name = path, path.stem
        self.vectors, self.norms = self._tensors["vectors"], self._tensors["norms"]

    def __len__(self) -> int:
        return len(self.vectors)

    @property
    def nbytes(self) -> int:
        """Bytes of the file, but for its header."""
        return sum(tensor.nbytes for tensor in self._tensors.values())

    @property
    def id_arrays(self) -> tuple[NDArray[np.uint8], IntArray]:
        """Ids, as ``StoredIds`` takes them."""
        return self._tensors["ids"], self._tensors["id_ends"]

    @property
    def id_hashes(self) -> Hashes:
        """Hashes (n,) of the ids, as ``StoredRows`` takes them."""
        return self._tensors["id_hashes"]

    @cached_property
    def label_names(self) -> list[str | None]:
        """Names of the labels, and ``None`` behind them, which the code -1 points to."""
        return [*self._json("label_names"), None]

    @property
    def label_codes(self) -> NDArray[np.int32]:
        """Place (n,) of the label of each row in ``label_names``."""
        return self._below("labels", self._tensors["labels"], len(self.label_names) - 1)

    @property
    def states(self) -> IntArray:
        """Size, time and number of the root (n, 3) of each row; -1 for what is in no file."""
        self._below("states", self._tensors["states"][:, 2], len(self.roots))
        return self._tensors["states"]

    @cached_property
    def roots(self) -> list[str]:
        """The folders that ids start from."""
        roots: list[str] = self._json("roots")
        return roots

    def rows(self) -> NewRows:
        """What ``write_shard`` was given.

        Raises:
            ValueError: If it is damaged: the lengths of the vectors are others than they were.
        """
        if not np.allclose(_norms(self.vectors), self.norms, rtol=1e-6, atol=0):
            raise ValueError(f"{self.path} is damaged: its vectors are not those that were written")
        names, roots = self.label_names, self.roots
        return NewRows(
            list(StoredIds([self.id_arrays], [None])),
            [self.vectors] if len(self) else [],
            [names[code] for code in self.label_codes.tolist()],
            [
                None if root < 0 else FileState(size, mtime, roots[root])
                for size, mtime, root in self.states.tolist()
            ],
            self.skipped,
        )

    @cached_property
    def skipped(self) -> list[SkippedPhoto]:
        """Photos that could not be read."""
        return [
            SkippedPhoto(id_, reason, None if state is None else FileState(*state))
            for id_, reason, state in self._json("skipped")
        ]

    def _below(self, name: str, numbers: NDArray[Any], end: int) -> NDArray[Any]:
        if len(numbers) and not -1 <= numbers.min() <= numbers.max() < end:
            raise ValueError(f"{self.path} is damaged: its {name} point outside")
        return numbers

    def _json(self, name: str) -> Any:
        try:
            return json.loads(self._tensors[name].tobytes())
        except ValueError as error:
            raise ValueError(f"{self.path} is damaged, its {name}: {error}") from error


def _mapped(path: Path) -> NDArray[np.uint8]:
    """The bytes of a file, mapped.

    By torch, which closes the file: each ``mmap`` of Python before 3.13 keeps it open, and a system that lets
    a process open 256 files would open no index of more shards.
    """
    size = path.stat().st_size
    if size == 0:
        raise ValueError("it is empty")
    try:
        storage = torch.UntypedStorage.from_file(str(path), shared=False, nbytes=size)
    except RuntimeError as error:
        path.stat()  # it may have been removed just now
        raise OSError(f"cannot read {path}: {error}") from error
    content: NDArray[np.uint8] = torch.empty(0, dtype=torch.uint8).set_(storage).numpy()  # type: ignore[arg-type]
    content.flags.writeable = False
    return content


def _tensors_in(content: NDArray[np.uint8]) -> dict[str, NDArray[Any]]:
    """The arrays of a safetensors file: 8 bytes with the size of a JSON header, the header, the values."""
    (size,) = struct.unpack("<Q", content[:8].tobytes())
    header = json.loads(content[8 : 8 + size].tobytes())
    if header.pop("__metadata__", {}).get("format") != _FORMAT:
        raise ValueError(f"its format is not {_FORMAT!r}")
    tensors, end = {}, 8 + size
    for name, about in header.items():
        start, stop = about["data_offsets"]
        end = max(end, 8 + size + stop)
        dtype = np.dtype(_DTYPES[about["dtype"]])
        count = (stop - start) // dtype.itemsize
        array = np.frombuffer(content, dtype, count, 8 + size + start) if count else np.empty(0, dtype)
        tensors[name] = array.reshape(about["shape"])
    if end != len(content):
        raise ValueError(f"it has {len(content)} bytes, and should have {end}")
    return tensors


def _check_arrays(tensors: Mapping[str, NDArray[Any]]) -> None:
    """Raise KeyError or ValueError if an array of a shard is missing, or does not fit the others."""
    count, dimensions = tensors["vectors"].shape
    shapes = {
        "vectors": (count, dimensions),
        "norms": (count,),
        "id_ends": (count,),
        "id_hashes": (count,),
        "labels": (count,),
        "states": (count, 3),
    }
    for name in ("ids", "label_names", "roots", "skipped", *shapes):
        array = tensors[name]
        if array.dtype not in _DTYPES_OF.get(name, (np.uint8,)) or array.shape != shapes.get(
            name, (array.size,)
        ):
            raise ValueError(f"its {name} are {array.dtype} of the shape {array.shape}, for {count} rows")
    if count and tensors["id_ends"][-1] != tensors["ids"].size:
        raise ValueError(f"its ids have {tensors['ids'].size} bytes, not {tensors['id_ends'][-1]}")


def _norms(vectors: NDArray[Any]) -> FloatArray:
    """Lengths (n,) of vectors (n, D), from float64."""
    norms = np.empty(len(vectors), np.float32)
    for start in range(0, len(vectors), 1024):
        some = slice(start, start + 1024)
        with np.errstate(over="ignore"):  # infinite, which search takes for unknown
            norms[some] = np.linalg.norm(vectors[some].astype(np.float64), axis=1)
    return norms


def _as_bytes(value: Sequence[Any]) -> NDArray[np.uint8]:
    return np.frombuffer(json.dumps(value).encode(), np.uint8)


def rows_that_fit(dimensions: int, storage: Storage, bytes_: int = 2**25) -> int:
    """Rows of a large shard, which is quick to search: so much memory it needs while it is written."""
    return max(1, bytes_ // (max(dimensions, 1) * np.dtype(storage).itemsize))


def norms_of(parts: Sequence[Shard], live: Sequence[IntArray | None]) -> FloatArray:
    """Norms (N,) of the rows that count."""
    norms = [part.norms if rows is None else part.norms[rows] for part, rows in zip(parts, live)]
    return np.concatenate(norms) if norms else np.empty(0, np.float32)
