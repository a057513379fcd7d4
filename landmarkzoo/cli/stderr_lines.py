"""What commands say on stderr: an error or a warning is one line."""

from __future__ import annotations

import os
import sys
import traceback
import unicodedata
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from landmarkzoo._utils.user_warnings import LandmarkzooWarning

_PACKAGE = str(Path(__file__).parents[1])
_LONGEST = 600  # characters of an error that landmarkzoo does not know
_NO_MEMORY = ("out of memory", "can't allocate memory", "alloc_cpu", "not enough memory")


def say(line: str) -> None:
    """Print a line on stderr, if anybody listens."""
    with suppress(OSError, ValueError):
        print(line, file=sys.stderr, flush=True)


def printable(text: str) -> str:
    r"""Text without characters that move the cursor or are no Unicode: these as escapes.

    Examples:
        >>> printable("a\x1b[2Jb\udcff.jpg")
        'a\\x1b[2Jb\\udcff.jpg'
    """
    return "".join(
        char.encode("unicode_escape").decode() if unicodedata.category(char)[0] == "C" else char
        for char in text
    )


def error_line(error: Exception, has_batches: bool = False) -> str:
    """What an error says, in one line, with a way out where there is one.

    Args:
        error: Any error.
        has_batches: Whether the command has ``--batch-size`` and ``--image-size``.

    Examples:
        >>> error_line(ValueError("k must be positive"))
        'k must be positive'
        >>> error_line(KeyError("weights"))
        "KeyError: 'weights' (LANDMARKZOO_TRACEBACK=1 shows where)"
    """
    text = _in_one_line(_of_worker(str(error)))
    if isinstance(error, MemoryError) or any(words in text for words in _NO_MEMORY):
        out = "give a smaller --batch-size or --image-size" if has_batches else "it needs a larger machine"
        return f"out of memory: {out}" + (f" ({_shortened(text)})" if text else "")
    if isinstance(error, ModuleNotFoundError) and "pip install" not in text and error.name:
        return f"{text}: pip install {error.name.partition('.')[0]}"
    if isinstance(error, FileNotFoundError) and error.filename is None and _is_nowhere():
        return f"{text}: the folder that the command runs in is gone; cd to one that is there"
    if (isinstance(error, (ValueError, OSError, ModuleNotFoundError)) and text) or _is_ours(error):
        return text
    return f"{type(error).__name__}: {_shortened(text)} (LANDMARKZOO_TRACEBACK=1 shows where)"


def usage_line(message: str, command: str) -> str:
    """What is wrong with the arguments of a command, in one line.

    Examples:
        >>> usage_line("argument -k: expected one argument", "landmarkzoo search")
        'landmarkzoo: error: argument -k: expected one argument (landmarkzoo search --help shows all)'
    """
    return f"landmarkzoo: error: {_shortened(_in_one_line(message))} ({command} --help shows all)"


def show_traceback() -> None:
    """Print the traceback of the error that is being handled, if the environment asks for it."""
    if os.environ.get("LANDMARKZOO_TRACEBACK", "0") not in ("", "0"):
        with suppress(OSError, ValueError):
            traceback.print_exc()


@contextmanager
def one_line_warnings() -> Iterator[None]:
    """Within it warnings of landmarkzoo are one line on stderr; those of other libraries are silent."""

    def show(message: Warning | str, category: type[Warning], filename: str, *_: Any, **__: Any) -> None:
        if issubclass(category, LandmarkzooWarning) or filename.startswith(_PACKAGE):
            say(f"landmarkzoo: warning: {_in_one_line(str(message))}")

    with warnings.catch_warnings():
        warnings.simplefilter("default")
        warnings.showwarning = show
        yield


def _is_nowhere() -> bool:
    """Whether the working directory was deleted."""
    try:
        Path.cwd()
    except OSError:
        return True
    return False


def _in_one_line(text: str) -> str:
    return " ".join(printable(line.strip()) for line in text.splitlines() if line.strip())


def _of_worker(text: str) -> str:
    """The message itself, of an error that PyTorch brought from another process with its traceback."""
    if not (text.startswith("Caught ") and "Original Traceback" in text):
        return text
    last = text.rstrip().splitlines()[-1]
    return last.partition(": ")[2] or last


def _shortened(text: str) -> str:
    return text if len(text) <= _LONGEST else text[:_LONGEST] + "..."


def _is_ours(error: Exception) -> bool:
    return type(error).__module__.partition(".")[0] == "landmarkzoo"
