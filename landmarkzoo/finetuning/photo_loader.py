"""Processes that read photos beside a training, and end when it ends."""

from __future__ import annotations

import atexit
import multiprocessing
import signal
from multiprocessing.process import BaseProcess
from typing import Any
from weakref import WeakSet

from torch.utils.data import DataLoader, Dataset

_READERS: WeakSet[BaseProcess] = WeakSet()  # all that have been started


class PhotoLoader(DataLoader[Any]):
    """A ``DataLoader`` whose processes ignore Ctrl-C and SIGTERM: the process that trains ends them.

    So a training can finish its step and save its place. After an error they are ended as well.

    Args:
        photos: A map-style data set.
        **options: Those of ``DataLoader``, but for ``worker_init_fn``.

    Examples:
        >>> rows = torch.utils.data.TensorDataset(torch.tensor([1, 2, 3, 4]))
        >>> [batch.tolist() for (batch,) in lz.finetuning.PhotoLoader(rows, batch_size=2)]
        [[1, 2], [3, 4]]
    """

    def __init__(self, photos: Dataset[Any], **options: Any) -> None:
        super().__init__(photos, worker_init_fn=_ignore_signals, **options)

    def __iter__(self) -> Any:  # the class of iterators is private to PyTorch
        before = set(multiprocessing.active_children())
        batches = super().__iter__()
        _READERS.update(set(multiprocessing.active_children()) - before)
        return batches


def _ignore_signals(worker: int) -> None:
    for name in ("SIGINT", "SIGTERM"):
        signal.signal(getattr(signal, name), signal.SIG_IGN)


@atexit.register  # later than that of multiprocessing, and so called before it
def _end_readers() -> None:
    """End the processes that read photos where an error has left them.

    At its end Python sends SIGTERM to what is left, which they ignore, and would wait for them forever.
    """
    left = _READERS.intersection(multiprocessing.active_children())
    if left and hasattr(signal, "SIGCHLD"):
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # PyTorch's handler raises when one is killed
    for process in left:
        process.kill()
