"""Run a model on batches of images, and leave it as it was."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Literal, get_args

import torch
from torch import Tensor, nn

from landmarkzoo._utils.checks import as_device

Precision = Literal["auto", "float32", "bfloat16", "float16"]


@contextmanager
def evaluating(model: nn.Module, device: str | torch.device | None = None) -> Iterator[torch.device]:
    """Put a model into eval mode, on a device; give every module its mode and place back afterwards.

    Args:
        model: Any module.
        device: Where to run; where the model is if ``None``.

    Yields:
        The device.

    Raises:
        ValueError: If there is no such device.
    """
    home = next((p.device for p in model.parameters()), torch.device("cpu"))
    where = home if device is None else as_device(device)
    modes = [(module, module.training) for module in model.modules()]
    try:
        model.eval()
        if where != home:
            model.to(where)
        yield where
    finally:
        if where != home:
            model.to(home)
        for module, training in modes:
            module.training = training


def weights_dtype(model: nn.Module) -> torch.dtype:
    """Dtype of the first floating point parameter; float32 for a model without one."""
    return next((p.dtype for p in model.parameters() if p.is_floating_point()), torch.float32)


def forward(
    function: Callable[[Tensor], Tensor],
    images: Tensor,
    device: torch.device,
    precision: Precision,
    dtype: torch.dtype,
) -> Tensor:
    """Apply a model, or a method of one, to a batch without gradients; float32 comes back, on the CPU.

    Args:
        function: From images (B, 3, H, W) to vectors (B, D).
        images: A batch.
        device: Where the model is.
        precision: ``"auto"`` is float16 on CUDA and float32 elsewhere.
        dtype: That of the weights, which the images get.

    Raises:
        ValueError: If the precision is unknown, or the vectors have another shape.
    """
    images = images.to(device, dtype)
    if images.ndim == 4:
        images = images.contiguous(memory_format=torch.channels_last)
    with torch.inference_mode(), _autocast(device, precision):
        vectors = function(images)
    if vectors.ndim != 2 or len(vectors) != len(images):
        raise ValueError(
            f"the model must give vectors ({len(images)}, D) for {len(images)} images, got "
            f"{tuple(vectors.shape)}"
        )
    return vectors.float().cpu()


def _autocast(device: torch.device, precision: Precision) -> AbstractContextManager[object]:
    if precision not in get_args(Precision):
        raise ValueError(f"precision must be one of {get_args(Precision)}, got {precision!r}")
    if precision == "auto":
        precision = "float16" if device.type == "cuda" else "float32"
    if precision == "float32":
        return torch.autocast(device.type, enabled=False)  # also inside an autocast of the user's
    return torch.autocast(device.type, dtype=getattr(torch, precision))
