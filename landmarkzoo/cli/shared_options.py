"""Options that several commands share: each has one name, one meaning and one help text."""

from __future__ import annotations

import argparse
import sys
from typing import Any

DEFAULT_SHRINKAGE = 0.01


def _numbers(text: str) -> list[float]:
    try:
        return [float(number) for number in text.split(",")]
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"numbers with commas between them are wanted, got {text!r}"
        ) from None


_OPTIONS: dict[str, dict[str, Any]] = {
    "queries": {
        "help": "descriptors file of the query photos, written by 'landmarkzoo embed', or folder of an index"
    },
    "-k": {
        "type": int,
        "default": 10,
        "help": "results for each query, default: %(default)s (100 in the library)",
    },
    "--batch-size": {
        "type": int,
        "default": 32,
        "metavar": "N",
        "help": "photos for each forward pass, default: %(default)s",
    },
    "--workers": {
        "type": int,
        "metavar": "N",
        "help": "processes that read photos, 0: the main process reads them; default: as suits the machine",
    },
    "--image-size": {
        "type": int,
        "metavar": "PX",
        "help": "side in pixels; the longer or shorter side where the model keeps the aspect ratio of "
        "photos; default: that of the model",
    },
    "--scales": {
        "type": _numbers,
        "metavar": "X,...",
        "help": "one descriptor of the photo in several sizes, such as 0.7071,1,1.4142, or 1 for one; "
        "default: those of the model",
    },
    "--flip": {
        "action": argparse.BooleanOptionalAction,
        "help": "also see the mirrored photo; default: as the model says",
    },
    "--precision": {"help": "auto, float32, bfloat16 or float16; default: auto"},
    "--whiten": {
        "metavar": "DIR",
        "help": "first whiten the neck on the photos of this folder: about a thousand, without labels, and "
        "not those that are searched. Without this option the pooled features are the descriptors",
    },
    "--shrinkage": {
        "type": float,
        "metavar": "X",
        "help": f"of --whiten, default: {DEFAULT_SHRINKAGE}",
    },
    "--skip-errors": {
        "action": "store_true",
        "help": "leave out photos that cannot be read, and list them",
    },
    "--device": {"help": "where to compute, such as cuda; default: cpu"},
    "--overwrite": {
        "action": "store_true",
        "help": "replace the file that an earlier run of landmarkzoo wrote; no other file is ever replaced",
    },
    "--quiet": {
        "action": "store_true",
        "help": "no progress bars; there are none either where stderr is not a terminal",
    },
}


def add_shared_options(parser: argparse.ArgumentParser, *names: str) -> None:
    """Add some of the shared options to the parser of a command, in this order.

    Args:
        parser: The parser.
        names: Names of the options, such as ``"-k"``.
    """
    for name in names:
        parser.add_argument(name, **_OPTIONS[name])


def shows_progress(arguments: argparse.Namespace) -> bool:
    """Whether a command with ``--quiet`` draws progress bars: not into a file or a pipe."""
    return not arguments.quiet and sys.stderr is not None and sys.stderr.isatty()


def refuse_without(needed: str, arguments: argparse.Namespace, *options: str) -> None:
    """Refuse options that would be ignored.

    Args:
        needed: The option that they need, such as ``"--report"``.
        arguments: All arguments.
        options: These options, such as ``"--labels"``.

    Raises:
        ValueError: If ``needed`` is not given and one of them is.
    """
    if _given(arguments, needed):
        return
    for option in options:
        if _given(arguments, option):
            raise ValueError(f"{option} is for {needed}, which is not given")


def _given(arguments: argparse.Namespace, option: str) -> bool:
    return getattr(arguments, option.removeprefix("--").replace("-", "_")) not in (None, False)
