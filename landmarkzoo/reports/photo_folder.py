"""A folder of photos, and which of them an id may name: only those in it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote

from landmarkzoo.photos import PhotoError


class PhotoFolder:
    """Photos by id, in one folder; an id from a file never leads out of it.

    A link in the folder is followed, as when its photos are embedded: who made the folder put it there.

    Attributes:
        folder: The folder.
        asked: Ids that were asked for, as keys.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.asked: dict[str, None] = {}  # a set that keeps the order
        self._missing: dict[str, None] = {}

    @property
    def missing(self) -> list[str]:
        """Ids that were asked for and name no file in the folder."""
        return list(self._missing)

    def find(self, id_: str) -> Path:
        """The file of a photo.

        Raises:
            PhotoError: If there is none in the folder.
        """
        self.asked[id_] = None
        reason = "no such file in the folder"
        try:
            photo = Path(id_)
            inside = Path(
                os.path.relpath(photo, self.folder) if photo.is_absolute() else os.path.normpath(photo)
            )
            if inside.drive or inside.parts[:1] == ("..",):
                reason = "not in the folder of the photos"
            elif (self.folder / inside).is_file():
                return self.folder.absolute() / inside
        except (OSError, ValueError, RuntimeError):  # too long, a null byte, links in a circle
            reason = "not a path"
        self._missing[id_] = None
        raise PhotoError(id_, reason)


class ListedPhotos(PhotoFolder):
    """Photos whose files are known, wherever they are."""

    def __init__(self, files: Mapping[str, Path]) -> None:
        super().__init__(Path())
        self.files = files

    def find(self, id_: str) -> Path:
        """The file of a photo.

        Raises:
            PhotoError: If there is none.
        """
        self.asked[id_] = None
        path = self.files.get(id_)
        if path is not None and path.is_file():
            return path.absolute()
        self._missing[id_] = None
        raise PhotoError(id_, "no file is known" if path is None else "no such file")


def link(photo: Path, page: Path) -> str:
    """Where a photo is, as a browser that shows the page finds it.

    Examples:
        >>> link(Path("photos/a b.jpg").resolve(), Path("pages/x.html"))
        '../photos/a%20b.jpg'
    """
    try:
        relative = os.path.relpath(photo, page.parent.resolve())
    except ValueError:  # on another drive of Windows
        return photo.as_uri()
    return quote(os.fsencode(relative.replace(os.sep, "/")))
