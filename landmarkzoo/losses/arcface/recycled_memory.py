"""Memory for a large gradient that serves one step after the other.

A CPU tensor of hundreds of MB is new memory from the system each time it is made: at the size of Google
Landmarks, handing it out page by page costs as much as computing what stands in it.
"""

from __future__ import annotations

import math
import threading
import weakref
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

_ALIGNMENT = 64  # bytes of a cache line
_WORTH_IT = 2**22  # bytes


class ReusableBuffer:
    """One block of CPU memory, handed out anew as soon as no tensor uses it any more.

    Tensors that are still in use are never touched: who keeps ``weight.grad``, or a view of it, keeps its
    memory, and the next tensor gets another block. Copies and pickles start without memory.

    Examples:
        >>> memory, cpu = ReusableBuffer(), torch.device("cpu")
        >>> gradient = memory.empty((3000, 512), torch.float32, cpu)
        >>> address = gradient.data_ptr()
        >>> del gradient
        >>> memory.empty((512, 3000), torch.float32, cpu).data_ptr() == address
        True
    """

    def __init__(self) -> None:
        self._block: NDArray[Any] = np.empty(0, np.uint8)
        self._one_at_a_time = threading.Lock()
        self._user: Callable[[], NDArray[Any] | None] = lambda: None  # what a tensor's storage holds on to

    def empty(self, shape: Sequence[int], dtype: torch.dtype, device: torch.device) -> Tensor:
        """Like ``torch.empty``. On devices that keep memory themselves, and if it is small, nothing more."""
        size = math.prod(shape) * dtype.itemsize
        if device.type != "cpu" or size < _WORTH_IT:
            return torch.empty(shape, dtype=dtype, device=device)
        with self._one_at_a_time:
            part = self._part(size)
        return torch.from_numpy(part).view(dtype).view(*shape)

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
