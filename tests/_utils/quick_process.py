"""Processes that use the ground floor of the package only, and start without torch."""

import sys
from pathlib import Path

import landmarkzoo as lz

_WITHOUT_THE_REST = f"""
import sys, types
sys.modules["landmarkzoo"] = package = types.ModuleType("landmarkzoo")
package.__path__ = [{str(Path(lz.__file__).parent)!r}]
"""


def command(code, *arguments):
    """A command for subprocess that runs Python code."""
    return [sys.executable, "-c", _WITHOUT_THE_REST + code, *map(str, arguments)]
