"""A copy of a model in eval mode that shares its weights: the model itself is never switched or moved.

Modes stand in the modules. To put a model into eval mode and back would change the results of every other
thread that uses it, in both directions. A copy costs a millisecond and no memory for weights.
"""

from __future__ import annotations

import copy
import weakref
from collections import OrderedDict, defaultdict, deque
from types import MethodType
from typing import Any

import torch
from torch import nn

from landmarkzoo.embedding.held_objects import (
    CONTAINERS,
    PLAIN,
    held_by_functions,
    odd_attributes,
    searchable,
)
from landmarkzoo.models.wrappers import unwrapped

_COPIED = (dict, list, set, deque, OrderedDict, defaultdict)  # always: a forward pass may set something in it


def eval_copy(
    model: nn.Module,
    device: torch.device | None = None,
    dtype: torch.dtype | None = None,
    attributes: dict[nn.Module, list[tuple[str, Any]]] | None = None,
) -> nn.Module:
    """A copy of every module, in eval mode, around the same parameters and buffers.

    Attributes that hold modules of the model, also in lists, tuples and dictionaries, hold their copies.
    Lists and dictionaries are copied in any case: models keep in them what they compute from the weights
    once, such as position biases. What ``torch.compile``, ``DataParallel`` and ``DistributedDataParallel``
    wrap stands in the copy as it is. ``train`` is not called: what a model of one's own sets in there beside
    the modes stays as it is.

    Args:
        model: Any module; it is not changed.
        device: Where the copy has its weights; shared ones if ``None``.
        dtype: Type of its floating point weights; shared ones if ``None``.
        attributes: The odd attributes of each module, where they are known already.

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
    known = attributes or {}
    attributes = {module: known.get(module) or odd_attributes(module) for module in clones}
    copies |= _shared_containers(model, attributes, copies)
    for module, clone in clones.items():
        vars(clone).update(_state(module, attributes[module], copies))
    result: nn.Module = copies[id(model)]
    return result.to(device=device, dtype=dtype) if moved else result


def _empty_like(module: nn.Module) -> nn.Module:
    if isinstance(module, torch.jit.ScriptModule):
        raise ValueError(f"{type(module).__name__} is compiled by TorchScript")
    clone: nn.Module = object.__new__(type(module))
    return clone


def _shared_containers(
    model: nn.Module, attributes: dict[nn.Module, list[tuple[str, Any]]], copies: dict[int, Any]
) -> dict[int, Any]:
    """Containers that functions among the attributes know: these, such as hooks, stay the same functions.

    Raises:
        ValueError: If a function knows a module or, where the model is moved, a parameter.
    """
    shared = {}
    for module, odd in attributes.items():
        for name, value in searchable(odd):
            problem = None
            if name == "forward" and not (isinstance(value, MethodType) and id(value.__self__) in copies):
                problem = "was set from outside of its class"
            for held in held_by_functions(value):
                if id(held) in copies:
                    problem = "is a function or an object that holds modules"
                elif isinstance(held, CONTAINERS):
                    shared[id(held)] = held
            if problem:
                names = {id(part): path for path, part in model.named_modules()}
                raise ValueError(f"{name} of {names[id(module)] or 'the model'} {problem}")
    return shared


def _state(module: nn.Module, attributes: list[tuple[str, Any]], copies: dict[int, Any]) -> dict[str, Any]:
    """Attributes of the copy of a module."""
    state = vars(module).copy()  # at once: another thread may set one meanwhile
    for name, value in attributes:
        state[name] = _mapped(value, copies)
    # What a forward pass registers is in the copy only.
    state["_parameters"] = {name: copies.get(id(p), p) for name, p in module._parameters.copy().items()}
    state["_modules"] = {name: copies.get(id(part), part) for name, part in module._modules.copy().items()}
    state["_buffers"] = module._buffers.copy()
    state.pop("_compiled_call_impl", None)
    state["training"] = False
    return state


def _mapped(value: Any, copies: dict[int, Any]) -> Any:
    """What the copy of a model holds in the place of ``value``; containers are added to ``copies``."""
    if type(value) in PLAIN:
        return value
    if id(value) in copies:
        return copies[id(value)]
    if isinstance(value, MethodType) and id(value.__self__) in copies:
        return MethodType(value.__func__, copies[id(value.__self__)])
    if type(value) is weakref.ref:
        return weakref.ref(copies[id(value())]) if id(value()) in copies else value
    if type(value) in weakref.ProxyTypes:
        behind = value.__repr__.__self__
        return weakref.proxy(copies[id(behind)]) if id(behind) in copies else value
    return _mapped_container(value, copies) if isinstance(value, CONTAINERS) else value


def _mapped_container(value: Any, copies: dict[int, Any]) -> Any:
    twin: Any = copy.copy(value) if type(value) in _COPIED else value
    copies[id(value)] = twin  # at once: it may hold itself, and others may hold it
    if isinstance(value, dict):
        changed = {key: new for key, old in list(value.items()) if (new := _mapped(old, copies)) is not old}
        twin = copy.copy(value) if changed and twin is value else twin
        twin.update(changed)
    else:
        olds = list(value)
        items = [_mapped(item, copies) for item in olds]
        if all(new is old for new, old in zip(items, olds)):
            return twin
        if type(value) in (list, deque):
            twin.clear()
            twin.extend(items)
        else:
            twin = type(value)(*items) if hasattr(value, "_fields") else type(value)(items)
    copies[id(value)] = twin
    return twin
