"""Whitening a neck without labels, so that ImageNet weights retrieve well before any training."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import TypeVar, cast, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F
from tqdm import tqdm

from landmarkzoo._utils.checks import check_count
from landmarkzoo._utils.user_warnings import warn_user
from landmarkzoo.embedding.inference import inference_with
from landmarkzoo.models import DescriptorModel
from landmarkzoo.models.rebuilding import normalize_pooled_features
from landmarkzoo.models.wrappers import unwrapped
from landmarkzoo.photos import photo_source
from landmarkzoo.photos.batches import OnError, Transform, photo_batches, transform_for
from landmarkzoo.photos.sources import Photos
from landmarkzoo.photos.worker_count import workers_for
from landmarkzoo.retrieval.whitening import pca_whitening

Model = TypeVar("Model", bound=nn.Module)

# Of two threads that whiten one model, one writes all of its neck, and then the other.
_WRITING = threading.Lock()


def whiten_neck(
    model: Model,
    images: Photos,
    *,
    shrinkage: float = 1e-2,
    transform: Transform | None = None,
    batch_size: int = 32,
    num_workers: int | None = None,
    device: str | torch.device | None = None,
    progress: bool = True,
    on_error: OnError = "raise",
) -> Model:
    """Turn the neck into the PCA whitening of the pooled features of some photos. No labels needed.

    The pooled features are L2-normalised, here and from now on in the model (``normalize_pooled`` in its
    cfg). The Linear layer becomes ``(V / sqrt(e + shrinkage * e_max))^T (x - mean)``, where e are the largest
    eigenvalues of the features' covariance and V their eigenvectors. BatchNorm and activation become the
    identity. Directions that the photos do not span get rows of zeros, with a warning. Returns the model;
    training can go on from there. Features are computed in float32, in eval mode; the model is left in its
    mode and place. Its weights change at the end: do not search meanwhile with an older index. What a trained
    neck has learned is lost, and scores in the cfg are then ``of_paper``, as they are of other weights.

    Args:
        model: A model with a Linear neck, also inside ``torch.compile``, ``DataParallel`` or
            ``DistributedDataParallel``; changed in place.
        images: A thousand photos or more, as ``landmarkzoo.embed`` takes them; not those that are
            searched.
        shrinkage: Added to the eigenvalues, relative to the largest one, from 0 to 1; more of it damps weak
            directions.
        transform: From an RGB PIL image to a tensor; ``create_transform(model)`` if ``None``.
        batch_size: Photos a forward pass.
        num_workers: Processes that read photos; 0: this process reads them; ``None``: as in ``embed``.
        device: Where to run; where the model is if ``None``. Elsewhere a copy of the model runs.
        progress: Show a progress bar on stderr.
        on_error: ``"raise"``, or ``"skip"`` to leave unreadable photos out.

    Raises:
        PhotoError: If a photo cannot be read and ``on_error`` is ``"raise"``.
        TypeError: If ``model`` is not a model of landmarkzoo.
        ValueError: If the neck has no Linear layer or an activation that cannot be the identity, there are
            fewer than 2 different photos, or the features of a photo are not finite.

    Examples:
        >>> model = lz.create_model("efficientnet_lite0_gem", embedding_dim=8)
        >>> model = lz.whiten_neck(model, torch.randn(12, 3, 64, 64), progress=False)
        >>> model.cfg.args["normalize_pooled"]
        True
    """
    inner = _checked(model, shrinkage, on_error)
    source = photo_source(images, on_error=on_error)
    transform = transform_for(source, model, transform)
    batch_size = check_count(batch_size, "batch_size")
    run = inference_with(model, device, "auto" if inner.dtype == torch.float64 else "float32")
    if num_workers is None:
        num_workers = workers_for(source, transform, batch_size, run.device)
    running = cast("DescriptorModel", unwrapped(run.model))
    moments = _Moments()

    def forward_pooled(images: Tensor) -> Tensor:
        running.check_images(images)  # which only `forward` of a model does by itself
        return running.forward_pooled(images)

    def pooled_features(images: Tensor) -> Tensor:
        return F.normalize(run(images, forward_pooled).cpu(), dim=1)

    with tqdm(total=len(source), desc="whiten", unit=" photos", disable=not progress) as bar:
        for batch in photo_batches(source, transform, batch_size=batch_size, num_workers=num_workers):
            if batch.errors and on_error == "raise":
                raise batch.errors[0]
            pooled = batch.map(pooled_features)
            if pooled is not None:
                _check_finite(pooled, [source.ids[position] for position in batch.positions])
                moments.add(pooled.double().numpy())
            bar.update(len(batch))
    mean, covariance = moments.mean_and_covariance()
    weight = pca_whitening(covariance, min(inner.embedding_dim, moments.rank()), shrinkage)
    rank = int(weight.any(axis=1).sum())
    if rank < inner.embedding_dim:
        warn_user(
            f"whitening from {moments.count} photos fills {rank} of the {inner.embedding_dim} dimensions, "
            "the others are zero: use more photos, best a thousand or more, or create the model with "
            f"embedding_dim={rank}"
        )
    with _WRITING, torch.inference_mode(False), torch.no_grad():
        normalize_pooled_features(inner)
        _set_affine(inner.neck, weight, -weight @ mean)
    # Published scores are those of another neck.
    scores = tuple(replace(score, of_paper=True) for score in inner.cfg.scores)
    inner.cfg = replace(inner.cfg, scores=scores)
    return model


def _checked(model: nn.Module, shrinkage: float, on_error: OnError) -> DescriptorModel:
    inner = unwrapped(model) if isinstance(model, nn.Module) else model
    if not isinstance(inner, DescriptorModel):
        raise TypeError(f"whiten_neck takes a landmarkzoo model, got {type(inner).__name__}")
    if inner.neck.kind == "none":
        raise ValueError("the neck 'none' has no Linear layer to whiten: create the model with 'fc-bn'")
    if inner.neck.kind == "fc-silu":
        raise ValueError("the SiLU of the neck 'fc-silu' cannot be the identity: use 'fc-bn'")
    if any(p.dtype == torch.bfloat16 for p in inner.neck.parameters()):
        raise ValueError(
            "bfloat16 is too coarse for a whitened neck, whose results would be noise: call model.float() "
            "first; lz.embed(model, photos, precision='bfloat16') is fast as well"
        )
    if not 0 <= shrinkage <= 1:
        raise ValueError(
            f"shrinkage must be from 0 to 1, a fraction of the largest eigenvalue, got {shrinkage}"
        )
    if on_error not in get_args(OnError):
        raise ValueError(f"on_error must be one of {get_args(OnError)}, got {on_error!r}")
    return inner


def _check_finite(vectors: Tensor, ids: list[str]) -> None:
    bad = torch.nonzero(~torch.isfinite(vectors).all(dim=1))
    if len(bad):
        raise ValueError(f"the model gives NaN or infinite values for the photo {ids[int(bad[0])]}")


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
