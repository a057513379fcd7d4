"""What ``finetune`` does, from the first photo to the last file."""

from __future__ import annotations

import json
import sys
import time
from contextlib import ExitStack, nullcontext
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from landmarkzoo.evaluation import Evaluation
from landmarkzoo.finetuning import checkpoints
from landmarkzoo.finetuning.augmentation import sufficient_side, training_augmentation
from landmarkzoo.finetuning.out_folder import Resume, state_of, written_folder
from landmarkzoo.finetuning.photo_store import PhotoStore, room_for_photos, shrunk
from landmarkzoo.finetuning.processes import Processes
from landmarkzoo.finetuning.recipes import Recipe
from landmarkzoo.finetuning.results import (
    FinetuneResult,
    evaluation_of,
    finished_result,
    versions,
    with_scores,
    write_card,
    write_training,
)
from landmarkzoo.finetuning.splitting import Split
from landmarkzoo.finetuning.starting_heads import head_of_class_means, new_head, whiten_together
from landmarkzoo.finetuning.starting_models import (
    StartingModel,
    can_be_whitened,
    choose_trained_part,
    fitting_size,
    identity_of,
    starting_model,
    with_test_size,
)
from landmarkzoo.finetuning.stop_signals import StopSignals
from landmarkzoo.finetuning.training_photos import TrainingPhotos, share_of
from landmarkzoo.finetuning.training_state import Training
from landmarkzoo.finetuning.training_steps import train_epoch
from landmarkzoo.finetuning.validation_scores import EpochMeasure, epoch_measure, evaluate_split
from landmarkzoo.models import DescriptorModel, ModelCfg
from landmarkzoo.models.from_cfg import build_from_cfg

_SAVE_SECONDS = 600.0  # between two checkpoints within an epoch


