"""Writing files whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def atomic_write(path: str | Path) -> Iterator[Path]:
    """Give a temporary name beside ``path``; rename it to ``path`` when the block ends without error.

    Args:
        path: The file to write; its folder must exist.

    Raises:
        FileNotFoundError: If the folder does not exist.
        IsADirectoryError: If ``path`` is a folder.

    Examples:
        >>> import tempfile
        >>> target = Path(tempfile.mkdtemp()) / "ids.txt"
        >>> with atomic_write(target) as temporary:
        ...     _ = temporary.write_text("a b c")
        >>> target.read_text()
        'a b c'
    """
    path = Path(path)
    if not path.parent.is_dir():
        raise FileNotFoundError(f"cannot write {path}: the folder {path.parent} does not exist")
    if path.is_dir():
        raise IsADirectoryError(f"cannot write {path}: it is a folder")
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        yield temporary
        umask = os.umask(0)  # some libraries make files that only their owner can read
        os.umask(umask)
        temporary.chmod(0o666 & ~umask)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
