"""Add photos to an index with all machines of a Ray cluster.

pip install 'landmarkzoo[ray]'
python examples/embed_with_ray.py INDEX PHOTOS [--ranks 8] [--gpus-each 1] [--address auto]

Index and photos lie in a file system that all machines share. Ray starts the ranks where there is room, and
starts those again that die. Each rank loads the model once, embeds its share and writes it into the index;
rank 0 commits. The index is that of one process, bit for bit. ``torchrun -m landmarkzoo index add`` does the
same without Ray.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import ray

import landmarkzoo as lz
from landmarkzoo.index import Ranks, add_by_ranks


@ray.remote(max_retries=3)  # of a process that dies: what it has done is there
def add(index: str, photos: str, labels: str | None, ranks: Ranks, device: str | None) -> int:
    opened = lz.Index.open(index, device=device)
    add_by_ranks(opened, photos, labels=labels, progress=False, ranks=ranks)
    return len(opened)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("index", type=Path, help="made by landmarkzoo index create")
    parser.add_argument("photos", type=Path, help="a folder")
    parser.add_argument(
        "--folder-labels", action="store_true", help="the first folder of an id is its landmark"
    )
    parser.add_argument("--ranks", type=int, default=2, help="how many processes embed")
    parser.add_argument("--cpus-each", type=float, default=1)
    parser.add_argument("--gpus-each", type=float, default=0)
    parser.add_argument("--address", help="of a cluster, or auto; left out, Ray starts on this machine")
    arguments = parser.parse_args()

    own = {} if arguments.address else {"num_cpus": arguments.ranks * arguments.cpus_each}
    ray.init(address=arguments.address, include_dashboard=False if own else None, **own)
    device = "cuda" if arguments.gpus_each else None  # Ray shows each rank its own
    rank = add.options(num_cpus=arguments.cpus_each, num_gpus=arguments.gpus_each)
    started = [
        rank.remote(
            str(arguments.index.absolute()),
            str(arguments.photos.absolute()),
            "folder" if arguments.folder_labels else None,
            Ranks(number, arguments.ranks),
            device,
        )
        for number in range(arguments.ranks)
    ]
    print(f"{ray.get(started)[0]} photos in {arguments.index}")
    ray.shutdown()


if __name__ == "__main__":
    main()
