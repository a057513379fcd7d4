"""The command line: ``landmarkzoo COMMAND``.

A command is a file ``NAME_command.py`` with the function ``add_parser``, and its NAME in ``COMMANDS``.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from importlib import import_module

from landmarkzoo import __version__
from landmarkzoo.models import WeightsNotFoundError

# In the order of the help.
COMMANDS = ("models", "embed", "search", "rerank", "recognize", "evaluate", "gldv2", "convert", "demo")


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command.

    Args:
        argv: Arguments without the program's name; ``None``: the arguments of the process.

    Returns:
        0; 2 for wrong input, with one line on stderr that says what was wrong; 130 if interrupted.
    """
    parser = argparse.ArgumentParser(
        prog="landmarkzoo", description="Recognise and retrieve landmarks in photos."
    )
    parser.add_argument("--version", action="version", version=f"landmarkzoo {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for name in COMMANDS:
        import_module(f"landmarkzoo.cli.{name}_command").add_parser(commands)
    arguments = parser.parse_args(argv)
    try:
        arguments.run(arguments)
        sys.stdout.flush()
    except BrokenPipeError:  # the reader of our output, such as head, has closed it
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (ValueError, OSError, WeightsNotFoundError) as error:
        print(f"landmarkzoo: error: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("landmarkzoo: interrupted", file=sys.stderr)
        return 130
    return 0
