"""Whitening a neck without labels, so that ImageNet weights retrieve well before any training."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional as F
from tqdm import tqdm

from landmarkzoo.data import create_transform, photo_source
from landmarkzoo.data.sources import Photos
from landmarkzoo.embedding.batches import photo_batches
from landmarkzoo.embedding.inference import evaluating, forward
from landmarkzoo.models import DescriptorModel
from landmarkzoo.retrieval.arrays import check_count


def whiten_neck(
    model: DescriptorModel,
    images: Photos,
    *,
    shrinkage: float = 1e-2,
    batch_size: int = 32,
    num_workers: int = 0,
    progress: bool = True,
) -> DescriptorModel:
    """Turn the neck into the PCA whitening of the pooled features of some photos. No labels needed.

    The pooled features are L2-normalised, here and from now on in the model (``normalize_pooled`` in its
    cfg). The Linear layer becomes ``(V / sqrt(e + shrinkage * e_max))^T (x - mean)`` with the largest
    eigenvalues e of their covariance, BatchNorm and activation the identity. Directions that the photos do
    not span get rows of zeros. Training can go on from there.

    Args:
        model: A model with a Linear neck; changed in place.
        images: Some hundreds of photos or more, as :func:`landmarkzoo.embed` takes them.
        shrinkage: Added to the eigenvalues, relative to the largest one; more of it damps weak directions.
        batch_size: Photos a forward pass.
        num_workers: Processes that read photos.
        progress: Show a progress bar on stderr.

    Returns:
        The same model.

    Raises:
        PhotoError: If a photo cannot be read.
        TypeError: If the model is none of landmarkzoo.
        ValueError: If the neck has no Linear layer or its activation cannot be the identity, the
            shrinkage is negative, or there are fewer than 2 different photos.

    Example:
        >>> model = lz.create_model("efficientnet_lite0_gem", embedding_dim=8)
        >>> model = lz.whiten_neck(model, torch.randn(12, 3, 64, 64), progress=False)
        >>> model.cfg.args["normalize_pooled"]
        True
    """
    if not isinstance(model, DescriptorModel):
        raise TypeError(f"whiten_neck takes a landmarkzoo model, got {type(model).__name__}")
    if model.neck.kind == "none":
        raise ValueError("the neck 'none' has no Linear layer to whiten: create the model with 'fc-bn'")
    if model.neck.kind == "fc-silu":
        raise ValueError("the SiLU of the neck 'fc-silu' cannot be the identity: use 'fc-bn'")
    if not 0 <= shrinkage < float("inf"):
        raise ValueError(f"shrinkage must not be negative, got {shrinkage}")
    source = photo_source(images)
    batches = photo_batches(
        source,
        create_transform(model),
        batch_size=check_count(batch_size, "batch_size"),
        num_workers=num_workers,
    )
    moments = _Moments()
    bar = tqdm(total=len(source), desc="whiten", unit=" photos", disable=not progress)
    with bar, evaluating(model) as device:
        for batch in batches:
            if batch.errors:
                raise batch.errors[0]
            assert batch.images is not None
            pooled = forward(model.forward_pooled, batch.images, device, "float32")
            moments.add(F.normalize(pooled, dim=1).double().numpy())
            bar.update(len(batch))
    mean, covariance = moments.mean_and_covariance()
    weight = pca_whitening(covariance, model.embedding_dim, shrinkage)
    _set_affine(model.neck, weight, -weight @ mean)
    model.cfg = replace(model.cfg, args={**model.cfg.args, "normalize_pooled": True})
    return model


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

    Example:
        >>> pca_whitening(np.diag([1.0, 4.0]), dim=3, shrinkage=0.0)
        array([[0. , 0.5], [1. , 0. ], [0. , 0. ]])
    """
    values, vectors = np.linalg.eigh(covariance)  # ascending
    values, vectors = values[::-1], vectors[:, ::-1].T
    if not values[0] > 0:
        raise ValueError("all photos have the same features: whitening needs photos that differ")
    rank = int((values > values[0] * len(values) * np.finfo(np.float64).eps).sum())
    kept = min(dim, rank)
    largest = np.abs(vectors[:kept]).argmax(axis=1)
    signs = np.sign(vectors[np.arange(kept), largest])
    scales = signs / np.sqrt(values[:kept] + shrinkage * values[0])
    rows = np.zeros((dim, len(values)))
    rows[:kept] = vectors[:kept] * scales[:, None]
    return rows


class _Moments:
    """Mean and covariance of rows as they come in, in float64."""

    def __init__(self) -> None:
        self.count = 0
        self.sum: NDArray[np.float64] | float = 0.0
        self.outer: NDArray[np.float64] | float = 0.0

    def add(self, rows: NDArray[np.float64]) -> None:
        self.count += len(rows)
        self.sum = self.sum + rows.sum(axis=0)
        self.outer = self.outer + rows.T @ rows

    def mean_and_covariance(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        if self.count < 2:
            raise ValueError(f"whitening needs at least 2 photos, got {self.count}")
        mean = np.asarray(self.sum) / self.count
        return mean, np.asarray(self.outer) / self.count - np.outer(mean, mean)


@torch.no_grad()
def _set_affine(neck: nn.Module, weight: NDArray[np.float64], bias: NDArray[np.float64]) -> None:
    """Make a neck the map ``x -> weight x/|x| + bias``: its other layers become the identity."""
    neck.normalize_input = True  # type: ignore[assignment]
    for layer in neck.children():
        if isinstance(layer, nn.Linear):
            layer.weight.copy_(torch.from_numpy(weight))
            layer.bias.copy_(torch.from_numpy(bias))
        elif isinstance(layer, nn.BatchNorm1d):
            layer.reset_running_stats()
            layer.running_var.fill_(1 - layer.eps)  # type: ignore[union-attr]
            layer.weight.fill_(1)
            layer.bias.zero_()
        elif isinstance(layer, nn.PReLU):
            layer.weight.fill_(1)
