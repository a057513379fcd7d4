"""Where descriptors come from, so that those of different models are never compared unnoticed."""

from __future__ import annotations

from torch import nn

from landmarkzoo.embedding.fingerprints import one_line, weights_fingerprint
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
    return "already transformed" if transform is None else one_line(transform)


def image_size_of(model: nn.Module, transform: object) -> tuple[int, int] | None:
    """(height, width) of a transform that ``create_transform`` made for a model; ``None`` for another one."""
    size = getattr(next(iter(getattr(transform, "transforms", ())), None), "size", None)
    cfg = getattr(unwrapped(model), "cfg", None)
    if not isinstance(cfg, ModelCfg) or not isinstance(size, (list, tuple)) or len(size) != 2:
        return None
    same = repr(create_transform(cfg, image_size=(size[0], size[1]))) == repr(transform)
    return (size[0], size[1]) if same else None
