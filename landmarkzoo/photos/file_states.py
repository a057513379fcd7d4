"""Whether photos are the files that they were."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator

from landmarkzoo.photos.sources import PhotoSource
from landmarkzoo.retrieval.shard_files import FileState


def states_of_files(source: PhotoSource, positions: Iterable[int]) -> Iterator[FileState | None]:
    """What tells whether photos change; ``None`` for what is in no file.

    Size and time are -1 for a file that is missing, or in a closed folder.
    """
    root = root_of(source)
    for position in positions:
        path = source.file(position)
        try:
            state = None if path is None else path.stat()
        except (OSError, ValueError):  # also no possible name: said when it is read
            yield FileState(-1, -1, root)
        else:
            yield None if state is None else FileState(state.st_size, state.st_mtime_ns, root)


def root_of(source: PhotoSource) -> str:
    """The folder that the ids of a source start from; ``""`` if they do not."""
    return "" if source.root is None else os.path.realpath(source.root)
