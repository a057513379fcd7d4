"""Whitening of descriptors, learned from descriptors of other photos, with or without labels."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from landmarkzoo._utils.checks import FloatArray, IntArray, Labels, as_labels, check_count, check_number, unit
from landmarkzoo._utils.user_warnings import warn_user
from landmarkzoo.retrieval.descriptors import Descriptors, Vectors, as_vectors, descriptors_of
from landmarkzoo.retrieval.tensor_files import load_tensors, save_tensors

_BLOCK_VALUES = 2**20  # float64 values in flight: 8 MiB


@dataclass(frozen=True, eq=False)
class Whitening:
    """An affine map of descriptors after which no direction outweighs the others.

    Learn it from photos that are not searched: of searched ones it would know too much.

    Attributes:
        mean: Mean of the descriptors (D,), float64.
        projection: Matrix (dim, D), float64, strongest direction first.
        weights: Fingerprint of the model whose descriptors it was learned from, where that is known.

    Raises:
        ValueError: If the shapes do not fit each other, or a value is not finite.

    Examples:
        >>> photos = np.random.default_rng(0).standard_normal((50, 8)) * [9, 5, 1, 1, 1, 1, 1, 1]
        >>> whitening = lz.Whitening.fit(photos, dim=4)
        >>> whitening.apply(photos).shape
        (50, 4)
    """

    mean: NDArray[np.float64]
    projection: NDArray[np.float64]
    weights: str | None = None

    def __post_init__(self) -> None:
        for name, dimensions in (("mean", 1), ("projection", 2)):
            array = np.asarray(getattr(self, name))
            if array.dtype.kind not in "fiu" or array.ndim != dimensions or not np.isfinite(array).all():
                raise ValueError(
                    f"the {name} of a whitening is a finite float array of {dimensions} dimensions, got "
                    f"{array.dtype} of shape {array.shape}"
                )
            object.__setattr__(self, name, array.astype(np.float64, copy=False))
        if self.projection.shape[1] != len(self.mean):
            raise ValueError(
                f"the mean has {len(self.mean)} dimensions, the projection takes {self.projection.shape[1]}"
            )

    @staticmethod
    def fit(
        descriptors: Vectors,
        dim: int | None = None,
        *,
        labels: Labels | None = None,
        shrinkage: float = 1e-2,
    ) -> Whitening:
        """Learn from descriptors, of length 1 or not: their length is set to 1 first.

        Without labels: PCA whitening, ``V^T (x - mean) / sqrt(e + shrinkage e_max)`` with the largest
        eigenvalues e of the covariance. With labels: what differs between photos of one landmark is
        whitened instead (Mikolajczyk and Matas 2007; section 3.3 of
        [Radenovic et al. 2018](https://arxiv.org/abs/1711.02512)): ``V^T W (x - mean)``. W is the inverse
        square root of the covariance within landmarks, with the same shrinkage; V are the strongest
        directions of all descriptors after W.

        Args:
            descriptors: Descriptors or an array (N, D).
            dim: Dimensions to keep; D if ``None``. Those beyond the rank are zero, with a warning: N photos
                span N - 1 directions.
            labels: Landmark of each photo (N,): integers, -1 for unknown, or names, ``None`` for unknown.
            shrinkage: Added to the eigenvalues, relative to the largest one.

        Raises:
            TypeError: If ``shrinkage`` is not a number.
            ValueError: If shapes do not fit, all descriptors are equal, or, with labels, no landmark has 2
                different ones.
        """
        descriptors = descriptors_of(descriptors)
        x = as_vectors(descriptors, "descriptors")
        dim = x.shape[1] if dim is None else check_count(dim, "dim")
        if dim > x.shape[1]:
            raise ValueError(f"dim must be at most {x.shape[1]}, the size of the descriptors, got {dim}")
        shrinkage = check_number(shrinkage, "shrinkage")
        if shrinkage < 0:
            raise ValueError(f"shrinkage must not be negative, got {shrinkage}")
        if len(x) < 2:
            raise ValueError(f"whitening needs at least 2 descriptors, got {len(x)}")
        mean = np.sum([block.sum(axis=0) for block in _unit_blocks(x)], axis=0) / len(x)
        total = _scatter(x, mean) / len(x)
        if labels is None:
            rows = pca_whitening(total, dim, shrinkage)
        else:
            within = _covariance_within(x, as_labels(labels, len(x), "labels"))
            rows = _supervised_whitening(total, within, dim, shrinkage)
        spanned = int(rows.any(axis=1).sum())
        if spanned < dim:
            warn_user(
                f"{len(x)} photos span {spanned} directions: the other {dim - spanned} of {dim} dimensions "
                f"are zero. Learn from more photos, or use dim={spanned} or less"
            )
        weights = descriptors.provenance.get("weights") if isinstance(descriptors, Descriptors) else None
        return Whitening(mean, rows, weights)

    def apply(self, descriptors: Vectors) -> Vectors:
        """Whitened descriptors (N, dim) of length 1.

        Args:
            descriptors: Descriptors or an array (N, D).

        Returns:
            A float32 array for an array. For Descriptors, Descriptors whose provenance names the whitening,
            so that they are not compared with others.

        Raises:
            ValueError: If the descriptors have another size than those that the whitening was learned from,
                or come from a model with other weights.
        """
        descriptors = descriptors_of(descriptors)
        x = as_vectors(descriptors, "descriptors")
        if x.shape[1] != len(self.mean):
            raise ValueError(f"the whitening takes {len(self.mean)} dimensions, got {x.shape[1]}")
        weights = descriptors.provenance.get("weights") if isinstance(descriptors, Descriptors) else None
        if None not in (self.weights, weights) and self.weights != weights:
            raise ValueError(
                f"the whitening was learned from a model with weights {self.weights}, the descriptors come "
                f"from weights {weights}: learn a whitening from descriptors of this model"
            )
        vectors = np.empty((len(x), len(self.projection)), dtype=np.float32)
        step = _rows_of_a_block(x)
        for start in range(0, len(x), step):
            block = slice(start, start + step)
            vectors[block] = unit((unit(x[block]) - self.mean) @ self.projection.T)
        if not isinstance(descriptors, Descriptors):
            return vectors
        before = descriptors.provenance.get("whitening")
        whitening = self._fingerprint() if before is None else f"{before} + {self._fingerprint()}"
        provenance = {**descriptors.provenance, "whitening": whitening}
        return Descriptors(descriptors.ids, vectors, descriptors.skipped, provenance)

    def save(self, path: str | Path) -> None:
        """Write one safetensors file, whole or not at all.

        Raises:
            FileNotFoundError: If the folder does not exist.
        """
        known = {} if self.weights is None else {"weights": self.weights}
        save_tensors(path, "whitening", {"mean": self.mean, "projection": self.projection}, **known)

    @staticmethod
    def load(path: str | Path) -> Whitening:
        """Read a file that ``save`` wrote.

        Raises:
            FileNotFoundError: If there is no such file.
            ValueError: If it is damaged or something else.
        """
        tensors, metadata = load_tensors(path, "whitening")
        if not {"mean", "projection"} <= set(tensors):
            raise ValueError(f"{path} is a damaged whitening file: it holds {sorted(tensors)}")
        try:
            return Whitening(tensors["mean"], tensors["projection"], metadata.get("weights"))
        except ValueError as error:
            raise ValueError(f"{path} is a damaged whitening file: {error}") from error

    def _fingerprint(self) -> str:
        return hashlib.sha256(self.mean.tobytes() + self.projection.tobytes()).hexdigest()[:12]


def _rows_of_a_block(x: FloatArray) -> int:
    return max(1, _BLOCK_VALUES // int(x.shape[1]))


def _unit_blocks(x: FloatArray) -> Iterator[NDArray[np.float64]]:
    """Vectors of length 1 in float64, some rows (n, D) at a time."""
    step = _rows_of_a_block(x)
    return (unit(x[start : start + step]) for start in range(0, len(x), step))


def _scatter(x: FloatArray, mean: NDArray[np.float64]) -> NDArray[np.float64]:
    """Sum of the outer products (D, D) of what vectors of length 1 differ from a mean (D,)."""
    total = np.zeros((x.shape[1], x.shape[1]))
    for block in _unit_blocks(x):
        away = block - mean
        total += away.T @ away
    return total


def _covariance_within(x: FloatArray, labels: IntArray) -> NDArray[np.float64]:
    """Covariance (D, D) of descriptors around the mean of their landmark; -1 takes no part."""
    rows = np.flatnonzero(labels != -1)
    _, landmark, counts = np.unique(labels[rows], return_inverse=True, return_counts=True)
    rows = rows[counts[landmark] > 1]  # a landmark with one photo says nothing
    rows = rows[np.argsort(labels[rows], kind="stable")]  # photos of one landmark stand together
    _, landmark, counts = np.unique(labels[rows], return_inverse=True, return_counts=True)
    means = np.zeros((len(counts), x.shape[1]))
    for those, block in _landmarks_and_blocks(x, rows, landmark):
        firsts = np.flatnonzero(np.diff(those, prepend=-1))  # where a landmark begins
        means[those[firsts]] += np.add.reduceat(block, firsts, axis=0)
    means /= counts[:, None]
    total = np.zeros((x.shape[1], x.shape[1]))
    for those, block in _landmarks_and_blocks(x, rows, landmark):
        away = block - means[those]
        total += away.T @ away
    return total / max(1, len(rows))


def _landmarks_and_blocks(
    x: FloatArray, rows: IntArray, landmark: IntArray
) -> Iterator[tuple[IntArray, NDArray[np.float64]]]:
    """Landmarks (n,) and vectors of length 1 (n, D) of some rows at a time."""
    step = _rows_of_a_block(x)
    for start in range(0, len(rows), step):
        block = slice(start, start + step)
        yield landmark[block], unit(x[rows[block]])


def _supervised_whitening(
    total: NDArray[np.float64], within: NDArray[np.float64], dim: int, shrinkage: float
) -> NDArray[np.float64]:
    """Rows (dim, D) that whiten what differs within landmarks, the strongest of all descriptors first."""
    values, vectors = np.linalg.eigh(within)
    if not values[-1] > _noise(values):
        raise ValueError(
            "whitening with labels needs landmarks with 2 different photos or more; here each has one"
        )
    if shrinkage == 0 and not values[0] > _noise(values):
        raise ValueError("shrinkage=0 needs more photos than dimensions, in landmarks with 2 and more")
    inverse_root = (vectors / np.sqrt(values.clip(min=0) + shrinkage * values[-1])) @ vectors.T
    strongest = np.linalg.eigh(inverse_root @ total @ inverse_root)[1][:, ::-1].T
    spread = np.asarray(np.linalg.eigvalsh(total), dtype=np.float64)
    kept = min(dim, int((spread > _noise(spread)).sum()))
    rows = np.zeros((dim, len(total)))
    rows[:kept] = _fixed_signs(strongest[:kept] @ inverse_root)
    return rows


def pca_whitening(covariance: NDArray[np.float64], dim: int, shrinkage: float) -> NDArray[np.float64]:
    """Rows of the PCA whitening of a covariance, strongest direction first.

    Args:
        covariance: Matrix (C, C).
        dim: Rows wanted; rows beyond the rank are zero.
        shrinkage: Added to the eigenvalues, relative to the largest.

    Returns:
        Matrix (dim, C). Signs are fixed: the largest entry of each row is positive.

    Raises:
        ValueError: If the covariance is zero.

    Examples:
        >>> pca_whitening(np.diag([1.0, 4.0]), dim=3, shrinkage=0.0)
        array([[0. , 0.5], [1. , 0. ], [0. , 0. ]])
    """
    values, vectors = np.linalg.eigh(covariance)  # ascending
    values, vectors = values[::-1], vectors[:, ::-1].T
    if not values[0] > len(values) * np.finfo(np.float64).eps:
        raise ValueError("all photos have the same features: whitening needs photos that differ")
    rank = int((values > _noise(values)).sum())
    kept = min(dim, rank)
    rows = np.zeros((dim, len(values)))
    rows[:kept] = _fixed_signs(vectors[:kept]) / np.sqrt(values[:kept, None] + shrinkage * values[0])
    return rows


def _noise(values: NDArray[np.float64]) -> float:
    """Size of eigenvalues that are rounding errors.

    Sums of unit vectors carry those of 1, not of the largest eigenvalue, which may be small.
    """
    return len(values) * float(np.finfo(np.float64).eps) * max(1.0, float(values.max()))


def _fixed_signs(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """Rows whose largest entry is positive: an eigenvector has no sign of its own."""
    largest = np.abs(rows).argmax(axis=1)
    return np.asarray(rows * np.sign(rows[np.arange(len(rows)), largest])[:, None])
