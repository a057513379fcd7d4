"""Run a model on batches of images, in eval mode, without changing anything about it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from landmarkzoo._utils.checks import as_device
from landmarkzoo.embedding.eval_copies import eval_copy
from landmarkzoo.embedding.held_objects import keeps_something, odd_attributes
from landmarkzoo.models.wrappers import unwrapped

Precision = Literal["auto", "float32", "bfloat16", "float16"]

# Hooks and the like leave what they see somewhere: with two threads at once, it would be from either.
_SHARED_STATE = threading.RLock()


@dataclass(frozen=True, eq=False)
class Inference:
    """A model that is ready: in eval mode, where it is to run, with the types it computes in.

    Attributes:
        model: The user's model, or an eval copy of it.
        device: Where it is.
        dtype: That of its weights, which the images get.
        autocast: Type of most products; ``None`` for that of the weights.
        one_at_a_time: Whether threads wait for each other.
    """

    model: nn.Module
    device: torch.device
    dtype: torch.dtype
    autocast: torch.dtype | None
    one_at_a_time: bool

    @property
    def precision(self) -> str:
        """What is computed in: ``"float32"``, ``"bfloat16"``, ``"float16"`` or ``"float64"``."""
        return str(self.autocast or self.dtype).removeprefix("torch.")

    def __call__(self, images: Tensor, function: Callable[[Tensor], Any] | None = None) -> Tensor:
        """Apply the model, or a method of it, to a batch without gradients.

        Args:
            images: A batch (B, 3, H, W).
            function: From images to vectors; the model itself if ``None``.

        Returns:
            Vectors (B, D), float32, on the device.

        Raises:
            TypeError: If it does not give a tensor of floating point numbers.
            ValueError: If its shape is another one, or the weights are of types that do not fit each other.
        """
        lock = _SHARED_STATE if self.one_at_a_time else nullcontext()
        try:
            images = self.on_device(images).to(self.dtype)
            with lock, torch.inference_mode(), self._autocast():
                vectors = _applied(function or self.model, images)
        except torch.OutOfMemoryError as error:
            raise torch.OutOfMemoryError(
                f"no memory on {self.device} for batch_size={len(images)}: use a smaller one. {error}"
            ) from error
        except RuntimeError as error:
            types = {p.dtype for p in self.model.parameters() if p.is_floating_point()}
            if len(types) < 2 or "type" not in str(error):
                raise
            raise ValueError(
                f"the model has weights in {' and '.join(sorted(map(str, types)))}, which do not fit each "
                f"other ({error}): model.float() makes them one type"
            ) from error
        return _checked(vectors, len(images)).float()

    def on_device(self, images: Tensor) -> Tensor:
        """Images where the model is. To a GPU they are copied while it still computes the batch before."""
        if self.device.type != "cuda" or images.device.type != "cpu":
            return images.to(self.device)
        computing, copying = torch.cuda.current_stream(self.device), _copying_stream(self.device)
        with torch.cuda.stream(copying):
            images = images.pin_memory().to(self.device, non_blocking=True)
        computing.wait_stream(copying)
        images.record_stream(computing)  # its memory is not used again before the model has read it
        return images

    def _autocast(self) -> AbstractContextManager[object]:
        if self.autocast is None:
            return torch.autocast(self.device.type, enabled=False)  # also inside an autocast of the user's
        # An autocast of the user's around this keeps the cache, which could have weights without gradients.
        return torch.autocast(self.device.type, dtype=self.autocast, cache_enabled=False)


def inference_with(
    model: nn.Module, device: str | torch.device | None = None, precision: Precision = "auto"
) -> Inference:
    """Make a model ready to embed, and leave it as it is: any number of threads may do so, or train.

    What runs is an eval copy that shares the weights; for another device or type, one that has its own. A
    model that is compiled or cannot be copied runs itself, if it is in eval mode; its mode must not change
    meanwhile.

    Args:
        model: Any module.
        device: Where to run; where the model is if ``None``.
        precision: ``"auto"`` computes in the type of the weights, except for float32 on CUDA, where it is
            float16. Another precision than the type of the weights is that of a model in float32: products
            in ``"bfloat16"`` and ``"float16"`` by autocast.

    Raises:
        TypeError: If ``model`` is not a module.
        ValueError: If there is no such device or precision, the model has no weights (on the meta device),
            or would have to be copied and cannot.
    """
    check_module(model)
    if precision not in get_args(Precision):
        raise ValueError(f"precision must be one of {get_args(Precision)}, got {precision!r}")
    while isinstance(model, DistributedDataParallel):  # would talk to the other processes
        model = model.module
    modules = list(model.modules())
    tensors: list[Tensor] = [p for m in modules for p in m._parameters.values() if p is not None]
    tensors += [b for m in modules for b in m._buffers.values() if b is not None]
    if any(nn.parameter.is_lazy(tensor) for tensor in tensors):
        raise ValueError(
            "the model has lazy layers, whose weights have no shape yet: call it once, model(images), and "
            "load weights"
        )
    if any(tensor.is_meta for tensor in tensors):
        raise ValueError(
            "the model is on the meta device, so it has no weights: create it without device='meta', or "
            "model.to_empty(device='cpu') and load weights"
        )
    home = tensors[0].device if tensors else torch.device("cpu")
    # Of "cuda" the number as well.
    where = home if device is None else torch.empty(0, device=as_device(device)).device
    own = next((tensor.dtype for tensor in tensors if tensor.is_floating_point()), torch.float32)
    dtype, autocast = _types(own, precision, where)
    moved = device is not None and any(tensor.device != where for tensor in tensors)
    changes = [repr(str(where))] * moved + [str(dtype)] * (dtype != own)  # what `to` is called with
    attributes = {m: odd_attributes(m) for m in modules}
    shared = any(keeps_something(m, odd) for m, odd in attributes.items())
    parts = [m for m in modules if unwrapped(m) is m]
    evaluates = not any(m.training for m in parts)
    # A copy would lose what torch.compile made, and the GPUs of DataParallel.
    wrapped = len(parts) < len(modules) or any(m._compiled_call_impl is not None for m in parts)
    if changes or not (wrapped and evaluates) or any(isinstance(m, DistributedDataParallel) for m in modules):
        try:
            model = eval_copy(model, where if moved else None, dtype if dtype != own else None, attributes)
        except ValueError as error:
            calls = [] if evaluates else ["model.eval()"]
            calls += [f"model.to({change})" for change in changes]
            if calls:
                raise ValueError(
                    "the model cannot be run in eval mode beside other threads without changing it, as "
                    f"{error}. Call {' and '.join(calls)} first"
                ) from error
    return Inference(model, where, dtype, autocast, one_at_a_time=shared)


@lru_cache
def _copying_stream(device: torch.device) -> torch.cuda.Stream:
    return torch.cuda.Stream(device)  # type: ignore[no-untyped-call]


def check_module(model: object) -> None:
    """Raise TypeError if a model is not a module."""
    if not isinstance(model, nn.Module):
        raise TypeError(
            f"a model must be a torch.nn.Module, got {type(model).__name__}; lz.create_model(name) makes one"
        )


def _applied(function: Callable[[Tensor], Any], images: Tensor) -> Any:
    """What a model gives, with the layout in memory that convolutions are fastest with, if it can have it."""
    if images.ndim != 4:
        return function(images)
    try:
        return function(images.contiguous(memory_format=torch.channels_last))
    except RuntimeError as error:
        if "view size is not compatible" not in str(error):
            raise
        return function(images.contiguous())  # a model that calls `view`, which needs the usual layout


def _types(own: torch.dtype, precision: Precision, device: torch.device) -> tuple[torch.dtype, Any]:
    """Type of the weights, and of the products under autocast."""
    if precision == "auto":
        half = own == torch.float32 and device.type == "cuda"
        return own, torch.float16 if half else None
    wanted: torch.dtype = getattr(torch, precision)
    if wanted == own:
        return own, None
    return torch.float32, None if wanted == torch.float32 else wanted


def _checked(output: Any, count: int) -> Tensor:
    """What a model gave for so many images, if it is vectors (count, D)."""
    if not isinstance(output, Tensor):
        got, pick = type(output).__name__, ".name"
        if isinstance(output, Mapping):
            got, pick = f"{got} with {', '.join(map(str, output))}", f"[{next(iter(output), 'name')!r}]"
        elif isinstance(output, (tuple, list)):
            got, pick = f"{got} of {len(output)}", "[0]"
        raise TypeError(
            f"the model must give a tensor (B, D), got a {got}: pass a module whose forward picks the "
            f"descriptors, such as `return self.model(images){pick}`"
        )
    if not output.is_floating_point():
        raise TypeError(f"the model must give floating point vectors, got {output.dtype}")
    if output.ndim == 4 and len(output) == count:
        raise ValueError(
            f"the model must give vectors ({count}, D) for {count} images, got maps {tuple(output.shape)}: "
            "lz.GlobalDescriptor(model) pools the maps of a backbone, or "
            "nn.Sequential(model, nn.AdaptiveAvgPool2d(1), nn.Flatten())"
        )
    if output.ndim != 2 or len(output) != count or output.shape[1] == 0:
        raise ValueError(
            f"the model must give vectors ({count}, D) for {count} images, got {tuple(output.shape)}"
        )
    return output
