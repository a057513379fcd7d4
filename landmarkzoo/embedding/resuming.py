"""Parts of a long embedding job on disk: a job that was killed goes on where it was."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from landmarkzoo.photos import PhotoSource
from landmarkzoo.retrieval import Descriptors

PART_SIZE = 1024  # photos; what a killed job repeats at most


def job_fingerprint(source: PhotoSource, *options: object) -> str | None:
    """What makes two embedding jobs the same: every file in order, with its size and time, and the options.

    ``None`` for photos that are not files: what a data set or an image in memory holds is not known before
    it is read, so such a job cannot be told from another one and starts anew.
    """
    if not isinstance(source.items, Iterable) or not all(isinstance(i, (str, Path)) for i in source.items):
        return None
    digest = hashlib.sha256(repr(options).encode())
    for id_, item in zip(source.ids, source.items):
        path = Path(item) if source.root is None else source.root / item
        state = path.stat() if path.exists() else None
        file = (id_, str(path.resolve()), state and state.st_size, state and state.st_mtime_ns)
        digest.update(repr(file).encode())
    return digest.hexdigest()


class FinishedParts:
    """Files ``<out>.parts/00000.safetensors``, ..., each with the next photos of one job.

    Parts of another job under the same name are discarded.

    Args:
        out: Where the whole result goes in the end; its folder must exist.
        job: What ``job_fingerprint`` gives; with ``None`` no parts are kept.
        provenance: Provenance of the descriptors.
        keep_skipped: Whether to reuse parts with skipped photos.

    Raises:
        FileNotFoundError: If the folder of ``out`` does not exist.
        IsADirectoryError: If ``out`` is a folder.
    """

    def __init__(
        self, out: str | Path, job: str | None, provenance: dict[str, str], *, keep_skipped: bool
    ) -> None:
        self.out = Path(out)
        if not self.out.parent.is_dir():
            raise FileNotFoundError(f"cannot write {out}: no such folder {self.out.parent}")
        if self.out.is_dir():
            raise IsADirectoryError(f"cannot write {out}: it is a folder")
        self.folder = self.out.with_name(self.out.name + ".parts")
        self.job = job
        self.provenance = {**provenance, "job": str(job)}
        self.keep_skipped = keep_skipped
        self.count = 0

    def load(self) -> list[Descriptors]:
        """Finished parts of this job, in order; what does not belong to it is deleted."""
        done: list[Descriptors] = []
        for path in sorted(self.folder.glob("*.safetensors")):
            part = self._read(path) if path == self._path(len(done)) else None
            if part is None:
                path.unlink()
                continue
            done.append(part)
        self.count = len(done)
        return done

    def add(self, part: Descriptors) -> None:
        """Write the next part."""
        if self.job is None:
            return
        self.folder.mkdir(exist_ok=True)
        replace(part, provenance=self.provenance).save(self._path(self.count))
        self.count += 1

    def finish(self, whole: Descriptors) -> None:
        """Write the whole and remove the parts."""
        whole.save(self.out)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _path(self, number: int) -> Path:
        return self.folder / f"{number:05d}.safetensors"

    def _read(self, path: Path) -> Descriptors | None:
        try:
            part = Descriptors.load(path)
        except (ValueError, OSError):  # damaged: embedded again
            return None
        same_job = self.job is not None and part.provenance == self.provenance
        return part if same_job and (self.keep_skipped or not part.skipped) else None
