"""A training step: bfloat16 autocast and channels_last against the plain float32 formulation, interleaved.

    python benchmarks/train_step.py [--model dolg_efficientnet_b0] [--size 224] [--batch 16] [--classes 1000]

A step is forward, backward and Adam, of the model and its head. Plain is float32 and contiguous images, and
for DOLG the fusion as the map of the paper, averaged afterwards. Two more forms have one of the two only, and
the last has torch.autocast where the others have lz.layers.mixed_precision.
Prints medians, and the ratio of plain to each: above 1 is faster than plain.
"""

from __future__ import annotations

import argparse
import copy
import statistics
from dataclasses import dataclass
from functools import partial

import torch
from measuring import machine, seconds
from torch import Tensor, nn

import landmarkzoo as lz


@dataclass(frozen=True)
class Form:
    """How a step is computed."""

    low: bool  # bfloat16 autocast
    layout: torch.memory_format
    pooled: bool = True  # DOLG's fusion
    fast_depthwise: bool = True  # lz.layers.mixed_precision in place of torch.autocast


FORMS = {
    "plain": Form(False, torch.contiguous_format, pooled=False),
    "channels_last": Form(False, torch.channels_last),
    "bfloat16": Form(True, torch.contiguous_format),
    "both": Form(True, torch.channels_last),
    "both, autocast": Form(True, torch.channels_last, fast_depthwise=False),
}


class MapFusion(nn.Module):
    """The fusion as the paper draws it: a map of twice the channels, then its mean."""

    def __init__(self) -> None:
        super().__init__()
        self.fusion = lz.OrthogonalFusion()

    def forward(self, local: Tensor, global_: Tensor) -> Tensor:
        return self.fusion(local, global_).mean(dim=(-2, -1))


class Trained:
    """A copy of model and head with an optimizer, in one form."""

    def __init__(self, model: nn.Module, head: nn.Module, form: Form) -> None:
        self.form = form
        self.model, self.head = copy.deepcopy(model).to(memory_format=form.layout), copy.deepcopy(head)
        for name, module in list(self.model.named_children()):
            if isinstance(module, lz.OrthogonalFusion) and not form.pooled:
                setattr(self.model, name, MapFusion())
        self.optimizer = torch.optim.Adam([*self.model.parameters(), *self.head.parameters()], lr=1e-4)

    def loss(self, images: Tensor, labels: Tensor) -> Tensor:
        dtype = torch.bfloat16 if self.form.low else torch.float32
        if self.form.fast_depthwise:
            precision = lz.layers.mixed_precision(images.device, dtype)
        else:
            precision = torch.autocast(images.device.type, dtype, enabled=self.form.low)
        with precision:
            return self.head(self.model(images.to(memory_format=self.form.layout)), labels)

    def step(self, images: Tensor, labels: Tensor) -> None:
        self.optimizer.zero_grad()
        self.loss(images, labels).backward()
        self.optimizer.step()
        if images.is_cuda:
            torch.cuda.synchronize()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--model", default="dolg_efficientnet_b0")
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--classes", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    model = lz.create_model(options.model).train().to(options.device)
    head = lz.SubCenterArcFaceDynamic(model.embedding_dim, options.classes, margins=0.3).to(options.device)
    images = torch.randn(options.batch, 3, options.size, options.size, device=options.device)
    labels = torch.randint(options.classes, (options.batch,), device=options.device)
    trained = {name: Trained(model, head, form) for name, form in FORMS.items()}
    print(
        f"{machine()}; {options.model}, {options.size} px, batch {options.batch}, {options.classes} classes"
    )
    losses = {name: one.loss(images, labels).item() for name, one in trained.items()}
    for name, loss in losses.items():
        assert abs(loss - losses["plain"]) < 0.05 * losses["plain"], (
            f"{name} computes something else: {losses}"
        )
    times: dict[str, list[float]] = {name: [] for name in FORMS}
    for round_ in range(options.rounds + 1):
        for name, one in trained.items():
            elapsed = seconds(partial(one.step, images, labels))
            if round_:  # the first warms up
                times[name].append(elapsed)
    plain = statistics.median(times["plain"])
    for name, values in times.items():
        middle = statistics.median(values)
        print(
            f"{name:15}  {1e3 * middle:7.1f} ms (min {1e3 * min(values):.1f}, max {1e3 * max(values):.1f})  "
            f"plain / this {plain / middle:.2f}"
        )


if __name__ == "__main__":
    main()
