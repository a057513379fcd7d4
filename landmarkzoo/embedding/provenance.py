"""Where descriptors come from, so that those of different models are never compared unnoticed."""

from __future__ import annotations

import hashlib
import re
from typing import Any

import torch
from torch import Tensor, nn

from landmarkzoo._utils.registering import arguments_of
from landmarkzoo.embedding.eval_copies import eval_copy
from landmarkzoo.embedding.tta import TestTimeAugmentation
from landmarkzoo.models import ModelCfg
from landmarkzoo.models.wrappers import unwrapped
from landmarkzoo.photos import PhotoSource, create_transform


def provenance_of(
    model: nn.Module,
    source: PhotoSource,
    transform: object,
    *,
    views: TestTimeAugmentation,
    precision: str,
) -> dict[str, str]:
    """What changes descriptors, as strings that travel with them.

    ``model``, ``weights`` (fingerprint), ``transform`` (its ``repr``) and ``precision`` always;
    ``image_size`` for a transform of ``create_transform``, ``views`` for several of them, ``boxes`` for
    crops, ``ids`` where these are running numbers.

    Args:
        model: Any module.
        source: The photos.
        transform: What they go through; ``None`` if they are transformed already.
        views: Scales and mirrors.
        precision: What is computed in.
    """
    model = unwrapped(model)
    name = getattr(getattr(model, "cfg", None), "name", None) or type(model).__name__
    size = image_size_of(model, transform)
    boxed = sum(box is not None for box in source.boxes or ())
    return {
        "model": str(name),
        "weights": weights_fingerprint(model),
        "transform": transform_text(transform),
        **({} if size is None else {"image_size": f"{size[0]} x {size[1]}"}),
        **views.provenance,
        "precision": precision,
        **({"boxes": f"{boxed} of {len(source)} photos"} if boxed else {}),
        **({} if source.named else {"ids": "running numbers"}),
    }


def transform_text(transform: object) -> str:
    """The ``repr`` of a transform in one line, without the addresses of functions, which vary.

    Examples:
        >>> from landmarkzoo.embedding.provenance import transform_text
        >>> transform_text(lambda photo: photo)
        '<function <lambda>>'
    """
    if transform is None:
        return "already transformed"
    return re.sub(r" at 0x[0-9a-fA-F]+", "", " ".join(repr(transform).split()))


def image_size_of(model: nn.Module, transform: object) -> tuple[int, int] | None:
    """(height, width) of a transform that ``create_transform`` made for a model; ``None`` for another one."""
    size = getattr(next(iter(getattr(transform, "transforms", ())), None), "size", None)
    cfg = getattr(unwrapped(model), "cfg", None)
    if not isinstance(cfg, ModelCfg) or not isinstance(size, (list, tuple)) or len(size) != 2:
        return None
    same = repr(create_transform(cfg, image_size=(size[0], size[1]))) == repr(transform)
    return (size[0], size[1]) if same else None


def weights_fingerprint(model: nn.Module) -> str:
    """First 16 hexadecimal digits of the SHA-256 of a model's architecture, arguments and state dict.

    Names, types, shapes and values count. For models of landmarkzoo it does not depend on versions of
    libraries, nor on what ``torch.compile`` and the like wrap around the model or its parts.

    Examples:
        >>> from landmarkzoo.embedding.provenance import weights_fingerprint
        >>> len(weights_fingerprint(nn.Linear(2, 2)))
        16
    """
    model = unwrapped(model)
    if any(unwrapped(module) is not module for module in model.modules()):
        model = eval_copy(model)  # without wrappers at any level, so with the names of the model itself
    cfg = getattr(model, "cfg", None)
    # Arguments change results too. A model without a cfg shows them, if at all, in its repr.
    # So does the class: two may have the same arguments and weights.
    options = repr((cfg.architecture, sorted(cfg.args.items())) if isinstance(cfg, ModelCfg) else model)
    digest = hashlib.sha256(options.encode())
    for module in () if _is_data(cfg) else model.modules():
        digest.update(repr((type(module).__qualname__, _made_with(module))).encode())
    for name, value in model.state_dict().items():
        for part in value if isinstance(value, (tuple, list)) else (value,):  # quantised layers pack theirs
            digest.update(name.encode())
            _add(part, digest)
    return digest.hexdigest()[:16]


def _add(value: Any, digest: hashlib._Hash) -> None:
    if not isinstance(value, Tensor):  # such as a type, or the extra state of a layer
        digest.update(transform_text(value).encode())
        return
    digest.update(f" {value.dtype} {tuple(value.shape)}".encode())
    value = value.dequantize() if value.is_quantized else value
    raw = value.detach().contiguous().cpu().reshape(-1).view(torch.uint8)
    digest.update(raw.numpy().data)


def _is_data(cfg: object) -> bool:
    """Whether the arguments of a model say all of it: none of them is a module."""
    return isinstance(cfg, ModelCfg) and not any(isinstance(v, nn.Module) for v in cfg.args.values())


def _made_with(module: nn.Module) -> list[tuple[str, Any]]:
    """Plain arguments that a module was made with, as far as it keeps them under their names.

    Its repr may not show them. Other attributes, such as counters and switches, do not count.
    """
    kept = [(name, vars(module).get(name)) for name in arguments_of(type(module))]
    return sorted((name, value) for name, value in kept if isinstance(value, (int, float, str, tuple)))
