"""Names of what was saved: which folder they mean."""

from __future__ import annotations

from pathlib import Path

LOCAL = "local-dir:"
HUB = "hf-hub:"


def is_saved(name: str | Path) -> bool:
    """Whether a name means something that was saved, not a registered model.

    Example:
        >>> is_saved("local-dir:my-model"), is_saved("dolg_efficientnet_b5")
        (True, False)
    """
    return isinstance(name, Path) or ":" in name or "/" in name


def saved_folder(name: str | Path) -> Path:
    """The folder that a name means.

    Args:
        name: ``"local-dir:path"``, or a ``Path``.

    Raises:
        FileNotFoundError: If there is no such folder.
        ValueError: If the name is of another kind.
    """
    name = f"{LOCAL}{name}" if isinstance(name, Path) else name
    if name.startswith(HUB):
        raise ValueError(f"{name!r}: loading from the Hub is not there yet; 'local-dir:path' reads a folder")
    if not name.startswith(LOCAL):
        right = f"{LOCAL}{name}" if Path(name).is_dir() else "local-dir:path"
        raise ValueError(f"{name!r} is no name of something saved: a folder is {right!r}")
    folder = Path(name.removeprefix(LOCAL)).expanduser()
    if folder.is_file():
        raise ValueError(f"{name!r} is a file: give its folder, '{LOCAL}{folder.parent}'")
    if not folder.is_dir():
        raise FileNotFoundError(f"{name!r}: there is no folder {folder}")
    return folder
