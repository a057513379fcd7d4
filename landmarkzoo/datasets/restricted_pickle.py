"""Pickles without code: plain containers and arrays of numbers; everything else is refused."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray


def load(path: str | Path) -> Any:
    """Read a pickle of dicts, lists, tuples, sets, strings, numbers, and numpy arrays and scalars of numbers.

    A pickle may name any function, which is called when the pickle is read. This reader calls none of them:
    it builds arrays by code of its own, which also refuses what numpy's pickle functions trust, such as
    arrays of pointers. Pickles of Python 2 are read too.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the pickle asks for anything else (names it), or is damaged.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f"no such file: {path}")
    with Path(path).open("rb") as file:
        try:
            return _RestrictedUnpickler(file, encoding="latin1").load()
        except _RefusedError as error:
            raise ValueError(
                f"{path} asks for {error}: refused, only plain containers, numbers, text and arrays of "
                "numbers are read. Do not open it with pickle unless you trust who made it"
            ) from None
        except Exception as error:  # damaged pickles make the reader raise nearly anything
            raise ValueError(
                f"{path} is not a pickle, or is damaged: {error} ({type(error).__name__})"
            ) from error


class _RefusedError(Exception):
    """A class or function that a pickle must not name."""


class _RestrictedUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        module = module.replace("numpy._core", "numpy.core")  # as numpy < 2 calls it
        if (module, name) not in _ALLOWED:
            raise _RefusedError(f"{module}.{name}")
        return _ALLOWED[module, name]


class _NumberType:
    """Stands for ``numpy.dtype``: booleans and numbers only."""

    def __init__(self, name: str, align: bool = False, copy: bool = False) -> None:
        self.dtype: np.dtype[Any] = _numbers_only(np.dtype(str(name)))

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        # (version, byte order, ...): what follows describes fields, which numbers do not have.
        self.dtype = _numbers_only(self.dtype.newbyteorder(state[1]))


class _NumberArray(np.ndarray[Any, Any]):
    """An empty array that takes its shape and numbers from the pickle, checked."""

    def __setstate__(self, state: Any, /) -> None:
        _, shape, kind, fortran, data = state
        order = "F" if fortran else "C"
        array = _from_bytes(_as_bytes(data), kind, shape, order)
        super().__setstate__((1, array.shape, array.dtype, bool(fortran), array.tobytes(order)))  # type: ignore[arg-type]


def _no_bytes() -> bytes:
    return b""


def _numbers_only(dtype: np.dtype[Any]) -> np.dtype[Any]:
    if dtype.kind not in "biuf":
        raise _RefusedError(f"an array of {dtype}")
    return dtype


def _empty_array(kind: object, shape: object, code: object) -> _NumberArray:
    array: _NumberArray = np.empty(0, np.uint8).view(_NumberArray)
    return array


def _scalar(kind: _NumberType, data: bytes | str) -> Any:
    return _from_bytes(_as_bytes(data), kind, (1,), "C")[0]


def _from_bytes(data: bytes, kind: _NumberType, shape: Any, order: Any) -> NDArray[Any]:
    array: NDArray[Any] = np.frombuffer(data, dtype=kind.dtype).reshape(shape, order=order)
    copy: NDArray[Any] = array.copy(order)  # frombuffer's own memory is read-only
    return copy


def _as_bytes(data: bytes | str, encoding: str = "latin1") -> bytes:
    return data.encode("latin1") if isinstance(data, str) else bytes(data)


_ALLOWED = {
    ("numpy", "ndarray"): None,  # named beside _reconstruct only, never called
    ("numpy", "dtype"): _NumberType,
    ("numpy.core.multiarray", "_reconstruct"): _empty_array,
    ("numpy.core.multiarray", "scalar"): _scalar,
    ("numpy.core.numeric", "_frombuffer"): _from_bytes,
    ("_codecs", "encode"): _as_bytes,  # how Python 3 writes bytes for Python 2
    ("__builtin__", "bytes"): _no_bytes,  # and those of an empty array
}
