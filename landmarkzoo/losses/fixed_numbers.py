"""Numbers of a head that are not learned, such as margins: they travel in the state dict."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

if TYPE_CHECKING:
    from typing_extensions import Self


class FixedNumbers(nn.Module):
    """The part of a head that keeps one number for each class.

    Attributes:
        num_classes: C.
        weight: The centers; the numbers are on their device.
    """

    num_classes: int
    weight: nn.Parameter

    def __init__(self) -> None:
        super().__init__()
        self._per_class: dict[str, NDArray[np.float64] | None] = {}

    def keep_per_class(self, name: str, values: NDArray[np.float64] | None) -> None:
        """Keep one number a class (C,) as the attribute ``name``: a float32 tensor, or ``None``.

        It is on the device of the weight, travels in the state dict (see ``fixed_numbers``), and is saved by
        ``save_pretrained``.
        """
        self._per_class[name] = values
        self.register_buffer(name, None, persistent=False)
        self._place_per_class()

    def fixed_numbers(self) -> dict[str, Tensor]:
        """Numbers that make the loss and are not learned, by name: those kept by ``keep_per_class``.

        They travel in the state dict. Where it and the head that it is loaded into both have such a number,
        the two must be equal. A head that has none takes that of the state dict; a state dict without them,
        such as ``{"weight": centers}``, changes nothing.
        """
        return self.per_class()

    def _place_per_class(self) -> None:
        """Put them beside the weight; make them again where they were on the meta device."""
        for name, values in self._per_class.items():
            buffer = getattr(self, name)
            if values is not None and (buffer is None or buffer.is_meta):
                buffer = torch.tensor(values, dtype=torch.float32)
            setattr(self, name, None if buffer is None else buffer.to(self.weight.device))

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        """Move or cast: numbers of a class keep their digits, and are not left unset by ``to_empty``."""
        kept = {name: getattr(self, name) for name in self._per_class}
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        for name, buffer in kept.items():
            setattr(self, name, buffer)
        self._place_per_class()
        return self

    def load_state_dict(
        self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False
    ) -> Any:
        """As in ``torch.nn.Module``; also takes that of the head in ``torch.compile`` or DDP.

        Raises:
            RuntimeError: If names or shapes do not fit.
            ValueError: If its ``fixed_numbers``, such as margins, differ from those of the head.
        """
        return super().load_state_dict(unwrapped_names(state_dict), strict, assign)

    def _save_to_state_dict(self, destination: Any, prefix: str, keep_vars: bool) -> None:
        super()._save_to_state_dict(destination, prefix, keep_vars)
        for name, number in self.fixed_numbers().items():
            destination[prefix + name] = number

    def _load_from_state_dict(self, state_dict: Mapping[str, Any], prefix: str, *args: Any) -> None:
        names = {prefix + name: name for name in {*self.fixed_numbers(), *self._per_class}}
        for key in names.keys() & state_dict.keys():
            self._agree_on(names[key], torch.as_tensor(state_dict[key]))
        rest = {key: value for key, value in state_dict.items() if key not in names}
        super()._load_from_state_dict(rest, prefix, *args)
        self._place_per_class()  # the weight may have left the meta device

    def _agree_on(self, name: str, given: Tensor) -> None:
        """Take a number of a state dict, or check that it is that of this head."""
        own, kind = self.fixed_numbers().get(name), type(self).__name__
        shape = (self.num_classes,) if own is None else tuple(own.shape)
        if given.shape != shape or not (given.is_meta or torch.isfinite(given).all()):
            raise ValueError(
                f"{name} of this state_dict must be finite numbers of shape {shape}, as those of the {kind}; "
                f"got shape {tuple(given.shape)}"
            )
        if own is None and not given.is_meta:
            self.keep_per_class(name, given.detach().cpu().double().numpy())
        if own is None or own.is_meta or given.is_meta:
            return
        digits = torch.finfo(given.dtype).eps if given.is_floating_point() else 0.0  # it may have been cast
        far = (given.cpu().double() - own.cpu().double()).abs() > 2 * max(digits, 1e-7) * own.cpu().abs()
        if far.any():
            c = int(far.reshape(-1).nonzero()[0])
            theirs, ours = (float(x.reshape(-1)[c]) for x in (given, own))
            where = f" for class {c}" if own.ndim else ""
            raise ValueError(
                f"{name} of this state_dict differ from those of the {kind}: {theirs:.6g} against {ours:.6g}"
                f"{where}. Build the head with the same {name}; or, if others are meant, load the centers "
                'alone: head.load_state_dict({"weight": state_dict["weight"]})'
            )

    def per_class(self) -> dict[str, Tensor]:
        """Arguments with one number a class that a file holds as tensors (C,), by name."""
        tensors = {name: getattr(self, name) for name in self._per_class}
        return {name: tensor.detach() for name, tensor in tensors.items() if tensor is not None}


def unwrapped_names(state_dict: Mapping[str, Any]) -> Mapping[str, Any]:
    """A state dict without the prefixes of ``torch.compile`` and of data-parallel wrappers.

    Examples:
        >>> list(unwrapped_names({"module._orig_mod.weight": 1}))
        ['weight']
    """
    for wrapper in ("module", "_orig_mod"):
        if state_dict and all(name.startswith(f"{wrapper}.") for name in state_dict):
            size, metadata = len(wrapper) + 1, getattr(state_dict, "_metadata", {})
            inner: Any = OrderedDict((name[size:], value) for name, value in state_dict.items())
            inner._metadata = {name[size:]: value for name, value in metadata.items() if name}
            return unwrapped_names(inner)
    return state_dict
