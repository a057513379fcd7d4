"""Autocast for training, without the kernels that are slower in bfloat16 than in float32."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

_conv2d = torch.conv2d  # the one function that nn.Conv2d and timm's padded convolutions call


@contextmanager
def mixed_precision(device: torch.device | str, dtype: torch.dtype = torch.bfloat16) -> Iterator[None]:
    """``torch.autocast`` for the forward pass of a training step.

    On CPUs, depthwise convolutions of channels_last images that are larger than 3 x 3 or have a stride stay
    in float32: PyTorch computes their bfloat16 gradients by a general grouped kernel, 2 to 7 times slower
    (``benchmarks/train_step.py`` measures the whole step). Elsewhere this is ``torch.autocast`` alone.

    Args:
        device: Where the model is.
        dtype: ``torch.bfloat16``, ``torch.float16``, or ``torch.float32`` for no autocast.

    Example:
        >>> conv, images = torch.nn.Conv2d(4, 4, kernel_size=5, groups=4), torch.ones(2, 4, 8, 8)
        >>> with lz.layers.mixed_precision("cpu"):
        ...     conv(images).dtype
        torch.bfloat16
    """
    kind = torch.device(device).type
    with torch.autocast(kind, dtype, enabled=dtype != torch.float32):
        if kind == "cpu" and dtype != torch.float32:
            with _SlowDepthwiseInFloat32(dtype):
                yield
        else:
            yield


class _SlowDepthwiseInFloat32(TorchFunctionMode):
    """Computes some convolutions in float32, and gives their results in the dtype of autocast."""

    def __init__(self, dtype: torch.dtype) -> None:
        super().__init__()
        self.dtype = dtype

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        if func is not _conv2d or not _is_slow(*args, **kwargs):
            return func(*args, **kwargs)
        with torch.autocast("cpu", enabled=False):
            wide: Any = [value.float() if isinstance(value, Tensor) else value for value in args]
            wide_kwargs: Any = {k: v.float() if isinstance(v, Tensor) else v for k, v in kwargs.items()}
            return func(*wide, **wide_kwargs).to(self.dtype)


def _is_slow(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: int | tuple[int, ...] = 1,
    padding: int | tuple[int, ...] | str = 0,
    dilation: int | tuple[int, ...] = 1,
    groups: int = 1,
) -> bool:
    """Whether a convolution has slow gradients in bfloat16: the arguments are those of ``F.conv2d``."""
    if input.ndim != 4 or not input.is_contiguous(memory_format=torch.channels_last):
        return False
    depthwise = groups > 1 and weight.shape[1] == 1
    strides = stride if isinstance(stride, tuple | list) else (stride,)
    return depthwise and (max(weight.shape[2:]) > 3 or max(strides) > 1)
