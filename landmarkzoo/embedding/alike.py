"""Photos embedded like others, so that their descriptors can be compared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import torch
from torch import nn

from landmarkzoo.embedding.inference import Precision
from landmarkzoo.embedding.provenance import image_size_from
from landmarkzoo.embedding.tta import TestTimeAugmentation
from landmarkzoo.models.wrappers import unwrapped
from landmarkzoo.photos import PhotoSource, create_transform
from landmarkzoo.photos.batches import Transform
from landmarkzoo.retrieval import Descriptors
from landmarkzoo.retrieval.descriptors import HasDescriptors, descriptors_of


def options_like(
    index: Descriptors | HasDescriptors,
    model: nn.Module,
    source: PhotoSource,
    *,
    transform: Transform | None,
    scales: Sequence[float] | None,
    flip: bool | None,
    precision: Precision,
) -> tuple[Transform | None, TestTimeAugmentation, Precision]:
    """Transform, views and precision that some descriptors were made with, where none are given.

    float16 and float32 give the same neighbours, so either is computed where it is fast; bfloat16 is coarser.

    Raises:
        TypeError: If ``index`` is something else.
        ValueError: If it does not say where it comes from, or in a way that is not known here.
    """
    index = descriptors_of(index)
    if not isinstance(index, Descriptors):
        raise TypeError(
            f"like= takes Descriptors, got {type(index).__name__}; lz.Descriptors.load(path) reads a file"
        )
    origin = index.provenance
    if "weights" not in origin:
        raise ValueError(
            "like= needs Descriptors that lz.embed made: these do not say what model they come from"
        )
    has_cfg = hasattr(unwrapped(model), "cfg")
    if transform is None and "image_size" in origin and not source.is_transformed() and has_cfg:
        transform = _transform_of_size(model, origin["image_size"])
    views = TestTimeAugmentation.from_provenance(origin)
    if scales is not None:
        views = replace(views, scales=scales)
    if flip is not None:
        views = replace(views, flip=flip)
    if precision == "auto":
        if origin.get("precision") == "bfloat16":
            precision = "bfloat16"
        elif any(p.dtype == torch.bfloat16 for p in model.parameters()):
            precision = "float32"
    return transform, views, precision


def check_alike(origin: Mapping[str, str], index: Mapping[str, str], given: str = "like=") -> None:
    """Raise ValueError if photos would not be embedded as those of an index were.

    Args:
        origin: Provenance that they would get.
        index: Provenance of the index.
        given: What the user gave.
    """
    if origin["weights"] != index["weights"]:
        same_name = origin["model"] == index.get("model")
        hint = ": was its neck whitened both times, on the same photos?" if same_name else ""
        raise ValueError(
            f"{given} needs the model of the index, {index.get('model')} (weights {index['weights']}), got "
            f"{origin['model']} (weights {origin['weights']}){hint}"
        )
    if origin["transform"] != index.get("transform", origin["transform"]):
        raise ValueError(
            f"the photos of the index went through {index['transform']}, and these would go through "
            f"{origin['transform']}: {_way_to_its_size(index.get('image_size'), origin.get('image_size'))}"
        )
    if origin.get("views") != index.get("views"):
        raise ValueError(
            f"the index has {index.get('views', 'scales (1.0,), flip False')}, and these would have "
            f"{origin.get('views')}: leave scales= and flip= out"
        )


def _transform_of_size(model: nn.Module, text: str) -> Transform:
    size = image_size_from(text)
    try:
        transform: Transform = create_transform(model, image_size=size)
    except ValueError:  # it resizes photos in another way, or is another model: check_alike says which
        transform = create_transform(model)
    return transform


def _way_to_its_size(index: str | None, own: str | None) -> str:
    """What makes photos of the size of an index, from what both provenances say of it."""
    if index is None:
        return "pass the same transform="
    if own is None or _resize_of(index) == _resize_of(own):
        return "leave transform= out"
    resize = _resize_of(index)
    return f"leave transform= out, and give the model the cfg that it had for the index, with {resize}"


def _resize_of(size: str) -> str:
    """The ``resize`` of the cfg behind a size in a provenance.

    Examples:
        >>> from landmarkzoo.embedding.alike import _resize_of
        >>> [_resize_of(size) for size in ("224 x 288", "longest 512", "original")]
        ["resize='squash'", "resize='longest'", "resize='none'"]
    """
    name = size.split()[0]
    return f"resize={('squash' if name.isdecimal() else {'original': 'none'}.get(name, name))!r}"
