"""Photos in batches: read, transformed and stacked, in order, with what could not be read.

Photos of one shape are stacked, so a batch has a group for each shape. Photos that may be of any size, from a
transform that keeps it, are read one by one, and a batch ends before it has many pixels: memory then does not
depend on how large the photos are, beyond the largest one.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from numbers import Integral
from types import TracebackType
from typing import Any, Literal, TypeAlias

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from landmarkzoo._utils.checks import check_count
from landmarkzoo.photos.photo_error import PhotoError, blame
from landmarkzoo.photos.pillow_settings import SettingsForWorkers
from landmarkzoo.photos.resizing import size_text
from landmarkzoo.photos.sources import PhotoSource
from landmarkzoo.photos.transforms import create_transform

Transform: TypeAlias = Callable[[Any], Tensor]
OnError = Literal["raise", "skip"]
_Item: TypeAlias = "tuple[int, Tensor | PhotoError]"  # a photo with its position


# Pixels that a photo of usual size has, for which `batch_size` is meant.
_USUAL_PIXELS = 1024 * 1024
# So many usual photos keep a GPU busy; where photos may have any size, there are no more in a batch.
_MANY_USUAL = 8
# Each photo that comes from a worker process holds an open file, of which 1,024 may be allowed.
_MOST_AHEAD = 128


@dataclass(frozen=True, eq=False)
class PhotoGroup:
    """Photos of one shape.

    Attributes:
        positions: Their positions in the source.
        images: Their stacked tensors (B, 3, H, W).
    """

    positions: list[int]
    images: Tensor


@dataclass(frozen=True, eq=False)
class PhotoBatch:
    """One batch.

    Attributes:
        groups: The photos that were read, those of each shape apart.
        errors: Why the other photos could not be read.
    """

    groups: list[PhotoGroup]
    errors: list[PhotoError]

    def __len__(self) -> int:
        return len(self.positions) + len(self.errors)

    @property
    def positions(self) -> list[int]:
        """Positions, in the source, of the photos that were read; in order."""
        return sorted(position for group in self.groups for position in group.positions)

    def map(self, function: Callable[[Tensor], Tensor]) -> Tensor | None:
        """Apply a function (B, 3, H, W) -> (B, D) to each group.

        Returns:
            Its rows in the order of ``positions``; ``None`` if no photo could be read.

        Raises:
            ValueError: If D depends on the shape.
        """
        parts = [function(group.images) for group in self.groups]
        if len(parts) < 2:
            return parts[0] if parts else None
        dims = {part.shape[1]: tuple(group.images.shape[1:]) for group, part in zip(self.groups, parts)}
        if len(dims) > 1:
            given = ", ".join(f"{dim} numbers for an image {shape}" for dim, shape in dims.items())
            raise ValueError(
                f"the model gives vectors of other sizes for other sizes of images, {given}: it must pool "
                "its maps, or the transform resize all photos to one size"
            )
        positions = torch.tensor([position for group in self.groups for position in group.positions])
        return torch.cat(parts)[positions.argsort()]


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

    A batch has ``batch_size`` photos. Where photos may have any size, they are read one by one, and a batch
    is full as soon as it has as many pixels as 8 photos of 1024 x 1024, or, with a transform of the user's,
    as ``batch_size`` of these. Worker processes then read a few photos ahead, not whole batches.

    Args:
        source: The photos.
        transform: From an RGB PIL image to a tensor; ``None`` for float tensors, transformed already.
        batch_size: Photos a batch at most.
        num_workers: Processes that read photos; 0: this process reads them.
        start: Position of the first photo.

    Raises:
        TypeError: If the transform does not give a tensor, or only some photos are transformed already.
        ValueError: If a number is out of its range.

        Whatever the transform raises, with a note that names the photo. A ``PhotoError`` of it means that the
        photo cannot be read.
    """
    if not _is_count(num_workers):
        raise ValueError(f"num_workers must be 0 or a positive integer, got {num_workers!r}")
    count = len(source) - start
    most = check_count(batch_size, "batch_size")
    batch_size = max(1, min(most, count))
    size = size_text(transform)
    keeps_large = size is not None and size.startswith(("shortest", "original"))
    photos = _TransformedPhotos(source, transform)
    options: dict[str, Any] = {
        "sampler": range(start, len(source)),
        "worker_init_fn": _be_quiet_at_the_end,
        "generator": torch.Generator(),  # else the loader would draw from the user's global generator
    }
    if isinstance(source.items, Tensor) or (size is not None and not keeps_large):
        workers = min(num_workers, -(-count // batch_size))  # one a batch at most
        yield from DataLoader(
            photos, batch_size=batch_size, num_workers=workers, collate_fn=_collate, **options
        )
    else:
        usual = min(most, _MANY_USUAL) if keeps_large else most
        items = iter(_one_by_one(photos, min(num_workers, count), usual, options))
        next_batch = partial(_next_batch, items, batch_size, usual * _USUAL_PIXELS)
        yield from iter(next_batch, None)  # which holds no batch while the next one is read


def _one_by_one(
    photos: Dataset[_Item], workers: int, usual: int, options: dict[str, Any]
) -> DataLoader[_Item]:
    ahead = None if workers == 0 else max(2, min(usual, _MOST_AHEAD) // workers)  # photos of a worker
    return DataLoader(
        photos, batch_size=None, num_workers=workers, prefetch_factor=ahead, collate_fn=_same, **options
    )


def _next_batch(items: Iterator[_Item], batch_size: int, pixels: int) -> PhotoBatch | None:
    """Photos as they come in, up to so many photos or pixels; ``None`` after the last one."""
    batch: list[_Item] = []
    for position, item in items:
        if isinstance(item, Tensor):
            pixels -= item.numel() // 3
            # A copy lets go of the file that is shared with a worker process.
            item = item.clone() if item.is_shared() else item  # type: ignore[no-untyped-call]
        batch.append((position, item))
        if len(batch) == batch_size or pixels <= 0:
            break
    return _collate(batch) if batch else None


def _same(item: Any) -> Any:
    return item


def _be_quiet_at_the_end(worker: int) -> None:
    """In a worker process: no traceback if the job is stopped while a batch is handed over."""

    def show(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        if not issubclass(kind, ConnectionError):
            sys.__excepthook__(kind, error, trace)

    sys.excepthook = show


@dataclass(frozen=True, eq=False)
class _TransformedPhotos(Dataset[_Item]):
    source: PhotoSource
    transform: Transform | None
    settings: SettingsForWorkers = field(default_factory=SettingsForWorkers)

    def __len__(self) -> int:
        return len(self.source)

    def __getitem__(self, position: int) -> _Item:
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


def _collate(items: list[_Item]) -> PhotoBatch:
    """Stack photos of equal shape; groups in the order of their first photos."""
    groups: dict[tuple[int, ...], list[tuple[int, Tensor]]] = {}
    for position, item in items:
        if isinstance(item, Tensor):
            groups.setdefault(tuple(item.shape), []).append((position, item))
    return PhotoBatch(
        [PhotoGroup([p for p, _ in group], torch.stack([i for _, i in group])) for group in groups.values()],
        [item for _, item in items if isinstance(item, PhotoError)],
    )
