"""Building what a file describes in no more memory than the file itself can fill.

A ``config.json`` may say anything: a descriptor of a thousand million numbers, a layer for every photo. The
weights beside it say in their header, which is quick to read, how much there really is.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from torch.overrides import TorchFunctionMode

# Room for buffers that no file holds, such as the masks of a Swin, and for models built to be looked at.
_MORE_NUMBERS, _TIMES_NUMBERS = 2**26, 4
_MORE_TENSORS, _TIMES_TENSORS = 20_000, 20

_MAKERS = frozenset(
    {
        torch.empty,
        torch.empty_strided,
        torch.eye,
        torch.full,
        torch.linspace,
        torch.arange,
        torch.normal,
        torch.ones,
        torch.rand,
        torch.randint,
        torch.randn,
        torch.zeros,
    }
)


class TooLargeError(ValueError):
    """A file describes a model that is far larger than the weights beside it."""


def tensors_in(path: Path) -> dict[str, torch.Tensor]:
    """The tensors of a safetensors file on the meta device: shapes and dtypes, from its header alone.

    Raises:
        safetensors.SafetensorError: If it is damaged or not such a file.
    """
    with safe_open(str(path), framework="pt") as file:
        found = {}
        for name in file.keys():  # noqa: SIM118
            tensor = file.get_slice(name)
            shape, dtype = tensor.get_shape(), tensor[:0].dtype if tensor.get_shape() else None
            dtype = file.get_tensor(name).dtype if dtype is None else dtype  # one number
            found[name] = torch.empty(shape, dtype=dtype, device="meta")
        return found


@contextmanager
def no_larger_than(tensors: Mapping[str, torch.Tensor]) -> Iterator[None]:
    """Limit the tensors that the block makes in this thread to a few times what a file holds.

    Raises:
        TooLargeError: Before the memory is taken.

    Examples:
        >>> with no_larger_than({"weight": torch.zeros(512, 1280)}):
        ...     torch.nn.Linear(1280, 10**9)
        Traceback (most recent call last):
        landmarkzoo._utils.bounded_building.TooLargeError: more than 4 times the 655360 numbers of the file
    """
    with _Budget(tensors):
        yield


class _Budget(TorchFunctionMode):
    def __init__(self, tensors: Mapping[str, torch.Tensor]) -> None:
        super().__init__()
        self.in_file = sum(tensor.numel() for tensor in tensors.values())
        self.tensors_in_file = len(tensors)
        self.numbers = _TIMES_NUMBERS * self.in_file + _MORE_NUMBERS
        self.tensors = _TIMES_TENSORS * len(tensors) + _MORE_TENSORS

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func in _MAKERS:
            self.tensors -= 1
            if str(kwargs.get("device")) != "meta" and "out" not in kwargs:
                plain = {k: v for k, v in kwargs.items() if k not in ("generator", "pin_memory")}
                with suppress(TypeError):  # torch.normal of tensors: of their size, so they are counted
                    self.numbers -= math.prod(func(*args, **{**plain, "device": "meta"}).shape)
            if self.tensors < 0:
                raise TooLargeError(f"far more tensors than the {self.tensors_in_file} of the file")
            if self.numbers < 0:
                raise TooLargeError(
                    f"more than {_TIMES_NUMBERS} times the {self.in_file} numbers of the file"
                )
        return func(*args, **kwargs)


def largest_argument(args: Mapping[str, Any]) -> str:
    """The largest number in some arguments, by its name; a list counts by its length.

    Examples:
        >>> largest_argument({"embedding_dim": 512, "backbone_args": {"depth": 10**6}})
        "backbone_args['depth'] (1e+06)"
    """
    sizes: dict[str, float] = {}
    for name, value in args.items():
        if isinstance(value, Mapping):
            sizes |= {f"{name}[{key!r}]": _size(inner) for key, inner in value.items()}
        else:
            sizes[name] = _size(value)
    name = max(sizes, key=lambda key: sizes[key], default="")
    return f"{name} ({sizes[name]:g})" if name else "not known"


def _size(value: Any) -> float:
    if isinstance(value, (list, tuple)):
        return max([len(value), *(_size(inner) for inner in value)])
    return abs(value) if isinstance(value, (int, float)) else 0
