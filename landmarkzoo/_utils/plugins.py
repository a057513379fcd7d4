"""Models and heads that other installed packages bring: entry points of the group ``landmarkzoo.models``."""

from __future__ import annotations

import sys
import threading
import warnings
from importlib.metadata import EntryPoint, entry_points
from types import FrameType, ModuleType

GROUP = "landmarkzoo.models"

_lock = threading.RLock()  # a plug-in that asks a registry while it is loaded comes back here
_left: list[EntryPoint] | None = None  # to load; None: not looked for yet
_current: EntryPoint | None = None  # that is being loaded


def load_plugins() -> None:
    """Load the plug-ins of all installed packages, each once.

    An entry point names a module, which registers its models and heads when it is imported, or a function
    without arguments, which registers them when it is called. One that fails is left out with a warning. One
    whose module is just being imported is left for the next time that somebody asks: its function may not be
    there yet.
    """
    global _left, _current
    if _left == []:
        return
    # Never wait in the middle of an import: the loading thread may itself wait for that import.
    if not _lock.acquire(blocking=not _inside_an_import()):
        return
    try:
        if _current is not None:  # a plug-in asks while it is loaded
            return
        if _left is None:
            _left = sorted(entry_points(group=GROUP), key=lambda found: found.name)
        for entry_point in list(_left):
            if _is_half_imported(entry_point):
                continue
            _current = entry_point
            try:
                _load_or_warn(entry_point)  # Ctrl-C, or a warning that is an error: loaded when asked again
            finally:
                _current = None
            _left.remove(entry_point)
    finally:
        _lock.release()


def _inside_an_import() -> bool:
    """Whether this thread is executing a module that is being imported."""
    frame: FrameType | None = sys._getframe()
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            return True
        frame = frame.f_back
    return False


def _is_half_imported(entry_point: EntryPoint) -> bool:
    module = sys.modules.get(entry_point.module)
    return bool(getattr(getattr(module, "__spec__", None), "_initializing", False))


def _load_or_warn(entry_point: EntryPoint) -> None:
    try:
        _load(entry_point)
    except (Exception, SystemExit) as error:
        warnings.warn(
            f"{plugin_in_loading()} cannot be loaded, its models and heads are missing: "
            f"{type(error).__name__}: {error}",
            stacklevel=3,
        )


def plugin_in_loading() -> str | None:
    """The plug-in that is being loaded, for messages; ``None`` at any other time."""
    if _current is None:
        return None
    package = f" of {_current.dist.name}" if _current.dist else ""
    return f"the landmarkzoo plug-in {_current.name!r}{package} ({_current.value})"


def _load(entry_point: EntryPoint) -> None:
    found = entry_point.load()
    if isinstance(found, ModuleType):
        return
    if isinstance(found, type) or not callable(found):
        raise TypeError("an entry point names a module, or a function that registers models")
    found()
