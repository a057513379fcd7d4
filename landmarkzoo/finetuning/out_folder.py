"""The folder of a training: new, half done, or finished; of this call or of another one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

from landmarkzoo._utils.atomic_writing import cannot_write
from landmarkzoo._utils.file_locks import single_writer
from landmarkzoo.finetuning import checkpoints
from landmarkzoo.finetuning.results import TRAINING_FILE, read_training

Resume = Literal["auto"] | bool
State = Literal["new", "begun", "finished"]


def state_of(out: Path, call: Mapping[str, Any], resume: Resume) -> State:
    """What the folder holds of a call.

    Args:
        out: The folder, there or not.
        call: What makes the call: another one is refused.
        resume: ``"auto"`` goes on where there is something, ``True`` needs that, ``False`` refuses it.

    Raises:
        FileExistsError: If something else lies in the folder, or ``resume`` is ``False`` and it is not empty.
        FileNotFoundError: If ``resume`` is ``True`` and there is nothing to go on from.
        ValueError: If it is of another call; the message says what differs.
    """
    if not (isinstance(resume, bool) or resume == "auto"):
        raise ValueError(f"resume must be 'auto', True or False, got {resume!r}")
    if out.exists() and not out.is_dir():
        raise cannot_write(out, None, "it is a file, and must be a folder")
    there = [path for path in out.iterdir() if not _is_ours(path)] if out.is_dir() else []
    if there and resume is False:
        raise FileExistsError(f"{out} is not empty: choose another folder, or resume='auto' to go on")
    if (out / TRAINING_FILE).is_file():
        _check_same(out, read_training(out)["call"], call)
        return "finished"
    if (out / checkpoints.CHECKPOINT).is_file():
        _check_same(out, checkpoints.load(out / checkpoints.CHECKPOINT)["call"], call)
        return "begun"
    if there:
        raise FileExistsError(f"{out} is not empty, and holds no training: choose another folder")
    if resume is True:
        raise FileNotFoundError(f"{out} has no training to go on with: resume='auto' starts one")
    return "new"


@contextmanager
def written_folder(out: Path) -> Iterator[None]:
    """Make the folder, be the only one that writes it, and leave no half files of a killed training.

    Raises:
        OSError: If it cannot be made or written, or another process trains there.
    """
    with checkpoints.folder_for(out), single_writer(out / checkpoints.CHECKPOINT):
        for path in out.glob(".landmarkzoo-*.tmp"):
            path.unlink(missing_ok=True)
        yield


def remove_checkpoints(out: Path) -> None:
    """Remove what a training that is finished does not need, and one that was killed at its end has left."""
    for pattern in (
        "best-epoch*-rank*.pt",
        "checkpoint-*-rank*.pt",
        checkpoints.CHECKPOINT,
        ".landmarkzoo-*.tmp",
    ):
        for path in out.glob(pattern):
            path.unlink(missing_ok=True)


def stopping_place(out: Path) -> str:
    """What there is of a training that was stopped, and how to go on."""
    path = out / checkpoints.CHECKPOINT
    if not path.is_file():
        return "stopped before the first epoch: nothing is saved"
    place = checkpoints.load(path)["place"]
    within = f", batch {place['batch']}" if place["batch"] else ""
    return f"stopped after epoch {place['epoch']}{within}: saved in {out}; started again, it goes on there"


def _is_ours(path: Path) -> bool:
    """Whether a file may be there without a training: a lock, or what a killed process left."""
    return path.name == f"{checkpoints.CHECKPOINT}.lock" or path.name.startswith(".landmarkzoo-")


def _check_same(out: Path, then: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    other = [f"{k} was {then.get(k)}, is {now.get(k)}" for k in {**then, **now} if then.get(k) != now.get(k)]
    if other:
        raise ValueError(f"{out} is of another call: {'; '.join(other)}. Choose another folder")
