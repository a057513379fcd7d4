"""The steps of an epoch: loss, gradients, new weights."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable

import torch
from torch import Tensor
from tqdm import tqdm

from landmarkzoo.finetuning.training_photos import STEP, TrainingPhotos, seed_torch
from landmarkzoo.finetuning.training_state import Training
from landmarkzoo.layers import mixed_precision


def train_epoch(
    training: Training,
    photos: TrainingPhotos,
    batches: Iterable[tuple[Tensor, Tensor]],
    after_step: Callable[[], None],
    progress: bool,
) -> None:
    """The batches of the epoch that are not done yet.

    Raises:
        FloatingPointError: If the loss is not finite; the weights are those of the step before.
    """
    place, recipe = training.place, training.recipe
    training.model.train()
    training.head.train()
    bar = tqdm(
        desc=f"epoch {place.epoch + 1}/{recipe.epochs}",
        total=training.batches,
        initial=place.batch,
        unit=" batches",
        disable=not progress,
        leave=False,
    )
    with bar:
        for images, labels in batches:
            loss = train_step(training, images, labels)
            if loss is None:
                ids = [photos.store.ids[position] for position in photos.order()[place.batch]]
                raise FloatingPointError(
                    f"the loss of epoch {place.epoch + 1}, batch {place.batch + 1} is not finite: try a "
                    f"smaller lr, or precision='float32'. The photos: {', '.join(ids)}"
                )
            place.loss_sum += loss
            place.batch += 1
            bar.set_postfix(loss=f"{loss:.3f}", refresh=False)
            bar.update()
            after_step()


def train_step(training: Training, images: Tensor, labels: Tensor) -> float | None:
    """Change the weights by one batch.

    Args:
        training: The training.
        images: (B, 3, H, W), those of this process.
        labels: (B,).

    Returns:
        The loss of all processes; ``None`` if it is not finite, which leaves the weights as they are.
    """
    place, processes = training.place, training.processes
    step = place.epoch * training.batches + place.batch
    steps = training.recipe.epochs * training.batches
    for group in training.optimizer.param_groups:
        group["lr"] = group["peak"] * rate(step, steps)
    seed_torch(STEP, training.recipe.seed, place.epoch, place.batch, processes.rank)  # for dropout
    images = images.to(processes.device, memory_format=torch.channels_last, non_blocking=True)
    labels = labels.to(processes.device, non_blocking=True)
    with mixed_precision(processes.device, training.dtype):
        descriptors = training.net(images)  # (B, D)
        if training.class_parallel and descriptors.requires_grad:
            # The loss of split landmarks is that of all processes, and DDP divides by their number.
            descriptors.register_hook(lambda gradient: gradient * processes.count)
        loss = training.criterion(descriptors, labels)
    training.optimizer.zero_grad()
    training.scaler.scale(loss).backward()
    value = processes.mean(loss.detach().clone()).item()
    scaled = training.scaler.is_enabled() and training.scaler.get_scale() > 1  # it leaves such a step out
    if not math.isfinite(value) and not scaled:
        return None
    training.scaler.step(training.optimizer)
    training.scaler.update()
    training.average.update()
    return value if math.isfinite(value) else 0.0


def rate(step: int, steps: int) -> float:
    """Factor of the learning rate: a tenth of warm-up, times a cosine to 0.

    Examples:
        >>> from landmarkzoo.finetuning.training_steps import rate
        >>> [round(rate(step, 20), 3) for step in (0, 1, 10, 19)]
        [0.5, 0.994, 0.5, 0.006]
    """
    return min(1.0, (step + 1) / (0.1 * steps)) * 0.5 * (1 + math.cos(math.pi * step / steps))
