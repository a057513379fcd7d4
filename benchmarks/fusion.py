"""The orthogonal fusion of DOLG: pooled form and map form with a mean behind it, interleaved in one process.

    python benchmarks/fusion.py [--batch 8] [--channels 1024] [--size 28] [--rounds 21] [--model NAME]

The defaults are those of DOLG-EfficientNet-B5 at 448 px. A step is forward and backward with gradients of
both inputs. Prints medians, the ratio of the medians, and the peak memory beyond the inputs of a process that
runs this one form alone. ``--model dolg_efficientnet_b5`` adds the training step of that model at 448 px, to
see what the fusion is of it.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
from collections.abc import Callable
from functools import partial

import torch
from measuring import held_mib, machine, peak_mib, restart_peak, seconds
from torch import Tensor

import landmarkzoo as lz

FORMS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "pooled": lz.OrthogonalFusion(pool=True),
    "map": lambda local, global_: lz.OrthogonalFusion()(local, global_).mean(dim=(-2, -1)),
}


def inputs(arguments: argparse.Namespace) -> tuple[Tensor, Tensor]:
    torch.manual_seed(0)
    local = torch.randn(arguments.batch, arguments.channels, arguments.size, arguments.size)
    return local.requires_grad_(), torch.rand(arguments.batch, arguments.channels).requires_grad_()


def step(form: str, local: Tensor, global_: Tensor) -> None:
    local.grad = global_.grad = None
    FORMS[form](local, global_).square().sum().backward()


def forward(form: str, local: Tensor, global_: Tensor) -> None:
    with torch.no_grad():
        FORMS[form](local, global_)


def check_same_result(local: Tensor, global_: Tensor) -> None:
    pooled, of_map = (FORMS[form](local, global_) for form in ("pooled", "map"))
    torch.testing.assert_close(pooled, of_map, rtol=1e-4, atol=1e-4)


def measure_memory(form: str, arguments: argparse.Namespace) -> None:
    local, global_ = inputs(arguments)
    step(form, local[:1, :, :2, :2].detach().requires_grad_(), global_[:1].detach().requires_grad_())
    before = held_mib()
    restart_peak()
    for _ in range(3):
        step(form, local, global_)
    print(peak_mib() - before)


def memory(form: str, arguments: argparse.Namespace) -> float:
    command = [sys.executable, __file__, "--memory-of", form, "--threads", str(arguments.threads)]
    for name in ("batch", "channels", "size"):
        command += [f"--{name}", str(getattr(arguments, name))]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def medians(what: Callable[..., None], rounds: int, *tensors: Tensor) -> dict[str, float]:
    times: dict[str, list[float]] = {form: [] for form in FORMS}
    for round_ in range(rounds + 1):
        for form in FORMS:
            elapsed = seconds(partial(what, form, *tensors))
            if round_:  # the first warms up
                times[form].append(elapsed)
    for form, values in times.items():
        print(
            f"{what.__name__:7}  {form:6}  {1e3 * statistics.median(values):7.2f} ms "
            f"(min {1e3 * min(values):.2f}, max {1e3 * max(values):.2f})"
        )
    middle = {form: statistics.median(values) for form, values in times.items()}
    print(f"{what.__name__:7}  map / pooled {middle['map'] / middle['pooled']:.2f}")
    return middle


def model_step(name: str, batch: int) -> float:
    """Median seconds of three training steps of a model at 448 px."""
    model = lz.create_model(name).train()
    images = torch.randn(batch, 3, 448, 448)

    def train() -> None:
        model.zero_grad()
        model(images).square().sum().backward()

    return statistics.median(seconds(train) for _ in range(3))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--channels", type=int, default=1024)
    parser.add_argument("--size", type=int, default=28, help="side of the stride-16 map")
    parser.add_argument("--rounds", type=int, default=21)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--model", help="also measure the step of this model at 448 px")
    parser.add_argument("--memory-of", choices=list(FORMS), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    if arguments.memory_of:
        measure_memory(arguments.memory_of, arguments)
        return
    local, global_ = inputs(arguments)
    print(f"{machine()}; local features {tuple(local.shape)}")
    check_same_result(local, global_)
    medians(forward, arguments.rounds, local, global_)
    both = medians(step, arguments.rounds, local, global_)
    peaks = {form: memory(form, arguments) for form in FORMS}
    print(f"memory   pooled {peaks['pooled']:.0f} MiB, map {peaks['map']:.0f} MiB beyond the inputs")
    if arguments.model:
        whole = model_step(arguments.model, arguments.batch)
        shares = ", ".join(f"{form} {100 * both[form] / whole:.2f} %" for form in FORMS)
        print(f"{arguments.model}, 448 px, batch {arguments.batch}: {whole:.1f} s a step; fusion {shares}")


if __name__ == "__main__":
    main()
