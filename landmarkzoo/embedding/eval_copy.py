"""A copy of a model in eval mode that shares its weights: the model itself is never switched or moved.

Modes stand in the modules. To put a model into eval mode and back would change the results of every other
thread that uses it, in both directions. A copy costs a millisecond and no memory for weights.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from functools import partial
from types import FunctionType, MethodType
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
        >>> from landmarkzoo.embedding.eval_copy import eval_copy
        >>> model = lz.create_model("efficientnet_lite0_gem").train()
        >>> twin = eval_copy(model)
        >>> model.training, twin.training, twin.neck[0].weight is model.neck[0].weight
        (True, False, True)
    """
    originals = [module for module in model.modules() if unwrapped(module) is module]
    clones = [_empty_like(module) for module in originals]
    copies: dict[int, Any] = {id(module): clone for module, clone in zip(originals, clones)}
    copies |= {id(module): copies[id(unwrapped(module))] for module in model.modules()}
    moved = device is not None or dtype is not None
    if moved:  # `to` below changes parameters in place: not those of the model
        copies |= {id(p): nn.Parameter(p.detach(), requires_grad=False) for p in model.parameters()}
    for name, module in model.named_modules():
        clone = copies[id(module)]
        if unwrapped(module) is module and not vars(clone):
            _fill(clone, module, name or type(module).__name__, copies)
    result: nn.Module = copies[id(model)]
    return result.to(device=device, dtype=dtype) if moved else result


def _empty_like(module: nn.Module) -> nn.Module:
    if isinstance(module, torch.jit.ScriptModule):
        raise ValueError(f"{type(module).__name__} is compiled by TorchScript")
    clone: nn.Module = object.__new__(type(module))
    return clone


def _fill(clone: nn.Module, module: nn.Module, name: str, copies: Mapping[int, Any]) -> None:
    """Give a copy the attributes of the module, with copies in the place of modules."""
    state = dict(vars(module))  # at once: another thread may set an attribute meanwhile
    for attribute, value in state.items():
        if type(value) not in _PLAIN and attribute not in _UNUSED:
            try:
                state[attribute] = _mapped(value, copies)
            except _HoldsModulesError:
                raise ValueError(f"{attribute} of {name} is a function that holds modules") from None
    if "forward" in state and state["forward"] is vars(module).get("forward"):
        raise ValueError(f"forward of {name} was set from outside of its class")
    for registered in ("_parameters", "_buffers"):  # what a forward pass sets is set in the copy only
        state[registered] = dict(state[registered])
    state["training"] = False
    state.pop("_compiled_call_impl", None)  # of module.compile(): it calls the module itself
    vars(clone).update(state)


class _HoldsModulesError(Exception):
    pass


def _mapped(value: Any, copies: Mapping[int, Any]) -> Any:
    """What an attribute of the copy holds: ``value`` itself if there is no module of the model in it."""
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


def _held(value: Any) -> Iterable[Any]:
    """What a function carries along: arguments of a ``partial``, names of the function around it."""
    if isinstance(value, partial):
        yield from (value.func, *value.args, *value.keywords.values())
    for cell in (value.__closure__ or ()) if isinstance(value, FunctionType) else ():
        try:
            yield cell.cell_contents
        except ValueError:  # not set yet
            continue
