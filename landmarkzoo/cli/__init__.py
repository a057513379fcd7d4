"""The command line: ``landmarkzoo COMMAND``.

A command is a file ``NAME_command.py`` with the functions ``add_parser`` and ``run``, and its NAME in
``COMMANDS``. Its parser has the default ``run``, and maybe ``when_stopped``, which the line about a signal
ends with. What needs PyTorch is imported in ``run``: help and wrong arguments are answered at once.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Sequence
from contextlib import suppress
from importlib import import_module
from typing import Any, NoReturn

from landmarkzoo import __version__
from landmarkzoo.cli.signals import OrderlyStop
from landmarkzoo.cli.stderr_lines import (
    error_line,
    one_line_warnings,
    say,
    show_traceback,
    usage_line,
)

# In the order of the help.
COMMANDS = (
    "models",
    "embed",
    "index",
    "finetune",
    "classify",
    "search",
    "rerank",
    "recognize",
    "evaluate",
    "clean",
    "gldv2",
    "convert",
    "demo",
)

_EPILOG = (
    "exit codes: 0; 2 for wrong input, which one line on stderr names; 130 after Ctrl-C, 143 after SIGTERM. "
    "With the environment variable LANDMARKZOO_TRACEBACK=1 an error shows Python's traceback too."
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command.

    Args:
        argv: Arguments without the program's name; ``None``: the arguments of the process, whose signals are
            then handled too.

    Returns:
        0; 2 for wrong input, with one line on stderr that says what was wrong; 130 if interrupted; 128 and
        the number of another signal that ended it.
    """
    stop = OrderlyStop()
    if argv is None:
        stop.install()
    code = _answer(argv, stop)
    stop.finish(code)
    return code


def _answer(argv: Sequence[str] | None, stop: OrderlyStop) -> int:
    try:
        arguments = _parser().parse_args(argv)
    except SystemExit:  # help, version or wrong arguments
        _flush()
        raise
    if hasattr(sys.stdout, "reconfigure"):  # a file name may hold what the terminal cannot show
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        _refuse_texts(arguments)
        with one_line_warnings():
            import_module("landmarkzoo.evaluation")  # PyTorch, timm and all else that takes seconds
            stop.nothing_to_keep = False
            arguments.run(arguments)
        if sys.stdout is not None:
            sys.stdout.flush()
    except BrokenPipeError:  # the reader of our output, such as head, has closed it
        return 0
    except KeyboardInterrupt:
        say(stop.line + getattr(arguments, "when_stopped", ""))
        return stop.code
    except Exception as error:
        if stop.came:  # what a signal made out of some library
            say(stop.line + getattr(arguments, "when_stopped", ""))
            return stop.code
        show_traceback()
        say(f"landmarkzoo: error: {error_line(error, hasattr(arguments, 'batch_size'))}")
        return 2
    finally:
        _flush()
    return 0


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one line, as all else does, instead of the usage."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{usage_line(message, self.prog)}\n")

    def _print_message(self, message: str, file: Any = None) -> None:
        with suppress(OSError):  # nobody reads it, or the disk is full: Python before 3.11.4 does not care
            super()._print_message(message, file)


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="landmarkzoo", description="Recognise and retrieve landmarks in photos.", epilog=_EPILOG
    )
    parser.add_argument("--version", action="version", version=f"landmarkzoo {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for name in COMMANDS:
        import_module(f"landmarkzoo.cli.{name}_command").add_parser(commands)
    return parser


def _refuse_texts(arguments: argparse.Namespace) -> None:
    """Refuse addresses, and empty texts: an empty path would be the folder that we are in."""
    for name, value in vars(arguments).items():
        for text in value if isinstance(value, list) else [value]:
            if text == "":
                raise ValueError(f"{name.replace('_', '-')} is empty: was a variable of the shell not set?")
            if (
                name not in ("model", "ids")
                and isinstance(text, str)
                and re.match(r"[a-zA-Z][\w+.-]+://", text)
            ):
                raise ValueError(f"{text} is an address: download it first, then give the file or folder")


def _flush() -> None:
    """Flush stdout, or give it up: Python would complain at its end, and change the exit code."""
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except (OSError, ValueError):
        with suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
