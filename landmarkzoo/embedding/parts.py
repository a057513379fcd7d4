"""Parts of a long embedding job on disk: a job that was killed goes on where it was."""

from __future__ import annotations

import shutil
from pathlib import Path

from landmarkzoo.retrieval import Descriptors

PART_SIZE = 1024  # photos; what a killed job repeats at most


class FinishedParts:
    """Files ``<out>.parts/00000.safetensors``, ..., each with the next photos of one job.

    Parts of another job (other photos, model or transform) under the same name are discarded.

    Args:
        out: Where the whole result goes in the end; its folder must exist.
        ids: Ids of all photos, in order.
        provenance: Model and transform of the job.
        keep_skipped: Whether parts count in which photos were skipped.

    Raises:
        FileNotFoundError: If the folder of ``out`` does not exist.
    """

    def __init__(
        self, out: str | Path, ids: list[str], provenance: dict[str, str], *, keep_skipped: bool
    ) -> None:
        self.out = Path(out)
        if not self.out.parent.is_dir():
            raise FileNotFoundError(f"cannot write {out}: no such folder {self.out.parent}")
        self.folder = self.out.with_name(self.out.name + ".parts")
        self.ids = ids
        self.provenance = provenance
        self.keep_skipped = keep_skipped
        self.count = 0

    def load(self) -> list[Descriptors]:
        """Finished parts of this job, in order; what does not belong to it is deleted."""
        done: list[Descriptors] = []
        start = 0
        for path in sorted(self.folder.glob("*.safetensors")):
            part = self._read(path, start) if path == self._path(len(done)) else None
            if part is None:
                path.unlink()
                continue
            done.append(part)
            start += len(part) + len(part.skipped)
        self.count = len(done)
        return done

    def add(self, part: Descriptors) -> None:
        """Write the next part."""
        self.folder.mkdir(exist_ok=True)
        part.save(self._path(self.count))
        self.count += 1

    def finish(self, whole: Descriptors) -> None:
        """Write the whole and remove the parts."""
        whole.save(self.out)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _path(self, number: int) -> Path:
        return self.folder / f"{number:05d}.safetensors"

    def _read(self, path: Path, start: int) -> Descriptors | None:
        try:
            part = Descriptors.load(path)
        except (ValueError, OSError):  # damaged: embedded again
            return None
        ids = part.ids + [id_ for id_, _ in part.skipped]
        expected = self.ids[start : start + len(ids)]
        same_job = part.provenance == self.provenance and sorted(ids) == sorted(expected)
        return part if same_job and (self.keep_skipped or not part.skipped) else None