@dataclass(frozen=True, eq=False)
class TrainingJob:
    """A call of ``finetune`` whose arguments are checked.

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
        """What makes this call: a training is gone on with by the same one only."""
        recipe = {**self.recipe.to_dict(), "model": identity_of(self.start)}
        call = {**recipe, **self.split.digest(), "processes": self.processes.count}
        return dict(json.loads(json.dumps(call)))  # as it comes back from a file

    @property
    def batches(self) -> int:
        """Steps of an epoch."""
        return len(self.split.train) // self.recipe.batch_size

    @property
    def shown(self) -> bool:
        """Whether this process shows what happens."""
        return self.progress and self.processes.rank == 0

    def run(self) -> FinetuneResult:
        """Train, or go on, or give back what is finished."""
        state = state_of(self.out, self.call, self.resume)
        self.processes.barrier()  # nothing is written before all have looked
        if state == "finished":
            self.say(f"{self.out} is finished already: this is its result")
            return finished_result(self.out)
        with ExitStack() as stack:
            stack.enter_context(written_folder(self.out) if self.processes.rank == 0 else nullcontext())
            begun = Begun.resumed(self) if state == "begun" else Begun.new(self)
            try:
                begun.train()
            except KeyboardInterrupt:
                begun.say_where_it_stopped()
                raise
            begun.finish()
        return finished_result(self.out)

    def say(self, text: str) -> None:
        """Tell the user."""
        if self.shown:
            tqdm.write(text, file=sys.stderr)


class Begun:
    """A training that has a model, a head and a checkpoint.

    Args:
        job: The call.
        training: The training.
        before: Scores before the first step.
        store: The photos of this process.
    """

    def __init__(
        self, job: TrainingJob, training: Training, before: Evaluation | None, store: PhotoStore
    ) -> None:
        self.job, self.training, self.before, self.store = job, training, before, store
        self.saved_at = time.monotonic()
        self.measure = measure_of(job, training.model)

    @staticmethod
    def new(job: TrainingJob) -> Begun:
        """Start from the photos."""
        recipe, processes, train = job.recipe, job.processes, job.split.train
        start = starting_model(job.start, recipe)
        model = start.model
        model.check_saveable()
        store = photos_of_process(job, model)
        photos = store if store.is_whole and processes.count == 1 else train.source
        how = {"num_workers": job.num_workers, "progress": job.shown}
        model.to(processes.device).to(memory_format=torch.channels_last)
        if not start.is_trained and can_be_whitened(model):
            whiten_together(model, photos, recipe, processes, **how)
        head = head_of_class_means(model, photos, train.labels, recipe, processes, **how)
        size = fitting_size(model, recipe.test_size)
        model.cfg = with_test_size(model.cfg, size)
        before = evaluate_split(model, job.split, size[0], processes, job.num_workers, job.progress)
        choose_trained_part(model, recipe.trainable)
        begun = Begun(job, Training(model, head, recipe, processes, job.batches), before, store)
        begun.save()
        return begun

    @staticmethod
    def resumed(job: TrainingJob) -> Begun:
        """Go on from the checkpoint."""
        state = checkpoints.load(job.out / checkpoints.CHECKPOINT)
        own = checkpoints.load_own(job.out, state, job.processes.rank)
        model = build_from_cfg(ModelCfg.from_fields(_tuples(json.loads(state["cfg"]))), {})
        choose_trained_part(model, job.recipe.trainable)
        classes = len(job.split.train.classes)
        head = new_head(job.recipe, model.embedding_dim, classes, job.processes)
        training = Training(model, head, job.recipe, job.processes, job.batches)
        training.load(state, own)
        place = training.place
        within = f", batch {place.batch}" if place.batch else ""
        job.say(f"going on after epoch {place.epoch} of {job.recipe.epochs}{within}")
        before = evaluation_of(json.loads(state["before"]))
        return Begun(job, training, before, photos_of_process(job, model))

    def train(self) -> None:
        """All epochs that are not done."""
        while self.training.place.epoch < self.job.recipe.epochs and not self.is_over():
            self.train_epoch()
            self.end_epoch()

    def is_over(self) -> bool:
        """Whether no epoch has been better for as long as the recipe waits."""
        place, patience = self.training.place, self.job.recipe.patience
        return patience > 0 and self.measure is not None and place.epoch - place.best_epoch >= patience

    def train_epoch(self) -> None:
        """The batches that are not done; a signal ends them after the place is saved."""
        job, training = self.job, self.training
        processes = job.processes
        photos = self.training_photos()
        workers = 0 if job.num_workers is None else job.num_workers
        batches = photos.loader(workers, processes.device.type == "cuda", training.place.batch)
        job.stop.waits = True
        try:
            train_epoch(training, photos, batches, self.after_step, job.shown)
        finally:
            job.stop.waits = False

    def training_photos(self) -> TrainingPhotos:
        """The photos of this process in the order of the epoch."""
        job, model = self.job, self.training.model
        rows = share_of(len(job.split.train), job.recipe.seed, job.processes.rank, job.processes.count)
        transform = training_augmentation(model.cfg, job.recipe, fitting_size(model, job.recipe.image_size))
        return TrainingPhotos(
            self.store,
            job.split.train.labels[rows],
            transform,
            job.recipe.seed,
            job.processes.rank,
            job.recipe.batch_size // job.processes.count,
            self.training.batches,
            self.training.place.epoch,
        )

    def after_step(self) -> None:
        """Save the place where it is due; stop where a signal has come to some process."""
        due = time.monotonic() - self.saved_at >= _SAVE_SECONDS
        stop, due = self.job.processes.any(bool(self.job.stop.came), due)
        if stop or due:
            self.save()
        if stop:
            raise KeyboardInterrupt

    def end_epoch(self) -> None:
        """Measure, and save the place and the model."""
        job, training = self.job, self.training
        place = training.place
        row = {
            "epoch": place.epoch + 1,
            "loss": place.loss_sum / training.batches,
            "lr": training.optimizer.param_groups[0]["lr"],
        }
        with training.average.in_place():
            if self.measure is not None:
                row |= self.measure.scores(training)
            place.history.append(row)
            if self.measure is not None:
                watched = [past[self.measure.watched] for past in place.history]
                place.best_epoch = 1 + int(np.argmax(watched))
                if self.keeps_best and place.best_epoch == place.epoch + 1:
                    best = {
                        "model": dict(training.model.state_dict()),
                        "head": dict(training.head.state_dict()),
                    }
                    checkpoints.save(self.best_file(), best)
            place.epoch, place.batch, place.loss_sum = place.epoch + 1, 0, 0.0
        scores = ", ".join(
            f"{name} {value:.4g}" for name, value in row.items() if name not in ("epoch", "lr")
        )
        job.say(f"epoch {place.epoch}/{job.recipe.epochs}: {scores}")
        self.save()

    @property
    def keeps_best(self) -> bool:
        """Whether the best weights are the result, not the last."""
        return self.job.recipe.patience > 0 and self.measure is not None

    def best_file(self) -> Path:
        """Where the best weights are, with the head's of this process."""
        rank = self.job.processes.rank if self.training.class_parallel else 0
        return self.job.out / f"best-epoch{self.training.place.best_epoch}-rank{rank}.pt"

    def save(self) -> None:
        """The checkpoint; between epochs the model, too, which is of use already."""
        job, training = self.job, self.training
        place = training.place
        state = {
            **training.shared_state(),
            "call": job.call,
            "cfg": json.dumps(asdict(training.model.cfg)),
            "before": json.dumps(None if self.before is None else self.before.to_dict()),
        }
        barrier = job.processes.barrier if training.class_parallel else None
        name = f"epoch{place.epoch}-batch{place.batch}"
        checkpoints.save_parts(job.out, name, state, training.own_state(), job.processes.rank, barrier)
        self.saved_at = time.monotonic()
        if self.keeps_best:
            for path in job.out.glob(f"best-epoch*-rank{job.processes.rank}.pt"):
                if path != self.best_file():
                    path.unlink()
        if place.batch == 0 and (not self.keeps_best or place.best_epoch == place.epoch):
            with training.average.in_place():
                self.save_model()

    def save_model(self) -> None:
        """Write the model with its head and the names of the landmarks."""
        if self.training.class_parallel or self.job.processes.rank == 0:
            self.training.model.save_pretrained(
                self.job.out, self.training.head, self.job.split.train.classes
            )

    def finish(self) -> None:
        """Measure the result, and write all that is left of the training."""
        job, training = self.job, self.training
        if self.keeps_best and training.place.best_epoch:
            best = checkpoints.load(self.best_file())
            training.model.load_state_dict(best["model"])
            training.head.load_state_dict(best["head"])
        with nullcontext() if self.keeps_best else training.average.in_place():
            size = training.model.cfg.input_size[1]
            after = evaluate_split(
                training.model, job.split, size, job.processes, job.num_workers, job.progress
            )
            train = job.split.train
            with_scores(training.model, after, f"{len(train)} photos of {train.name}")
            self.save_model()
        if job.processes.rank == 0:
            write_card(job.out, training.model, len(train.classes))
            write_training(job.out, self.summary(after))
            for path in [*job.out.glob("best-epoch*.pt"), *job.out.glob("checkpoint*.pt")]:
                path.unlink()
        job.processes.barrier()

    def summary(self, after: Evaluation | None) -> dict[str, Any]:
        """What ``training.json`` holds."""
        job, split = self.job, self.job.split
        validation = split.validation
        return {
            "call": job.call,
            "recipe": job.recipe.to_dict(),
            "precision": str(self.training.dtype).removeprefix("torch."),
            "device": self.job.processes.device.type,
            "versions": versions(),
            "history": self.training.place.history,
            "before": None if self.before is None else self.before.to_dict(),
            "after": None if after is None else after.to_dict(),
            "landmarks": len(split.train.classes),
            "photos": len(split.train),
            "validation_ids": [] if validation is None else list(validation.source.ids),
            "left_out": job.left_out,
            "not_measured": split.not_measured,
        }

    def say_where_it_stopped(self) -> None:
        """Tell the user what is there, and how to go on."""
        state = checkpoints.load(self.job.out / checkpoints.CHECKPOINT)
        epoch, batch = state["place"]["epoch"], state["place"]["batch"]
        within = f" and batch {batch}" if batch else ""
        self.job.say(
            f"stopped after epoch {epoch}{within}: saved in {self.job.out}, and the same call goes on"
        )


