"""What a call of ``finetune`` is about, once its arguments are checked."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from tqdm import tqdm

from landmarkzoo._utils.checks import IntArray
from landmarkzoo.finetuning.augmentation import sufficient_side
from landmarkzoo.finetuning.out_folder import Resume
from landmarkzoo.finetuning.photo_store import PhotoStore, Shrink, room_for_photos
from landmarkzoo.finetuning.processes import Processes
from landmarkzoo.finetuning.recipes import Recipe
from landmarkzoo.finetuning.splitting import Split
from landmarkzoo.finetuning.starting_models import StartingModel, fitting_size, identity_of
from landmarkzoo.finetuning.stop_signals import StopSignals
from landmarkzoo.finetuning.training_photos import share_of
from landmarkzoo.models import DescriptorModel
from landmarkzoo.photos import PhotoSource
from landmarkzoo.photos.worker_count import FEWEST, fitting_workers


@dataclass(frozen=True, eq=False)
class TrainingJob:
    """A call of ``finetune``.

    Attributes:
        start: What is trained.
        recipe: The settings; ``batch_size`` fits the photos.
        split: The photos.
        left_out: Ids that were excluded.
        out: The folder.
        resume: Whether to go on.
        processes: The processes that train together.
        stop: The signals that have come.
        num_workers: Processes that read photos; ``None``: as suits the machine.
        progress: Whether to show what happens.
    """

    start: StartingModel
    recipe: Recipe
    split: Split
    left_out: list[str]
    out: Path
    resume: Resume
    processes: Processes
    stop: StopSignals
    num_workers: int | None
    progress: bool

    @cached_property
    def call(self) -> dict[str, Any]:
        """What makes this call: a training is gone on with by the same one only. All processes must ask."""
        recipe = {**self.recipe.to_dict(), "model": identity_of(self.start)}
        call = {**recipe, **self.split.digest(), "processes": self.processes.count}
        as_in_a_file = json.loads(json.dumps(call))
        return dict(self.processes.of_first(as_in_a_file))

    @property
    def batches(self) -> int:
        """Steps of an epoch."""
        return len(self.split.train) // self.recipe.batch_size

    @property
    def shown(self) -> bool:
        """Whether this process shows what happens."""
        return self.progress and self.processes.rank == 0

    def say(self, text: str) -> None:
        """Tell the user."""
        if self.shown:
            tqdm.write(text, file=sys.stderr)

    @cached_property
    def rows(self) -> IntArray:
        """Rows of the photos that this process trains on."""
        processes = self.processes
        return share_of(len(self.split.train), self.recipe.seed, processes.rank, processes.count)

    def readers(self, photos: PhotoSource | PhotoStore, size: int) -> int:
        """Processes that read photos beside this one.

        Args:
            photos: What is read.
            size: Side of the images in pixels.
        """
        if self.num_workers is not None:
            return self.num_workers
        source = photos.source if isinstance(photos, PhotoStore) else photos
        in_memory = isinstance(photos, PhotoStore) and photos.is_whole
        if len(photos) < FEWEST or not (in_memory or _are_files(source)):
            return 0
        batch = 12 * size * size * self.recipe.batch_size
        return fitting_workers(self.processes.device, batch, self.processes.local_count)

    def photos_of_process(self, model: DescriptorModel) -> PhotoStore:
        """The photos that this process trains on, decoded once where memory allows."""
        size = fitting_size(model, self.recipe.image_size)
        source = self.split.train.source
        if len(self.rows) < len(source):
            source = source.take(self.rows.tolist())
        store = PhotoStore(source, Shrink(sufficient_side(self.recipe, size)))
        self.keep(store, max(size))
        return store

    def keep(self, store: PhotoStore, size: int) -> None:
        """Decode the photos of a store, as far as memory allows."""
        room = room_for_photos(self.processes.local_count)
        store.keep(room, self.readers(store, size), self.shown)


def _are_files(source: PhotoSource) -> bool:
    return isinstance(source.items, Sequence) and source.file(0) is not None
