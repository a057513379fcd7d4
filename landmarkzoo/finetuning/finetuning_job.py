"""The public call: fine-tune a model on photos of landmarks."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from landmarkzoo._utils.user_paths import user_path
from landmarkzoo.finetuning.job_start import new_training, resumed_training
from landmarkzoo.finetuning.landmark_labels import LabelledInput, labelled_photos, without
from landmarkzoo.finetuning.out_folder import (
    Resume,
    remove_checkpoints,
    state_of,
    stopping_place,
    written_folder,
)
from landmarkzoo.finetuning.processes import joined_processes
from landmarkzoo.finetuning.recipes import Recipe, recipe_with
from landmarkzoo.finetuning.results import FinetuneResult, finished_result
from landmarkzoo.finetuning.splitting import split_photos
from landmarkzoo.finetuning.starting_models import StartingModel
from landmarkzoo.finetuning.stop_signals import StopSignals
from landmarkzoo.finetuning.training_job import TrainingJob


def finetune(
    photos: LabelledInput,
    out: str | Path,
    *,
    model: StartingModel | None = None,
    recipe: str | Recipe = "gem",
    validation: float | LabelledInput | None = 0.25,
    resume: Resume = "auto",
    exclude: Iterable[str] | str | Path = (),
    device: str | torch.device | None = None,
    num_workers: int | None = None,
    progress: bool = True,
    **recipe_overrides: Any,
) -> FinetuneResult:
    """Fine-tune a model on your photos of landmarks, gently: some hundred are enough.

    What keeps a small data set from doing harm: the neck starts as the whitening of the photos, the centers
    of the head as the mean descriptors of their landmarks, batch norms stay as they are, and layers near the
    input move least. A share of each landmark's photos is held out and measures: ``before`` and ``after``.

    ``out`` gets the model, its head and the names of its landmarks, for
    ``lz.create_model("local-dir:my-model")`` and ``lz.load_head``; a model card; ``training.html``, a page of
    the curves and of the landmarks that are taken for each other; and ``training.json`` with
    settings, history and scores. While it trains, there is a checkpoint of the last epoch, and the model of
    that epoch is of use already. Ctrl-C and SIGTERM save the place before they end the call. The same call
    goes on from there, after a crash too, and ends, bit by bit on one thread of a CPU, as it would have
    ended; of a training that is finished it gives the result.

    Started by ``torchrun``, several processes train one model. Each reads its share of the photos, and from
    5,000 landmarks on they split the head among them. Photos are decoded once and kept where they fit into
    half of the memory that is free; else they are read each epoch.

    Args:
        photos: A folder with a folder for each landmark; a CSV file as ``CsvPhotos`` takes it; a data set
            with ``targets`` and ``classes``, also in a ``Subset``; or a pair (photos, labels). Photos without
            label are left out.
        out: A new folder, or that of a training that this call goes on with.
        model: A name of ``list_models``, which starts from ImageNet weights and a whitened neck; with the tag
            of its landmark weights, ``"name.tag"``, or a saved model, ``"local-dir:path"`` or
            ``"hf-hub:org/repo"``, or a model itself, of which a copy is trained: these keep their neck, as
            whitening would undo what it has learned. ``None``: that of the recipe.
        recipe: A name of ``lz.finetuning.RECIPES``, or a ``Recipe``.
        validation: The share of each landmark's photos that only measures, one at least; landmarks with one
            photo are trained on and not measured. Or photos, as ``photos``, to measure with, also of other
            landmarks. ``None`` or 0: nothing is measured.
        resume: ``"auto"`` goes on where ``out`` has a training of the same call; ``True`` needs one;
            ``False`` refuses a folder that is not empty.
        exclude: Ids of photos that are left out, or a CSV file with a column ``id``.
        device: Where to train; ``None``: on a GPU, if there is one.
        num_workers: Processes that read photos; ``None``: as suits the machine.
        progress: Show bars with loss and scores on stderr.
        **recipe_overrides: Settings of the recipe that are to be others, such as ``epochs=3``, see
            ``lz.finetuning.Recipe``.

    Raises:
        FileExistsError: If something else lies in ``out``.
        FileNotFoundError: If there are no such photos, or ``resume=True`` and nothing to go on from.
        FloatingPointError: If the loss is not finite.
        KeyboardInterrupt: After Ctrl-C, when the place is saved.
        OSError: If ``out`` cannot be written, or another process trains there.
        PhotoError: If a photo cannot be read.
        TypeError: If there is no such setting, or an argument is of another kind.
        ValueError: If there are fewer than two landmarks, a setting is out of its range, or ``out`` is of
            another call.
        WeightsNotFoundError: If ImageNet weights cannot be found.

    Examples:
        >>> import tempfile
        >>> photos = lz.rendered.RenderedLandmarks(4, 8, distractors=0, image_size=64)
        >>> less = {"epochs": 1, "image_size": 32, "test_size": 64, "model_args": {"embedding_dim": 16}}
        >>> result = lz.finetune(photos, tempfile.mkdtemp(), progress=False, **less)
        >>> len(result.history), result.class_names[0], result.after.metrics[0]
        (1, 'Spire of Thaepinova', 'mAP@100')
    """
    settings = recipe_with(recipe, recipe_overrides)
    start = settings.model if model is None else model
    labelled, left_out = without(labelled_photos(photos), exclude)
    split = split_photos(labelled, validation, settings.seed)
    with StopSignals() as stop, joined_processes(device) as processes:
        settings = replace(settings, batch_size=fitting_batch(settings, len(split.train), processes.count))
        folder = user_path(out).absolute()
        with torch.random.fork_rng([processes.device] if processes.device.type == "cuda" else []):
            return _run(
                TrainingJob(
                    start, settings, split, left_out, folder, resume, processes, stop, num_workers, progress
                )
            )


def _run(job: TrainingJob) -> FinetuneResult:
    """Train, or go on, or give back what is finished."""
    state = state_of(job.out, job.call, job.resume)
    job.processes.barrier()  # nothing is written before all have looked
    if state == "finished":
        job.say(f"{job.out} is finished already: this is its result")
        if job.processes.rank == 0:
            remove_checkpoints(job.out)
        return finished_result(job.out)
    try:
        with ExitStack() as stack:
            if job.processes.rank == 0:
                with job.stop.delayed():  # nobody would remove a folder that is half taken
                    stack.enter_context(written_folder(job.out))
            begun = resumed_training(job) if state == "begun" else new_training(job)
            begun.train()
            begun.finish()
    except KeyboardInterrupt:
        job.say(stopping_place(job.out))
        raise
    return finished_result(job.out)


def fitting_batch(recipe: Recipe, photos: int, processes: int) -> int:
    """Photos of a batch: at most as many as there are, and as many for each process.

    Raises:
        ValueError: If there are more processes than photos.

    Examples:
        >>> from landmarkzoo.finetuning.finetuning_job import fitting_batch
        >>> fitting_batch(lz.finetuning.Recipe(batch_size=32), photos=21, processes=2)
        20
    """
    if photos < processes:
        raise ValueError(f"{photos} photos cannot be trained on by {processes} processes: start fewer")
    return max(1, min(recipe.batch_size, photos) // processes) * processes
