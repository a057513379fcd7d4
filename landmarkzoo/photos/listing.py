"""The photos in a folder."""

from __future__ import annotations

import os
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Literal

from landmarkzoo._utils.user_paths import user_path

PHOTO_SUFFIXES = frozenset(
    [
        ".avif",
        ".bmp",
        ".gif",
        ".heic",
        ".heif",
        ".jfif",
        ".jp2",
        ".jpe",
        ".jpeg",
        ".jpg",
        ".mpo",
        ".pgm",
        ".png",
        ".pnm",
        ".ppm",
        ".tga",
        ".tif",
        ".tiff",
        ".webp",
    ]
)

# What storage devices, synchronisers and systems put among photos: thumbnails, snapshots, what was deleted.
# In lower case; the names of hidden files and folders start with a dot and need no line here.
_SYSTEM_NAMES = (
    "@eadir",  # Synology
    "@sharebin",
    "@tmp",
    "#recycle",
    "#snapshot",
    "syno*_thumb*",
    "@recycle",  # QNAP
    "@recently-snapshot",
    "$recycle.bin",  # Windows
    "recycler",
    "system volume information",
    "thumbs.db*",
    "lost+found",  # Linux
    "__macosx",  # archives that macOS made
)


def photo_files(folder: str | Path, *, on_error: Literal["raise", "skip"] = "raise") -> list[str]:
    """Relative paths, with forward slashes and sorted, of all photos in a folder and below.

    A photo is a file with a suffix of ``PHOTO_SUFFIXES``. Left out are hidden files and folders, and what
    storage devices and systems put beside photos, in any case of letters: ``@eaDir``, ``@Recycle``,
    ``#recycle``, ``#snapshot``, ``$RECYCLE.BIN``, ``RECYCLER``, ``lost+found``, ``__MACOSX``, ``System Volume
    Information``, ``SYNO*_THUMB*`` and the like. Links to folders are followed, each folder once.

    Args:
        folder: The folder; ``~`` is your home.
        on_error: What a folder below means that cannot be listed: ``"raise"`` an error, or ``"skip"``: it
            stands in the list itself, and reading it as a photo says why it could not be listed.

    Raises:
        FileNotFoundError: If there is no such folder.
        PermissionError: If a folder may not be listed.
        ValueError: If the path is empty.

    Examples:
        >>> import tempfile
        >>> root = Path(tempfile.mkdtemp())
        >>> for name in ("trip/1.jpg", "trip/@eaDir/1.jpg", "trip/notes.txt", ".trash/2.jpg"):
        ...     (root / name).parent.mkdir(exist_ok=True)
        ...     (root / name).touch()
        >>> lz.photos.photo_files(root)
        ['trip/1.jpg']
    """
    if folder == "":  # for pathlib it is the folder that we are in
        raise ValueError("photos are read from a folder or a file, got an empty path")
    folder = user_path(folder)
    if not folder.is_dir():
        there = os.path.lexists(folder)
        what = "neither a folder nor a file, nor a link to one" if there else "no such folder or file"
        raise FileNotFoundError(f"{what}: {folder}")
    found, seen = [], set[str]()
    closed: list[OSError] = []
    for parent, folders, files in os.walk(folder, followlinks=True, onerror=closed.append):
        real = os.path.realpath(parent)
        if real in seen:  # a link back up would never end
            folders.clear()
            continue
        seen.add(real)
        folders[:] = sorted(name for name in folders if not _is_left_out(name))
        for name in files:
            if Path(name).suffix.lower() in PHOTO_SUFFIXES and not _is_left_out(name):
                found.append((Path(parent) / name).relative_to(folder).as_posix())
    for error in closed:
        below = Path(error.filename).relative_to(folder)
        if on_error == "raise" or below == Path():
            raise type(error)(f"cannot list the folder {error.filename}: {error.strerror}") from error
        found.append(below.as_posix())
    return sorted(found)


def _is_left_out(name: str) -> bool:
    return name.startswith(".") or any(fnmatchcase(name.lower(), pattern) for pattern in _SYSTEM_NAMES)
