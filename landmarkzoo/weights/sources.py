"""Names of what was saved: which folder they mean."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from landmarkzoo.weights import hub
from landmarkzoo.weights.hub_options import HUB, HubOptions

LOCAL = "local-dir:"


def is_saved(name: str | Path) -> bool:
    """Whether a name means something that was saved, not a registered model.

    Example:
        >>> is_saved("local-dir:my-model"), is_saved("dolg_efficientnet_b5")
        (True, False)
    """
    return isinstance(name, Path) or ":" in name or "/" in name


def saved_folder(
    name: str | Path, options: HubOptions, files: Sequence[str], optional: Sequence[str] = ()
) -> Path:
    """The folder that a name means, with what is needed of the Hub downloaded into it.

    Args:
        name: ``"local-dir:path"``, a ``Path``, or ``"hf-hub:org/repo"``, with ``@revision`` or without.
        options: How to ask the Hub.
        files: What is needed from there.
        optional: What is taken along from there if it is there.

    Raises:
        ConnectionError: If the Hub does not answer.
        FileNotFoundError: If there is no such folder, repository, revision or file.
        PermissionError: If the Hub refuses access.
        ValueError: If the name is of another kind, or a file is damaged.
    """
    name = f"{LOCAL}{name}" if isinstance(name, Path) else name
    if name.startswith(HUB):
        return hub.download(name, options, files, optional)
    options.check_unused(name)
    if not name.startswith(LOCAL):
        right = f"{LOCAL}{name}" if Path(name).is_dir() else "local-dir:path"
        raise ValueError(
            f"{name!r} is no name of something saved: a folder is {right!r}, a repository '{HUB}org/repo'"
        )
    folder = Path(name.removeprefix(LOCAL)).expanduser()
    if folder.is_file():
        raise ValueError(f"{name!r} is a file: give its folder, '{LOCAL}{folder.parent}'")
    if not folder.is_dir():
        raise FileNotFoundError(f"{name!r}: there is no folder {folder}")
    return folder
