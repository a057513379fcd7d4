"""Whitening a neck without labels, so that ImageNet weights retrieve well before any training."""

from __future__ import annotations

from typing import get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F
from tqdm import tqdm

from landmarkzoo._utils.checks import check_count
from landmarkzoo.embedding.inference import evaluating, forward
from landmarkzoo.models import DescriptorModel
from landmarkzoo.models.rebuilding import normalize_pooled_features
from landmarkzoo.photos import photo_source
from landmarkzoo.photos.batches import OnError, Transform, photo_batches, transform_for
from landmarkzoo.photos.sources import Photos
from landmarkzoo.retrieval.whitening import pca_whitening


def whiten_neck(
    model: DescriptorModel,
    images: Photos,
    *,
    shrinkage: float = 1e-2,
    transform: Transform | None = None,
    batch_size: int = 32,
    num_workers: int = 0,
    device: str | torch.device | None = None,
    progress: bool = True,
    on_error: OnError = "raise",
) -> DescriptorModel:
    """Turn the neck into the PCA whitening of the pooled features of some photos. No labels needed.

    The pooled features are L2-normalised, here and from now on in the model (``normalize_pooled`` in its
    cfg). The Linear layer becomes ``(V / sqrt(e + shrinkage * e_max))^T (x - mean)``, where e are the largest
    eigenvalues of the features' covariance and V their eigenvectors. BatchNorm and activation become the
    identity. Directions that the photos do not span get rows of zeros. Returns the model; training can go on
    from there.

    Args:
        model: A model with a Linear neck; changed in place.
        images: A thousand photos or more, as ``landmarkzoo.embed`` takes them; not those that are
            searched.
        shrinkage: Added to the eigenvalues, relative to the largest one; more of it damps weak directions.
        transform: From an RGB PIL image to a tensor; ``create_transform(model)`` if ``None``.
        batch_size: Photos a forward pass.
        num_workers: Processes that read photos; 0: this process reads them.
        device: Where the model runs meanwhile; where it is if ``None``.
        progress: Show a progress bar on stderr.
        on_error: ``"raise"``, or ``"skip"`` to leave unreadable photos out.

    Raises:
        PhotoError: If a photo cannot be read and ``on_error`` is ``"raise"``.
        TypeError: If ``model`` is not a model of landmarkzoo.
        ValueError: If the neck has no Linear layer or an activation that cannot be the identity, or there are
            fewer than 2 different photos.

    Examples:
        >>> model = lz.create_model("efficientnet_lite0_gem", embedding_dim=8)
        >>> model = lz.whiten_neck(model, torch.randn(12, 3, 64, 64), progress=False)
        >>> model.cfg.args["normalize_pooled"]
        True
    """
    _check(model, shrinkage, on_error)
    source = photo_source(images, on_error=on_error)
    transform = transform_for(source, model, transform)
    options = {"batch_size": check_count(batch_size, "batch_size"), "num_workers": num_workers}
    moments = _Moments()

    def pooled_features(images: Tensor) -> Tensor:
        model.check_images(images)  # which only `forward` of a model does by itself
        return model.forward_pooled(images)

    bar = tqdm(total=len(source), desc="whiten", unit=" photos", disable=not progress)
    with bar, evaluating(model, device) as where:
        for batch in photo_batches(source, transform, **options):
            if batch.errors and on_error == "raise":
                raise batch.errors[0]
            if batch.images is not None:
                pooled = forward(pooled_features, batch.images, where, "float32", model.dtype)
                moments.add(F.normalize(pooled, dim=1).double().numpy())
            bar.update(len(batch))
    mean, covariance = moments.mean_and_covariance()
    weight = pca_whitening(covariance, min(model.embedding_dim, moments.rank()), shrinkage)
    _set_affine(model.neck, weight, -weight @ mean)
    normalize_pooled_features(model)
    return model


def _check(model: DescriptorModel, shrinkage: float, on_error: OnError) -> None:
    if not isinstance(model, DescriptorModel):
        raise TypeError(f"whiten_neck takes a landmarkzoo model, got {type(model).__name__}")
    if model.neck.kind == "none":
        raise ValueError("the neck 'none' has no Linear layer to whiten: create the model with 'fc-bn'")
    if model.neck.kind == "fc-silu":
        raise ValueError("the SiLU of the neck 'fc-silu' cannot be the identity: use 'fc-bn'")
    if not 0 <= shrinkage < float("inf"):
        raise ValueError(f"shrinkage must not be negative, got {shrinkage}")
    if on_error not in get_args(OnError):
        raise ValueError(f"on_error must be one of {get_args(OnError)}, got {on_error!r}")


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

    def rank(self) -> int:
        """Directions that so many rows can span at most, once their mean is taken off."""
        return self.count - 1


@torch.no_grad()
def _set_affine(neck: nn.Module, weight: NDArray[np.float64], bias: NDArray[np.float64]) -> None:
    """Make a neck the map ``x -> weight x + bias``: its other layers become the identity."""
    for layer in neck.children():
        if isinstance(layer, nn.Linear):
            layer.weight.zero_()[: len(weight)] = torch.from_numpy(weight)
            layer.bias.zero_()[: len(bias)] = torch.from_numpy(bias)
        elif isinstance(layer, nn.BatchNorm1d):
            layer.reset_running_stats()
            layer.running_var.fill_(1 - layer.eps)  # type: ignore[union-attr]
            layer.weight.fill_(1)
            layer.bias.zero_()
        elif isinstance(layer, nn.PReLU):
            layer.weight.fill_(1)
