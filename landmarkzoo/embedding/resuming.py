"""Parts of a long embedding job on disk: a job that was killed goes on where it was."""

from __future__ import annotations

import glob
import hashlib
import logging
import pickle
import shutil
from collections.abc import Iterator, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

from landmarkzoo._utils.atomic_writing import made_folder
from landmarkzoo._utils.checks import FloatArray
from landmarkzoo._utils.file_locks import beside
from landmarkzoo.photos import PhotoSource
from landmarkzoo.photos.pillow_settings import SettingsForWorkers
from landmarkzoo.retrieval.shard_files import SUFFIX, FileState, NewRows, Shard, SkippedPhoto, write_shard

_logger = logging.getLogger(__name__)
_VERSION = 2  # of what lies in the folder


def job_fingerprint(source: PhotoSource, *options: object) -> str | None:
    """What makes two embedding jobs the same: the options, and which file the first photo is.

    A data set counts with all its attributes, as it may crop its photos; Pillow's settings do not count.
    Whether the photos are the same is seen part by part.

    Returns:
        16 hexadecimal digits. ``None`` for photos that are not files, and for data sets that cannot be
        pickled: what these hold is not known before it is read, so such a job starts anew.
    """
    first = source.file(0)
    if first is None:
        return None
    digest = hashlib.sha256(repr((_VERSION, options, str(first.absolute()))).encode())
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


class FinishedParts:
    """Finished parts of one job, in the folder ``<out>.<job>.parts``: shards, as those of an index.

    The name of a part is the position of its first photo, and a digest of its photos and of the states of
    their files. Two jobs never share a folder, so none touches the parts of another one.

    Args:
        out: Where the whole result goes in the end, without symbolic links.
        job: What ``job_fingerprint`` gives.
        photos: Id and state of all photos of the job, in order, from before they are read.
        keep_skipped: Whether to reuse parts with skipped photos.
    """

    def __init__(
        self, out: Path, job: str, photos: Sequence[tuple[str, FileState | None]], *, keep_skipped: bool
    ) -> None:
        self.folder = beside(out, f".{job}.parts")
        self.photos, self.keep_skipped = photos, keep_skipped
        pattern = glob.escape(self.folder.name[: -len(f"{job}.parts")]) + "[0-9a-f]" * len(job) + ".parts"
        for other in sorted(set(out.parent.glob(pattern)) - {self.folder}):
            _logger.warning(
                "%s holds the parts of an interrupted job with other photos or options; delete the folder "
                "unless that job is to go on",
                other,
            )

    def load(self) -> Iterator[NewRows]:
        """Parts in order, up to the first one that is missing, damaged, or of photos that have changed.

        What is left of the job is then cut into the same batches as if it had never been interrupted.
        """
        position = 0
        while (part := self._usable(position)) is not None:
            yield part
            position += len(part)

    def add(self, position: int, ids: list[str], vectors: FloatArray, skipped: list[tuple[str, str]]) -> None:
        """Write a part.

        Args:
            position: That of its first photo.
            ids: Ids of its photos that could be read, in order.
            vectors: Their vectors (n, D).
            skipped: Id and reason of those that could not.

        Raises:
            OSError: If it cannot be written.
        """
        rows = NewRows(
            ids,
            [vectors],
            [None for _ in ids],  # no labels
            [None for _ in ids],  # their states are in the name
            [SkippedPhoto(id_, reason) for id_, reason in skipped],
        )
        with made_folder(self.folder, parents=False):
            write_shard(self._path(position, len(rows)), rows, vectors.shape[1], "float32")

    def remove(self) -> None:
        """Remove all parts of this job."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _path(self, position: int, count: int) -> Path:
        photos, is_last = self.photos[position : position + count], position + count == len(self.photos)
        # The last batch of a job is cut short: with more photos behind it, it would be another one.
        digest = hashlib.sha256(repr((photos, is_last)).encode()).hexdigest()[:16]
        return self.folder / f"{position:09d}-{digest}{SUFFIX}"

    def _usable(self, position: int) -> NewRows | None:
        """The part that begins at a position, if it can be reused."""
        for path in sorted(self.folder.glob(f"{position:09d}-*{SUFFIX}")):
            try:
                part = Shard(path).rows()
            except (ValueError, OSError):
                continue
            same = path == self._path(position, len(part))
            if len(part) > 0 and same and (self.keep_skipped or not part.skipped):
                return part
        return None
