"""The model of an index, ready and warm: photos get descriptors like those that are there."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, get_args

import numpy as np
import torch
from torch import nn

from landmarkzoo._utils.checks import FloatArray, check_count
from landmarkzoo.embedding.alike import check_alike, options_like
from landmarkzoo.embedding.fingerprints import weights_fingerprint
from landmarkzoo.embedding.inference import Inference, Precision, inference_with
from landmarkzoo.embedding.long_jobs import ready_for_many
from landmarkzoo.embedding.provenance import provenance_of
from landmarkzoo.embedding.tta import TestTimeAugmentation, embedded
from landmarkzoo.hub.loading import LOCAL, is_saved
from landmarkzoo.hub.mixin import HubMixin
from landmarkzoo.models import ModelCfg, create_model
from landmarkzoo.models.wrappers import unwrapped
from landmarkzoo.photos import PhotoSource
from landmarkzoo.photos.batches import PhotoBatch, Transform, photo_batches, transform_for
from landmarkzoo.photos.worker_count import workers_for
from landmarkzoo.retrieval import Descriptors

MODEL = "model"  # folder of an index, for a model that has no name
_COSINE = "precision_cosine"
_NO_PHOTOS = PhotoSource([], [])
_logger = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class PhotoEmbedder:
    """A model with all that makes the descriptors of an index.

    Attributes:
        model: The model as it was given.
        run: What computes the descriptors that are added, if there are few: it shares the weights.
        transform: What photos go through.
        views: Scales and mirrors.
        provenance: That of the descriptors.
        batch_size: Photos a forward pass at most.
    """

    model: nn.Module
    run: Inference
    transform: Transform | None
    views: TestTimeAugmentation
    provenance: Mapping[str, str]
    batch_size: int

    @cached_property
    def _run_of_many(self) -> Inference:
        """What computes the descriptors that are added: the same for few and for many, so the same bits."""
        run = inference_with(self.model, self.run.device, _precision_of(self.run))
        weights = self.provenance["weights"]
        return ready_for_many(run, self.model, self.transform, weights, choose=False)[0]

    @cached_property
    def _run_of_queries(self) -> Inference:
        """What computes queries: in float32, if the index is in bfloat16 that was chosen as it is as good."""
        if _COSINE not in self.provenance:
            return self.run
        return inference_with(self.model, self.run.device, "float32")

    def embedded(
        self, source: PhotoSource, num_workers: int | None
    ) -> Iterator[tuple[PhotoBatch, FloatArray | None]]:
        """Batches of photos for the index, cut by position, with the descriptors of what could be read."""
        if num_workers is None:
            num_workers = workers_for(source, self.transform, self.batch_size, self.run.device)
        batches = self._batches(source, num_workers)
        for batch, vectors in embedded(batches, self._run_of_many, self.views):
            yield batch, None if vectors is None else vectors.numpy()

    def embed(self, source: PhotoSource) -> Descriptors:
        """Descriptors of queries.

        Raises:
            PhotoError: If one cannot be read.
            ValueError: If the model gives NaN.
        """
        found: list[FloatArray] = []
        run = self._run_of_queries
        for batch, vectors in embedded(self._batches(source), run, self.views):
            if batch.errors:
                raise batch.errors[0]
            found += [] if vectors is None else [vectors.numpy()]
        provenance = {key: text for key, text in self.provenance.items() if key != _COSINE}
        provenance |= {"precision": run.precision} | ({} if source.named else {"ids": "running numbers"})
        return Descriptors(source.ids, np.concatenate(found), provenance=provenance)

    def _batches(self, source: PhotoSource, num_workers: int = 0) -> Iterator[PhotoBatch]:
        return photo_batches(source, self.transform, batch_size=self.batch_size, num_workers=num_workers)

    def check_unchanged(self) -> None:
        """Raise ValueError if the model was trained since it was given: descriptors would not be alike."""
        if weights_fingerprint(self.model) != self.provenance["weights"]:
            raise ValueError(
                "the weights of the model have changed since the index was opened: an index is of one model"
            )


def new_embedder(
    model: nn.Module,
    *,
    transform: Transform | None,
    scales: Sequence[float] | None,
    flip: bool | None,
    precision: Precision,
    batch_size: int,
    device: str | torch.device | None,
) -> PhotoEmbedder:
    """What embeds photos for a new index; see ``lz.embed`` for the arguments and errors."""
    views = TestTimeAugmentation.of_model(model, scales, flip)
    run = inference_with(model, device, precision)
    transform = transform_for(_NO_PHOTOS, model, transform)
    origin = provenance_of(model, _NO_PHOTOS, transform, views=views, precision=run.precision)
    if precision == "auto":  # decided once, as if there were many photos
        chosen, changed = ready_for_many(run, model, transform, origin["weights"], choose=True)
        run, origin = inference_with(model, device, _precision_of(chosen)), {**origin, **changed}
    return PhotoEmbedder(model, run, transform, views, origin, check_count(batch_size, "batch_size"))


def embedder_like(
    index: Descriptors,
    options: Mapping[str, Any],
    model: nn.Module,
    *,
    transform: Transform | None,
    device: str | torch.device | None,
) -> PhotoEmbedder:
    """What embeds photos as those of an index were.

    Args:
        index: Descriptors of the index.
        options: Those of its manifest.
        model: The model of the index.
        transform: Its transform, if that was not made by ``create_transform``.
        device: Where to run; where the model is if ``None``.

    Raises:
        ValueError: If the model or the transform is another one, or it is not known what the index is of.
    """
    if "weights" not in index.provenance:
        raise ValueError(
            "the index does not say what model its descriptors come from, so no photos can be embedded for "
            "it: use descriptors, or make it by lz.Index.create(folder, model)"
        )
    precision: Precision = options.get("precision", "auto")
    transform, views, precision = options_like(
        index, model, _NO_PHOTOS, transform=transform, scales=None, flip=None, precision=precision
    )
    run = inference_with(model, device, "auto")
    if precision != "auto" and (precision != "float16" or run.device.type == "cuda"):
        run = inference_with(model, device, precision)
    transform = transform_for(_NO_PHOTOS, model, transform)
    origin = provenance_of(model, _NO_PHOTOS, transform, views=views, precision=run.precision)
    check_alike(origin, index.provenance, "model=")
    if run.precision == "bfloat16" and _COSINE in index.provenance:
        origin[_COSINE] = index.provenance[_COSINE]
    return PhotoEmbedder(model, run, transform, views, origin, options.get("batch_size", 32))


def named_options(embedder: PhotoEmbedder, name: str | Path | None, folder: Path) -> dict[str, Any]:
    """Options for the manifest of an index; a model that has no name is saved in its folder.

    Args:
        embedder: What embeds the photos.
        name: The name that ``create_model`` was called with, where it is known.
        folder: That of the index.

    Raises:
        OSError: If the model cannot be saved.
    """
    if isinstance(name, Path):
        name = f"{LOCAL}{name}"
    if name is not None and name.startswith(LOCAL):
        name = f"{LOCAL}{Path(name.removeprefix(LOCAL)).expanduser().absolute()}"
    return {
        "precision": _precision_of(embedder.run),
        "batch_size": embedder.batch_size,
        "model": name or _known_name(embedder) or _saved_beside(embedder.model, folder),
    }


def load_model(name: str | Path, **options: Any) -> nn.Module:
    """A model by the name that stands in a manifest."""
    return create_model(name, pretrained=not is_saved(name), **options)


def rebuilt_model(folder: Path, options: Mapping[str, Any], weights: str | None) -> nn.Module:
    """The model of an index, from its name or from the folder that it was saved in.

    Raises:
        FileNotFoundError: If it is gone.
        ValueError: If the index does not know it, or what has this name now has other weights.
    """
    name = options.get("model")
    if name is None:
        raise ValueError(
            f"the index {folder} needs its model to embed photos: lz.Index.open(folder, model=model)"
        )
    model = load_model(folder / MODEL if name == f"{LOCAL}{MODEL}" else name)
    found = weights_fingerprint(model)
    if found != weights:
        raise ValueError(
            f"the index {folder} is of weights {weights}, and {name} now has {found}: pass the model that it "
            "was made with, lz.Index.open(folder, model=model)"
        )
    return model


def _precision_of(run: Inference) -> Precision:
    precision: Any = run.precision
    return precision if precision in get_args(Precision) else "auto"  # float64, of a model of that type


def _known_name(embedder: PhotoEmbedder) -> str | None:
    """The name of a published model whose weights these are, if it is in the cache."""
    cfg = getattr(unwrapped(embedder.model), "cfg", None)
    if not isinstance(cfg, ModelCfg) or cfg.name is None or cfg.weights is None:
        return None
    try:
        again = load_model(cfg.name, local_files_only=True)
    except (OSError, ValueError):
        return None
    return cfg.name if weights_fingerprint(again) == embedder.provenance["weights"] else None


def _saved_beside(model: nn.Module, folder: Path) -> str | None:
    inner = unwrapped(model)
    if not isinstance(inner, HubMixin):
        return None
    try:
        inner.save_pretrained(folder / MODEL)
    except (TypeError, ValueError) as error:
        _logger.warning("the model of the index %s is to be given whenever it is opened: %s", folder, error)
        return None
    size = sum(path.stat().st_size for path in (folder / MODEL).iterdir())
    _logger.info("%s: the model has no name, so it is saved there, %.0f MB", folder / MODEL, size / 1e6)
    return f"{LOCAL}{MODEL}"
