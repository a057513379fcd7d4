"""Add photos to an index with all machines of a Ray cluster.

pip install 'landmarkzoo[ray]'
python examples/embed_with_ray.py INDEX PHOTOS [--workers 8] [--gpus-each 1] [--address auto]

Index and photos lie in a file system that all machines share. The photos are cut into units, and these are a
data set of Ray Data. Each worker is an actor that loads the model once, embeds units and writes them beside
the index; this process commits them. Ray starts workers where there is room, and those again that die. If
this process dies, call it again: it goes on. The index is that of one process, bit for bit.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import ray

import landmarkzoo as lz
from landmarkzoo.index import PlannedUnits, add_in_units


class Worker:
    """Embeds units, with the model in memory."""

    def __init__(self, units: PlannedUnits, device: str | None) -> None:
        self.units = units.on(device)

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        """Embed the units of a batch."""
        for unit in batch["unit"].tolist():
            self.units.embed(unit)
        return batch


def embed_with_ray(
    units: PlannedUnits, workers: int, cpus_each: float, gpus_each: float
) -> Iterator[dict[str, Any]]:
    """Embed all units that are left, and say after each one that it is done."""
    left = units.left()
    if not left:
        return
    ray.data.DataContext.get_current().enable_progress_bars = False  # add_in_units has one
    # A block is what Ray hands out and tries again: a unit each.
    data = ray.data.from_items([{"unit": unit} for unit in left], override_num_blocks=len(left))
    done = data.map_batches(
        Worker,
        fn_constructor_args=(units, "cuda" if gpus_each else None),  # Ray shows each worker its own
        batch_size=1,
        compute=ray.data.ActorPoolStrategy(size=workers),
        num_cpus=cpus_each,
        num_gpus=gpus_each,
    )
    yield from done.iter_rows()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("index", type=Path, help="made by landmarkzoo index create")
    parser.add_argument("photos", type=Path, help="a folder")
    parser.add_argument(
        "--folder-labels", action="store_true", help="the first folder of an id is its landmark"
    )
    parser.add_argument("--workers", type=int, default=2, help="how many processes embed")
    parser.add_argument("--cpus-each", type=int, default=1, help="one embeds, and others read photos")
    parser.add_argument("--gpus-each", type=float, default=0)
    parser.add_argument("--unit", type=int, help="photos that a worker embeds at a time: 128, with GPUs 1024")
    parser.add_argument("--address", help="of a cluster, or auto; left out, Ray starts on this machine")
    arguments = parser.parse_args()

    own = {} if arguments.address else {"num_cpus": arguments.workers * arguments.cpus_each}
    ray.init(address=arguments.address, include_dashboard=False if own else None, **own)
    index = lz.Index.open(arguments.index.absolute())
    add_in_units(
        index,
        arguments.photos.absolute(),
        lambda units: embed_with_ray(units, arguments.workers, arguments.cpus_each, arguments.gpus_each),
        labels="folder" if arguments.folder_labels else None,
        num_workers=arguments.cpus_each - 1,
        unit=arguments.unit or (1024 if arguments.gpus_each else 128),
    )
    print(f"{len(index)} photos in {arguments.index}")
    ray.shutdown()


if __name__ == "__main__":
    main()
