"""``landmarkzoo embed``: photos to a descriptors file."""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from landmarkzoo.cli.descriptor_inputs import load_descriptors, model_within
from landmarkzoo.cli.model_options import DEFAULT_MODEL, chosen_model
from landmarkzoo.cli.outputs import DESCRIPTORS, check_outputs
from landmarkzoo.cli.shared_options import add_shared_options, refuse_without, shows_progress
from landmarkzoo.cli.stderr_lines import printable, say

if TYPE_CHECKING:
    from landmarkzoo.retrieval import Descriptors

# A key of the provenance: how the command made the model, as JSON, for --like.
_COMMAND = "command"
# The batch size too: it changes the rounding, and so the fingerprint of the whitened weights.
_WHITENING = ("whiten", "shrinkage", "batch_size")


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
        "--like",
        metavar="INDEX",
        help="embed as the photos of this descriptors file or index were: the model, the image size and all "
        "else that changes descriptors are those of the index",
    )
    parser.add_argument(
        "--model",
        metavar="NAME",
        help="a name of 'landmarkzoo models', local-dir:PATH or hf-hub:ORG/REPO; default: "
        f"{DEFAULT_MODEL}, or that of --like",
    )
    add_shared_options(parser, "--whiten", "--shrinkage")
    add_shared_options(parser, "--image-size", "--scales", "--flip", "--batch-size", "--workers", "--device")
    add_shared_options(parser, "--precision", "--skip-errors", "--overwrite", "--quiet")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    """Embed the photos and write the file.

    Raises:
        ValueError: If an option is wrong, or would be ignored.
    """
    from landmarkzoo.embedding import embed
    from landmarkzoo.photos import create_transform

    _check(arguments)
    like = None if arguments.like is None else load_descriptors(arguments.like)
    if like is not None:
        _take_from(like, arguments)
    model = chosen_model(arguments, like)
    options: dict[str, Any] = {"like": like}
    if like is None:
        options = {
            "transform": create_transform(model, image_size=arguments.image_size),
            "scales": arguments.scales,
            "flip": arguments.flip,
            "precision": arguments.precision or "auto",
        }
    descriptors = embed(
        model,
        arguments.photos,
        **options,
        batch_size=arguments.batch_size,
        num_workers=arguments.workers,
        device=arguments.device,
        progress=shows_progress(arguments),
        on_error="skip" if arguments.skip_errors else "raise",
        out=arguments.out,
    )
    provenance = {**descriptors.provenance, _COMMAND: json.dumps(_made_by(arguments))}
    replace(descriptors, provenance=provenance).save(arguments.out)
    for photo, reason in descriptors.skipped:
        say(f"skipped {printable(photo)}: {printable(reason)}")
    print(
        f"{len(descriptors)} photos, {descriptors.vectors.shape[1]} dimensions, "
        f"{len(descriptors.skipped)} skipped: {printable(arguments.out)}"
    )


def _made_by(arguments: argparse.Namespace) -> dict[str, Any]:
    """What makes the same model again, in any folder."""
    prefix, colon, path = arguments.model.partition(":")
    is_folder = colon and prefix == "local-dir"
    model = f"{prefix}:{Path(path).expanduser().absolute()}" if is_folder else arguments.model
    if arguments.whiten is None:
        return {"model": model}
    whiten = str(Path(arguments.whiten).absolute())
    return {"model": model, **{key: getattr(arguments, key) for key in _WHITENING}, "whiten": whiten}


def _check(arguments: argparse.Namespace) -> None:
    refuse_without("--whiten", arguments, "--shrinkage")
    if arguments.like is not None:
        for name in ("image_size", "scales", "flip", "precision"):
            if getattr(arguments, name) is not None:
                option = f"--{name.replace('_', '-')}"
                raise ValueError(f"--like takes {option} from the index: leave one of the two out")
    if not Path(arguments.photos).exists():
        raise FileNotFoundError(f"no such folder or photo: {arguments.photos}")
    check_outputs(
        {"--out": (arguments.out, DESCRIPTORS)},
        inputs=[arguments.photos, arguments.whiten, arguments.like],
        overwrite=arguments.overwrite,
    )


def _take_from(like: Descriptors, arguments: argparse.Namespace) -> None:
    """Model and whitening of an index, where the command line does not give them."""
    from landmarkzoo.hub import is_saved
    from landmarkzoo.models import is_model

    if arguments.model is not None:
        return
    arguments.model = model_within(arguments.like)
    if arguments.model is not None:
        return
    try:
        command = json.loads(like.provenance.get(_COMMAND, "{}"))
        model = command.get("model") or like.provenance.get("model")
    except (ValueError, AttributeError, RecursionError) as error:
        raise ValueError(f"{arguments.like}: its provenance is damaged: give --model as well") from error
    if not isinstance(model, str) or not (is_saved(model) or is_model(model)):
        raise ValueError(f"{arguments.like} does not say which model made it: give --model as well")
    arguments.model = model
    if arguments.whiten is None and "whiten" in command:
        for key in _WHITENING:
            setattr(arguments, key, command.get(key))
        if not Path(str(arguments.whiten)).is_dir():
            raise FileNotFoundError(
                f"the neck was whitened on the photos of {arguments.whiten}, and there is no such folder: "
                "give --whiten DIR"
            )
