"""``landmarkzoo embed``: photos to a descriptors file."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from landmarkzoo.cli.shared_options import add_shared_options
from landmarkzoo.embedding import embed, whiten_neck
from landmarkzoo.hub import is_saved
from landmarkzoo.models import DescriptorModel, create_model
from landmarkzoo.models.registry import get_model_cfg
from landmarkzoo.photos import create_transform


def add_parser(commands: Any) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "embed",
        help="photos to a descriptors file",
        description="Embed photos with a saved model, a registered one that has landmark weights, or "
        "ImageNet weights. A job that was killed goes on when the same command is given again.",
    )
    parser.add_argument("photos", help="a folder, with all its subfolders, or one photo")
    parser.add_argument(
        "--out", metavar="FILE", required=True, help="descriptors file to write (.safetensors)"
    )
    parser.add_argument(
        "--model",
        default="efficientnet_lite0_gem",
        metavar="NAME",
        help="a name of 'landmarkzoo models', local-dir:PATH or hf-hub:ORG/REPO; default: %(default)s",
    )
    parser.add_argument(
        "--whiten",
        metavar="DIR",
        help="first whiten the neck on the photos of this folder: about a thousand, without labels, and not "
        "those that are searched. Give the same folder for index and queries. Without this option the pooled "
        "features are the descriptors",
    )
    parser.add_argument(
        "--shrinkage", type=float, default=0.01, metavar="X", help="of --whiten, default: %(default)s"
    )
    parser.add_argument("--image-size", type=int, metavar="PX", help="in pixels, default: that of the model")
    add_shared_options(parser, "--batch-size", "--workers", "--device")
    parser.add_argument(
        "--precision", default="auto", help="auto, float32, bfloat16 or float16; default: %(default)s"
    )
    parser.add_argument(
        "--skip-errors", action="store_true", help="leave out photos that cannot be read, and list them"
    )
    add_shared_options(parser, "--quiet")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    """Embed the photos and write the file."""
    if not Path(arguments.out).parent.is_dir() or Path(arguments.out).is_dir():
        raise FileNotFoundError(
            f"cannot write {arguments.out}: its folder does not exist, or it is a folder itself"
        )
    if not Path(arguments.photos).exists():
        raise FileNotFoundError(f"no such folder or photo: {arguments.photos}")
    model = _model(arguments)
    descriptors = embed(
        model,
        arguments.photos,
        transform=create_transform(model, image_size=arguments.image_size),
        batch_size=arguments.batch_size,
        num_workers=arguments.workers,
        device=arguments.device,
        precision=arguments.precision,
        progress=not arguments.quiet,
        on_error="skip" if arguments.skip_errors else "raise",
        out=arguments.out,
    )
    for photo, reason in descriptors.skipped:
        print(f"skipped {photo}: {reason}", file=sys.stderr)
    print(
        f"{len(descriptors)} photos, {descriptors.vectors.shape[1]} dimensions, "
        f"{len(descriptors.skipped)} skipped: {arguments.out}"
    )


def _model(arguments: argparse.Namespace) -> DescriptorModel:
    cfg = None if is_saved(arguments.model) else get_model_cfg(arguments.model)
    if cfg is None or cfg.weights is not None:
        if arguments.whiten is not None:
            raise ValueError("--whiten is for ImageNet weights: this model has weights of its own")
        return create_model(arguments.model, pretrained=cfg is not None)
    if cfg.architecture != "GlobalDescriptor":
        raise ValueError(
            f"{arguments.model} has no landmark weights that can be loaded by name; with those of ImageNet "
            f"parts of a {cfg.architecture} stay random: give a trained one, --model local-dir:PATH or "
            "hf-hub:ORG/REPO, or use --model efficientnet_lite0_gem"
        )
    if arguments.whiten is None:
        return create_model(arguments.model, pretrained_backbone=True, neck="none")
    model = create_model(arguments.model, pretrained_backbone=True)
    return whiten_neck(
        model,
        arguments.whiten,
        transform=create_transform(model, image_size=arguments.image_size),
        shrinkage=arguments.shrinkage,
        device=arguments.device,
        on_error="skip" if arguments.skip_errors else "raise",
        batch_size=arguments.batch_size,
        num_workers=arguments.workers,
        progress=not arguments.quiet,
    )
