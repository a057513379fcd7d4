"""Embedding by an eval copy and by switching the model to eval mode and back, interleaved in one process.

    python benchmarks/embed_threads.py [--model NAME] [--size 224] [--batch 16] [--rounds 15] [--workers 4]

One thread: ``lz.embed`` of one photo and of a batch, with a model in training mode as ``create_model`` gives
it; ratio of the medians. Then one photo a call from several threads at once, as in a server: how many of the
answers are those of one thread, and what became of the batch norms. To compare the two, the part of ``embed``
that prepares the model is replaced: the one benchmark that looks inside.
"""

from __future__ import annotations

import argparse
import copy
import statistics
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from unittest import mock

import numpy as np
import torch
from measuring import machine, seconds
from torch import nn

import landmarkzoo as lz
from landmarkzoo.embedding import embed_photos
from landmarkzoo.embedding.inference import Inference


class Switching(Inference):
    """The plain formulation: eval mode, forward, every mode as it was."""

    def __call__(self, images, function=None):  # type: ignore[no-untyped-def]
        modes = [(module, module.training) for module in self.model.modules()]
        self.model.eval()
        try:
            return super().__call__(images, function)
        finally:
            for module, training in modes:
                module.training = training


def switching(model: nn.Module, *_: object) -> Switching:
    return Switching(model, torch.device("cpu"), torch.float32, None, one_at_a_time=False)


def embed(form: str, model: nn.Module, images: torch.Tensor) -> np.ndarray:
    with mock.patch.object(embed_photos, "inference_with", PREPARE[form]):
        return lz.embed(model, images, batch_size=len(images), progress=False).vectors


PREPARE = {"eval copy": embed_photos.inference_with, "switching": switching}


def one_thread(model: nn.Module, images: torch.Tensor, rounds: int) -> None:
    times: dict[str, list[float]] = {form: [] for form in PREPARE}
    for round_ in range(rounds + 1):
        for form in PREPARE if round_ % 2 else reversed(PREPARE):
            elapsed = seconds(partial(embed, form, model, images))
            if round_:  # the first warms up
                times[form].append(elapsed)
    copied, switched = (statistics.median(times[form]) for form in PREPARE)
    print(
        f"one thread, {len(images)} photos a call: eval copy {1e3 * copied:.1f} ms, switching "
        f"{1e3 * switched:.1f} ms, ratio {copied / switched:.3f}"
    )


def many_threads(model: nn.Module, images: torch.Tensor, workers: int) -> None:
    photos = list(images[:, None])
    for form, prepare in PREPARE.items():
        shared = copy.deepcopy(model)
        expected = [embed(form, shared, photo) for photo in photos]
        before = {name: tensor.clone() for name, tensor in shared.state_dict().items()}
        with mock.patch.object(embed_photos, "inference_with", prepare), ThreadPoolExecutor(workers) as pool:
            answer = partial(lz.embed, shared, progress=False)
            answers = [d.vectors for d in pool.map(answer, photos)]
        right = sum(np.array_equal(one, other) for one, other in zip(answers, expected))
        changed = sum(not torch.equal(tensor, before[name]) for name, tensor in shared.state_dict().items())
        print(
            f"{workers} threads, {form}: {right} of {len(photos)} answers right, {changed} tensors of the "
            "model changed"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--model", default="efficientnet_lite0_gem")
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--threads", type=int, default=1, help="threads of torch")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    print(machine(), arguments.model)
    model = lz.create_model(arguments.model, neck="none")
    images = torch.randn(arguments.batch, 3, arguments.size, arguments.size)
    for batch in (images[:1], images):
        one_thread(model, batch, arguments.rounds)
    many_threads(model, images, arguments.workers)


if __name__ == "__main__":
    main()
