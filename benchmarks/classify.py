"""Classes of photos by a head of 81,313 classes: lz.classify beside the plain formulation, interleaved.

    python benchmarks/classify.py [--photos 1000] [--classes 81313] [--centers 3] [-k 5] [--rounds 5]

Prints medians, whether the answers are the same, and the memory that each adds to the peak of a process that
holds descriptors and head already. The plain formulation is ``F.normalize(x) @ F.normalize(weight).T``, the
maximum over the centers of a class, and ``topk``, for all photos at once.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
from collections.abc import Callable

import torch
from measuring import machine, peak_mib, restart_peak, seconds
from torch import Tensor
from torch.nn import functional as F

import landmarkzoo as lz

Answer = tuple[Tensor, Tensor]


@torch.no_grad()
def plain(head: lz.SubCenterArcFaceDynamic, descriptors: lz.Descriptors, k: int) -> Answer:
    cosines = F.normalize(torch.from_numpy(descriptors.vectors)) @ F.normalize(head.weight).T  # (N, C * K)
    best = cosines.view(len(descriptors), head.num_classes, head.sub_centers).amax(dim=2).topk(k)
    return best.indices, best.values


def ours(head: lz.SubCenterArcFaceDynamic, descriptors: lz.Descriptors, k: int) -> Answer:
    p = lz.classify(None, head, descriptors, k=k)
    return torch.from_numpy(p.labels), torch.from_numpy(p.scores)


WAYS: dict[str, Callable[[lz.SubCenterArcFaceDynamic, lz.Descriptors, int], Answer]] = {
    "lz.classify": ours,
    "plain": plain,
}


def example(
    photos: int, classes: int, centers: int, dim: int
) -> tuple[lz.SubCenterArcFaceDynamic, lz.Descriptors]:
    torch.manual_seed(0)
    head = lz.SubCenterArcFaceDynamic(dim, classes, sub_centers=centers)
    return head, lz.Descriptors(range(photos), torch.randn(photos, dim))


def memory(arguments: argparse.Namespace, way: str) -> float:
    """MiB that one call adds to the peak of a process that holds the data already."""
    command = [sys.executable, __file__, "--memory-of", way, "-k", str(arguments.k)]
    for name in ("photos", "classes", "centers", "dim", "threads"):
        command += [f"--{name}", str(getattr(arguments, name))]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def measure_memory(arguments: argparse.Namespace) -> None:
    call = WAYS[arguments.memory_of]
    call(*example(10, 100, arguments.centers, arguments.dim), 5)  # what libraries allocate at first
    data = example(arguments.photos, arguments.classes, arguments.centers, arguments.dim)
    restart_peak()
    before = peak_mib()
    call(*data, arguments.k)
    print(peak_mib() - before)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--photos", type=int, default=1000)
    parser.add_argument("--classes", type=int, default=81_313)
    parser.add_argument("--centers", type=int, default=3)
    parser.add_argument("--dim", type=int, default=512)
    parser.add_argument("-k", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--memory-of", choices=list(WAYS), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    if arguments.memory_of:
        measure_memory(arguments)
        return

    data = example(arguments.photos, arguments.classes, arguments.centers, arguments.dim)
    (labels, scores), (others, their_scores) = (way(*data, arguments.k) for way in WAYS.values())
    times: dict[str, list[float]] = {name: [] for name in WAYS}
    for _ in range(arguments.rounds):
        for name, way in WAYS.items():
            times[name].append(seconds(lambda way=way: way(*data, arguments.k)))
    medians = {name: statistics.median(values) for name, values in times.items()}
    print(machine())
    print(f"{arguments.photos} photos, {arguments.classes} classes x {arguments.centers} centers x "
          f"{arguments.dim}, the best {arguments.k}")  # fmt: skip
    print(f"other classes at one place: {(labels != others).sum()} of {labels.numel()}; largest difference "
          f"of scores {(scores - their_scores).abs().max():.1e}")  # fmt: skip
    for name, values in times.items():
        print(f"{name:11} median {medians[name]:.2f} s (min {min(values):.2f}, max {max(values):.2f}), "
              f"peak beyond the data {memory(arguments, name):.0f} MiB")  # fmt: skip
    print(f"ratio of medians, lz.classify / plain: {medians['lz.classify'] / medians['plain']:.2f}")


if __name__ == "__main__":
    main()
