"""The command line: ``landmarkzoo COMMAND``; each command is a file."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from landmarkzoo import __version__
from landmarkzoo.cli import (
    convert_command,
    demo_command,
    embed_command,
    evaluate_command,
    gldv2_command,
    models_command,
    recognize_command,
    rerank_command,
    search_command,
)
from landmarkzoo.models import WeightsNotFoundError

COMMANDS = (
    models_command,
    embed_command,
    search_command,
    rerank_command,
    recognize_command,
    evaluate_command,
    gldv2_command,
    convert_command,
    demo_command,
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command.

    Args:
        argv: Arguments without the program's name; those of the process if ``None``.

    Returns:
        0, or 2 for wrong input, with one line on stderr that says what was wrong.
    """
    parser = argparse.ArgumentParser(
        prog="landmarkzoo", description="Recognise and retrieve landmarks in photos."
    )
    parser.add_argument("--version", action="version", version=f"landmarkzoo {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for command in COMMANDS:
        command.add_parser(commands)
    arguments = parser.parse_args(argv)
    try:
        arguments.run(arguments)
        sys.stdout.flush()
    except BrokenPipeError:  # what we print to, such as head, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (ValueError, OSError, WeightsNotFoundError) as error:
        print(f"landmarkzoo: error: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("landmarkzoo: interrupted", file=sys.stderr)
        return 130
    return 0
