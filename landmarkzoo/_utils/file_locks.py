"""Locks on files: one writer at a time, over threads, processes and hosts."""

from __future__ import annotations

import errno
import json
import logging
import os
import socket
import stat
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import datetime
from pathlib import Path

from landmarkzoo._utils.atomic_writing import cannot_write

_logger = logging.getLogger(__name__)
_NO_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP}  # of a file system
_TAKEN = {errno.EAGAIN, errno.EACCES, errno.EWOULDBLOCK, errno.EDEADLK}
_TURN = 0.2  # seconds between two looks at whether another job is ready
_NO_LINK = getattr(os, "O_NOFOLLOW", 0)  # Windows has none
_START = b'{"process": '  # of a lock file
_held: set[int] = set()  # file descriptors


@contextmanager
def single_writer(path: Path) -> Iterator[None]:
    """Be the only one that writes a file, until the block ends.

    A lock of the operating system is held on the file ``<path>.lock``, which says who holds it and is removed
    in the end. The lock of a process that was killed is free at once, so its file may stay without harm.
    ``filelock`` is not used, as its files stay, or vanish while others hold them.

    Args:
        path: The file that will be written, without symbolic links; its folder must exist.

    Raises:
        OSError: If somebody else writes it, with the holder, or the lock file cannot be made: there is a file
            of that name that is no lock file.

    Examples:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "index.safetensors"
        >>> with single_writer(path):
        ...     [file.name for file in path.parent.iterdir()]
        ['index.safetensors.lock']
    """
    lock = beside(path, ".lock")
    descriptor = _acquire(lock, path)
    _held.add(descriptor)
    try:
        with suppress(OSError):  # only for the message
            since = datetime.now().astimezone().isoformat(" ", "seconds")
            holder = {"process": os.getpid(), "host": socket.gethostname(), "since": since}
            os.truncate(descriptor, 0)
            os.lseek(descriptor, 0, os.SEEK_SET)
            os.write(descriptor, json.dumps(holder).encode())
        yield
    finally:
        if _is_at(descriptor, lock):
            with suppress(OSError):  # Windows removes no open file: the next job does
                lock.unlink()
        _held.discard(descriptor)
        os.close(descriptor)


@contextmanager
def writer_in_turn(path: Path) -> Iterator[None]:
    """Be the only one that writes a file or folder; wait while somebody else does.

    Args:
        path: As for ``single_writer``; a folder may be written as well.

    Raises:
        OSError: If the lock file cannot be made.

    Examples:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "net.pth"
        >>> with writer_in_turn(path):
        ...     _ = path.write_bytes(b"weights")
        >>> [file.name for file in path.parent.iterdir()]
        ['net.pth']
    """
    with ExitStack() as stack:
        told = False
        while True:
            try:
                stack.enter_context(single_writer(path))
                break
            except OSError as error:
                if error.errno != errno.EBUSY:
                    raise
                if not told:
                    _logger.info("%s: another job writes it: waiting for its end", path)
                told = True
                time.sleep(_TURN)
        yield


def beside(path: Path, suffix: str) -> Path:
    """A file or folder beside a file: its name, cut if it would be too long, with a suffix.

    Examples:
        >>> beside(Path("a/x.csv"), ".lock").as_posix()
        'a/x.csv.lock'
    """
    room = 255 - len(os.fsencode(suffix))
    return path.with_name(os.fsencode(path.name)[:room].decode("utf-8", "ignore") + suffix)


def _acquire(lock: Path, path: Path) -> int:
    while True:
        try:
            descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | _NO_LINK, 0o666)
        except OSError as error:
            raise cannot_write(lock, error.errno, str(error.strerror)) from error
        if not _is_ours(descriptor):
            os.close(descriptor)
            raise cannot_write(path, errno.EEXIST, f"{lock} is in the way, which landmarkzoo did not write")
        try:
            _lock(descriptor)
        except OSError as error:
            if error.errno in _NO_LOCKS:
                _logger.warning("%s: no locks on this file system; see to it that one job writes it", path)
            else:
                os.close(descriptor)
                if error.errno not in _TAKEN:
                    raise cannot_write(lock, error.errno, str(error.strerror)) from error
                raise cannot_write(path, errno.EBUSY, _busy(lock)) from error
        if _is_at(descriptor, lock):
            return descriptor
        os.close(descriptor)  # its last holder removed it meanwhile, and it would keep nobody out


def _is_ours(descriptor: int) -> bool:
    """Whether an open file is a lock file, maybe an empty one, and not a pipe or a file of the user."""
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        return False
    head = os.read(descriptor, len(_START))
    os.lseek(descriptor, 0, os.SEEK_SET)
    return head == _START[: len(head)]


def _busy(lock: Path) -> str:
    try:
        holder = json.loads(lock.read_text())
        who = f"since {holder['since']} (process {holder['process']} on {holder['host']})"
    except (OSError, ValueError, KeyError, TypeError):
        who = "right now"
    return f"another job writes it {who}: wait for its end"


def _is_at(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except OSError:
        return False


def _drop_in_child() -> None:
    for descriptor in _held:  # a worker that outlives its parent must not keep the lock
        os.close(descriptor)
    _held.clear()


if sys.platform == "win32":
    import msvcrt

    def _lock(descriptor: int) -> None:
        os.lseek(descriptor, 2**30, os.SEEK_SET)  # behind what others read
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        os.lseek(descriptor, 0, os.SEEK_SET)
else:
    import fcntl

    def _lock(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)

    os.register_at_fork(after_in_child=_drop_in_child)
