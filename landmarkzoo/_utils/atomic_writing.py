"""Writing files whole or not at all; every failure is an ``OSError`` with one line that names the target."""

from __future__ import annotations

import errno
import os
import re
import secrets
import shutil
import stat
import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from safetensors import SafetensorError

_RENAMING = threading.Lock()  # two threads that write the same files: all files come from one of them


@contextmanager
def atomic_write(path: str | Path) -> Iterator[Path]:
    """Give a temporary name beside ``path``; rename it to ``path`` when the block ends without error.

    The file is on the disk before it gets its name, and has the mode that ``open`` would give it. A symbolic
    link is followed: the file that it points to is written.

    Args:
        path: The file to write; its folder must exist.

    Raises:
        OSError: If it cannot be written: no such folder, no rights, a full disk. ``path`` is as it was.

    Examples:
        >>> import tempfile
        >>> target = Path(tempfile.mkdtemp()) / "ids.txt"
        >>> with atomic_write(target) as temporary:
        ...     _ = temporary.write_text("a b c")
        >>> target.read_text()
        'a b c'
    """
    with _new_file(path) as file:
        yield file.temporary
        file.flush()
        _rename([file])


def write_together(
    folder: str | Path, writers: Mapping[str, Callable[[Path], object]], remove: Iterable[str] = ()
) -> None:
    """Write several files of one folder: all of them, or none.

    Args:
        folder: Where to; created if it does not exist, and removed again if the files cannot be written.
        writers: Name of each file, and what writes it to the path that it is given.
        remove: Names of files that are removed first, so that they never stand beside new ones.

    Raises:
        OSError: If the folder cannot be created, or a file cannot be written.

    Examples:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp()) / "new"
        >>> write_together(folder, {"a.txt": lambda path: path.write_text("1")})
        >>> [path.name for path in folder.iterdir()]
        ['a.txt']
    """
    folder = Path(folder).absolute()  # the process may change its directory meanwhile
    with made_folder(folder), ExitStack() as until_all_are_there:
        files: dict[str, _NewFile] = {}
        for name, write in writers.items():
            files[name] = until_all_are_there.enter_context(_new_file(folder / name))
            write(files[name].temporary)
            files[name].flush()
        # Of a file that is written again a symbolic link stays; only the file that it points to is removed.
        _rename(files.values(), [files[name].target if name in files else folder / name for name in remove])


def move_into_place(temporary: Path, target: Path) -> None:
    """Give a whole file its name, in the folder that it is in already, once it is on the disk.

    Raises:
        OSError: If that fails.
    """
    file = _NewFile(temporary, target, stat.S_IMODE(temporary.stat().st_mode))
    file.flush()
    _rename([file])


def check_writable(path: str | Path, needs: int = 0) -> None:
    """Check that ``path`` could be written now: before the work for it starts.

    A small file is written beside it and removed again, which finds out about rights, read-only and full
    disks.

    Args:
        path: The file to be written.
        needs: Bytes that it will take, as far as they are known.

    Raises:
        OSError: If the folder does not exist, ``path`` is a folder or a device, there are no rights, or there
            is no room.

    Examples:
        >>> check_writable("no_such_folder/x.csv")
        Traceback (most recent call last):
        FileNotFoundError: cannot write no_such_folder/x.csv: the folder no_such_folder does not exist
    """
    with _new_file(path) as file:
        file.temporary.write_bytes(bytes(4096))
        file.flush()
    disk = shutil.disk_usage(file.target.parent)
    if disk.total and disk.free < needs:
        reason = f"it needs {needs:,} bytes, and {disk.free:,} are free on this disk"
        raise cannot_write(path, errno.ENOSPC, reason)


def check_name(path: str | Path) -> None:
    """Check that a file can have this name, whether it is there or not.

    Raises:
        OSError: If it is that of a folder, is too long, or holds a null byte or half of a character.

    Examples:
        >>> check_name("results/")
        Traceback (most recent call last):
        IsADirectoryError: cannot write results/: a name that ends with / is that of a folder
    """
    text = str(path)
    if text.endswith(("/", os.sep)):
        raise cannot_write(path, errno.EISDIR, f"a name that ends with {text[-1]} is that of a folder")
    try:
        Path(text).stat()
    except ValueError as error:
        raise cannot_write(repr(text), errno.EINVAL, f"no file can have this name ({error})") from error
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            raise cannot_write(path, error.errno, str(error.strerror)) from error


