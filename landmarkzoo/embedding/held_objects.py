"""What functions and objects among the attributes of a model hold, which no copy of the model can change."""

from __future__ import annotations

import weakref
from collections import deque
from collections.abc import Iterator
from dataclasses import is_dataclass
from enum import Enum
from functools import partial
from types import CellType, FunctionType, MethodType
from typing import Any

import torch
from torch import Tensor, nn

PLAIN = frozenset({bool, int, float, str, bytes, type(None), torch.Size, torch.dtype})
CONTAINERS = (dict, list, tuple, set, frozenset, deque)
# Of every module; of hooks those that a forward pass does not call.
REGISTRIES = frozenset(
    {
        "_parameters",
        "_buffers",
        "_modules",
        "_backward_hooks",
        "_backward_pre_hooks",
        "_load_state_dict_post_hooks",
        "_load_state_dict_pre_hooks",
        "_non_persistent_buffers_set",
        "_state_dict_hooks",
        "_state_dict_pre_hooks",
        "_compiled_call_impl",  # of module.compile(): it calls the module itself, and no copy has it
    }
)
_OF_EVERY_MODULE = frozenset(vars(nn.Module()))
_CHANGEABLE = (dict, list, set, deque)
# Their objects keep nothing of a forward pass: those of PyTorch only manage modules.
_KNOWN = frozenset({"torch", "timm", "landmarkzoo", "transformers", "numpy", "builtins"})


def held_by_functions(value: Any) -> Iterator[Any]:
    """What functions and objects hold that are found in a value or in containers in it.

    Of a function that is what it took from around it, its default values, and the arguments of a ``partial``;
    of an object its attributes. Containers and functions in there are searched as well; objects in objects
    are not, as they lead everywhere.

    Examples:
        >>> from landmarkzoo.embedding.held_objects import held_by_functions
        >>> list(held_by_functions([lambda x, factor=2: factor * x, 5]))
        [2]
    """
    seen = set()
    todo = [(value, False, True)]  # what, whether a function holds it, whether attributes count
    while todo:
        item, held, opened = todo.pop()
        if type(item) in PLAIN and not held:
            continue
        if held:
            yield item
        if id(item) in seen or isinstance(item, (nn.Module, Tensor, type)):
            continue
        seen.add(id(item))
        if isinstance(item, CONTAINERS):
            parts = list(item.values()) if isinstance(item, dict) else list(item)
            todo += [(part, held, opened) for part in parts]
        elif isinstance(item, MethodType) and isinstance(item.__self__, nn.Module) and not held:
            continue  # a copy gets a method of its own
        elif isinstance(item, weakref.ref):
            todo += [(item(), True, opened)] if held else []
        elif _has_attributes(item):
            todo += [(part, True, False) for part in vars(item).values()] if opened else []
        else:
            todo += [(part, True, opened) for part in _parts(item)]


def odd_attributes(module: nn.Module) -> list[tuple[str, Any]]:
    """Attributes of a module that are more than plain values and what every module has, by name.

    Modules, tensors and containers are among them; most modules have none.
    """
    own = list(vars(module).items())  # at once: another thread may set one meanwhile
    return [
        (name, value)
        for name, value in own
        # The first two are quick, and are all there is to most modules.
        if type(value) not in PLAIN
        and not (name in _OF_EVERY_MODULE and not value)
        and name not in REGISTRIES
    ]


def searchable(attributes: list[tuple[str, Any]]) -> list[tuple[str, Any]]:
    """Those of the odd attributes of a module in which functions or objects could be."""
    return [(name, value) for name, value in attributes if not _is_simple(value)]


def keeps_something(module: nn.Module, attributes: list[tuple[str, Any]]) -> bool:
    """Whether a forward pass could leave something in what the eval copies of a module share with it.

    That is in its hooks, in an object, or in a container that a function knows.

    Args:
        module: Any module.
        attributes: Its odd attributes.
    """
    if module._forward_hooks or module._forward_pre_hooks:
        return True
    values = [value for _, value in searchable(attributes)]
    if any(_has_attributes(item) for value in values for item in _contents(value)):
        return True
    return any(isinstance(item, _CHANGEABLE) for value in values for item in held_by_functions(value))


def _is_simple(value: Any) -> bool:
    kind = type(value)
    if kind in PLAIN or isinstance(value, (nn.Module, Tensor, type)):
        return True
    if kind is tuple or kind is list:
        return all(type(item) in PLAIN for item in list(value))
    return isinstance(value, dict) and not value


def _has_attributes(item: Any) -> bool:
    """Whether it is an object of the user's, or of a library that is not known here, that could change."""
    kind = type(item)
    if kind.__module__.partition(".")[0] in _KNOWN or isinstance(item, (nn.Module, Tensor, type, Enum)):
        return False
    if isinstance(item, (*CONTAINERS, FunctionType, MethodType, partial, weakref.ref)):
        return False
    frozen = is_dataclass(item) and kind.__dataclass_params__.frozen
    return bool(getattr(item, "__dict__", None)) and not frozen


def _parts(function: Any) -> list[Any]:
    if isinstance(function, partial):
        return [function.func, *function.args, *function.keywords.values()]
    if isinstance(function, MethodType):
        return [function.__self__, function.__func__]
    if not isinstance(function, FunctionType):
        return []
    cells = [cell.cell_contents for cell in function.__closure__ or () if cell != CellType()]  # an empty one
    return [*cells, *(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).values()]


def _contents(value: Any) -> list[Any]:
    if not isinstance(value, CONTAINERS):
        return [value]
    return list(value.values()) if isinstance(value, dict) else list(value)
