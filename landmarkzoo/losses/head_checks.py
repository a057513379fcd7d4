"""What users give to a head, checked: what came, what is right, how to fix it."""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

PerClass = NDArray[Any] | Tensor | Sequence[float]


def positive_integer(value: Any, name: str) -> int:
    """An integer of any kind, such as that of numpy, as ``int``.

    Raises:
        ValueError: If it is not an integer, or not positive.

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


def positive_number(value: float, name: str) -> float:
    """A positive, finite number as ``float``.

    Raises:
        ValueError: If it is zero, negative or not finite.
    """
    number = float(value)
    if not 0 < number < math.inf:
        raise ValueError(f"{name} must be positive, got {value}")
    return number


def one_of(value: str, choices: Sequence[str], name: str) -> None:
    """Raise unless the value is one of the choices.

    Raises:
        ValueError: With the choices.
    """
    if value not in choices:
        raise ValueError(f"{name} must be one of {tuple(choices)}, got {value!r}")


def per_class(
    values: PerClass | float, num_classes: int, name: str, *, scalar: bool = True, negative: bool = True
) -> NDArray[np.float64]:
    """One finite number a class (C,), as an array.

    Args:
        values: What the user gave.
        num_classes: C.
        name: What it is called in error messages.
        scalar: Whether one number for all classes will do.
        negative: Whether numbers may be negative.

    Raises:
        TypeError: If they are not numbers.
        ValueError: If there are not C of them, or one is not finite or wrongly negative.
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
    if not negative and array.min() < 0:
        row = int(np.flatnonzero(array < 0)[0])
        raise ValueError(f"{name} must not be negative, got {array[row]} for class {row}")
    return array


def check_embeddings(embeddings: Tensor, dim: int, device: torch.device, *, wait: bool = False) -> None:
    """Check that embeddings are (B, dim), floating point, finite, and on the device of the head.

    Args:
        embeddings: The batch.
        dim: What the head takes.
        device: Where the head is.
        wait: On CUDA, check the values at once instead of by a later assertion that ends the process.

    Raises:
        TypeError: If they are not a floating point tensor.
        ValueError: If their shape, device or values are wrong.
    """
    if not isinstance(embeddings, Tensor):
        raise TypeError(
            f"embeddings must be a torch.Tensor, got {type(embeddings).__name__}; "
            "torch.from_numpy turns an array into one"
        )
    if not embeddings.is_floating_point():
        raise TypeError(f"embeddings must be floating point, got {embeddings.dtype}")
    if embeddings.ndim != 2 or embeddings.shape[1] != dim or len(embeddings) == 0:
        raise ValueError(
            f"embeddings must have shape (B, {dim}) with B >= 1, got {tuple(embeddings.shape)}; "
            "embedding_dim of the head must be that of the model"
        )
    if embeddings.device != device:
        raise ValueError(
            f"embeddings are on {embeddings.device}, the head is on {device}: move one, head.to(device)"
        )
    finite = torch.isfinite(embeddings)
    if not wait and _assert_later(finite.all(), "embeddings must be finite, but have NaN or infinite values"):
        return
    if not finite.all():
        row = int((~finite.all(dim=1)).nonzero()[0])
        raise ValueError(
            f"embeddings must be finite, but row {row} of the batch has NaN or infinite values: the model "
            "diverged (lower the learning rate, clip gradients), its images have such values, or it left the "
            f"range of its dtype ({embeddings.dtype})"
        )


def check_labels(
    labels: Tensor, length: int, num_classes: int, device: torch.device, *, wait: bool = False
) -> Tensor:
    """Labels (length,) in [0, num_classes), as int64.

    Args:
        labels: The batch.
        length: Number of embeddings.
        num_classes: C.
        device: Where the head is.
        wait: As for ``check_embeddings``.

    Raises:
        TypeError: If they are not an integer tensor.
        ValueError: If their shape, device or values are wrong.
    """
    if not isinstance(labels, Tensor):
        raise TypeError(
            f"labels must be a torch.Tensor of integers, got {type(labels).__name__}: torch.as_tensor(labels)"
        )
    if labels.is_floating_point() or labels.is_complex() or labels.dtype == torch.bool:
        raise TypeError(
            f"labels must be class indices of an integer dtype, got {labels.dtype}: labels.long()"
        )
    if labels.shape != (length,):
        raise ValueError(
            f"labels must have shape ({length},), one class an embedding, got {tuple(labels.shape)}; "
            "of one-hot labels take labels.argmax(1)"
        )
    if labels.device != device:
        raise ValueError(f"labels are on {labels.device}, the head is on {device}: labels.to(device)")
    labels = labels.long()
    wrong = (labels < 0) | (labels >= num_classes)
    if not wait and _assert_later(~wrong.any(), f"labels must be in [0, {num_classes})"):
        return labels
    if wrong.any():
        row = int(wrong.nonzero()[0])
        hint = " Images without a landmark (-1) have no class: leave them out." if labels[row] == -1 else ""
        if labels[row] == num_classes:
            hint = " Labels start at 0: np.unique(labels, return_inverse=True)[1] are such labels."
        raise ValueError(
            f"labels must be in [0, {num_classes}), got {int(labels[row])} at row {row} of the batch.{hint}"
        )
    return labels


def _assert_later(right: Tensor, message: str) -> bool:
    """On CUDA check without waiting, as ``cross_entropy`` does: a host sync would stall every step."""
    if right.device.type != "cuda":
        return False
    torch._assert_async(right, message)
    return True
