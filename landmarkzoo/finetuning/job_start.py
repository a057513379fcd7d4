"""The start of a training, from photos or from a checkpoint."""

from __future__ import annotations

import json
from typing import Any

import torch

from landmarkzoo.finetuning import checkpoints
from landmarkzoo.finetuning.epochs import BegunTraining
from landmarkzoo.finetuning.results import evaluation_of
from landmarkzoo.finetuning.starting_heads import head_of_class_means, new_head, whiten_together
from landmarkzoo.finetuning.starting_models import (
    can_be_whitened,
    choose_trained_part,
    fitting_size,
    starting_model,
    with_test_size,
)
from landmarkzoo.finetuning.training_job import TrainingJob
from landmarkzoo.finetuning.training_state import Training
from landmarkzoo.finetuning.validation_scores import measured_views, transform_at
from landmarkzoo.hub.model_files import through_json
from landmarkzoo.models import ModelCfg
from landmarkzoo.models.from_cfg import build_from_cfg
from landmarkzoo.models.registry import without_weights


def new_training(job: TrainingJob) -> BegunTraining:
    """Start from the photos, and save the first checkpoint."""
    recipe, processes, train = job.recipe, job.processes, job.split.train
    start = starting_model(job.start, recipe)
    model = start.model
    model.check_saveable()
    processes.copy_from_first(model)
    store = job.photos_of_process(model)
    photos = store if store.is_whole and processes.count == 1 else train.source
    model.to(processes.device).to(memory_format=torch.channels_last)
    size = fitting_size(model, min(recipe.test_size, max(model.cfg.input_size[1:])))
    how: dict[str, Any] = {"num_workers": job.readers(photos, max(size)), "progress": job.shown}
    how["transform"] = transform_at(model, size)
    if not start.is_trained and can_be_whitened(model):
        whiten_together(model, photos, recipe, processes, **how)
    head = head_of_class_means(model, photos, train.labels, recipe, processes, **how)
    cfg = without_weights(model.cfg)  # what is saved from now on has not the weights that it started from
    model.cfg = with_test_size(cfg, fitting_size(model, recipe.test_size))
    before = measured_views(job, model)
    choose_trained_part(model, recipe.trainable)
    training = Training(model, head, recipe, processes, job.batches)
    begun = BegunTraining(job, training, None if before is None else before.evaluation, store)
    begun.save()
    return begun


def resumed_training(job: TrainingJob) -> BegunTraining:
    """Go on from the checkpoint."""
    state = checkpoints.load(job.out / checkpoints.CHECKPOINT)
    own = checkpoints.load_own(job.out, state, job.processes.rank)
    model = build_from_cfg(ModelCfg.from_fields(through_json(json.loads(state["cfg"]))), {})
    choose_trained_part(model, job.recipe.trainable)
    classes = len(job.split.train.classes)
    head = new_head(job.recipe, model.embedding_dim, classes, job.processes)
    training = Training(model, head, job.recipe, job.processes, job.batches)
    training.load(state, own)
    place = training.place
    within = f", batch {place.batch}" if place.batch else ""
    job.say(f"going on after epoch {place.epoch} of {job.recipe.epochs}{within}")
    before = evaluation_of(json.loads(state["before"]))
    return BegunTraining(job, training, before, job.photos_of_process(model))
