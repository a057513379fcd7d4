"""Arguments at the border of the head: what came, what is right, how to fix it."""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from landmarkzoo.losses.arcface.matmul_precision import MatmulDtype

Reduction = Literal["mean", "sum", "none"]
PerClass = NDArray[Any] | Tensor | Sequence[float]


def positive_integer(value: Any, name: str) -> int:
    """An integer of any kind, such as that of numpy, as ``int``.

    Raises:
        ValueError: If it is none, or not positive.

    Examples:
        >>> positive_integer(np.int64(3), "k")
        3
    """
    try:
        number = 0 if isinstance(value, bool) else operator.index(value)
    except TypeError:
        number = 0
    if number < 1:
        raise ValueError(f"{name} must be a positive integer, got {value!r}")
    return number


def check_options(
    *,
    scale: float,
    label_smoothing: float,
    reduction: Reduction,
    products: MatmulDtype,
    sample_rate: float | None,
) -> None:
    """What of a head can be checked by itself.

    Raises:
        ValueError: If an option is out of range.
    """
    if not 0 < scale < math.inf:
        raise ValueError(f"scale must be positive, got {scale}")
    if not 0 <= label_smoothing <= 1:
        raise ValueError(f"label_smoothing must be in [0, 1], got {label_smoothing}")
    if reduction not in get_args(Reduction):
        raise ValueError(f"reduction must be one of {get_args(Reduction)}, got {reduction!r}")
    if products not in get_args(MatmulDtype):
        raise ValueError(f"products must be one of {get_args(MatmulDtype)}, got {products!r}")
    if sample_rate is not None and not 0 < sample_rate <= 1:
        raise ValueError(f"sample_rate must be in (0, 1] or None, got {sample_rate}")


def per_class(
    values: PerClass | float,
    num_classes: int,
    name: str,
    *,
    scalar: bool = True,
) -> NDArray[np.float64]:
    """One finite number a class (C,), or where ``scalar`` allows it one for all.

    Raises:
        TypeError: If they are not numbers.
        ValueError: If there are not C of them, or one is not finite.
    """
    if isinstance(values, Tensor):
        values = values.detach().cpu().double().numpy()
    array = np.asarray(values)
    if array.dtype.kind not in "iuf":
        raise TypeError(f"{name} must be an array of numbers, one a class, got dtype {array.dtype}")
    if array.shape != (num_classes,) and not (scalar and array.shape == ()):
        one = "be one number or " if scalar else ""
        raise ValueError(f"{name} must {one}have shape ({num_classes},), one a class, got {array.shape}")
    array = np.broadcast_to(array.astype(np.float64), (num_classes,))
    if not np.isfinite(array).all():
        row = int(np.flatnonzero(~np.isfinite(array))[0])
        raise ValueError(f"{name} must be finite, got {array[row]} for class {row}")
    return array


def check_margins(margins: NDArray[np.float64]) -> NDArray[np.float64]:
    """Margins in [0, pi), in radians.

    Raises:
        ValueError: If one is not; degrees are recognised.
    """
    wrong = np.flatnonzero((margins < 0) | (margins >= math.pi))
    if len(wrong):
        hint = " Are these degrees? np.deg2rad." if margins.max() >= math.pi else ""
        raise ValueError(
            f"margins are radians in [0, pi), got {margins[wrong[0]]} for class {wrong[0]}.{hint}"
        )
    return margins


def check_weights(weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Class weights that are not negative.

    Raises:
        ValueError: If one is.
    """
    wrong = np.flatnonzero(weights < 0)
    if len(wrong):
        raise ValueError(f"class_weights must not be negative, got {weights[wrong[0]]} for class {wrong[0]}")
    return weights
