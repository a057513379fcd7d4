"""Descriptors of a set of photos: vectors, the ids they belong to, and where they come from."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from landmarkzoo._utils.checks import FloatArray, as_array_protocol, as_dlpack, as_numpy
from landmarkzoo._utils.csv_and_pandas import import_pandas
from landmarkzoo.retrieval.comparability import RUNNING_NUMBERS, joined_provenance, refuse_unlike
from landmarkzoo.retrieval.ranking import Ranking
from landmarkzoo.retrieval.row_selection import Rows, RowsById, as_ids, first_repeated, select_rows, take
from landmarkzoo.retrieval.tensor_files import load_tensors, save_tensors

if TYPE_CHECKING:
    import pandas

Vectors: TypeAlias = "Descriptors | HasDescriptors | NDArray[Any] | Tensor"


class HasDescriptors(Protocol):
    """What holds descriptors, such as an index on disk: it goes wherever these go."""

    @property
    def descriptors(self) -> Descriptors:
        """What counts now."""

    def __len__(self) -> int: ...


@dataclass(frozen=True, eq=False)
class Descriptors:
    """Vectors with ids, made by ``lz.embed`` or from arrays of your own.

    They behave like the array (N, D) of their vectors: ``len(d)``, ``np.asarray(d)``, ``d[0]``, ``d[10:20]``,
    ``d[mask]``. Rows are chosen by id as well: ``d["tower/1.jpg"]``, ``d[["a", "b"]]``, ``"a" in d``. What
    comes back are Descriptors, of one row for a single number or id; ``for row in d`` gives them one by one.

    Args:
        ids: One id a vector: strings; numbers and paths become strings.
        vectors: Array (N, D), numpy or torch; kept as float32.
        skipped: Photos that could not be read, with the reason.
        provenance: Where the vectors come from: model, weights fingerprint, transform.

    Raises:
        TypeError: If an id is something else, such as bytes or a tensor.
        ValueError: If ids and vectors do not fit each other, or a value is not finite.

    Examples:
        >>> d = lz.Descriptors(["a", "b", "c"], np.eye(3))
        >>> len(d), d[:2].ids, d["b"].vectors, "x" in d
        (3, ['a', 'b'], array([[0., 1., 0.]], dtype=float32), False)
        >>> np.asarray(d).shape
        (3, 3)
    """

    ids: list[str]
    vectors: FloatArray
    skipped: list[tuple[str, str]] = field(default_factory=list)
    provenance: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "ids", list(as_ids(self.ids)))
        object.__setattr__(self, "vectors", as_vectors(self.vectors, "vectors"))
        skipped = list(zip(as_ids([id_ for id_, _ in self.skipped]), (str(why) for _, why in self.skipped)))
        object.__setattr__(self, "skipped", skipped)
        if len(self.ids) != len(self.vectors):
            raise ValueError(f"got {len(self.ids)} ids for {len(self.vectors)} vectors")

    def __len__(self) -> int:
        return len(self.ids)

    def __repr__(self) -> str:
        skipped = f", skipped={len(self.skipped)}" if self.skipped else ""
        model = f", model={self.provenance['model']!r}" if "model" in self.provenance else ""
        return f"Descriptors({len(self)} x {self.vectors.shape[1]}{model}{skipped})"

    @cached_property
    def _row_of(self) -> RowsById:
        return RowsById(self.ids)

    def __contains__(self, id_: object) -> bool:
        return id_ in self._row_of

    def __getitem__(self, rows: Rows) -> Descriptors:
        """Descriptors of some rows: a number, an id, or several as a slice, a list, an array or a mask."""
        chosen = select_rows(rows, len(self), self._row_of)
        return Descriptors(take(self.ids, chosen), self.vectors[chosen], provenance=self.provenance)

    def __iter__(self) -> Iterator[Descriptors]:
        return (self[row] for row in range(len(self)))

    def __array__(self, dtype: np.dtype[Any] | type | None = None, copy: bool | None = None) -> NDArray[Any]:
        """The vectors, for ``np.asarray``."""
        return as_array_protocol(self.vectors, dtype, copy)

    def __dlpack__(self, **options: Any) -> Any:
        """The vectors, for ``torch.as_tensor``."""
        return as_dlpack(self.vectors, options)

    def __dlpack_device__(self) -> tuple[int, int]:
        return self.vectors.__dlpack_device__()

    def to_pandas(self) -> pandas.DataFrame:
        """The vectors as a frame (N, D) of pandas, with the ids as its index.

        Raises:
            ModuleNotFoundError: If pandas is not installed.
        """
        pandas = import_pandas()
        return pandas.DataFrame(self.vectors, index=pandas.Index(self.ids, name="id"))

    @staticmethod
    def concat(parts: Sequence[Descriptors]) -> Descriptors:
        """Join descriptors that can be compared.

        Running numbers, the ids of images in memory, are numbered on where they repeat. In the provenance
        stays what the parts that know it have in common; what need not be equal stands there as ``"float32 |
        float16"``.

        Raises:
            TypeError: If a part is something else, such as an array.
            ValueError: If ``parts`` is empty, an id is in several of them, the sizes differ, or they cannot
                be compared: other weights, transform, views or whitening.
        """
        parts = [descriptors_of(part) for part in parts]
        if not parts:
            raise ValueError("concat needs at least one Descriptors, got an empty list")
        for part in parts:
            if not isinstance(part, Descriptors):
                raise TypeError(
                    f"concat joins Descriptors, got {type(part).__name__}: give vectors ids first"
                )
        known = dict(parts[0].provenance)
        for number, part in enumerate(parts[1:], start=2):
            check_comparable(parts[0].vectors, part.vectors, "part 1", f"part {number}")
            refuse_unlike(known, part.provenance, "an earlier part", f"part {number}")
            known = {**part.provenance, **known}
        named = _numbered_on(parts)
        ids = [id_ for ids, _ in named for id_ in ids]
        if (twice := first_repeated(ids)) is not None:
            raise ValueError(
                f"the parts of concat must be of different photos, but {twice!r} is there more than once: "
                "leave it out of one part, or give them other ids, lz.Descriptors(ids, part.vectors)"
            )
        return Descriptors(
            ids,
            np.concatenate([part.vectors for part in parts]),
            [skip for _, skipped in named for skip in skipped],
            joined_provenance([part.provenance for part in parts]),
        )

    def save(self, path: str | Path) -> None:
        """Write one safetensors file, whole or not at all.

        Raises:
            FileNotFoundError: If the folder does not exist.
            OSError: If the file cannot be written, such as on a full disk.
        """
        # Ids stand beside the vectors as bytes: a safetensors header holds 100 MB at most.
        tensors: dict[str, NDArray[Any]] = {
            "vectors": self.vectors,
            "ids": _to_bytes(list(self.ids)),
            "skipped": _to_bytes(self.skipped),
        }
        save_tensors(path, "descriptors", tensors, provenance=json.dumps(self.provenance))

    @staticmethod
    def load(path: str | Path) -> Descriptors:
        """Read a file that ``save`` wrote.

        Raises:
            FileNotFoundError: If there is no such file.
            ValueError: If it is damaged or something else.
        """
        tensors, metadata = load_tensors(path, "descriptors")
        try:
            return _from_file(tensors, metadata)
        except (TypeError, ValueError, RecursionError) as error:  # JSON can be nested too deeply
            raise ValueError(f"{path} is a damaged descriptors file: {error}") from error


def descriptors_of(x: Any) -> Any:
    """Descriptors of what holds some; anything else as it is.

    Called once where a public function begins: asked again, an index may have other rows.
    """
    held = getattr(x, "descriptors", None)
    return held if isinstance(held, Descriptors) else x


def as_vectors(x: Vectors, name: str) -> FloatArray:
    """Descriptors, or an array (N, D) of finite numbers, as float32.

    Args:
        x: What the user gave.
        name: What it is called in error messages.

    Raises:
        TypeError: If it is not an array of numbers, or a ranking.
        ValueError: If its shape is not (N, D) or a value is not finite.
    """
    array = as_matrix(x, name)
    # A sum is finite only if all its terms are, and needs no array of N x D booleans.
    if not np.isfinite(array.sum(dtype=np.float64)):
        bad = np.flatnonzero(~np.isfinite(array).all(axis=1))
        if len(bad):
            raise ValueError(not_finite(name, int(bad[0])))
    return array


def not_finite(name: str, row: int) -> str:
    """The message about a row that has NaN or infinite values."""
    return (
        f"{name} must be finite, but row {row} has NaN or infinite values, or values that float32 cannot hold"
    )


def as_matrix(x: Vectors, name: str) -> FloatArray:
    """The same as ``as_vectors``, for those who find out later whether all values are finite.

    Raises:
        TypeError: If it is not an array of numbers, or a ranking.
        ValueError: If its shape is not (N, D).
    """
    _refuse_ranking(x, name)
    x = descriptors_of(x)
    x = x.vectors if isinstance(x, Descriptors) else x
    try:
        array = as_numpy(x)
    except (TypeError, ValueError, RuntimeError) as error:  # rows of unequal length, sparse tensors
        came = type(x).__name__
        raise TypeError(f"{name} must be Descriptors or a float array (N, D), got {came}: {error}") from error
    if array.dtype.kind not in "fiu":
        raise TypeError(f"{name} must be Descriptors or a float array (N, D), got dtype {array.dtype}")
    _check_shape(array.shape, name)
    with np.errstate(over="ignore"):  # what float32 cannot hold becomes infinite
        return np.ascontiguousarray(array, dtype=np.float32)


def check_comparable(a: Vectors, b: Vectors, name_a: str, name_b: str) -> None:
    """Refuse to compare descriptors of different sizes or, where it is known, of different origin.

    Args:
        a: Descriptors or an array (N, D).
        b: Descriptors or an array (N, D).
        name_a: What ``a`` is called in the message.
        name_b: What ``b`` is called in the message.

    Raises:
        TypeError: If one is a ranking.
        ValueError: If sizes, weights, transform, views or whitening differ, or a shape is not (N, D).
    """
    a, b = descriptors_of(a), descriptors_of(b)
    size_a, size_b = _dimensions(a, name_a), _dimensions(b, name_b)
    if size_a != size_b:
        raise ValueError(
            f"{name_a} has {size_a} dimensions, {name_b} has {size_b}: use one model and one whitening, as "
            "lz.embed(..., like=index) and landmarkzoo embed --like INDEX do"
        )
    if isinstance(a, Descriptors) and isinstance(b, Descriptors):
        refuse_unlike(a.provenance, b.provenance, name_a, name_b)


def _dimensions(x: Vectors, name: str) -> int:
    _refuse_ranking(x, name)
    stored: Any = getattr(x, "stored", None)  # reading the vectors would copy them
    array: Any = x if not isinstance(x, Descriptors) else x.vectors if stored is None else stored
    shape = array.shape if hasattr(array, "shape") else np.shape(array)
    _check_shape(shape, name)
    return int(shape[1])


def _check_shape(shape: tuple[int, ...], name: str) -> None:
    if len(shape) != 2 or shape[1] == 0:
        how = "one vector is x[None]" if any(shape) else "there is nothing in it"
        raise ValueError(f"{name} must have shape (N, D), got {tuple(shape)}; {how}")


def _refuse_ranking(x: object, name: str) -> None:
    """A ranking is an array to NumPy, so nothing else would stop it."""
    if isinstance(x, Ranking):
        raise TypeError(
            f"{name} must be Descriptors or a float array (N, D), got a Ranking: these are row numbers of "
            "results"
        )


def _numbered_on(parts: Sequence[Descriptors]) -> list[tuple[list[str], list[tuple[str, str]]]]:
    """Ids and skipped photos of each part; running numbers that were there before go on behind the last."""
    named = []
    used: set[int] = set()
    for part in parts:
        ids, skipped = part.ids, part.skipped
        all_ids = [*ids, *(id_ for id_, _ in skipped)]
        if part.provenance.get("ids") == RUNNING_NUMBERS and all(id_.isdecimal() for id_ in all_ids):
            numbers = set(map(int, all_ids))
            if used & numbers:
                first = max(used) + 1
                ids = [str(int(id_) + first) for id_ in ids]
                skipped = [(str(int(id_) + first), reason) for id_, reason in skipped]
                numbers = {number + first for number in numbers}
            used |= numbers
        named.append((ids, skipped))
    return named


def _to_bytes(value: object) -> NDArray[np.uint8]:
    return np.frombuffer(json.dumps(value).encode(), dtype=np.uint8)


def _from_file(tensors: dict[str, NDArray[Any]], metadata: dict[str, str]) -> Descriptors:
    """What a file holds, once it is sure that it holds that."""
    if missing := {"ids", "skipped", "vectors"} - set(tensors):
        raise ValueError(f"it has no {' and no '.join(sorted(missing))}")
    ids, skipped = (json.loads(tensors[name].tobytes().decode()) for name in ("ids", "skipped"))
    provenance = json.loads(metadata.get("provenance", "{}"))
    if not _are_strings(ids):
        raise ValueError("its ids are not a list of strings")
    if not (isinstance(skipped, list) and all(_are_strings(skip) and len(skip) == 2 for skip in skipped)):
        raise ValueError("its skipped photos are not pairs of id and reason")
    if not (isinstance(provenance, dict) and _are_strings(list(provenance.values()))):
        raise ValueError("its provenance is not a dictionary of strings")
    return Descriptors(ids, tensors["vectors"], [(id_, reason) for id_, reason in skipped], provenance)


def _are_strings(values: Any) -> bool:
    return isinstance(values, list) and all(isinstance(value, str) for value in values)
