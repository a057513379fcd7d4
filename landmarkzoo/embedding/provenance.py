"""Where descriptors come from, so that those of different models are never compared unnoticed."""

from __future__ import annotations

import re

from torch import nn

from landmarkzoo.embedding.fingerprints import one_line, weights_fingerprint
from landmarkzoo.embedding.tta import TestTimeAugmentation
from landmarkzoo.models import ModelCfg
from landmarkzoo.models.wrappers import unwrapped
from landmarkzoo.photos import PhotoSource, create_transform
from landmarkzoo.photos.resizing import size_text


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
        **({} if size is None else {"image_size": size}),
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


def image_size_of(model: nn.Module, transform: object) -> str | None:
    """The size that a transform gives, if ``create_transform`` made it for a model.

    Returns:
        ``"224 x 288"`` (height, width), ``"longest 1024"``, ``"shortest 512"``, or ``"original"`` for photos
        that keep their size; ``None`` for another transform.
    """
    cfg = getattr(unwrapped(model), "cfg", None)
    text = size_text(transform)
    if not isinstance(cfg, ModelCfg) or text is None:
        return None
    try:
        same = repr(create_transform(model, image_size=image_size_from(text))) == repr(transform)
    except ValueError:  # of another model
        return None
    return text if same else None


def image_size_from(text: str) -> int | tuple[int, int] | None:
    """The ``image_size=`` of ``create_transform`` for what ``image_size_of`` gives.

    Raises:
        ValueError: If it is something else.

    Examples:
        >>> from landmarkzoo.embedding.provenance import image_size_from
        >>> image_size_from("224 x 288"), image_size_from("longest 1024"), image_size_from("original")
        ((224, 288), 1024, None)
    """
    if text == "original":
        return None
    if found := re.fullmatch(r"(\d+) x (\d+)", text):
        return int(found[1]), int(found[2])
    if found := re.fullmatch(r"(?:longest|shortest) (\d+)", text):
        return int(found[1])
    raise ValueError(f"the image size {text!r} is not known here")
