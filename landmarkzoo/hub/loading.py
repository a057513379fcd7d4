"""Loading by name: the folder that a name stands for, and the head in it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import distributed as dist

from landmarkzoo.hub import client
from landmarkzoo.hub.client import HUB, HubOptions
from landmarkzoo.losses import Head, read_head
from landmarkzoo.losses.head_files import CLASSES_FILE, HEAD_FILE

LOCAL = "local-dir:"


def is_saved(name: str | Path) -> bool:
    """Whether a name stands for a saved model (a folder or a repository), not for a registered one.

    Args:
        name: What ``create_model`` takes.

    Examples:
        >>> is_saved("local-dir:my-model"), is_saved("dolg_efficientnet_b5")
        (True, False)
    """
    return isinstance(name, Path) or ":" in name or "/" in name


def saved_folder(
    name: str | Path, options: HubOptions, files: Sequence[str], optional: Sequence[str] = ()
) -> Path:
    """The folder that a name stands for; files of a repository are downloaded first.

    Args:
        name: ``"local-dir:path"``, a ``Path``, or ``"hf-hub:org/repo"``, with ``@revision`` or without.
        options: Revision, token, cache and the like, for repositories.
        files: Files to download, in addition to ``config.json``.
        optional: Files that are downloaded if the repository has them.

    Raises:
        ConnectionError: If the Hub does not answer.
        FileNotFoundError: If there is no such folder, repository, revision or file.
        PermissionError: If the Hub refuses access.
        TypeError: If the name is neither a string nor a path.
        ValueError: If the name is of another kind, or a file is damaged.
    """
    if not isinstance(name, (str, Path)):
        raise TypeError(f"a saved model is named by a string or a Path, got {type(name).__name__}")
    name = f"{LOCAL}{name}" if isinstance(name, Path) else name
    if name.startswith(HUB):
        return client.download(name, options, files, optional)
    options.check_unused(name)
    if not name.startswith(LOCAL):
        right = f"{LOCAL}{name}" if name and Path(name).is_dir() else "local-dir:path"
        raise ValueError(
            f"{name!r} does not name a saved model: a folder is {right!r}, a repository '{HUB}org/repo'"
        )
    if name == LOCAL:
        raise ValueError(f"{name!r} names no folder: it is '{LOCAL}path'")
    folder = Path(name.removeprefix(LOCAL)).expanduser()
    if folder.is_file():
        raise ValueError(f"{name!r} is a file: give its folder, '{LOCAL}{folder.parent}'")
    if not folder.is_dir():
        raise FileNotFoundError(f"{name!r}: there is no folder {folder}")
    return folder


def saved_head(
    name: str | Path,
    options: HubOptions,
    *,
    process_group: dist.ProcessGroup | None = None,
    device: torch.device | str | None = None,
) -> tuple[Head, list[str] | None]:
    """The head of a saved model, and the names of its classes, see ``landmarkzoo.load_head``.

    Raises:
        ConnectionError: As :func:`saved_folder`, like all that follow.
        FileNotFoundError: Folder, repository or head is missing.
        PermissionError: The Hub refuses access.
        ValueError: The name is of another kind, or a file is damaged.
    """
    folder = saved_folder(name, options, (HEAD_FILE,), (CLASSES_FILE,))
    return read_head(folder, process_group=process_group, device=device)
