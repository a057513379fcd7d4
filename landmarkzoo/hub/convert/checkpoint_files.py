"""Reading the checkpoint files of other code: tensors come out, code in them never runs."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from landmarkzoo.hub.convert.numpy_values import numpy_numbers

_LEGACY = b"\x80\x02"  # how files of torch.save begin that are not zips: a pickle of protocol 2


def read_checkpoint(path: str | Path) -> Any:
    """Read what ``torch.save`` or safetensors wrote, onto the CPU, mapped from disk if the format allows it.

    Args:
        path: The file. If it ends in ``.safetensors``, it is read as such, otherwise by ``torch.load`` with
            ``weights_only=True``.

    Raises:
        FileNotFoundError: If there is no such file.
        IsADirectoryError: If it is a folder.
        ValueError: If the file is damaged, or holds more than tensors, numbers and arrays of NumPy, and plain
            values.
    """
    path = Path(path).expanduser()
    if path.is_dir():
        raise IsADirectoryError(f"{path} is a folder: give the checkpoint file in it")
    if not path.is_file():
        raise FileNotFoundError(f"there is no checkpoint {path}")
    if path.suffix == ".safetensors":
        try:
            return load_file(str(path))
        except SafetensorError as error:
            raise ValueError(f"{path} is damaged or not a safetensors file: {error}") from error
    is_whole_zip = zipfile.is_zipfile(path)  # looks for the directory at its end
    if not is_whole_zip:
        _check_start(path)
    try:
        with numpy_numbers():
            return torch.load(path, map_location="cpu", weights_only=True, mmap=is_whole_zip)
    except OSError:
        raise
    except Exception as error:  # a file that is not a whole pickle can raise anything
        raise ValueError(f"{path}: {_reason(error)}") from error


def check_finite(tensors: Mapping[str, Tensor], where: str) -> None:
    """Raise if weights hold NaN or infinity: a file that is damaged inside is read without complaint.

    Args:
        tensors: Weights by their names in the file.
        where: How the message begins.

    Raises:
        ValueError: With the first such name.

    Examples:
        >>> check_finite({"fc.bias": torch.tensor([torch.nan])}, "net.pth")
        Traceback (most recent call last):
        ValueError: net.pth has NaN or infinity in fc.bias: it is damaged, or its training failed
    """
    for name, tensor in tensors.items():
        if not torch.isfinite(tensor).all():
            raise ValueError(f"{where} has NaN or infinity in {name}: it is damaged, or its training failed")


def _check_start(path: Path) -> None:
    """Raise if a file that is not a whole zip is half a zip, or a pickle that torch.save never writes."""
    with path.open("rb") as file:
        start = file.read(2)
    if not start:
        raise ValueError(f"{path} is empty: copy or download it again")
    if start == b"PK":
        raise ValueError(f"{path} is damaged: its end is missing. Copy or download it again")
    if start[:1] == _LEGACY[:1] and start != _LEGACY:
        raise ValueError(
            f"{path}: damaged, or not a checkpoint that torch.load reads with weights_only=True (it is a "
            "pickle that torch.save did not write, and code in a pickle could do anything)"
        )


def _reason(error: Exception) -> str:
    text = str(error)
    refused = re.search(r"GLOBAL (\S+)", text)
    if refused is None:
        # torch puts the cause into advice to use weights_only=False, which would not help a damaged file.
        inner = re.search(r"WeightsUnpickler error:\s*(.*)", text)
        cause = inner[1] if inner else text.strip().partition("\n")[0]
        cause = f" ({cause[:200]})" if cause else ""
        return f"damaged, or not a checkpoint that torch.load reads with weights_only=True{cause}"
    return (
        f"it holds more than tensors, numbers and plain values: {refused[1]}, which is not loaded, as code "
        "in a checkpoint could do anything. If you trust it, load it with weights_only=False yourself and "
        "torch.save({'model': checkpoint['model']}, ...) as a new file, which can be converted"
    )
