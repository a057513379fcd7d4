"""Photos that are decoded once and kept, as far as memory allows; the others are read each time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset
from torchvision.transforms import v2
from tqdm import tqdm

from landmarkzoo.finetuning.photo_loader import PhotoLoader
from landmarkzoo.photos import PhotoSource
from landmarkzoo.photos.pillow_settings import SettingsForWorkers

SHARE = 0.5  # of the memory that is free, for photos that are kept
_UNKNOWN = 2**31  # bytes that are taken to be free where the system does not say


def shrunk(photo: Image.Image, side: int) -> Image.Image:
    """A photo whose shorter side is at most ``side``; one that is smaller stays as it is.

    Examples:
        >>> from PIL import Image
        >>> from landmarkzoo.finetuning.photo_store import shrunk
        >>> shrunk(Image.new("RGB", (1600, 1200)), 300).size, shrunk(Image.new("RGB", (90, 60)), 300).size
        ((400, 300), (90, 60))
    """
    if min(photo.size) <= side:
        return photo
    resized: Image.Image = v2.functional.resize(
        photo, [side], interpolation=v2.InterpolationMode.BICUBIC, antialias=True
    )
    return resized


@dataclass(frozen=True)
class Shrink:
    """``shrunk`` to a side, for processes that read."""

    side: int

    def __call__(self, photo: Image.Image) -> Image.Image:
        """A photo as ``shrunk`` gives it."""
        return shrunk(photo, self.side)


@dataclass(eq=False)
class PhotoStore(Dataset[Tensor]):
    """The photos of a source at the size that is needed of them, decoded once where there is room.

    It is a data set with ids, whose ``photo`` is what ``lz.embed`` reads; an item is a uint8 tensor
    (H, W, 3).

    Args:
        source: The photos.
        resize: From an RGB image to the one that is kept.
        kept: Pixels (H, W, 3) by position.
        settings: Of Pillow, for processes that read.
    """

    source: PhotoSource
    resize: Callable[[Image.Image], Image.Image]
    kept: dict[int, NDArray[np.uint8]] = field(default_factory=dict)
    settings: SettingsForWorkers = field(default_factory=SettingsForWorkers)

    @property
    def ids(self) -> list[str]:
        """Ids of the photos."""
        return self.source.ids

    def __len__(self) -> int:
        return len(self.source)

    def __getitem__(self, position: int) -> Tensor:
        return torch.from_numpy(np.array(self.photo(position)))

    def photo(self, position: int) -> Image.Image:
        """A photo, from memory or read.

        Raises:
            PhotoError: If it cannot be read.
            TypeError: If it is a float tensor, of which no crops can be taken.
        """
        if position in self.kept:
            return Image.fromarray(self.kept[position])
        photo = self.source.load(position)
        if isinstance(photo, Tensor):
            raise TypeError(
                f"the photo {self.ids[position]} is a float tensor, transformed already: finetune takes "
                "photos, of which it cuts crops. A data set gives them without a transform of its own"
            )
        return self.resize(photo)

    def keep(self, room: int, num_workers: int, progress: bool) -> None:
        """Read photos, and keep them until they fill ``room`` bytes."""
        loader = PhotoLoader(self, batch_size=None, num_workers=num_workers, generator=torch.Generator())
        used = 0
        bar = tqdm(loader, "read", unit=" photos", disable=not progress)
        for position, pixels in enumerate(bar):
            used += pixels.nbytes
            if used > room:
                bar.close()
                return
            self.kept[position] = pixels.numpy().copy()  # not in the memory that is shared with a process

    def take(self, positions: Sequence[int]) -> PhotoStore:
        """Some of the photos; those that are kept are shared."""
        kept = {row: self.kept[place] for row, place in enumerate(positions) if place in self.kept}
        return replace(self, source=self.source.take(positions), kept=kept)

    @property
    def is_whole(self) -> bool:
        """Whether all photos are in memory."""
        return len(self.kept) == len(self)


def room_for_photos(processes: int = 1) -> int:
    """Bytes that one of several processes on this machine may fill with photos.

    A half of the memory that is free, of the machine or of the container.
    """
    return int(SHARE * _free_memory() / processes)


def _free_memory() -> int:
    """Bytes that this process can still take."""
    found = []
    with suppress(OSError):
        found.append(_available(Path("/proc/meminfo").read_text()))
    group = Path("/sys/fs/cgroup")
    limit, used = (_number(group / name) for name in ("memory.max", "memory.current"))
    if limit is not None and used is not None:
        found.append(max(limit - used, 0))
    return min(found, default=_UNKNOWN)


def _available(text: str) -> int:
    for line in text.splitlines():
        name, _, rest = line.partition(":")
        if name == "MemAvailable":
            return 1024 * int(rest.split()[0])
    return _UNKNOWN


def _number(path: Path) -> int | None:
    try:
        return int(path.read_text())
    except (OSError, ValueError):  # no such group, or "max"
        return None
