"""What goes into a layer, checked where the error of torch would not say what to do.

Shapes and modes only, never values: nothing waits for a GPU, and ``torch.compile`` and ``torch.export`` see
no branch that depends on data.
"""

from __future__ import annotations

from torch import Tensor, nn

_BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d)  # without SyncBatchNorm, whose batch is that of all processes


def check_floating_point(x: object, what: str) -> None:
    """Raise if ``x`` is not a floating-point tensor.

    Args:
        x: What came.
        what: What takes it, for the message.

    Raises:
        TypeError: With the way out.

    Examples:
        >>> check_floating_point(torch.ones(2, dtype=torch.int64), "a neck")
        Traceback (most recent call last):
        TypeError: a neck takes floating-point tensors, got torch.int64: x.float() converts them
    """
    if not isinstance(x, Tensor):
        raise TypeError(f"{what} takes torch tensors, got {type(x).__name__}: torch.as_tensor(x) makes one")
    if not x.is_floating_point():
        raise TypeError(f"{what} takes floating-point tensors, got {x.dtype}: x.float() converts them")


def check_batch_norm(layer: nn.Module, x: Tensor) -> None:
    """Raise if a layer is a batch norm in training mode and ``x`` has one value a channel.

    Raises:
        ValueError: With the way out.
    """
    if isinstance(layer, _BATCH_NORMS) and layer.training and x.numel() == x.shape[1]:
        raise ValueError(
            "one image has no batch statistics, and the model is in training mode: call model.eval() for "
            "descriptors, or train with 2 images or more (a DataLoader with drop_last=True)"
        )
