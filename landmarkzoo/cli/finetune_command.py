"""``landmarkzoo finetune``: a model that knows the landmarks of the user's own photos."""

from __future__ import annotations

import argparse
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

from landmarkzoo._utils.user_paths import user_path
from landmarkzoo.cli.model_options import DEFAULT_MODEL, architecture_arguments
from landmarkzoo.cli.outputs import check_training_folder
from landmarkzoo.cli.printing import print_table
from landmarkzoo.cli.shared_options import add_shared_options, shows_progress
from landmarkzoo.cli.stderr_lines import printable

if TYPE_CHECKING:
    from landmarkzoo.finetuning import FinetuneResult

_DESCRIPTION = (
    "Fine-tune a model on photos of landmarks, gently: minutes for some hundred photos on two cores. A "
    "quarter of each landmark's photos is held out; the scores on them are printed, before and after. DIR "
    "gets the model, its head and class names, a model card, training.html (curves, and which landmarks are "
    "confused) and training.json. After Ctrl-C, SIGTERM or a crash the same command goes on where it was. On "
    "several GPUs: torchrun --nproc-per-node N -m landmarkzoo finetune ..."
)
_RESUME = {"auto": "auto", "yes": True, "no": False}

# The settings of a recipe that are options, in the order of the help: type, metavar, help.
SETTINGS: dict[str, tuple[type, str, str]] = {
    "epochs": (int, "N", "passes over the photos, default: 12"),
    "image_size": (int, "PX", "side of the crops that are learned, default: 256"),
    "test_size": (int, "PX", "side of the photos when they are embedded, default: 384"),
    "batch_size": (int, "N", "photos of a step, default: 32"),
    "lr": (float, "X", "learning rate of the model, default: 0.00025"),
    "head_lr": (float, "X", "learning rate of the centers of the head, default: 0.001"),
    "layer_decay": (float, "X", "factor of the learning rate from layer to layer downwards, default: 0.85"),
    "trainable": (str, "N", "how many of the last layers of the backbone are trained, or all, or auto: 4 "
                  "blocks of a ViT, all of others; default: auto"),
    "patience": (int, "N", "epochs without a better score until it stops, with the best weights for the "
                 "result; default: 0, all epochs and the last weights"),
    "average": (float, "X", "decay of a moving average of the weights, such as 0.99, which is what is saved; "
                "default: 0, the weights themselves"),
    "smallest_crop": (float, "X", "share of the photo that the smallest crop shows, default: 0.3"),
    "erase": (float, "X", "how often a part of a crop is blotted out, default: 0.3"),
    "shrinkage": (float, "X", "of the whitening that the neck starts as, default: 0.03"),
    "margin": (float, "X", "of ArcFace, in radians, default: 0.2"),
    "scale": (float, "X", "of the cosines, default: 20"),
    "sub_centers": (int, "N", "centers of each landmark, default: 1"),
    "precision": (str, "NAME", "auto, float32, bfloat16 or float16; default: auto"),
    "seed": (int, "N", "of the split and of all that is drawn, default: 0"),
}  # fmt: skip


