"""Checks of arguments: arrays, labels, counts and devices, each returned in one type."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any, NoReturn, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from landmarkzoo._utils.unicode_names import nfc

FloatArray: TypeAlias = NDArray[np.float32]
IntArray: TypeAlias = NDArray[np.int64]
Labels: TypeAlias = "NDArray[Any] | Tensor | Sequence[int] | Sequence[str | None]"


def as_numpy(x: Any) -> NDArray[Any]:
    """An array of what the user gave: numpy, torch on any device, or a sequence.

    Examples:
        >>> as_numpy(torch.tensor([0.5], dtype=torch.bfloat16))
        array([0.5], dtype=float32)
    """
    if not isinstance(x, Tensor):
        return np.asarray(x)
    # NumPy has no bfloat16 and no 8-bit floats.
    return (x.detach().float() if x.is_floating_point() and x.itemsize < 4 else x.detach()).cpu().numpy()


def as_array_protocol(
    array: NDArray[Any], dtype: np.dtype[Any] | type | None, copy: bool | None
) -> NDArray[Any]:
    """What ``__array__(dtype, copy)`` of NumPy 2 returns for an object that holds one array.

    Raises:
        ValueError: If a copy is needed and ``copy`` is ``False``.
    """
    wanted = array.dtype if dtype is None else np.dtype(dtype)
    if copy is False and wanted != array.dtype:
        raise ValueError(f"{array.dtype} as {wanted} needs a copy: leave copy=False out")
    return array.astype(wanted, copy=bool(copy))


def as_dlpack(array: NDArray[Any], options: dict[str, Any]) -> Any:
    """What ``__dlpack__(**options)`` returns for an object that holds one array: torch asks for it.

    The memory is shared, unless the array is read-only: torch cannot promise to leave it as it is.
    """
    return (array if array.flags.writeable else array.copy()).__dlpack__(**options)


def as_labels(labels: Labels, length: int, name: str) -> IntArray:
    """Labels (N,) as integers, -1 for no landmark or unknown; names are numbered in their order.

    See ``encode_labels``, which also gives the names.

    Examples:
        >>> as_labels(["Old Town", None, "Big Ben"], 3, "labels")
        array([ 1, -1,  0])
    """
    return encode_labels(labels, length, name)[0]


def encode_labels(labels: Labels, length: int, name: str) -> tuple[IntArray, NDArray[np.object_] | None]:
    """Labels (N,) as integers, and the name of each integer; no names where they were integers before.

    ``names[integers]`` gives the labels back: the last name is ``None``, which -1 points to. Both Unicode
    forms of a name are one name.

    Args:
        labels: What the user gave: integers, or names with ``None`` for no landmark or unknown. Beside names,
            the NaN and NA of a pandas column are ``None`` as well.
        length: The N that they must have.
        name: What they are called in error messages.

    Raises:
        TypeError: If they are neither integers nor names, or some of both.
        ValueError: If there are not ``length`` of them, a name is empty, or an integer does not fit into
            int64.

    Examples:
        >>> encode_labels(["Old Town", None, "Big Ben"], 3, "labels")
        (array([ 1, -1,  0]), array(['Big Ben', 'Old Town', None], dtype=object))
    """
    array = as_numpy(labels)
    if array.shape != (length,):
        raise ValueError(f"{name} must have shape ({length},), one label an image, got {array.shape}")
    of_strings = array.dtype.kind in "OUT"  # kept where there are no labels
    if array.dtype.kind in "iu" or (array.size == 0 and not of_strings):
        return as_int64(array, name), None
    values = list(labels) if isinstance(labels, Sequence) else array.tolist()
    kinds = [_kind_of(value) for value in values]
    if kinds and set(kinds) == {"integer"}:  # in an array of dtype object
        return np.array(values, dtype=np.int64), None
    if not set(kinds) <= {"name", "nothing"} or not of_strings:
        _refuse_labels(
            values, kinds, f"{name} must be integers (-1 for no landmark) or names (None for no landmark)"
        )
    spellings = sorted({str(value) for value, kind in zip(values, kinds) if kind == "name"})
    known = list({nfc(value): value for value in reversed(spellings)}.values())[::-1]
    if known and known[0] == "":
        row = next(row for row, value in enumerate(values) if isinstance(value, str) and value == "")
        raise ValueError(f'{name} has the name "" at row {row}: use None for no landmark')
    row_of = {nfc(value): row for row, value in enumerate(known)}
    integers = [row_of[nfc(str(value))] if kind == "name" else -1 for value, kind in zip(values, kinds)]
    return np.array(integers, dtype=np.int64), np.array([*known, None], dtype=object)


def as_int64(array: NDArray[Any], name: str) -> IntArray:
    """Integers as int64; an array of int64 stays as it is.

    Raises:
        ValueError: If one is too large: it would turn negative.
    """
    if array.dtype == np.uint64 and array.size and int(array.max()) >= 2**63:
        raise ValueError(f"{name} has {array.max()}, which does not fit into int64")
    return array.astype(np.int64, copy=False)


def _kind_of(label: object) -> str:
    """``"name"``, ``"integer"``, ``"nothing"`` or ``"other"``."""
    if isinstance(label, str):
        return "name"
    if isinstance(label, (int, np.integer)) and not isinstance(label, bool) and -(2**63) <= label < 2**63:
        return "integer"
    # The NA of pandas is not equal to itself, and cannot be here if pandas was not imported.
    if label is None or label is getattr(sys.modules.get("pandas"), "NA", None):
        return "nothing"
    return "nothing" if isinstance(label, (float, np.floating)) and np.isnan(label) else "other"


def _refuse_labels(values: list[Any], kinds: list[str], expected: str) -> NoReturn:
    """Say which of the labels does not belong."""
    if "other" in kinds or not {"integer", "name"} & set(kinds):
        row = kinds.index("other") if "other" in kinds else 0
        raise TypeError(f"{expected}, got {values[row]!r} at row {row}")
    if "name" not in kinds:
        row = kinds.index("nothing")
        raise TypeError(
            f"{expected}, got integers mixed with {values[row]!r} at row {row}: with integers, no landmark "
            "is -1"
        )
    main, odd = ("names", "integer") if kinds.index("name") < kinds.index("integer") else ("integers", "name")
    row = kinds.index(odd)
    raise TypeError(f"{expected}, got {main} mixed with the {odd} {values[row]!r} at row {row}: use one kind")


def encode_known(labels: NDArray[Any], names: NDArray[np.object_] | None, name: str) -> IntArray:
    """Labels (N,) as the integers that ``encode_labels`` gave others before.

    Args:
        labels: Integers where there are no names, otherwise some of the names.
        names: The names that ``encode_labels`` gave.
        name: What the labels are called in error messages.

    Raises:
        ValueError: If a label is not one of the names, or not an integer where there are no names.

    Examples:
        >>> encode_known(np.array(["b", None], dtype=object), np.array(["a", "b", None], dtype=object), "x")
        array([ 1, -1])
    """
    if (names is None) != (labels.dtype.kind in "iu"):
        raise ValueError(f"{name} must have labels of the same kind as train_labels, integers or names")
    if names is None:
        return labels.astype(np.int64, copy=False)
    row_of: dict[Any, int] = {nfc(value): row for row, value in enumerate(names[:-1])} | {None: -1}
    spelled = [value if value is None else nfc(value) for value in labels]
    unknown = [value for value in spelled if value not in row_of]
    if unknown:
        raise ValueError(f"{name} has the label {unknown[0]!r}, which train_labels do not have")
    return np.array([row_of[value] for value in spelled], dtype=np.int64)


def check_count(value: int, name: str) -> int:
    """A positive integer, such as ``k``.

    Raises:
        ValueError: If ``value`` is anything else.
    """
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 1:
        raise ValueError(f"{name} must be a positive integer, got {value!r}")
    if value >= 2**63:
        raise ValueError(f"{name} must be a positive integer that fits into 64 bits, got {value}")
    return int(value)


def check_number(value: float, name: str) -> float:
    """A finite number, such as a threshold.

    Raises:
        TypeError: If ``value`` is not a number.
        ValueError: If it is infinite or NaN.
    """
    if isinstance(value, bool) or not isinstance(value, (int, float, np.integer, np.floating)):
        raise TypeError(f"{name} must be a number, got {value!r}")
    if not np.isfinite(value):
        raise ValueError(f"{name} must be finite, got {value}")
    return float(value)


def as_device(device: str | torch.device | None) -> torch.device:
    """The device to compute on; ``None`` is the CPU.

    Raises:
        ValueError: If nothing can be computed on the device.
    """
    try:
        where = torch.device("cpu" if device is None else device)
        torch.empty(0, device=where).cpu()
    except (TypeError, RuntimeError, AssertionError, ImportError) as error:  # no CUDA, "meta"
        reason = str(error).partition("\n")[0].partition(". This could be")[0].rstrip(".")
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
