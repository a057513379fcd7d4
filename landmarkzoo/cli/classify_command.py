"""``landmarkzoo classify``: the landmarks that a model's head was trained on, in photos."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from landmarkzoo.cli.outputs import PAGE, PREDICTIONS, check_outputs
from landmarkzoo.cli.printing import print_table
from landmarkzoo.cli.shared_options import add_shared_options, shows_progress
from landmarkzoo.cli.stderr_lines import printable, say

if TYPE_CHECKING:
    from landmarkzoo.classification import Predictions
    from landmarkzoo.losses import Head

_PHOTOS, _ROWS = 10, 30  # that are printed at most; the file gets all
_WAY_OUT = (
    "classify needs the head that a model was trained with: of a model that you fine-tuned "
    "(landmarkzoo finetune) or converted (landmarkzoo convert), --model local-dir:PATH; or name landmarks by "
    "labelled photos, landmarkzoo recognize"
)


def add_parser(commands: Any) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "classify",
        help="the landmarks of a trained head in photos, without reference photos",
        description="Name the landmark in photos by the classes that the head of a model was trained on. "
        "Each photo gets its best classes, whatever it shows.",
    )
    parser.add_argument("photos", help="a folder, with all its subfolders, or one photo")
    parser.add_argument(
        "--model",
        metavar="NAME",
        required=True,
        help="local-dir:PATH, hf-hub:ORG/REPO, or a name of 'landmarkzoo models' that has landmark weights",
    )
    parser.add_argument(
        "--head", metavar="NAME", help="where head and class names are, if not beside the model"
    )
    parser.add_argument(
        "-k", type=int, default=5, help="classes of each photo, default: %(default)s; all if there are fewer"
    )
    parser.add_argument("--out", metavar="FILE", help="CSV file to write: id,rank,label,name,score")
    parser.add_argument(
        "--report", metavar="FILE", help="HTML page to write, with the photos and their classes"
    )
    add_shared_options(parser, "--image-size", "--scales", "--flip", "--batch-size", "--workers", "--device")
    add_shared_options(parser, "--precision", "--skip-errors", "--overwrite", "--quiet")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    """Classify, print the first photos and write the files.

    Raises:
        FileNotFoundError: If there are no such photos, or no head.
        ValueError: If an option is wrong.
    """
    from landmarkzoo.classification import classify
    from landmarkzoo.hub import is_saved
    from landmarkzoo.models import create_model, get_model_cfg
    from landmarkzoo.photos import create_transform

    if not Path(arguments.photos).exists():
        raise FileNotFoundError(f"no such folder or photo: {arguments.photos}")
    check_outputs(
        {"--out": (arguments.out, PREDICTIONS), "--report": (arguments.report, PAGE)},
        inputs=[arguments.photos],
        overwrite=arguments.overwrite,
    )
    if arguments.head and not is_saved(arguments.model) and get_model_cfg(arguments.model).weights is None:
        raise ValueError(
            f"--head needs the model that it was trained with, and {arguments.model} is a name without "
            "weights: say local-dir:PATH or hf-hub:ORG/REPO, or a name with its tag"
        )
    head, class_names = _head(arguments)
    model = create_model(arguments.model, pretrained=not is_saved(arguments.model))
    found = classify(
        model,
        head,
        arguments.photos,
        class_names=class_names,
        k=arguments.k,
        transform=create_transform(model, image_size=arguments.image_size),
        batch_size=arguments.batch_size,
        num_workers=arguments.workers,
        device=arguments.device,
        precision=arguments.precision or "auto",
        progress=shows_progress(arguments),
        on_error="skip" if arguments.skip_errors else "raise",
        scales=arguments.scales,
        flip=arguments.flip,
    )
    _write(arguments, found)


def _head(arguments: argparse.Namespace) -> tuple[Head, list[str] | None]:
    from landmarkzoo.hub import is_saved
    from landmarkzoo.models import load_head
    from landmarkzoo.models.published_entries import BY_HAND
    from landmarkzoo.models.registry import pretrained_cfg

    name = arguments.head or arguments.model
    if not is_saved(name) and pretrained_cfg(name).weights is None:
        missing = f"{name} has no landmark weights that can be loaded by name, and so no head"
        by_hand = BY_HAND.get(name.partition(".")[0])
        raise ValueError(f"{missing}. {_WAY_OUT}" + (f". Of {name}: {by_hand}" if by_hand else ""))
    try:
        return load_head(name, device=arguments.device)
    except FileNotFoundError as error:
        if "head" not in str(error):  # no such folder, or no network
            raise
        raise FileNotFoundError(f"{error}. {_WAY_OUT}") from error


def _write(arguments: argparse.Namespace, found: Predictions) -> None:
    for photo, reason in found.skipped:
        say(f"skipped {printable(photo)}: {printable(reason)}")
    if arguments.out is not None:
        found.to_csv(arguments.out)
    if arguments.report is not None:
        _report(arguments, found)
    k = found.labels.shape[1]
    depth = min(k, max(1, _ROWS // min(len(found), _PHOTOS)))
    rows = []
    for one in found[:_PHOTOS]:
        names = one.labels if one.names is None else one.names
        best = zip(names[0, :depth].tolist(), one.scores[0].tolist())
        rows += [[one.ids[0], str(rank), str(name), f"{s:.4f}"] for rank, (name, s) in enumerate(best, 1)]
    print_table(["id", "rank", "landmark", "cosine"], rows)
    left = [f"{k - depth} more classes of each photo"] if k > depth else []
    left += [f"{len(found) - _PHOTOS} more photos"] if len(found) > _PHOTOS else []
    if left:
        print(f"... {', '.join(left)}" + ("" if arguments.out else ": --out FILE writes all"))
    if arguments.out is not None:
        print(f"{len(found)} photos, {k} classes each: {printable(arguments.out)}")


def _report(arguments: argparse.Namespace, found: Predictions) -> None:
    from landmarkzoo.reports import write_predictions_page

    folder = Path(arguments.photos)
    if not folder.is_dir():  # one photo, whose id is its path
        folder, found = folder.parent, replace(found, ids=[folder.name])
    write_predictions_page(arguments.report, found, folder)
    print(f"report: {printable(arguments.report)}")
