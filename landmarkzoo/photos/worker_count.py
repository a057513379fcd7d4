"""How many processes read photos where the user does not say."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import threading
from collections.abc import Sequence
from pathlib import Path

import torch
from tqdm import TMonitor

from landmarkzoo.photos.resizing import size_text
from landmarkzoo.photos.sources import PhotoSource

FEWEST = 64  # photos: starting processes takes as long as reading some
_MOST = 16
_BATCHES_AHEAD = 3  # of each process: two that wait, and the one it works on
_SHARED_MEMORY = Path("/dev/shm")  # where Linux has what processes hand over; a container has 64 MB of it


def workers_for(source: PhotoSource, transform: object, batch_size: int, device: torch.device) -> int:
    """Processes that read photos beside this one, as suits the machine; 0 where they could do harm.

    There are none for few photos, for images in memory, and for data sets and transforms of the user's, which
    may hold what two processes cannot share. None either where processes are not forked, as each would run
    the user's script from its start, and none beside threads of the user's, whose locks a forked process
    would wait for forever.

    Args:
        source: The photos.
        transform: What they go through.
        batch_size: Photos a batch.
        device: Where the model runs: on a CPU it needs the cores itself.

    Examples:
        >>> from landmarkzoo.photos.worker_count import workers_for
        >>> source = lz.photos.photo_source(["photos/1.jpg", "photos/2.jpg"])
        >>> workers_for(source, None, 32, torch.device("cpu"))
        0
    """
    files = isinstance(source.items, Sequence) and all(
        isinstance(item, (str, Path)) for item in source.items[:1]
    )
    size = size_text(transform)
    if len(source) < FEWEST or not files or size is None:
        return 0
    pixels = [int(word) for word in size.split() if word.isdecimal()]
    image = 12 * pixels[0] * pixels[-1] if pixels else 12 * 4096**2  # bytes, in float32
    return fitting_workers(device, image * batch_size)


def fitting_workers(device: torch.device, batch: int, sharing: int = 1) -> int:
    """Processes that suit the machine, for photos that any process can read; 0 where they could do harm.

    Args:
        device: Where the model runs: on a CPU it needs the cores itself.
        batch: Bytes that are handed over at a time.
        sharing: How many processes on this machine have a model, and want processes that read.

    Examples:
        >>> from landmarkzoo.photos.worker_count import fitting_workers
        >>> fitting_workers(torch.device("cpu"), 2**20, sharing=1000)
        0
    """
    if not _can_fork():
        return 0
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    cores //= sharing
    count = min(cores // 4 if device.type == "cpu" else cores - 1, _MOST)
    if _SHARED_MEMORY.is_dir():
        room = shutil.disk_usage(_SHARED_MEMORY).free // 2 // sharing
        count = min(count, room // (batch * _BATCHES_AHEAD))
    return max(count, 0)


def _can_fork() -> bool:
    method = multiprocessing.get_start_method(allow_none=True) or multiprocessing.get_all_start_methods()[0]
    alone = all(
        thread is threading.main_thread() or isinstance(thread, TMonitor)  # of a progress bar
        for thread in threading.enumerate()
    )
    return method == "fork" and alone and not multiprocessing.current_process().daemon
