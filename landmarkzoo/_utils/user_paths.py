"""Paths as people type them."""

from __future__ import annotations

from pathlib import Path


def user_path(path: str | Path) -> Path:
    """A path with ``~`` replaced by the home folder, unless there is a file that is really called so.

    Examples:
        >>> user_path("photos/1.jpg").as_posix(), user_path("~/photos") == Path.home() / "photos"
        ('photos/1.jpg', True)
    """
    path = Path(path)
    if not path.parts or not path.parts[0].startswith("~") or Path(path.parts[0]).exists():
        return path
    try:
        return path.expanduser()
    except RuntimeError:  # no such user
        return path
