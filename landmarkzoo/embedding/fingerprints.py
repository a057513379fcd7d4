"""A short text that two models share if they have the same architecture and weights."""

from __future__ import annotations

import hashlib
import re
import weakref
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from landmarkzoo._utils.registering import arguments_of
from landmarkzoo.embedding.eval_copies import eval_copy
from landmarkzoo.models import ModelCfg
from landmarkzoo.models.wrappers import unwrapped

_SMALL = 4096  # bytes of a tensor that are compared one by one
_COLUMNS = 61  # 8-byte words; a prime, so that rows of a matrix that change places change the sums
_known: weakref.WeakKeyDictionary[nn.Module, tuple[object, str]] = weakref.WeakKeyDictionary()


def weights_fingerprint(model: nn.Module) -> str:
    """First 16 hexadecimal digits of the SHA-256 of a model's architecture, arguments and state dict.

    Names, types, shapes and values count. For models of landmarkzoo it does not depend on versions of
    libraries, nor on what ``torch.compile`` and the like wrap around the model or its parts. It is computed
    once a model on the CPU, and again where sums over the weights say that they have changed.

    Examples:
        >>> from landmarkzoo.embedding.fingerprints import weights_fingerprint
        >>> len(weights_fingerprint(nn.Linear(2, 2)))
        16
    """
    whole = model = unwrapped(model)
    if any(unwrapped(module) is not module for module in model.modules()):
        model = eval_copy(model)  # without wrappers at any level, so with the names of the model itself
    structure = _structure(model)
    weights = [
        (name, part)
        for name, value in model.state_dict().items()
        for part in (value if isinstance(value, (tuple, list)) else (value,))  # quantised layers pack theirs
    ]
    state = _state(structure, weights)
    known = _known.get(whole)
    if known is not None and known[0] == state:
        return known[1]
    digest = hashlib.sha256(structure.encode())
    for name, part in weights:
        digest.update(name.encode())
        _add(part, digest)
    fingerprint = digest.hexdigest()[:16]
    readable = all(not isinstance(part, Tensor) or _is_plain(part) for _, part in weights)
    if readable and _state(structure, weights) == state:  # else another thread trains
        _known[whole] = (state, fingerprint)
    return fingerprint


def one_line(value: object) -> str:
    """The ``repr`` of an object in one line, without the addresses of functions, which vary.

    Examples:
        >>> from landmarkzoo.embedding.fingerprints import one_line
        >>> one_line([len, lambda photo: photo])
        '[<built-in function len>, <function <lambda>>]'
    """
    return re.sub(r" at 0x[0-9a-fA-F]+", "", " ".join(repr(value).split()))


def _structure(model: nn.Module) -> str:
    """All that makes a model but its weights."""
    cfg = getattr(model, "cfg", None)
    # Arguments change results too. A model without a cfg shows them, if at all, in its repr.
    # So does the class: two may have the same arguments and weights.
    options = repr((cfg.architecture, sorted(cfg.args.items())) if isinstance(cfg, ModelCfg) else model)
    if isinstance(cfg, ModelCfg) and not any(isinstance(v, nn.Module) for v in cfg.args.values()):
        return options  # the arguments say all of it
    made = [repr((type(module).__qualname__, _made_with(module))) for module in model.modules()]
    return "".join([options, *made])


def _made_with(module: nn.Module) -> list[tuple[str, Any]]:
    """Plain arguments that a module was made with, as far as it keeps them under their names.

    Its repr may not show them. Other attributes, such as counters and switches, do not count.
    """
    kept = [(name, vars(module).get(name)) for name in arguments_of(type(module))]
    return sorted((name, value) for name, value in kept if isinstance(value, (int, float, str, tuple)))


def _state(structure: str, weights: list[tuple[str, Any]]) -> object:
    return structure, [(name, _quick(part)) for name, part in weights]


def _is_plain(value: Tensor) -> bool:
    """Whether ``_quick`` can read a tensor."""
    if value.layout != torch.strided or value.is_quantized or value.device.type != "cpu":
        return False
    # Were all signs of a float64 tensor turned, only the highest bits of its words would be, and no sum.
    return value.element_size() < 8 or value.nbytes <= _SMALL


def _quick(value: Any) -> object:
    """What is different, but for an odd chance, after a tensor has changed; quicker than a hash.

    PyTorch counts changes in place, but not those through ``tensor.data``.
    """
    if not isinstance(value, Tensor):
        return one_line(value)
    kind = (value.dtype, value.shape)
    if not _is_plain(value):
        return kind
    raw = _bytes(value)
    size = 0 if len(raw) <= _SMALL else len(raw) - len(raw) % (8 * _COLUMNS)
    sums = raw[:size].view(np.uint64).reshape(-1, _COLUMNS).sum(axis=0)
    return (*kind, sums.tobytes(), raw[size:].tobytes())


def _add(value: Any, digest: hashlib._Hash) -> None:
    if not isinstance(value, Tensor):  # such as a type, or the extra state of a layer
        digest.update(one_line(value).encode())
        return
    digest.update(f" {value.dtype} {tuple(value.shape)}".encode())
    digest.update(_bytes(value.dequantize() if value.is_quantized else value).data)


def _bytes(value: Tensor) -> np.ndarray[Any, np.dtype[np.uint8]]:
    return value.detach().contiguous().cpu().reshape(-1).view(torch.uint8).numpy()
