"""Files of a training that may end at any moment: each is whole or not there, and so is a set of them.

``landmarkzoo.finetune`` and ``examples/train.py`` write their checkpoints by these functions.
"""

from __future__ import annotations

import pickle
import signal
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import IO, Any

import torch

from landmarkzoo._utils.atomic_writing import atomic_write

CHECKPOINT = "checkpoint.pt"


def write_whole(path: Path, write: Callable[[IO[bytes]], object]) -> None:
    """Write a file by a function, whole or not at all.

    Raises:
        OSError: If it cannot be written; what was there before stays.
    """
    with atomic_write(path) as temporary, temporary.open("wb") as file:
        try:
            write(file)
        except RuntimeError as error:  # torch.save on a full disk
            raise OSError(f"cannot write {path}: {error}") from error


def save(path: Path, state: Any) -> None:
    """``torch.save``, whole or not at all.

    Raises:
        OSError: If it cannot be written; what was there before stays.
    """
    write_whole(path, lambda file: torch.save(state, file))


def load(path: Path) -> Any:
    """What ``save`` wrote: tensors, on the CPU, and plain Python; no code runs.

    Raises:
        ValueError: If it is damaged, or something else.
    """
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, EOFError, pickle.UnpicklingError) as error:
        reason = str(error).partition("\n")[0]
        raise ValueError(f"{path} is damaged, or not a checkpoint of this trainer: {reason}") from error


def save_parts(
    folder: Path, name: str, state: dict[str, Any], own: Any, rank: int, barrier: Callable[[], object] | None
) -> None:
    """Save ``state``, the same on all processes, and ``own``, into ``checkpoint.pt``.

    With a barrier each process has an ``own``, and writes it to a file of its own. These count as soon as
    ``checkpoint.pt`` has their name, and only then those of before are removed: whoever kills the processes
    in between leaves the checkpoint of before.
    """
    if barrier is not None:
        save(_part(folder, name, rank), own)
        barrier()
    if rank == 0:
        save(folder / CHECKPOINT, {**state, "own": own if barrier is None else name})
    if barrier is not None:
        barrier()
        for path in folder.glob(f"checkpoint-*-rank{rank}.pt"):
            if path != _part(folder, name, rank):
                path.unlink()


def load_own(folder: Path, state: dict[str, Any], rank: int) -> Any:
    """The ``own`` of a process, of the ``state`` that ``checkpoint.pt`` holds."""
    return load(_part(folder, state["own"], rank)) if isinstance(state["own"], str) else state["own"]


def _part(folder: Path, name: str, rank: int) -> Path:
    return folder / f"checkpoint-{name}-rank{rank}.pt"


@contextmanager
def folder_for(out: Path) -> Iterator[None]:
    """Make a folder and write to it, before the work starts; without files in the end it vanishes again.

    Raises:
        OSError: If it cannot be made or written.
    """
    out = out.absolute()
    new = [place for place in (out, *out.parents) if not place.exists()]
    try:
        out.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=out) as file:
            file.write(bytes(4096))
            file.flush()
        yield
    finally:
        with suppress(OSError):  # there is something in it
            for place in new:
                place.rmdir()


@contextmanager
def handled_signals(handler: Callable[[int, FrameType | None], object]) -> Iterator[dict[int, Any]]:
    """Let Ctrl-C and SIGTERM, as schedulers send it, call ``handler(number, frame)`` until the block ends.

    Nothing changes outside of the main thread, where Python has no signals, and for a signal that is ignored.
    Gives the handlers of before.
    """
    before: dict[int, Any] = {}
    if threading.current_thread() is threading.main_thread():
        known = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
        before = {number: old for number, old in known.items() if old not in (signal.SIG_IGN, None)}
    for number in before:
        signal.signal(number, handler)
    try:
        yield before
    finally:
        for number, old in before.items():
            signal.signal(number, old)
