"""Photos in batches: read, transformed and stacked, in order, with what could not be read."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from numbers import Integral
from types import TracebackType
from typing import Any, Literal, TypeAlias

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from landmarkzoo._utils.checks import check_count
from landmarkzoo.photos.photo_error import PhotoError, blame
from landmarkzoo.photos.pillow_settings import SettingsForWorkers
from landmarkzoo.photos.sources import PhotoSource
from landmarkzoo.photos.transforms import create_transform

Transform: TypeAlias = Callable[[Any], Tensor]
OnError = Literal["raise", "skip"]


@dataclass(frozen=True, eq=False)
class PhotoBatch:
    """One batch.

    Attributes:
        positions: Positions, in the source, of the photos that were read.
        images: Their stacked tensors (B, 3, H, W); ``None`` if no photo could be read.
        errors: Why the other photos could not be read.
    """

    positions: list[int]
    images: Tensor | None
    errors: list[PhotoError]

    def __len__(self) -> int:
        return len(self.positions) + len(self.errors)


def transform_for(source: PhotoSource, model: nn.Module, transform: Transform | None) -> Transform | None:
    """What the photos of a source go through: ``transform``, or else that of the model.

    Returns:
        A transform; ``None`` for float tensors, which are transformed already.

    Raises:
        TypeError: If there is a ``transform`` for float tensors, the model needs one and there is none, or it
            is no function.
    """
    if transform is not None and not callable(transform):
        raise TypeError(f"transform must be a function from an image to a tensor, got {transform!r}")
    if not source.is_transformed():
        return create_transform(model) if transform is None else transform
    if transform is not None:
        raise TypeError(
            "transform= is for photos, but these are float tensors, which are taken as transformed already: "
            "leave transform= out, or pass PIL images or uint8 tensors. A data set gives these without a "
            "transform of its own"
        )
    return None


def photo_batches(
    source: PhotoSource,
    transform: Transform | None,
    *,
    batch_size: int = 32,
    num_workers: int = 0,
    start: int = 0,
) -> Iterator[PhotoBatch]:
    """Batches of a source, in its order.

    Args:
        source: The photos.
        transform: From an RGB PIL image to a tensor; ``None`` for float tensors, transformed already.
        batch_size: Photos a batch.
        num_workers: Processes that read photos; 0: this process reads them.
        start: Position of the first photo.

    Raises:
        TypeError: If the transform does not give a tensor, or only some photos are transformed already.
        ValueError: If it gives tensors of different shapes, or a number is out of its range.

        Whatever the transform raises, with a note that names the photo. A ``PhotoError`` of it means that the
        photo cannot be read.
    """
    if not _is_count(num_workers):
        raise ValueError(f"num_workers must be 0 or a positive integer, got {num_workers!r}")
    batch_size = max(1, min(check_count(batch_size, "batch_size"), len(source) - start))
    loader = DataLoader(
        _TransformedPhotos(source, transform),
        batch_size=batch_size,
        sampler=range(start, len(source)),
        num_workers=min(num_workers, -(-(len(source) - start) // batch_size)),  # one a batch at most
        collate_fn=_collate,
        worker_init_fn=_be_quiet_at_the_end,
        generator=torch.Generator(),  # else the loader would draw from the user's global generator
    )
    yield from loader


def _be_quiet_at_the_end(worker: int) -> None:
    """In a worker process: no traceback if the job is stopped while a batch is handed over."""

    def show(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        if not issubclass(kind, ConnectionError):
            sys.__excepthook__(kind, error, trace)

    sys.excepthook = show


@dataclass(frozen=True, eq=False)
class _TransformedPhotos(Dataset[tuple[int, "Tensor | PhotoError"]]):
    source: PhotoSource
    transform: Transform | None
    settings: SettingsForWorkers = field(default_factory=SettingsForWorkers)

    def __len__(self) -> int:
        return len(self.source)

    def __getitem__(self, position: int) -> tuple[int, Tensor | PhotoError]:
        try:
            return position, self._image(position)
        except PhotoError as error:  # the caller decides whether it ends the job
            return position, error

    def _image(self, position: int) -> Tensor:
        id_, photo = self.source.ids[position], self.source.load(position)
        if isinstance(photo, Tensor) != (self.transform is None):
            raise TypeError(
                "some photos are float tensors, which are taken as transformed already, and some are not: "
                f"{id_} differs from the first. Embed them apart"
            )
        image = photo if self.transform is None else self._transformed(photo, id_)
        if not isinstance(image, Tensor):
            raise TypeError(f"the transform must give a tensor, got {type(image).__name__}")
        return image

    def _transformed(self, photo: Any, id_: str) -> Any:
        assert self.transform is not None
        try:
            return self.transform(photo)
        except PhotoError as error:
            raise PhotoError(id_, error.reason) from error
        except Exception as error:
            note = f"The transform failed on the photo {id_}. To leave such photos out, let it raise"
            blame(error, f'{note} landmarkzoo.PhotoError, and use on_error="skip".')
            raise


def _is_count(number: object) -> bool:
    return not isinstance(number, bool) and isinstance(number, Integral) and int(number) >= 0


def _collate(items: list[tuple[int, Tensor | PhotoError]]) -> PhotoBatch:
    errors = [item for _, item in items if isinstance(item, PhotoError)]
    images = [(position, item) for position, item in items if isinstance(item, Tensor)]
    shapes = {tuple(image.shape) for _, image in images}
    if len(shapes) > 1:
        raise ValueError(
            f"the transform gives images of different shapes in one batch: {sorted(shapes)}. Resize "
            "them to one size, or use batch_size=1"
        )
    stacked = torch.stack([image for _, image in images]) if images else None
    return PhotoBatch([position for position, _ in images], stacked, errors)
