"""Converted models beside the downloads that they were made of.

A copy is a folder as ``save_pretrained`` writes it, and ``source.json``: what it was made of, and the SHA-256
of each of its files. It is written beside its place and gets its name when it is whole, so that a job that is
killed leaves no half of it; one job at a time writes it. It counts only while nothing of that has changed.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from landmarkzoo._utils.atomic_writing import cannot_write
from landmarkzoo._utils.file_locks import beside, writer_in_turn
from landmarkzoo.hub.model_files import through_json
from landmarkzoo.hub.url_cache import sha256_of

_SOURCE_FILE = "source.json"


def keep_copy(folder: Path, made_of: Mapping[str, Any], write: Callable[[Path], object]) -> None:
    """See to it that a folder holds the copy that is made of something, and is whole.

    Args:
        folder: The folder. Another copy in it is replaced.
        made_of: Everything that the copy depends on; JSON must be able to hold it.
        write: Writes the files of the copy to the folder that it is given, which does not exist yet. Called
            only if the copy has to be made.

    Raises:
        OSError: If the copy cannot be written; ``errno`` is then set.
        TypeError: If JSON cannot hold ``made_of``.

    Examples:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp()) / "copy"
        >>> def write(new):
        ...     new.mkdir()
        ...     _ = (new / "a.txt").write_text("made")
        >>> keep_copy(folder, {"version": 1}, write)
        >>> sorted(file.name for file in folder.iterdir())
        ['a.txt', 'source.json']
    """
    made_of = through_json(dict(made_of))
    if _is_whole(folder, made_of):
        return
    new = beside(folder, ".new")
    with writer_in_turn(folder):
        if _is_whole(folder, made_of):  # by another job
            return
        _remove(new)  # of a job that was killed
        try:
            write(new)
            files = {file.name: sha256_of(file) for file in sorted(new.iterdir())}
            text = json.dumps({"made_of": made_of, "files": files}, ensure_ascii=False, indent=1)
            (new / _SOURCE_FILE).write_text(text, encoding="utf-8")
            _remove(folder)
            new.rename(folder)
        finally:
            with suppress(OSError):
                _remove(new)


def _is_whole(folder: Path, made_of: Any) -> bool:
    path = folder / _SOURCE_FILE
    try:
        source = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
        return through_json(source["made_of"]) == made_of and all(
            (folder / name).is_file() and sha256_of(folder / name) == digest
            for name, digest in source["files"].items()
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return False


def _remove(folder: Path) -> None:
    if folder.is_dir() and not folder.is_symlink():
        shutil.rmtree(folder)
    elif os.path.lexists(folder):
        raise cannot_write(folder, errno.EEXIST, "something else has its name")
