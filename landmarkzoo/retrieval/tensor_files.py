"""The safetensors files of this room: a format, arrays, and strings about them."""

from __future__ import annotations

import errno
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from landmarkzoo._utils.atomic_writing import atomic_write, cannot_write

# What to do with photos that are given in place of a file.
_HOW = {"descriptors": ": photos are embedded first, by lz.embed or landmarkzoo embed"}


def save_tensors(path: str | Path, kind: str, tensors: Mapping[str, NDArray[Any]], **metadata: str) -> None:
    """Write one safetensors file, whole or not at all.

    Args:
        path: The file to write; its folder must exist.
        kind: What it holds, such as ``"descriptors"``.
        tensors: Arrays by name.
        **metadata: Strings that stand in its header.

    Raises:
        FileNotFoundError: If the folder does not exist.
        OSError: If it cannot be written, such as on a full disk.
    """
    arrays = {name: np.ascontiguousarray(array) for name, array in tensors.items()}
    with atomic_write(path) as temporary:
        save_file(arrays, str(temporary), metadata={"format": _format_of(kind), **metadata})


def check_replaceable(path: str | Path, kind: str) -> None:
    """Check that no file of another kind stands where a file of this kind will be written.

    Args:
        path: The file that will be written. It may be empty, or of this kind in any version.
        kind: What it will hold.

    Raises:
        FileExistsError: If it is something else, such as a photo.
    """
    path = Path(path)
    if not path.exists() or path.stat().st_size == 0:
        return
    try:
        with safe_open(str(path), framework="numpy") as file:
            found = (file.metadata() or {}).get("format", "")
    except SafetensorError:
        found = ""
    if found.rpartition(".v")[0] != _format_of(kind).rpartition(".v")[0]:
        raise cannot_write(
            path,
            errno.EEXIST,
            f"it is there already and does not hold {kind}: use another name, or remove it",
        )


def load_tensors(path: str | Path, kind: str) -> tuple[dict[str, NDArray[Any]], dict[str, str]]:
    """Arrays and metadata of a file that ``save_tensors`` wrote.

    Args:
        path: The file.
        kind: What it must hold.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is damaged or holds something else.
    """
    if Path(path).is_dir():
        raise ValueError(f"{path} is a folder and not a {kind} file{_HOW.get(kind, '')}")
    if not Path(path).is_file():
        raise FileNotFoundError(f"no {kind} file {path}")
    try:
        with safe_open(str(path), framework="numpy") as file:
            metadata = file.metadata() or {}
            if metadata.get("format") != _format_of(kind):
                raise ValueError(
                    f"{path} does not hold {kind} of this version: its format is "
                    f"{metadata.get('format')!r}, {_format_of(kind)!r} is needed. Write the file again."
                )
            return {name: file.get_tensor(name) for name in file.keys()}, metadata  # noqa: SIM118
    except (SafetensorError, TypeError, AttributeError) as error:  # the last two: bfloat16 and 8-bit floats
        raise ValueError(
            f"{path} is not a {kind} file, or it is damaged{_HOW.get(kind, '')} ({error})"
        ) from error


def _format_of(kind: str) -> str:
    return f"landmarkzoo.{kind}.v1"