def cannot_write(path: str | Path, number: int | None, reason: str) -> OSError:
    """The error for a number of ``errno``, of the class that fits it, with one line that names the target.

    Examples:
        >>> cannot_write("x.csv", errno.EACCES, "Permission denied")
        PermissionError('cannot write x.csv: Permission denied')
    """
    kind = OSError if number is None else type(OSError(number, reason))
    error = kind(f"cannot write {path}: {reason}")
    error.errno = number
    return error


@contextmanager
def made_folder(folder: Path, *, parents: bool = True) -> Iterator[None]:
    """Make a folder; if the block fails, remove the folders that were made, unless there are files in them.

    Args:
        folder: It may be there already.
        parents: Whether to make those above it too.

    Raises:
        OSError: If it cannot be made.
    """
    folder = folder.absolute()
    new = [place for place in (folder, *folder.parents) if not os.path.lexists(place)]
    try:
        try:
            folder.mkdir(parents=parents, exist_ok=True)
        except FileExistsError:
            raise cannot_write(folder, errno.ENOTDIR, "it is a file, and must be a folder") from None
        except OSError as error:
            raise cannot_write(folder, error.errno, str(error.strerror)) from error
        yield
    except BaseException:
        for place in new:
            with suppress(OSError):
                place.rmdir()
        raise


@dataclass(frozen=True)
class _NewFile:
    """A file that gets the name of its target in the end."""

    temporary: Path
    target: Path
    mode: int

    def flush(self) -> None:
        """Bring all of it onto the disk, so that a name never stands for half a file after a power cut."""
        if stat.S_IMODE(self.temporary.stat().st_mode) != self.mode:  # some libraries make private files
            self.temporary.chmod(self.mode)
        _fsync(self.temporary, os.O_RDWR)


@contextmanager
def _new_file(path: str | Path) -> Iterator[_NewFile]:
    """A new file beside the target; removed in the end, if it has its temporary name still."""
    temporary: Path | None = None
    try:
        target = _checked_target(path)
        # Unique over threads, processes and hosts. The target's own name may be too long to add anything.
        temporary = target.with_name(f".landmarkzoo-{secrets.token_hex(8)}.tmp")
        os.close(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666))
        mode = temporary.stat().st_mode
        with suppress(FileNotFoundError):  # another thread may remove the old file at any moment
            mode = target.stat().st_mode
            if not os.access(target, os.W_OK) and target.exists():
                raise cannot_write(path, errno.EACCES, "it is a file that may not be written")
        yield _NewFile(temporary, target, stat.S_IMODE(mode))
    except SafetensorError as error:
        number = re.search(r"\(os error (\d+)\)", str(error))
        code = int(number[1]) if number else None
        raise cannot_write(path, code, str(error) if code is None else os.strerror(code)) from error
    except OSError as error:
        ours = error.filename is None or str(error.filename) in (str(temporary), os.path.realpath(path))
        if not ours or error.strerror is None:  # about another file, or one line already
            raise
        raise cannot_write(path, error.errno, error.strerror) from error
    finally:
        if temporary is not None:
            with suppress(OSError):
                temporary.unlink()


def _checked_target(path: str | Path) -> Path:
    check_name(path)
    target = Path(os.path.realpath(path))
    if not target.parent.is_dir():
        folder = target.parent if Path(path).is_symlink() else Path(path).parent
        raise cannot_write(path, errno.ENOENT, f"the folder {folder} does not exist")
    try:
        mode = target.stat().st_mode
    except FileNotFoundError:
        return target
    if stat.S_ISDIR(mode):
        raise cannot_write(path, errno.EISDIR, "it is a folder")
    if not stat.S_ISREG(mode):  # renaming would replace the device
        raise cannot_write(path, errno.EINVAL, "it is a device or a pipe, not a file")
    return target


def _rename(files: Collection[_NewFile], remove: Iterable[Path] = ()) -> None:
    with _RENAMING:
        for stale in remove:
            stale.unlink(missing_ok=True)
        for file in files:
            file.temporary.replace(file.target)
    for folder in {file.target.parent for file in files}:
        with suppress(OSError):  # not every system can
            _fsync(folder, os.O_RDONLY)


def _fsync(path: Path, flags: int) -> None:
    descriptor = os.open(path, flags)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
