"""Memory for the gradient of a large weight, from one training step to the next."""

from __future__ import annotations

import math
import threading
import time
import weakref
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

_ALIGNMENT = 64  # bytes of a cache line
_REUSED_BYTES = 2**22  # smaller memory is made anew
_IDLE_SECONDS = 10.0  # new memory costs tenths of a second: nothing beside a step that takes longer than this


class ReusableBuffer:
    """One block of CPU memory for a large gradient, handed out again as soon as no tensor uses it any more.

    A CPU tensor of hundreds of MB is new memory from the system each time it is made: at the size of Google
    Landmarks, handing it out page by page costs as much as computing what stands in it. Tensors in use are
    never touched: who keeps ``weight.grad``, or a view of it, keeps its memory, and the next tensor gets
    another block. A block that nobody asked for during ten seconds goes back to the system with the tensor
    that uses it. Copies and pickles start without memory.

    Examples:
        >>> buffer, cpu = ReusableBuffer(), torch.device("cpu")
        >>> gradient = buffer.empty((3000, 512), torch.float32, cpu)
        >>> address = gradient.data_ptr()
        >>> del gradient
        >>> buffer.empty((512, 3000), torch.float32, cpu).data_ptr() == address
        True
    """

    def __init__(self) -> None:
        self._block: NDArray[Any] = np.empty(0, np.uint8)
        self._one_at_a_time = threading.Lock()
        self._user: Callable[[], NDArray[Any] | None] = lambda: None  # what a tensor's storage holds on to
        self._asked = 0.0
        self._timer: threading.Timer | None = None

    def empty(self, shape: Sequence[int], dtype: torch.dtype, device: torch.device) -> Tensor:
        """Like ``torch.empty``. Small tensors, and tensors on a GPU, come from ``torch.empty``."""
        size = math.prod(shape) * dtype.itemsize
        if device.type != "cpu" or size < _REUSED_BYTES:
            return torch.empty(shape, dtype=dtype, device=device)
        with self._one_at_a_time:
            part = self._part(size)
            self._asked = time.monotonic()
            if self._timer is None or not self._timer.is_alive():  # as after a fork
                self._timer = _start_timer(self)
        return torch.from_numpy(part).view(dtype).view(*shape)

    def release(self) -> None:
        """Forget the block. A tensor that uses it keeps it for itself."""
        with self._one_at_a_time:
            self._block = np.empty(0, np.uint8)

    def _part(self, size: int) -> NDArray[Any]:
        if self._user() is not None or len(self._block) < size + _ALIGNMENT:
            self._block = np.empty(0, np.uint8)  # first give back what is there
            self._block = np.empty(size + _ALIGNMENT, np.uint8)  # numpy asks for huge pages
        start = -self._block.ctypes.data % _ALIGNMENT
        part = self._block[start : start + size]
        self._user = weakref.ref(part)  # which lives as long as the storage of the tensor
        return part

    def __reduce__(self) -> tuple[type[ReusableBuffer], tuple[()]]:
        return ReusableBuffer, ()


def _start_timer(buffer: ReusableBuffer) -> threading.Timer:
    timer = threading.Timer(_IDLE_SECONDS, _release_if_idle, [weakref.ref(buffer)])
    timer.daemon = True
    timer.start()
    return timer


def _release_if_idle(reference: weakref.ref[ReusableBuffer]) -> None:
    """Forget the block of a buffer that was not asked for a while, or look again later."""
    buffer = reference()
    if buffer is None:
        return
    with buffer._one_at_a_time:
        buffer._timer = None
        if time.monotonic() - buffer._asked >= _IDLE_SECONDS:
            buffer._block = np.empty(0, np.uint8)
        else:
            buffer._timer = _start_timer(buffer)
