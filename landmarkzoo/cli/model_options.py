"""The model of a command: what ``--model``, ``--whiten`` and ``--set`` ask for."""

from __future__ import annotations

import argparse
import ast
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from landmarkzoo.cli.shared_options import DEFAULT_SHRINKAGE, shows_progress

if TYPE_CHECKING:
    from landmarkzoo.models import DescriptorModel
    from landmarkzoo.retrieval import Descriptors

DEFAULT_MODEL = "efficientnet_lite0_gem"


def chosen_model(arguments: argparse.Namespace, like: Descriptors | None = None) -> DescriptorModel:
    """The model that the options ask for: saved, with landmark weights, or with those of ImageNet.

    Args:
        arguments: Those of a command with ``--model``, ``--whiten`` and all that whitening takes. Default
            values are set in it.
        like: Descriptors whose image size the neck is whitened with.

    Raises:
        ValueError: If there is no such model, or it has no landmark weights and random parts.
    """
    from landmarkzoo.embedding import whiten_neck
    from landmarkzoo.hub import is_saved
    from landmarkzoo.models import create_model
    from landmarkzoo.models.published_entries import BY_HAND
    from landmarkzoo.models.registry import get_model_cfg
    from landmarkzoo.photos import create_transform

    arguments.model = arguments.model or DEFAULT_MODEL
    cfg = None if is_saved(arguments.model) else get_model_cfg(arguments.model)
    if cfg is None or cfg.weights is not None:
        if arguments.whiten is not None:
            raise ValueError("--whiten is for ImageNet weights: this model has weights of its own")
        return create_model(arguments.model, pretrained=cfg is not None)
    if cfg.architecture != "GlobalDescriptor":
        by_hand = BY_HAND.get(arguments.model.partition(".")[0])
        raise ValueError(
            f"{arguments.model} has no landmark weights that can be loaded by name; with those of ImageNet "
            f"parts of a {cfg.architecture} stay random: give a trained or converted one, --model "
            "local-dir:PATH or hf-hub:ORG/REPO, or one of landmarkzoo models --pretrained, or use --model "
            "efficientnet_lite0_gem" + (f". Of {arguments.model}: {by_hand}" if by_hand else "")
        )
    if arguments.whiten is None:
        return create_model(arguments.model, pretrained_backbone=True, neck="none")
    arguments.shrinkage = DEFAULT_SHRINKAGE if arguments.shrinkage is None else arguments.shrinkage
    model = create_model(arguments.model, pretrained_backbone=True)
    return whiten_neck(
        model,
        arguments.whiten,
        transform=create_transform(model, image_size=_size_of(like, arguments)),
        shrinkage=arguments.shrinkage,
        device=arguments.device,
        on_error="skip" if arguments.skip_errors else "raise",
        batch_size=arguments.batch_size,
        num_workers=arguments.workers,
        progress=shows_progress(arguments),
    )


def architecture_arguments(settings: Sequence[str]) -> dict[str, Any]:
    """Arguments of an architecture, as ``--set NAME=VALUE`` gives them.

    Raises:
        ValueError: If one is no such text, or a name is given twice.

    Examples:
        >>> architecture_arguments(["stem_stride=1", "dilations=3,6,9", "neck=fc-bn"])
        {'stem_stride': 1, 'dilations': (3, 6, 9), 'neck': 'fc-bn'}
    """
    found: dict[str, Any] = {}
    for setting in settings:
        name, equals, value = setting.partition("=")
        if not name.isidentifier() or not equals:
            raise ValueError(f"--set takes NAME=VALUE, such as stem_stride=1, got {setting!r}")
        if name in found:
            raise ValueError(f"--set {name} is given twice: which one is meant?")
        try:
            found[name] = ast.literal_eval(value)
        except (ValueError, SyntaxError):
            found[name] = value  # a word, such as the name of a backbone
    return found


def _size_of(like: Descriptors | None, arguments: argparse.Namespace) -> Any:
    """Image size of the index where it says one, or of the command line; ``None``: that of the model."""
    from landmarkzoo.embedding.provenance import image_size_from

    text = None if like is None else like.provenance.get("image_size")
    return arguments.image_size if text is None else image_size_from(text)
