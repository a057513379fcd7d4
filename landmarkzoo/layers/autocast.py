"""Autocast for training, without those kernels of CPUs that are slower in bfloat16 than in float32."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.overrides import TorchFunctionMode

from landmarkzoo._utils.cpu_features import has_native_bfloat16

_conv2d = torch.conv2d  # what nn.Conv2d and timm's padded convolutions call


@contextmanager
def mixed_precision(device: torch.device | str, dtype: torch.dtype | None = None) -> Iterator[None]:
    """``torch.autocast`` for the forward pass of a training step, with gradients that are fast on CPUs too.

    On CPUs, PyTorch's bfloat16 kernel for the gradients of some depthwise convolutions in channels_last
    layout (larger than 3 x 3, or with a stride) is slower than the one in float32. These gradients are
    computed in float32 here, from the bfloat16 tensors that autocast keeps
    (``benchmarks/train_step.py`` measures a training step with and without this). Everything else is as in
    ``torch.autocast``, outputs of these convolutions included.

    Args:
        device: The device of the model.
        dtype: ``torch.bfloat16``, ``torch.float16``, or ``torch.float32`` for no autocast. ``None``:
            bfloat16 if the device computes with it in hardware, otherwise float32.

    Examples:
        >>> conv = torch.nn.Conv2d(4, 4, kernel_size=5, groups=4).to(memory_format=torch.channels_last)
        >>> images = torch.ones(2, 4, 8, 8).contiguous(memory_format=torch.channels_last)
        >>> with lz.layers.mixed_precision("cpu", torch.bfloat16):
        ...     maps = conv(images)
        ...     loss = torch.nn.functional.mse_loss(maps, torch.zeros_like(maps))
        >>> loss.backward()
        >>> maps.dtype, loss.dtype, conv.weight.grad.dtype
        (torch.bfloat16, torch.float32, torch.float32)
    """
    device = torch.device(device)
    if dtype is None:
        dtype = torch.bfloat16 if has_bfloat16(device) else torch.float32
    with torch.autocast(device.type, dtype, enabled=dtype != torch.float32):
        if device.type == "cpu" and dtype != torch.float32:
            with _FastDepthwiseGradients():
                yield
        else:
            yield


def has_bfloat16(device: torch.device) -> bool:
    """Whether a device multiplies bfloat16 in hardware; without that it is slower than float32."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device.type == "cpu":
        return has_native_bfloat16()
    return False


def without_autocast(device: torch.device) -> AbstractContextManager[object]:
    """Switch autocast off for a block; does nothing if it is off already, as in exported programs.

    Examples:
        >>> with torch.autocast("cpu", dtype=torch.bfloat16), without_autocast(torch.device("cpu")):
        ...     product = torch.ones(1, 1) @ torch.ones(1, 1)
        >>> product.dtype
        torch.float32
    """
    if device.type == "meta" or not torch.is_autocast_enabled(device.type):
        return nullcontext()
    return torch.autocast(device.type, enabled=False)


class _FastDepthwiseGradients(TorchFunctionMode):
    """Replaces the gradients of some convolutions while autocast is on."""

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        if func is not _conv2d or not torch.is_autocast_enabled("cpu"):
            return func(*args, **kwargs)
        return _convolution(*args, **kwargs)


def _convolution(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: int | tuple[int, ...] = 1,
    padding: int | tuple[int, ...] | str = 0,
    dilation: int | tuple[int, ...] = 1,
    groups: int = 1,
) -> Tensor:
    """``F.conv2d`` inside autocast."""
    strides, dilations = _pair(stride), _pair(dilation)
    slow = groups > 1 and weight.shape[1] == 1 and (max(weight.shape[2:]) > 3 or max(strides) > 1)
    if (
        not slow
        or input.ndim != 4
        or isinstance(padding, str)
        or input.dtype == torch.float64  # autocast does not change it
        or not input.is_contiguous(memory_format=torch.channels_last)
    ):
        return _conv2d(input, weight, bias, stride, padding, dilation, groups)
    dtype = torch.get_autocast_dtype("cpu")
    low = [None if value is None else value.to(dtype) for value in (input, weight, bias)]
    result: Tensor = _DepthwiseConvolution.apply(*low, strides, _pair(padding), dilations, groups)
    return result


def _pair(value: int | tuple[int, ...]) -> tuple[int, ...]:
    values = tuple(value) if isinstance(value, tuple | list) else (value,)
    return values * (2 // len(values))


class _DepthwiseConvolution(torch.autograd.Function):
    """A convolution in low precision whose gradients are computed in float32."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, *how: Any) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.how, ctx.channels = how, None if bias is None else list(bias.shape)
        with torch.autocast("cpu", enabled=False):
            return _conv2d(x, weight, bias, *how)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        stride, padding, dilation, groups = ctx.how
        gradients = torch.ops.aten.convolution_backward(
            *(value.float() for value in (gradient, x, weight)),
            ctx.channels, stride, padding, dilation, False, [0, 0], groups, ctx.needs_input_grad[:3],
        )  # fmt: skip
        lows = (None if g is None else g.to(x.dtype) for g in gradients)
        return (*lows, None, None, None, None)
