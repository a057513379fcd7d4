"""Checks of arguments: labels, counts and devices, each returned in one type."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

FloatArray: TypeAlias = NDArray[np.float32]
IntArray: TypeAlias = NDArray[np.int64]
Labels: TypeAlias = "NDArray[Any] | Tensor | list[int]"


def as_labels(labels: Labels, length: int, name: str) -> IntArray:
    """Integer labels (N,); -1 stands for no landmark or unknown.

    Args:
        labels: What the user gave.
        length: The expected N.
        name: The name of the argument, for error messages.

    Raises:
        TypeError: If they are not integers.
        ValueError: If there are not ``length`` of them.
    """
    array = labels.detach().cpu().numpy() if isinstance(labels, Tensor) else np.asarray(labels)
    if array.size and array.dtype.kind not in "iu":
        raise TypeError(
            f"{name} must be integers, got dtype {array.dtype}; "
            "np.unique(names, return_inverse=True) turns names into integers"
        )
    if array.shape != (length,):
        raise ValueError(f"{name} must have shape ({length},), one label an image, got {array.shape}")
    return array.astype(np.int64)


def check_count(value: int, name: str) -> int:
    """A positive integer, such as ``k``.

    Raises:
        ValueError: If ``value`` is anything else.
    """
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 1:
        raise ValueError(f"{name} must be a positive integer, got {value!r}")
    return int(value)


def as_device(device: str | torch.device | None) -> torch.device:
    """The device to compute on; ``None`` is the CPU.

    Raises:
        ValueError: If nothing can be computed on the device.
    """
    try:
        where = torch.device("cpu" if device is None else device)
        torch.empty(0, device=where).cpu()
    except (RuntimeError, AssertionError, NotImplementedError) as error:  # no CUDA, or "meta"
        reason = str(error).partition("\n")[0]
        raise ValueError(f"cannot compute on the device {device!r}: {reason}. Use 'cpu'?") from error
    return where


def unit(x: NDArray[np.floating]) -> NDArray[np.float64]:
    """Vectors (..., D) scaled to length 1, in float64; zero vectors stay zero.

    Examples:
        >>> unit(np.array([[3.0, 4.0], [0.0, 0.0]]))
        array([[0.6, 0.8],
               [0. , 0. ]])
    """
    x = x.astype(np.float64)
    norms = np.linalg.norm(x, axis=-1, keepdims=True)
    return np.asarray(x / np.where(norms > 0, norms, 1.0))
