"""Numbers and arrays of NumPy in a checkpoint, for ``torch.load(weights_only=True)``: no code, no objects.

Training scripts store them all the time: a best score, the state of a random generator. They are pickled as
calls of a few functions of NumPy. Functions of our own stand in for these, which make arrays of numbers and
text only.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pickle import UnpicklingError
from typing import Any

import numpy as np
import torch

_KINDS = "biufcSUmM"  # of dtypes that hold no objects
_lock = threading.Lock()


def _dtype(spec: Any, *options: Any) -> np.dtype[Any]:
    dtype: np.dtype[Any] = np.dtype(spec, *options)
    if dtype.kind not in _KINDS:
        raise UnpicklingError(f"an array of {dtype} may hold objects, which are not loaded")
    return dtype


def _scalar(dtype: np.dtype[Any], data: Any = None) -> Any:
    if not isinstance(dtype, np.dtype) or dtype.kind not in _KINDS or not isinstance(data, bytes):
        raise UnpicklingError("a number of NumPy is a dtype and its bytes")
    return np.frombuffer(data, dtype, count=1)[0]


def _empty_array(kind: Any, shape: Any, dtype: Any) -> np.ndarray[Any, Any]:
    if kind is not np.ndarray or shape != (0,):  # its numbers follow as bytes
        raise UnpicklingError("an array of NumPy begins empty")
    return np.empty(0, np.int8)


def _standing_in(function: Callable[..., Any], module: str, name: str) -> Callable[..., Any]:
    """A function that a pickle finds under the name of another one."""

    def call(*args: Any) -> Any:
        return function(*args)

    call.__module__, call.__name__, call.__qualname__ = module, name, name
    return call


_SAFE: list[Any] = [
    np.ndarray,
    _standing_in(_dtype, "numpy", "dtype"),
    _standing_in(lambda: b"", "builtins", "bytes"),  # the numbers of an empty array
    *dict.fromkeys(type(np.dtype(code)) for code in "?bBhHiIlLqQefdgFDGSUmM"),
]
for _module in ("numpy.core.multiarray", "numpy._core.multiarray"):  # of NumPy 1 and 2
    _SAFE += [_standing_in(_scalar, _module, "scalar"), _standing_in(_empty_array, _module, "_reconstruct")]


@contextmanager
def numpy_numbers() -> Iterator[None]:
    """Let ``torch.load(weights_only=True)`` read numbers and arrays of NumPy.

    torch keeps what is allowed in one place for all threads: one block at a time, and what the user has
    allowed stays.
    """
    with _lock:
        there = torch.serialization.get_safe_globals()
        with torch.serialization.safe_globals([safe for safe in _SAFE if safe not in there]):
            yield
