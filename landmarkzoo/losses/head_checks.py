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

_CHECKED_VALUES = 2**22  # at a time

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


def check_embeddings(embeddings: Tensor, dim: int, device: torch.device) -> None:
    """Check the batch of a head, except for its values.

    Args:
        embeddings: What the user gave.
        dim: D of the head.
        device: Where the head is.

    Raises:
        TypeError: If they are not a floating point tensor.
        ValueError: If their shape or device is wrong.
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


def check_finite(embeddings: Tensor, *, wait: bool = False) -> None:
    """Check that no value is NaN or infinite, some rows at a time.

    Args:
        embeddings: (B, D).
        wait: Check on CUDA at once as well, at the price of a host sync: an error can then be told to other
            processes.

    Raises:
        ValueError: With the first row. On CUDA, without ``wait``, it is a device-side assertion.
    """
    size = max(1, _CHECKED_VALUES // embeddings.shape[1])
    for start, block in zip(range(0, len(embeddings), size), torch.split(embeddings, size)):
        finite = torch.isfinite(block)
        if not wait and _assert_later(finite.all(), "embeddings must be finite, but have NaN or infinities"):
            continue
        if not finite.all():
            row = start + int((~finite.all(dim=1)).nonzero()[0])
            raise ValueError(
                f"embeddings must be finite, but row {row} of the batch has NaN or infinite values: the "
                "model diverged (lower the learning rate, clip gradients), its images have such values, or "
                f"it left the range of its dtype ({embeddings.dtype}). If a GradScaler, or you, look at the "
                "loss: head.check_values = False makes it NaN instead"
            )


def check_labels(
    labels: Tensor | None, length: int, num_classes: int, device: torch.device, *, wait: bool = False
) -> Tensor:
    """Labels (length,) in [0, num_classes), as int64.

    Args:
        labels: The batch.
        length: Number of embeddings.
        num_classes: C.
        device: Where the head is.
        wait: As for ``check_finite``.

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
    unsigned = labels.dtype == torch.uint64  # the upper half of which is negative as int64
    labels = labels.long()
    wrong = (labels < 0) | (labels >= num_classes)
    if not wait and _assert_later(~wrong.any(), f"labels must be in [0, {num_classes})"):
        return labels
    if wrong.any():
        row = int(wrong.nonzero()[0])
        value, hint = int(labels[row]) % 2**64 if unsigned else int(labels[row]), ""
        if value == -1:
            hint = " Images without a landmark (-1) have no class: leave them out."
        if value == num_classes:
            hint = " Labels start at 0: np.unique(labels, return_inverse=True)[1] are such labels."
        raise ValueError(
            f"labels must be in [0, {num_classes}), got {value} at row {row} of the batch.{hint}"
        )
    return labels


def _assert_later(right: Tensor, message: str) -> bool:
    """On CUDA check without waiting, as ``cross_entropy`` does: a host sync would stall every step."""
    if right.device.type != "cuda":
        return False
    torch._assert_async(right, message)
    return True
