"""``landmarkzoo convert``: a checkpoint of other code to a saved model."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from landmarkzoo.cli.model_options import architecture_arguments
from landmarkzoo.cli.outputs import check_model_folder
from landmarkzoo.cli.shared_options import add_shared_options


def add_parser(commands: Any) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "convert",
        help="checkpoints of other code to saved models",
        description="Convert a checkpoint of other code (Henkel 2021, also their ONNX release; cirtorch, "
        "DOLG, CVNet, MegaLoc, SALAD, CosPlace, EigenPlaces) to a folder that 'local-dir:OUT_DIR' loads, "
        "head included. The model computes what that code does.",
    )
    parser.add_argument(
        "checkpoint", help="a file of torch.save, safetensors or ONNX; code in it is never run"
    )
    parser.add_argument("model", help="the registered model that it is a checkpoint of")
    parser.add_argument(
        "out_dir", nargs="?", metavar="OUT_DIR", help="folder to write; made if it is not there"
    )
    parser.add_argument("--out", metavar="DIR", help="the same, as the option that other commands have")
    parser.add_argument("--head", metavar="FILE", help="the second file of the ONNX release, with the head")
    parser.add_argument(
        "--class-names",
        metavar="FILE",
        help="names of the head's classes in their order: a JSON list (.json), a table class_id,name (.csv), "
        "or one a line",
    )
    parser.add_argument(
        "--sub-centers", type=int, metavar="N", help="centers a class of the head, default: as in their code"
    )
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="an argument of the architecture in place of the registered one, such as stem_stride=1 or "
        "dilations=3,6,9; can be repeated",
    )
    add_shared_options(parser, "--overwrite")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    """Convert, write the folder and print what became of the tensors.

    Raises:
        ValueError: If an option has a wrong value, or the checkpoint does not fit the model.
        OSError: If a file cannot be read or the folder cannot be written.
    """
    from landmarkzoo._utils.checks import check_count
    from landmarkzoo.hub.model_files import CONFIG_FILE, WEIGHTS_FILE
    from landmarkzoo.losses.head_files import CLASSES_FILE, HEAD_FILE
    from landmarkzoo.models.checkpoint_conversion import convert_file

    if (arguments.out is None) == (arguments.out_dir is None):
        raise ValueError("give the folder to write once: OUT_DIR or --out DIR")
    out_dir = arguments.out_dir if arguments.out is None else arguments.out
    check_model_folder(
        Path(out_dir),
        (CONFIG_FILE, WEIGHTS_FILE, HEAD_FILE, CLASSES_FILE),
        inputs=[path for path in _files(arguments) if path is not None],
        overwrite=arguments.overwrite,
    )
    overrides = architecture_arguments(arguments.set)
    if arguments.sub_centers is not None:
        check_count(arguments.sub_centers, "--sub-centers")
    class_names = None if arguments.class_names is None else _class_names(Path(arguments.class_names))
    try:
        model, head, report = convert_file(
            arguments.checkpoint,
            arguments.model,
            head=arguments.head,
            sub_centers=arguments.sub_centers,
            **overrides,
        )
    except TypeError as error:
        raise ValueError(f"--set: an argument, or the type of its value, is wrong: {error}") from error
    if class_names is not None and head is None:
        raise ValueError("--class-names: the checkpoint has no head, so there are no classes to name")
    if arguments.sub_centers is not None and head is None:
        raise ValueError("--sub-centers: the checkpoint has no head")
    model.save_pretrained(out_dir, head=head, class_names=class_names)
    print(report)
    print(f"{arguments.model}{' and its head' if head is not None else ', no head'}: {out_dir}")


def _files(arguments: argparse.Namespace) -> tuple[str | None, ...]:
    return arguments.checkpoint, arguments.head, arguments.class_names


def _class_names(path: Path) -> list[str]:
    if not path.is_file():
        raise FileNotFoundError(f"--class-names: there is no file {path}")
    if path.suffix == ".csv":
        from landmarkzoo.hub import read_class_names

        return read_class_names(path)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"--class-names: {path} is not UTF-8: {error}") from error
    if path.suffix != ".json":
        return text.splitlines()
    try:
        names = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"--class-names: {path} is damaged: {error}") from error
    if not isinstance(names, list):
        raise ValueError(f"--class-names: {path} must hold a list of names, got a {type(names).__name__}")
    wrong = [name for name in names if isinstance(name, bool) or not isinstance(name, (str, int))]
    if wrong:
        raise ValueError(f"--class-names: {path} must hold names, got {wrong[0]!r} among them")
    return [str(name) for name in names]
