"""The folder of an index: readers get its last commit, and one writer at a time makes the next one."""

from __future__ import annotations

import os
import re
import threading
import weakref
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from landmarkzoo._utils.file_locks import single_writer
from landmarkzoo.index.commits import EDITS, SHARDS, Commit
from landmarkzoo.index.edits import Edits
from landmarkzoo.index.manifest import MANIFEST_FILE, Manifest, ShardEntry, read_manifest
from landmarkzoo.retrieval.device_rows import DeviceCopies
from landmarkzoo.retrieval.shard_files import SUFFIX, NewRows, new_name, write_shard

_TRIES = 100  # a reader that meets a removed file: so many commits would have to be made in its way
# A shard, edits, or half of one: under our temporary name, or under that of safetensors.
_OURS = re.compile(rf"[0-9a-f]{{16}}{re.escape(SUFFIX)}|\.landmarkzoo-.*\.tmp|\.tmp[0-9A-Za-z]{{6}}")

_opened: weakref.WeakSet[IndexFolder] = weakref.WeakSet()


class IndexFolder:
    """The files of an index.

    Args:
        folder: Where they are.

    Raises:
        FileNotFoundError: If it is no index.
        ValueError: If it is damaged.
    """

    def __init__(self, folder: Path) -> None:
        self.path = Path(os.path.realpath(folder))  # the process may change its directory
        self._turn = threading.Lock()
        _opened.add(self)
        self._seen: object = None
        self._commit: Commit | None = None
        self._copies = DeviceCopies()
        self.last()

    def __reduce__(self) -> tuple[Any, ...]:
        return IndexFolder, (self.path,)

    def last(self) -> Commit:
        """The last commit: the same object until there is a newer one.

        Raises:
            FileNotFoundError: If a file of it is gone.
            ValueError: If it is damaged.
        """
        with self._turn:
            for tries_left in reversed(range(_TRIES)):
                seen = self._signature()
                if self._commit is not None and seen is not None and seen == self._seen:
                    break
                try:
                    manifest = read_manifest(self.path)
                    if self._commit is None or manifest != self._commit.manifest:
                        shards = [] if self._commit is None else self._commit.shards
                        known = {shard.name: shard for shard in shards}
                        commit = Commit(self.path, manifest, known, self._copies)
                        _ = commit.descriptors  # now: of two threads each would make its own
                        self._commit = commit
                    self._seen = seen
                    break
                except FileNotFoundError as error:
                    if seen is None:
                        raise
                    if tries_left == 0 or seen == self._signature():  # no writer removed it after a commit
                        raise FileNotFoundError(f"the index {self.path} is damaged: {error}") from error
            assert self._commit is not None
            return self._commit

    def _signature(self) -> object:
        try:
            state = (self.path / MANIFEST_FILE).stat()
        except OSError:
            return None
        return state.st_ino, state.st_mtime_ns, state.st_size

    @contextmanager
    def writing(self) -> Iterator[Writer]:
        """Be the only one that writes this index, until the block ends.

        Raises:
            OSError: If somebody else writes it, or it cannot be written.
        """
        with single_writer(self.path / MANIFEST_FILE):
            self._seen = None  # a commit within one tick of a coarse clock may look like the one before
            writer = Writer(self)
            writer.remove_leftovers()
            yield writer


class Writer:
    """Makes commits, while it holds the lock.

    Args:
        folder: The index.
    """

    def __init__(self, folder: IndexFolder) -> None:
        self.folder = folder

    @property
    def last(self) -> Commit:
        """The last commit."""
        return self.folder.last()

    def write_shard(self, rows: NewRows, dimensions: int, order: tuple[int, int], name: str) -> ShardEntry:
        """Write rows that are no part of the index before the next commit.

        Raises:
            OSError: If they cannot be written.
        """
        path = self.folder.path / SHARDS / f"{name}{SUFFIX}"
        write_shard(path, rows, dimensions, self.last.manifest.storage)
        return ShardEntry(name, len(rows.ids), order)

    def commit(self, manifest: Manifest, edits: Edits) -> None:
        """Make a manifest, with the edits of its rows, the last commit, and remove files that were.

        Args:
            manifest: Shards, provenance and the like. Generation, time and edits are set here.
            edits: All of them.

        Raises:
            OSError: If something cannot be written: the last commit stays.
        """
        before = self.last
        name = before.manifest.edits if edits is before.edits else None
        if edits and name is None:
            name = new_name()
            edits.save(self.folder.path / EDITS / f"{name}{SUFFIX}")
        shards = tuple(sorted(manifest.shards, key=lambda entry: entry.order))
        generation = before.manifest.generation + 1
        new = replace(manifest, shards=shards, edits=name, generation=generation, committed=now())
        new.write(self.folder.path)
        if name != before.manifest.edits or len(set(new.shards) | set(before.manifest.shards)) > len(
            new.shards
        ):
            self.remove_leftovers()

    def remove_leftovers(self) -> None:
        """Remove files that are not of the last commit: those before it, and those of killed jobs."""
        manifest = self.last.manifest
        wanted = {f"{entry.name}{SUFFIX}" for entry in manifest.shards} | {f"{manifest.edits}{SUFFIX}"}
        for name in (SHARDS, EDITS):
            for path in _files(self.folder.path / name):
                if _OURS.fullmatch(path.name) and path.name not in wanted:
                    with suppress(OSError):  # Windows removes no file that a reader has mapped
                        path.unlink()
        for path in self.folder.path.glob(".landmarkzoo-*.tmp"):
            with suppress(OSError):
                path.unlink()


def check_empty(path: Path) -> None:
    """Check that an index can be made in a folder: it is an index, not there, or was made by a killed job.

    Raises:
        FileExistsError: If there is something else.
    """
    if path.exists() and not path.is_dir():
        raise FileExistsError(f"{path} is a file: an index is a folder")
    if not path.is_dir() or (path / MANIFEST_FILE).exists():
        return
    foreign = [file.name for file in sorted(path.iterdir()) if not _is_of_an_index(file.name)]
    for name in (SHARDS, EDITS):  # a name that others use too, and what is of no commit is removed
        foreign += [f"{name}/{file.name}" for file in _files(path / name) if not _OURS.fullmatch(file.name)]
    if foreign:
        raise FileExistsError(f"{path} is a folder with other files, such as {foreign[0]}: choose a new one")


def _is_of_an_index(name: str) -> bool:
    return name in (SHARDS, EDITS, "model") or name.startswith((".landmarkzoo-", MANIFEST_FILE))


def make_folder(path: Path, manifest: Manifest) -> None:
    """Make the files of an empty index in a folder that is there.

    Raises:
        OSError: If they cannot be written.
    """
    for name in (SHARDS, EDITS):
        (path / name).mkdir(exist_ok=True)
    manifest.write(path)


def now() -> str:
    """The time, ISO 8601."""
    return datetime.now(timezone.utc).isoformat(timespec="seconds")


def _files(folder: Path) -> Sequence[Path]:
    return [path for path in folder.iterdir() if path.is_file()] if folder.is_dir() else []


def _free_in_child() -> None:
    for folder in _opened:  # a thread of the parent may have held it, and that thread is not here
        folder._turn = threading.Lock()


if hasattr(os, "register_at_fork"):  # Windows has none
    os.register_at_fork(after_in_child=_free_in_child)
