"""What the benchmarks share: seconds, the peak of memory, the line about the machine."""

from __future__ import annotations

import platform
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path

import torch


def seconds(function: Callable[[], object]) -> float:
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def held_mib() -> float:
    """Memory of this process now (Linux)."""
    return _status("VmRSS")


def peak_mib() -> float:
    """Most memory that this process held since the last :func:`restart_peak` (Linux)."""
    return _status("VmHWM")


def anonymous_mib() -> float:
    """Memory of this process now that is not mapped from files (Linux)."""
    return _status("RssAnon")


def restart_peak() -> None:
    Path("/proc/self/clear_refs").write_text("5")


def _status(field: str) -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith(field))) / 1024


def machine() -> str:
    return (
        f"{date.today()}, {platform.machine()}, {torch.get_num_threads()} threads, torch {torch.__version__}"
    )
