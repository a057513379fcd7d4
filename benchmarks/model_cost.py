"""Seconds and memory that models take for one photo, at their own image size and scales.

    python benchmarks/model_cost.py NAME [NAME ...] [--photos 3] [--size 1024 768] [--threads 2]
    python benchmarks/model_cost.py --out docs/model_cost.json && python docs/which_model_page.py

Random weights, ``lz.embed`` of one photo a call, on the CPU, in the precision of the weights: float32. Each
model runs in a process of its own: the median of the calls after the first, on the clock and of all cores
together (which other programs on the machine disturb less), and the most memory that the process held,
Python and torch included, which is what a machine must have. Photos are of ``--size``, at which those models
see them that do not resize.

``--out`` writes what was measured for the page "Which model should I take?"; without names it measures the
models of that page.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import runpy
import statistics
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from measuring import machine
from PIL import Image

import landmarkzoo as lz

PAGE = Path(__file__).parents[1] / "docs" / "which_model_page.py"


def cost(name: str, photos: int, size: tuple[int, int], precision: str) -> dict[str, Any]:
    model = lz.create_model(name).eval()
    embed = partial(lz.embed, model, precision=precision, progress=False)
    rng = np.random.default_rng(0)
    images = [
        Image.fromarray(rng.integers(0, 256, (*size[::-1], 3), dtype=np.uint8)) for _ in range(photos + 1)
    ]
    clock, cores = [], []
    for image in images:
        before = time.process_time()
        start = time.perf_counter()
        used = embed([image]).provenance["precision"]
        clock.append(time.perf_counter() - start)
        cores.append(time.process_time() - before)
    weights = sum(tensor.nbytes for tensor in model.state_dict().values())
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    medians = {"seconds": statistics.median(clock[1:]), "core seconds": statistics.median(cores[1:])}
    return {**medians, "peak": peak, "weights": weights, "precision": used}


def row(name: str, found: dict[str, Any]) -> str:
    cfg = lz.get_model_cfg(name)
    side = max(cfg.input_size[1:])
    image = "its own size" if cfg.resize == "none" else f"{side} px, {cfg.resize}"
    scales = ", ".join(f"{scale:.3g}" for scale in cfg.scales)
    return (
        f"| `{name}` | {image} | {scales} | {cfg.embedding_dim} | {found['seconds']:.2f} | "
        f"{found['core seconds']:.2f} | "
        f"{found['peak'] / 2**30:.2f} | {found['weights'] / 2**30:.2f} | {found['precision']} |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help="those of the page if none is given")
    parser.add_argument("--photos", type=int, default=3, help="timed photos, after one that warms up")
    parser.add_argument("--size", type=int, nargs=2, default=(1024, 768), metavar=("WIDTH", "HEIGHT"))
    parser.add_argument("--precision", default="auto", help="of lz.embed")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--out", type=Path, metavar="FILE", help="write what was measured, as JSON")
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    if args.here:  # in the process of one model
        print(json.dumps(cost(args.names[0], args.photos, args.size, args.precision)))
        return
    names = args.names or list(runpy.run_path(str(PAGE))["MODELS"])
    load = os.getloadavg()[0]  # of other programs: on a machine at rest it is near 0
    print(f"{machine()}, load of other programs {load:.1f}, photos of {args.size[0]}x{args.size[1]} px\n")
    print(
        "| name | image | scales | descriptor | seconds | core-seconds | peak GiB | weights GiB | precision |"
    )
    print("|---|---|---|---|---|---|---|---|---|")
    found: dict[str, Any] = {}
    content: dict[str, Any] = {"settings": machine(), "load": round(load, 1), "photo": list(args.size)}
    content |= {"photos": args.photos, "models": found}
    for name in names:
        found[name] = in_a_process(name, args)
        print(row(name, found[name]), flush=True)
        if args.out:  # each time, so that a run that is cut keeps what it has
            args.out.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def in_a_process(name: str, args: argparse.Namespace) -> dict[str, Any]:
    options = ["--photos", args.photos, "--size", *args.size, "--precision", args.precision]
    command = [sys.executable, __file__, name, "--here", "--threads", args.threads, *options]
    done = subprocess.run([str(part) for part in command], stdout=subprocess.PIPE, text=True, check=True)
    return dict(json.loads(done.stdout.splitlines()[-1]))


if __name__ == "__main__":
    main()
