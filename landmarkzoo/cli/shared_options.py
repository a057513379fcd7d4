"""Options that several commands share: each has one name, one meaning and one help text."""

from __future__ import annotations

import argparse
from typing import Any

_OPTIONS: dict[str, dict[str, Any]] = {
    "queries": {"help": "descriptors file of the query photos, written by 'landmarkzoo embed'"},
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
        "default": 0,
        "metavar": "N",
        "help": "processes that read photos, default: %(default)s (the main process reads them)",
    },
    "--device": {"help": "where to compute, such as cuda; default: cpu"},
    "--quiet": {"action": "store_true", "help": "no progress bars"},
}


def add_shared_options(parser: argparse.ArgumentParser, *names: str) -> None:
    """Add some of the shared options to the parser of a command, in this order.

    Args:
        parser: The parser.
        names: Names of the options, such as ``"-k"``.
    """
    for name in names:
        parser.add_argument(name, **_OPTIONS[name])
