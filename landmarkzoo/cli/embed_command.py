"""``landmarkzoo embed``: photos to a descriptors file."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

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
        description="Embed photos with ImageNet weights (no landmark weights are published yet). A job "
        "that was killed goes on where it was when the same command is given again.",
    )
    parser.add_argument("photos", help="a folder, searched through all levels, or one photo")
    parser.add_argument("--out", required=True, help="descriptors file to write (.safetensors)")
    parser.add_argument(
        "--model",
        default="efficientnet_lite0_gem",
        help="a name of 'landmarkzoo models', local-dir:PATH or hf-hub:ORG/REPO, default: %(default)s",
    )
    parser.add_argument(
        "--whiten",
        metavar="DIR",
        help="whiten the neck on these photos first: no labels needed, but a thousand photos that are not "
        "themselves searched; the same folder for index and queries. Without it the pooled features are "
        "the descriptors",
    )
    parser.add_argument("--shrinkage", type=float, default=0.01, help="of --whiten, default: %(default)s")
    parser.add_argument("--image-size", type=int, metavar="PX", help="default: that of the model")
    parser.add_argument("--batch-size", type=int, default=32, help="default: %(default)s")
    parser.add_argument("--workers", type=int, default=0, help="processes that read photos")
    parser.add_argument("--device", help="such as cuda; default: cpu")
    parser.add_argument("--precision", default="auto", help="auto, float32, bfloat16 or float16")
    parser.add_argument(
        "--skip-errors", action="store_true", help="leave unreadable photos out and list them"
    )
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    """Embed the photos and write the file."""
    if not Path(arguments.out).parent.is_dir() or Path(arguments.out).is_dir():
        raise FileNotFoundError(f"cannot write {arguments.out}: no such folder, or a folder itself")
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
    if is_saved(arguments.model):
        if arguments.whiten is not None:
            raise ValueError("--whiten is for ImageNet weights: a saved model is used as it was saved")
        return create_model(arguments.model)
    if get_model_cfg(arguments.model).architecture != "GlobalDescriptor":
        raise ValueError(
            f"no landmark weights are published for {arguments.model} yet, and its untrained branches are "
            "random, which whitening cannot mend: use --model efficientnet_lite0_gem"
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
