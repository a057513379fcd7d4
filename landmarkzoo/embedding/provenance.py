"""Where descriptors come from, so that those of different models are never compared unnoticed."""

from __future__ import annotations

import hashlib
from typing import Any

import torch
from torch import nn

from landmarkzoo._utils.registering import arguments_of
from landmarkzoo.models import ModelCfg


def provenance_of(model: nn.Module, transform: object) -> dict[str, str]:
    """Model, weights fingerprint and transform, as strings that travel with descriptors.

    Args:
        model: Any module.
        transform: What photos go through; its ``repr`` is kept.
    """
    model = getattr(model, "_orig_mod", model)  # what torch.compile wraps
    name = getattr(getattr(model, "cfg", None), "name", None) or type(model).__name__
    return {
        "model": str(name),
        "weights": weights_fingerprint(model),
        "transform": " ".join(repr(transform).split()),
    }


def weights_fingerprint(model: nn.Module) -> str:
    """First 16 hexadecimal digits of the SHA-256 of a model's architecture, arguments and state dict.

    Names, types, shapes and values count. For models of landmarkzoo it does not depend on versions of
    libraries.

    Examples:
        >>> len(weights_fingerprint(nn.Linear(2, 2)))
        16
    """
    cfg = getattr(model, "cfg", None)
    # Arguments change results too. A model without a cfg shows them, if at all, in its repr.
    # So does the class: two may have the same arguments and weights.
    options = repr((cfg.architecture, sorted(cfg.args.items())) if isinstance(cfg, ModelCfg) else model)
    digest = hashlib.sha256(options.encode())
    for module in () if _is_data(cfg) else model.modules():
        digest.update(repr((type(module).__qualname__, _made_with(module))).encode())
    for name, value in model.state_dict().items():
        digest.update(f"{name} {value.dtype} {tuple(value.shape)}".encode())
        raw = value.detach().contiguous().cpu().reshape(-1).view(torch.uint8)
        digest.update(raw.numpy().data)
    return digest.hexdigest()[:16]


def _is_data(cfg: object) -> bool:
    """Whether the arguments of a model say all of it: none of them is a module."""
    return isinstance(cfg, ModelCfg) and not any(isinstance(v, nn.Module) for v in cfg.args.values())


def _made_with(module: nn.Module) -> list[tuple[str, Any]]:
    """Plain arguments that a module was made with, as far as it keeps them under their names.

    Its repr may not show them. Other attributes, such as counters and switches, do not count.
    """
    kept = [(name, vars(module).get(name)) for name in arguments_of(type(module))]
    return sorted((name, value) for name, value in kept if isinstance(value, (int, float, str, tuple)))
