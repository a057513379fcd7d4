"""The head: a training step of ours, of the plain formulation and of others, interleaved in one process.

    python benchmarks/head.py [--classes 10000 81313 200000] [--batch 64] [--rounds 7] [--skip plain ...]

Needs ``pip install pytorch-metric-learning``. A step is forward and backward, in float32 and under bfloat16
autocast. Prints medians, the ratio to ours, and the peak memory beyond the imports, weights included, of a
process that runs this one alone.
"""

from __future__ import annotations

import argparse
import math
import statistics
import subprocess
import sys
from collections.abc import Callable
from functools import partial

import torch
from measuring import held_mib, machine, peak_mib, restart_peak, seconds
from pytorch_metric_learning.losses import SubCenterArcFaceLoss
from torch import Tensor, nn
from torch.nn import functional as F

import landmarkzoo as lz

DIM, SUB_CENTERS, SCALE, MARGIN = 512, 3, 45.0, 0.3


class Plain(nn.Module):
    """The formula as papers' code writes it: all centers normalised, all cosines, one-hot targets."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.classes = classes
        self.weight = nn.Parameter(torch.empty(classes * SUB_CENTERS, DIM).uniform_(-(DIM**-0.5), DIM**-0.5))
        self.register_buffer("margins", torch.full((classes,), MARGIN))

    def forward(self, x: Tensor, labels: Tensor) -> Tensor:
        cosines = F.linear(F.normalize(x), F.normalize(self.weight))  # (B, C * K)
        cosine = cosines.view(-1, self.classes, SUB_CENTERS).amax(dim=2).float()  # (B, C)
        m = self.margins[labels][:, None]
        sine = (1 - cosine.square()).clamp(min=1e-12).sqrt()
        phi = cosine * torch.cos(m) - sine * torch.sin(m)
        phi = torch.where(cosine > torch.cos(math.pi - m), phi, cosine - torch.sin(math.pi - m) * m)
        target = F.one_hot(labels, self.classes).to(cosine.dtype)
        return F.cross_entropy(SCALE * (target * phi + (1 - target) * cosine), labels)


class LinearHead(nn.Module):
    """A Linear layer with as many outputs as there are centers, and cross entropy: no margin, no maximum."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.linear = nn.Linear(DIM, classes * SUB_CENTERS)

    def forward(self, x: Tensor, labels: Tensor) -> Tensor:
        return F.cross_entropy(self.linear(x), labels)


HEADS: dict[str, Callable[[int], nn.Module]] = {
    "ours": lambda classes: lz.SubCenterArcFaceDynamic(
        DIM, classes, margins=MARGIN, sub_centers=SUB_CENTERS, scale=SCALE
    ),
    "plain": Plain,
    "linear": LinearHead,
    "metric-learning": lambda classes: SubCenterArcFaceLoss(
        num_classes=classes,
        embedding_size=DIM,
        margin=math.degrees(MARGIN),
        scale=SCALE,
        sub_centers=SUB_CENTERS,
    ),
}


def step(head: nn.Module, x: Tensor, labels: Tensor, low: bool) -> None:
    head.zero_grad()
    x.grad = None
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=low):
        loss = head(x, labels)
    loss.backward()


def batch(size: int, classes: int) -> tuple[Tensor, Tensor]:
    torch.manual_seed(0)
    return torch.randn(size, DIM, requires_grad=True), torch.randint(classes, (size,))


def measure_memory(name: str, classes: int, size: int, low: bool) -> None:
    x, labels = batch(size, classes)
    step(HEADS[name](50), x, labels % 50, low)  # what libraries allocate on their first call
    before = held_mib()
    restart_peak()
    head = HEADS[name](classes)
    for _ in range(3):
        step(head, x, labels, low)
    print(peak_mib() - before)


def memory(name: str, classes: int, arguments: argparse.Namespace, low: bool) -> float:
    command = [sys.executable, __file__, "--memory-of", name, "--classes", str(classes)]
    command += ["--batch", str(arguments.batch), "--threads", str(arguments.threads)] + ["--low"] * low
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def check_same_loss(heads: dict[str, nn.Module], x: Tensor, labels: Tensor) -> None:
    """Ours and the plain formulation are the same function, here with the same weight."""
    if "plain" in heads:
        with torch.no_grad():
            heads["plain"].weight.copy_(heads["ours"].weight)
            one, other = heads["ours"](x, labels).item(), heads["plain"](x, labels).item()
        assert math.isclose(one, other, rel_tol=1e-5), (one, other)


def compare(classes: int, arguments: argparse.Namespace) -> None:
    x, labels = batch(arguments.batch, classes)
    heads = {name: make(classes) for name, make in HEADS.items() if name not in arguments.skip}
    check_same_loss(heads, x, labels)
    for low in (False, True):
        times: dict[str, list[float]] = {name: [] for name in heads}
        for round_ in range(arguments.rounds + 1):
            for name, head in heads.items():
                elapsed = seconds(partial(step, head, x, labels, low))
                head.zero_grad()
                if round_:  # the first warms up
                    times[name].append(elapsed)
        ours = statistics.median(times["ours"])
        peaks = {name: memory(name, classes, arguments, low) for name in heads}
        for name, values in times.items():
            print(
                f"{classes:>7} classes  {'bf16 autocast' if low else 'float32':13}  {name:15}  "
                f"{statistics.median(values):6.3f} s (min {min(values):.3f}, max {max(values):.3f})  "
                f"{statistics.median(values) / ours:5.2f} x ours  "
                f"{peaks[name]:6.0f} MiB  {peaks[name] / peaks['ours']:5.2f} x ours"
            )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--classes", type=int, nargs="+", default=[10_000, 81_313, 200_000])
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--skip", nargs="+", default=[], choices=[name for name in HEADS if name != "ours"])
    parser.add_argument("--memory-of", choices=list(HEADS), help=argparse.SUPPRESS)
    parser.add_argument("--low", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    if arguments.memory_of:
        measure_memory(arguments.memory_of, arguments.classes[0], arguments.batch, arguments.low)
        return
    print(f"{machine()}; batch {arguments.batch}, {DIM} dimensions, {SUB_CENTERS} centers a class")
    for classes in arguments.classes:
        compare(classes, arguments)


if __name__ == "__main__":
    main()
