"""Parts of a long embedding job on disk: a job that was killed goes on where it was."""

from __future__ import annotations

import glob
import hashlib
import logging
import pickle
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

from landmarkzoo._utils.atomic_writing import made_folder
from landmarkzoo._utils.file_locks import beside
from landmarkzoo.photos import PhotoSource
from landmarkzoo.photos.pillow_settings import SettingsForWorkers
from landmarkzoo.retrieval import Descriptors

_logger = logging.getLogger(__name__)
_VERSION = 1  # of what lies in the folder


def job_fingerprint(source: PhotoSource, *options: object) -> str | None:
    """What makes two embedding jobs the same: every file in order, with its size and time, and the options.

    A data set counts with all its attributes, as it may crop its photos; Pillow's settings do not count.

    Returns:
        16 hexadecimal digits. ``None`` for photos that are not files, and for data sets that cannot be
        pickled: what these hold is not known before it is read, so such a job starts anew.
    """
    digest = hashlib.sha256(repr((_VERSION, options)).encode())
    for position, id_ in enumerate(source.ids):
        path = source.file(position)
        if path is None:
            return None
        digest.update(repr((id_, str(path.absolute()), _state(path))).encode())
    if not isinstance(source.items, Sequence):  # a data set
        content = BytesIO()
        try:
            _ContentPickler(content, protocol=4).dump(source.items)
        except Exception:  # whatever its parts raise
            return None
        digest.update(content.getvalue())
    return digest.hexdigest()[:16]


class _ContentPickler(pickle.Pickler):
    """Leaves Pillow's settings out: a photo that was too large is allowed, and the job goes on."""

    def reducer_override(self, value: object) -> Any:
        return (SettingsForWorkers, ()) if isinstance(value, SettingsForWorkers) else NotImplemented


def _state(path: Path) -> tuple[int, int] | None:
    try:
        state = path.stat()
    except (OSError, ValueError):  # missing, in a closed folder, no possible name: said when it is read
        return None
    return state.st_size, state.st_mtime_ns


class FinishedParts:
    """Finished parts of one job, in the folder ``<out>.<job>.parts``.

    The name of a part is the position of its first photo. Two jobs never share a folder, so none touches the
    parts of another one.

    Args:
        out: Where the whole result goes in the end, without symbolic links.
        job: What ``job_fingerprint`` gives.
        provenance: Provenance of the descriptors.
        keep_skipped: Whether to reuse parts with skipped photos.
    """

    def __init__(self, out: Path, job: str, provenance: dict[str, str], *, keep_skipped: bool) -> None:
        self.folder = beside(out, f".{job}.parts")
        self.provenance = {**provenance, "job": job}
        self.keep_skipped = keep_skipped
        pattern = glob.escape(self.folder.name[: -len(f"{job}.parts")]) + "[0-9a-f]" * len(job) + ".parts"
        for other in sorted(set(out.parent.glob(pattern)) - {self.folder}):
            _logger.warning(
                "%s holds the parts of an interrupted job with other photos or options; delete the folder "
                "unless that job is to go on",
                other,
            )

    def load(self) -> Iterator[Descriptors]:
        """Parts in order, up to the first one that is missing or damaged."""
        position = 0
        while (part := self._read(position)) is not None:
            yield part
            position += len(part.ids) + len(part.skipped)

    def add(self, position: int, part: Descriptors) -> None:
        """Write a part.

        Raises:
            OSError: If it cannot be written.
        """
        with made_folder(self.folder, parents=False):
            replace(part, provenance=self.provenance).save(self._path(position))

    def remove(self) -> None:
        """Remove all parts of this job."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _path(self, position: int) -> Path:
        return self.folder / f"{position:09d}.safetensors"

    def _read(self, position: int) -> Descriptors | None:
        try:
            part = Descriptors.load(self._path(position))
        except (ValueError, OSError):
            return None
        usable = part.provenance == self.provenance and (self.keep_skipped or not part.skipped)
        return part if usable and len(part.ids) + len(part.skipped) > 0 else None
