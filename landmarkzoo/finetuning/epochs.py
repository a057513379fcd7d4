"""A training that has begun: its epochs, what is saved meanwhile, and its end."""

from __future__ import annotations

import json
import time
from contextlib import nullcontext
from dataclasses import asdict, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch

from landmarkzoo import __version__
from landmarkzoo.evaluation import Evaluation
from landmarkzoo.finetuning import checkpoints
from landmarkzoo.finetuning.augmentation import training_augmentation
from landmarkzoo.finetuning.out_folder import remove_checkpoints
from landmarkzoo.finetuning.photo_store import PhotoStore
from landmarkzoo.finetuning.results import write_card, write_training
from landmarkzoo.finetuning.starting_models import fitting_size
from landmarkzoo.finetuning.training_job import TrainingJob
from landmarkzoo.finetuning.training_photos import TrainingPhotos
from landmarkzoo.finetuning.training_report import write_report
from landmarkzoo.finetuning.training_state import Training
from landmarkzoo.finetuning.training_steps import train_epoch
from landmarkzoo.finetuning.validation_scores import EpochMeasure, Measured, epoch_measure, measured_views

_SAVE_SECONDS = 600.0  # between two checkpoints within an epoch


class BegunTraining:
    """A training with a model and a head.

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

    @cached_property
    def measure(self) -> EpochMeasure | None:
        """What is measured after each epoch; ``None`` without validation photos."""
        measure = epoch_measure(self.job, self.training.model)
        if measure is not None:
            self.job.keep(measure.store, max(self.training.model.cfg.input_size))
        return measure

    @property
    def keeps_best(self) -> bool:
        """Whether the best weights are the result, not the last."""
        return self.job.recipe.patience > 0 and self.measure is not None

    @property
    def is_over(self) -> bool:
        """Whether no epoch has been better for as long as the recipe waits."""
        place = self.training.place
        return self.keeps_best and place.epoch - place.best_epoch >= self.job.recipe.patience

    def train(self) -> None:
        """All epochs that are not done; a signal ends them after the place is saved."""
        job = self.job
        job.stop.waits = True  # also while photos are measured: an epoch may be hours of work
        try:
            while self.training.place.epoch < job.recipe.epochs and not self.is_over:
                self.train_epoch()
                self.end_epoch()
                if job.processes.any(bool(job.stop.came))[0]:
                    raise KeyboardInterrupt
        finally:
            job.stop.waits = False

    def train_epoch(self) -> None:
        """The batches that are not done."""
        job, training = self.job, self.training
        photos = self.training_photos()
        readers = job.readers(self.store, job.recipe.image_size)
        pinned = job.processes.device.type == "cuda"
        batches = photos.loader(readers, pinned, first=training.place.batch)
        train_epoch(training, photos, batches, self.after_step, job.shown)

    def training_photos(self) -> TrainingPhotos:
        """The photos of this process in the order of the epoch."""
        job, model = self.job, self.training.model
        return TrainingPhotos(
            self.store,
            job.split.train.labels[job.rows],
            training_augmentation(model.cfg, job.recipe, fitting_size(model, job.recipe.image_size)),
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
        job, training, place = self.job, self.training, self.training.place
        row: dict[str, Any] = {
            "epoch": place.epoch + 1,
            "loss": place.loss_sum / training.batches,
            "lr": training.optimizer.param_groups[0]["lr"],
        }
        with training.average.in_place():
            if self.measure is not None:
                row |= self.measure.scores(training)
            place.history.append(row)
            if self.keeps_best:
                self.keep_best()
        place.epoch, place.batch, place.loss_sum = place.epoch + 1, 0, 0.0
        scores = [f"{name} {value:.3f}" for name, value in row.items() if name not in ("epoch", "lr")]
        job.say(f"epoch {place.epoch}/{job.recipe.epochs}: {', '.join(scores)}")
        self.save()

    def keep_best(self) -> None:
        """Write the weights of this epoch, if none before it was as good."""
        assert self.measure is not None
        training, place = self.training, self.training.place
        place.best_epoch = 1 + int(np.argmax([row[self.measure.watched] for row in place.history]))
        writes = training.class_parallel or self.job.processes.rank == 0
        if writes and place.best_epoch == len(place.history):
            state = {"model": dict(training.model.state_dict()), "head": dict(training.head.state_dict())}
            checkpoints.save(self.best_file, state)

    @property
    def best_file(self) -> Path:
        """Where the best weights are, with those of the head that are on this process."""
        rank = self.job.processes.rank if self.training.class_parallel else 0
        return self.job.out / f"best-epoch{self.training.place.best_epoch}-rank{rank}.pt"

    def save(self) -> None:
        """Write the checkpoint; between epochs the model as well, which is of use already."""
        job, training, place = self.job, self.training, self.training.place
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
        for path in job.out.glob(f"best-epoch*-rank{job.processes.rank}.pt"):
            if path != self.best_file:
                path.unlink()
        if place.batch == 0 and (not self.keeps_best or place.best_epoch == place.epoch):
            with training.average.in_place():
                self.save_model()

    def save_model(self) -> None:
        """Write the model with its head and the names of the landmarks."""
        training, job = self.training, self.job
        if training.class_parallel or job.processes.rank == 0:
            training.model.save_pretrained(job.out, training.head, job.split.train.classes)

    def finish(self) -> None:
        """Measure the result, and write what is left of the training."""
        job, training = self.job, self.training
        if self.keeps_best:
            best = checkpoints.load(self.best_file)
            training.model.load_state_dict(best["model"])
            training.head.load_state_dict(best["head"])
        train = job.split.train
        with nullcontext() if self.keeps_best else training.average.in_place():
            measured = measured_views(job, training.model, training.head)
            training.model.cfg = replace(
                training.model.cfg,
                scores=() if measured is None else measured.evaluation.scores,
                training_data=f"{len(train)} photos of {len(train.classes)} landmarks, {train.name}",
                weights=None,
            )
            self.save_model()
        if job.processes.rank == 0:
            summary = self.summary(measured)
            write_card(job.out, training.model, summary)
            write_report(job.out, summary, job.split)
            write_training(job.out, summary)
            remove_checkpoints(job.out)
        job.processes.barrier()

    def summary(self, measured: Measured | None) -> dict[str, Any]:
        """What ``training.json`` holds."""
        job, training, place = self.job, self.training, self.training.place
        validation = job.split.validation
        return {
            "call": job.call,
            "recipe": {**job.recipe.to_dict(), "model": job.call["model"]},
            "precision": str(training.dtype).removeprefix("torch."),
            "device": job.processes.device.type,
            "versions": {"landmarkzoo": __version__, "torch": str(torch.__version__)},
            "landmarks": len(job.split.train.classes),
            "photos": len(job.split.train),
            "history": place.history,
            "best_epoch": place.best_epoch or place.epoch,
            "before": None if self.before is None else self.before.to_dict(),
            "after": None if measured is None else measured.evaluation.to_dict(),
            "confusions": [] if measured is None else measured.confusions,
            "validation_ids": [] if validation is None else list(validation.source.ids),
            "left_out": job.left_out,
            "not_measured": job.split.not_measured,
        }
