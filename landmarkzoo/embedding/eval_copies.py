"""A copy of a model in eval mode that shares its weights: the model itself is never switched or moved.

Modes stand in the modules. To put a model into eval mode and back would change the results of every other
thread that uses it, in both directions. A copy costs a millisecond and no memory for weights.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from functools import partial
from types import CellType, FunctionType, MethodType
from typing import Any

import torch
from torch import nn

from landmarkzoo.models.wrappers import unwrapped

_PLAIN = frozenset({bool, int, float, str, bytes, type(None), torch.Size, torch.dtype})
# What a forward pass does not call.
_UNUSED = frozenset(
    {
        "_backward_hooks",
        "_backward_pre_hooks",
        "_load_state_dict_post_hooks",
        "_load_state_dict_pre_hooks",
        "_non_persistent_buffers_set",
        "_state_dict_hooks",
        "_state_dict_pre_hooks",
    }
)


def eval_copy(
    model: nn.Module, device: torch.device | None = None, dtype: torch.dtype | None = None
) -> nn.Module:
    """A copy of every module, in eval mode, around the same parameters and buffers.

    Attributes that hold modules of the model, also in lists, tuples and dictionaries, hold their copies.
    What ``torch.compile``, ``DataParallel`` and ``DistributedDataParallel`` wrap stands in the copy as it is.

    Args:
        model: Any module; it is not changed.
        device: Where the copy has its weights; shared ones if ``None``.
        dtype: Type of its floating point weights; shared ones if ``None``.

    Raises:
        ValueError: If a part cannot be copied so that it calls the other copies.

    Examples:
        >>> from landmarkzoo.embedding.eval_copies import eval_copy
        >>> model = lz.create_model("efficientnet_lite0_gem").train()
        >>> twin = eval_copy(model)
        >>> model.training, twin.training, twin.neck[0].weight is model.neck[0].weight
        (True, False, True)
    """
    modules = list(model.modules())
    clones = {module: _empty_like(module) for module in modules if unwrapped(module) is module}
    copies: dict[int, Any] = {id(module): clones[unwrapped(module)] for module in modules}
    moved = device is not None or dtype is not None
    if moved:  # `to` below changes parameters in place: not those of the model
        copies |= {id(p): nn.Parameter(p.detach(), requires_grad=False) for p in model.parameters()}
    for module, clone in clones.items():
        try:
            vars(clone).update(_attributes(module, copies))
        except _NotCopiedError as error:
            names = {id(part): name for name, part in model.named_modules()}
            raise ValueError(
                f"{error.args[0]} of {names[id(module)] or 'the model'} {error.args[1]}"
            ) from None
    result: nn.Module = copies[id(model)]
    return result.to(device=device, dtype=dtype) if moved else result


class _HoldsModulesError(Exception):
    pass


class _NotCopiedError(Exception):
    """An attribute, and what is wrong with it."""


def _empty_like(module: nn.Module) -> nn.Module:
    if isinstance(module, torch.jit.ScriptModule):
        raise ValueError(f"{type(module).__name__} is compiled by TorchScript")
    clone: nn.Module = object.__new__(type(module))
    return clone


def _attributes(module: nn.Module, copies: Mapping[int, Any]) -> dict[str, Any]:
    """Attributes of a module, with copies in the place of modules."""
    state = dict(vars(module))  # at once: another thread may set an attribute meanwhile
    state.pop("_compiled_call_impl", None)  # of module.compile(): it calls the module itself
    forward = state.get("forward")
    for name, value in state.items():
        if type(value) in _PLAIN or name in _UNUSED or (isinstance(value, dict) and not value):
            continue
        try:
            state[name] = _mapped(value, copies)
        except _HoldsModulesError:
            raise _NotCopiedError(name, "is a function that holds modules") from None
    if forward is not None and state["forward"] is forward:
        raise _NotCopiedError("forward", "was set from outside of its class")
    for registered in ("_parameters", "_buffers"):  # what a forward pass sets is set in the copy only
        state[registered] = dict(state[registered])
    state["training"] = False
    return state


def _mapped(value: Any, copies: Mapping[int, Any]) -> Any:
    """What an attribute of the copy holds: ``value`` itself if there is no module of the model in it."""
    if type(value) in _PLAIN:
        return value
    if id(value) in copies:
        return copies[id(value)]
    if isinstance(value, dict):
        changed = {key: new for key, old in list(value.items()) if (new := _mapped(old, copies)) is not old}
        if not changed:
            return value
        mapped = copy.copy(value)
        mapped.update(changed)
        return mapped
    if isinstance(value, (list, tuple, set)):
        items = [_mapped(item, copies) for item in value]
        if all(new is old for new, old in zip(items, value)):
            return value
        return type(value)(*items) if hasattr(value, "_fields") else type(value)(items)
    if isinstance(value, MethodType) and id(value.__self__) in copies:
        return MethodType(value.__func__, copies[id(value.__self__)])
    if any(id(getattr(held, "__self__", held)) in copies for held in _held(value)):
        raise _HoldsModulesError
    return value


def _held(function: Any) -> list[Any]:
    """What a function carries along: arguments of a ``partial``, names of the function around it."""
    if isinstance(function, partial):
        return [function.func, *function.args, *function.keywords.values()]
    cells = (function.__closure__ or ()) if isinstance(function, FunctionType) else ()
    return [cell.cell_contents for cell in cells if cell != CellType()]  # an empty one has no contents
