"""Models and heads that other installed packages bring: entry points of the group ``landmarkzoo.models``."""

from __future__ import annotations

import threading
import warnings
from importlib.metadata import EntryPoint, entry_points
from types import ModuleType

GROUP = "landmarkzoo.models"

_lock = threading.RLock()  # a plug-in that asks a registry while it is loaded comes back here
_loaded = False
_current: EntryPoint | None = None  # that is being loaded


def load_plugins() -> None:
    """Load the plug-ins of all installed packages, the first time that it is called.

    An entry point names a module, which registers its models and heads when it is imported, or a function
    without arguments, which registers them when it is called. One that fails is left out with a warning.
    """
    global _loaded, _current
    with _lock:
        if _loaded:
            return
        _loaded = True  # for what a plug-in asks while it is loaded
        for entry_point in sorted(entry_points(group=GROUP), key=lambda found: found.name):
            _current = entry_point
            try:
                _load_or_warn(entry_point)
            except BaseException:  # Ctrl-C, or a warning that is an error: load them when asked again
                _loaded, _current = False, None
                raise
        _current = None


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
