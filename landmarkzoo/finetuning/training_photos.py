"""The photos of an epoch in batches: which one comes when, and how it looks, depends on numbers alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from landmarkzoo._utils.checks import IntArray
from landmarkzoo.finetuning.photo_loader import PhotoLoader
from landmarkzoo.finetuning.photo_store import PhotoStore
from landmarkzoo.photos.pillow_settings import SettingsForWorkers

_AUGMENTATION, STEP = range(2)  # streams of random numbers


@dataclass(eq=False)
class TrainingPhotos(Dataset[tuple[Tensor, int]]):
    """Augmented photos and labels. A photo looks the same whoever reads it, and different every epoch.

    Args:
        store: The photos of this process.
        labels: Label of each.
        transform: From a photo to a tensor (3, H, W); it draws from torch's generator.
        seed: Of all that is drawn.
        rank: Number of this process.
        batch_size: Photos of a batch of this process.
        batches: Batches of an epoch.
        epoch: The epoch.
    """

    store: PhotoStore
    labels: IntArray
    transform: Callable[[Any], Tensor]
    seed: int
    rank: int
    batch_size: int
    batches: int
    epoch: int = 0
    settings: SettingsForWorkers = field(default_factory=SettingsForWorkers)

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, position: int) -> tuple[Tensor, int]:
        photo = self.store.photo(position)
        seed_torch(_AUGMENTATION, self.seed, self.epoch, self.rank, position)
        return self.transform(photo), int(self.labels[position])

    def order(self) -> IntArray:
        """Positions of the epoch's photos (batches, photos); the rest waits for another epoch."""
        drawn = np.random.default_rng([self.seed, self.epoch, self.rank]).permutation(len(self))
        return drawn[: self.batches * self.batch_size].reshape(self.batches, self.batch_size)

    def loader(self, num_workers: int, pin_memory: bool, first: int = 0) -> PhotoLoader:
        """The batches of the epoch from the ``first`` on."""
        return PhotoLoader(
            self,
            batch_sampler=self.order()[first:].tolist(),
            num_workers=min(num_workers, self.batches - first),
            pin_memory=pin_memory,
            generator=torch.Generator(),  # else the loader would draw from the global one
        )


def seed_torch(*numbers: int) -> None:
    """Seed torch's generators by some numbers.

    Examples:
        >>> from landmarkzoo.finetuning.training_photos import seed_torch
        >>> seed_torch(0, 1)
        >>> first = torch.rand(1)
        >>> seed_torch(0, 1)
        >>> torch.equal(first, torch.rand(1))
        True
    """
    torch.manual_seed(int(np.random.SeedSequence(numbers).generate_state(1)[0]))


def share_of(rows: int, seed: int, rank: int, count: int) -> IntArray:
    """Rows of one of several processes, which decodes no others; all of them, in order, for a single one.

    Examples:
        >>> from landmarkzoo.finetuning.training_photos import share_of
        >>> sorted(np.concatenate([share_of(5, 0, rank, 2) for rank in range(2)]).tolist())
        [0, 1, 2, 3, 4]
    """
    if count == 1:
        return np.arange(rows)
    return np.sort(np.random.default_rng([seed, rows]).permutation(rows)[rank::count])