def add_parser(commands: Any) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "finetune", help="train a model on photos of your own landmarks", description=_DESCRIPTION
    )
    parser.add_argument(
        "photos", metavar="PHOTOS", help="a folder with a folder for each landmark, or a CSV file path,label"
    )
    parser.add_argument("--out", metavar="DIR", required=True, help="folder to write, new or of this command")
    parser.add_argument(
        "--model",
        metavar="NAME",
        help="what it starts from: a name of 'landmarkzoo models', local-dir:PATH or hf-hub:ORG/REPO; "
        f"default: that of the recipe, {DEFAULT_MODEL}",
    )
    parser.add_argument(
        "--recipe", metavar="NAME", default="gem", help="gem, or dolg with a local branch; default: gem"
    )
    parser.add_argument(
        "--validation",
        metavar="SHARE|DIR",
        default="0.25",
        help="share of each landmark's photos that only measure, or photos as PHOTOS that do; 0: none; "
        "default: %(default)s",
    )
    parser.add_argument(
        "--exclude",
        metavar="CSV",
        help="photos to leave out: a file with a column id, as of 'landmarkzoo clean'",
    )
    parser.add_argument(
        "--resume",
        choices=_RESUME,
        default="auto",
        help="auto: go on if DIR has a part of this training; yes: only go on; no: only start; default: auto",
    )
    parser.add_argument("--device", help="where to compute, such as cpu; default: a GPU if there is one")
    add_shared_options(parser, "--workers", "--quiet")
    settings = parser.add_argument_group("settings of the recipe")
    for name, (kind, metavar, text) in SETTINGS.items():
        settings.add_argument(f"--{name.replace('_', '-')}", type=kind, metavar=metavar, help=text)
    settings.add_argument(
        "--class-parallel",
        action=argparse.BooleanOptionalAction,
        help="whether processes split the landmarks among them; default: from 5,000 landmarks on",
    )
    settings.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="an argument of the architecture in place of the registered one, such as embedding_dim=256; can "
        "be repeated",
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    """Train, or go on; print the scores and where everything is.

    Raises:
        OSError: If photos are missing, or the folder cannot be written.
        ValueError: If an option is wrong, or the folder is of another training.
    """
    from landmarkzoo.finetuning import finetune
    from landmarkzoo.finetuning.out_folder import stopping_place
    from landmarkzoo.index.many_ranks import Ranks

    if not user_path(arguments.photos).exists():
        raise FileNotFoundError(f"no such folder or file: {arguments.photos}")
    out = user_path(arguments.out)
    check_training_folder(out, inputs=[arguments.photos])
    try:
        result = finetune(
            arguments.photos,
            out,
            model=arguments.model,
            recipe=arguments.recipe,
            validation=_validation(arguments.validation),
            resume=_RESUME[arguments.resume],  # type: ignore[arg-type]
            exclude=() if arguments.exclude is None else arguments.exclude,
            device=arguments.device,
            num_workers=arguments.workers,
            progress=shows_progress(arguments),
            **_settings(arguments),
        )
    except TypeError as error:
        if not arguments.set:
            raise
        raise ValueError(f"--set: an argument, or the type of its value, is wrong: {error}") from error
    except KeyboardInterrupt:
        if not shows_progress(arguments):  # else lz.finetune has said it
            arguments.when_stopped = printable(stopping_place(out).removeprefix("stopped"))
        raise
    if Ranks.of_environment().rank == 0:
        _print_result(arguments, result)


def _settings(arguments: argparse.Namespace) -> dict[str, Any]:
    """The settings of the recipe that are given."""
    given = {name: getattr(arguments, name) for name in (*SETTINGS, "class_parallel")}
    given = {name: value for name, value in given.items() if value is not None}
    if str(given.get("trainable", "")).isdecimal():
        given["trainable"] = int(given["trainable"])
    if arguments.set:
        given["model_args"] = architecture_arguments(arguments.set)
    return given


def _validation(text: str) -> float | str:
    """A share, or photos."""
    try:
        return float(text)
    except ValueError:
        pass
    if not user_path(text).exists():
        raise FileNotFoundError(f"--validation is a share of the photos, such as 0.25, or photos: no {text}")
    return text


def _print_result(arguments: argparse.Namespace, result: FinetuneResult) -> None:
    from landmarkzoo.finetuning.training_report import PAGE_FILE

    before, after = result.before, result.after
    if before is not None and after is not None:
        rows = [
            [m, str(before.intervals[m]), str(after.intervals[m]), f"{after[m] - before[m]:+.3f}"]
            for m in after.metrics
        ]
        print_table(["", "before", "after", "change"], rows)
        print(f"\nProtocol: {after.scores[0].protocol}.\nIn brackets: 95% of the bootstrap over queries.\n")
    else:
        print("no validation photos: nothing was measured")
    print(f"{len(result.class_names)} landmarks, {len(result.history)} epochs: {printable(arguments.out)}")
    print(f"curves and confusions: {printable(str(Path(arguments.out) / PAGE_FILE))}")
    model = printable(shlex.quote(f"local-dir:{arguments.out}"))
    print("\nThe landmarks in other photos, and an index to search in:")
    print(f"  landmarkzoo classify PHOTOS --model {model}")
    print(f"  landmarkzoo index create INDEX --model {model} && landmarkzoo index add INDEX PHOTOS")