def photos_of_process(job: TrainingJob, model: DescriptorModel) -> PhotoStore:
    """The photos that this process trains on, decoded once where memory allows."""
    side = sufficient_side(job.recipe, fitting_size(model, job.recipe.image_size))
    rows = share_of(len(job.split.train), job.recipe.seed, job.processes.rank, job.processes.count)
    source = job.split.train.source
    if len(rows) < len(source):
        source = source.take(rows.tolist())
    store = PhotoStore(source, _Shrink(side))
    store.keep(room_for_photos(job.processes.local_count), job.num_workers or 0, job.shown, "read")
    return store


def measure_of(job: TrainingJob, model: DescriptorModel) -> EpochMeasure | None:
    """What is measured after each epoch; ``None`` without validation photos."""
    validation = job.split.validation
    if validation is None:
        return None
    size = model.cfg.input_size[1]
    measure = epoch_measure(validation, job.split.train.classes, model, size, job.recipe.seed)
    if measure is None:
        return None
    measure.store.keep(room_for_photos(job.processes.local_count), job.num_workers or 0, job.shown, "read")
    return measure


@dataclass(frozen=True)
class _Shrink:
    side: int

    def __call__(self, photo: Any) -> Any:
        return shrunk(photo, self.side)


def _tuples(value: Any) -> Any:
    """Lists become tuples again: JSON has lists only."""
    if isinstance(value, list):
        return tuple(_tuples(v) for v in value)
    return {k: _tuples(v) for k, v in value.items()} if isinstance(value, dict) else value
