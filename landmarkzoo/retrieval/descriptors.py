"""Descriptors of a set of photos: vectors, the ids they belong to, and where they come from."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file
from torch import Tensor

from landmarkzoo._utils.atomic_writing import atomic_write
from landmarkzoo._utils.checks import FloatArray

Vectors: TypeAlias = "Descriptors | NDArray[Any] | Tensor"

_FORMAT = "landmarkzoo.descriptors.v1"


@dataclass(frozen=True, eq=False)
class Descriptors:
    """Vectors with ids, made by ``lz.embed`` or from arrays of your own.

    Args:
        ids: One id a vector.
        vectors: Array (N, D), numpy or torch; kept as float32.
        skipped: Photos that could not be read, with the reason.
        provenance: Where the vectors come from: model, weights fingerprint, transform.

    Raises:
        ValueError: If ids and vectors do not fit each other, or a value is not finite.

    Examples:
        >>> d = lz.Descriptors(["a", "b", "c"], np.eye(3))
        >>> len(d), d[:2].ids, d.vectors.shape
        (3, ['a', 'b'], (3, 3))
    """

    ids: list[str]
    vectors: FloatArray
    skipped: list[tuple[str, str]] = field(default_factory=list)
    provenance: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "ids", [str(id_) for id_ in self.ids])
        object.__setattr__(self, "vectors", as_vectors(self.vectors, "vectors"))
        object.__setattr__(self, "skipped", [(str(i), str(reason)) for i, reason in self.skipped])
        if len(self.ids) != len(self.vectors):
            raise ValueError(f"got {len(self.ids)} ids for {len(self.vectors)} vectors")

    def __len__(self) -> int:
        return len(self.ids)

    def __repr__(self) -> str:
        skipped = f", skipped={len(self.skipped)}" if self.skipped else ""
        model = f", model={self.provenance['model']!r}" if "model" in self.provenance else ""
        return f"Descriptors({len(self)} x {self.vectors.shape[1]}{model}{skipped})"

    def __getitem__(self, rows: int | slice | Sequence[int] | NDArray[Any]) -> Descriptors:
        """Descriptors of some rows: an index, a slice, an array of indices or of booleans."""
        if isinstance(rows, (int, np.integer)):
            rows = [rows]
        chosen = np.arange(len(self))[rows]
        return Descriptors([self.ids[i] for i in chosen], self.vectors[rows], provenance=self.provenance)

    @staticmethod
    def concat(parts: Sequence[Descriptors]) -> Descriptors:
        """Join descriptors of one model.

        Raises:
            ValueError: If there are none, their sizes differ, or they come from different models.
        """
        parts = list(parts)
        if not parts:
            raise ValueError("concat needs at least one Descriptors, got none")
        for part in parts[1:]:
            check_comparable(parts[0], part, "the first part", "another part")
        return Descriptors(
            [id_ for part in parts for id_ in part.ids],
            np.concatenate([part.vectors for part in parts]),
            [skip for part in parts for skip in part.skipped],
            parts[0].provenance,
        )

    def save(self, path: str | Path) -> None:
        """Write one safetensors file, whole or not at all.

        Raises:
            FileNotFoundError: If the folder does not exist.
        """
        # Ids stand beside the vectors as bytes: a safetensors header holds 100 MB at most.
        tensors: dict[str, NDArray[Any]] = {
            "vectors": self.vectors,
            "ids": _to_bytes(self.ids),
            "skipped": _to_bytes(self.skipped),
        }
        metadata = {"format": _FORMAT, "provenance": json.dumps(self.provenance)}
        with atomic_write(path) as temporary:
            save_file(tensors, str(temporary), metadata=metadata)

    @staticmethod
    def load(path: str | Path) -> Descriptors:
        """Read a file that :meth:`save` wrote.

        Raises:
            FileNotFoundError: If there is no such file.
            ValueError: If it is damaged or something else.
        """
        if not Path(path).is_file():
            raise FileNotFoundError(f"no descriptors file {path}")
        try:
            with safe_open(str(path), framework="numpy") as file:
                metadata = file.metadata() or {}
                if metadata.get("format") != _FORMAT:
                    raise ValueError(
                        f"{path} holds no descriptors of this version: its format is "
                        f"{metadata.get('format')!r}, {_FORMAT!r} is needed. Embed the photos again."
                    )
                return Descriptors(
                    _from_bytes(file.get_tensor("ids")),
                    file.get_tensor("vectors"),
                    _from_bytes(file.get_tensor("skipped")),
                    json.loads(metadata["provenance"]),
                )
        except SafetensorError as error:
            raise ValueError(f"{path} is no descriptors file or is damaged: {error}") from error


def as_vectors(x: Vectors, name: str) -> FloatArray:
    """Descriptors, or an array (N, D) of finite numbers, as float32.

    Args:
        x: What the user gave.
        name: What it is called in error messages.

    Raises:
        TypeError: If it is no array of numbers.
        ValueError: If its shape is not (N, D) or a value is not finite.
    """
    x = x.vectors if isinstance(x, Descriptors) else x
    if isinstance(x, Tensor):
        x = x.detach().float().cpu().numpy()
    array = np.asarray(x)
    if array.dtype.kind not in "fiu":
        raise TypeError(f"{name} must be Descriptors or a float array (N, D), got dtype {array.dtype}")
    if array.ndim != 2 or array.shape[1] == 0:
        raise ValueError(f"{name} must have shape (N, D), got {array.shape}; one vector is x[None]")
    array = np.ascontiguousarray(array, dtype=np.float32)
    # A sum is finite only if all its terms are, and needs no array of N x D booleans.
    if not np.isfinite(array.sum(dtype=np.float64)):
        bad = np.flatnonzero(~np.isfinite(array).all(axis=1))
        if len(bad):
            raise ValueError(f"{name} must be finite, but row {bad[0]} has NaN or infinite values")
    return array


def check_comparable(a: Vectors, b: Vectors, name_a: str, name_b: str) -> None:
    """Refuse to compare descriptors of different sizes or, where it is known, of different weights.

    Args:
        a: Descriptors or an array (N, D).
        b: Descriptors or an array (N, D).
        name_a: What ``a`` is called in the message.
        name_b: What ``b`` is called in the message.

    Raises:
        ValueError: If they cannot be compared.
    """
    size_a, size_b = _dimensions(a), _dimensions(b)
    if size_a != size_b:
        raise ValueError(f"{name_a} has {size_a} dimensions, {name_b} has {size_b}: use one model")
    one, other = (_provenance(x) for x in (a, b))
    if "weights" in one and "weights" in other and one["weights"] != other["weights"]:
        raise ValueError(
            f"{name_a} comes from {one.get('model')} (weights {one['weights']}), {name_b} from "
            f"{other.get('model')} (weights {other['weights']}): embed both with one model"
        )


def _dimensions(x: Vectors) -> int:
    array: Any = x.vectors if isinstance(x, Descriptors) else x
    return int(np.shape(array)[1])


def _provenance(x: Vectors) -> Mapping[str, str]:
    return x.provenance if isinstance(x, Descriptors) else {}


def _to_bytes(value: object) -> NDArray[np.uint8]:
    return np.frombuffer(json.dumps(value).encode(), dtype=np.uint8)


def _from_bytes(array: NDArray[np.uint8]) -> Any:
    return json.loads(array.tobytes().decode())
