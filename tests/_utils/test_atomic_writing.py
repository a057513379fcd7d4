"""Files are whole or not there, whatever threads, processes, disks and rights do."""

import errno
import os
import stat
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from quick_process import command
from safetensors.numpy import save_file

from landmarkzoo._utils.atomic_writing import (
    atomic_write,
    cannot_write,
    check_writable,
    made_folder,
    write_together,
)

ONE = {"x": np.zeros(20_000, np.float32)}  # 80 kB


def save(path, tensors=ONE):
    with atomic_write(path) as temporary:
        save_file(tensors, str(temporary))


def write(path, text):
    with atomic_write(path) as temporary:
        temporary.write_text(text)


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_many_threads_write_one_file(tmp_path):
    texts = [str(i) * 10_000 for i in range(8)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda text: [write(tmp_path / "x", text) for _ in range(20)], texts))
    assert (tmp_path / "x").read_text() in texts
    assert names(tmp_path) == ["x"]


def test_many_processes_write_one_file(tmp_path):
    code = (
        "import sys; from landmarkzoo._utils.atomic_writing import atomic_write\n"
        "for _ in range(50):\n"
        "    with atomic_write(sys.argv[1]) as t: t.write_text(sys.argv[2] * 10_000)\n"
    )
    processes = [subprocess.Popen(command(code, tmp_path / "x", letter)) for letter in "ab"]
    assert [process.wait() for process in processes] == [0, 0]
    assert set((tmp_path / "x").read_text()) in ({"a"}, {"b"})
    assert names(tmp_path) == ["x"]


def test_two_writers_have_two_temporary_names(tmp_path):
    """Containers that share a folder may have the same process numbers, and write at the same time."""
    with atomic_write(tmp_path / "x") as one, atomic_write(tmp_path / "x") as other:
        one.write_text("one")
        other.write_text("other")
        assert one.read_text() == "one"
    assert (tmp_path / "x").read_text() == "one"  # the last one to end


@pytest.mark.parametrize("name", ["n" * 255, "塔" * 85, "x"])
def test_names_as_long_as_they_may_be(tmp_path, name):
    check_writable(tmp_path / name)
    write(tmp_path / name, "a")
    assert names(tmp_path) == [name]
    with pytest.raises(OSError, match=r"cannot write .*File name too long") as caught:
        check_writable(tmp_path / ("n" * 256))
    assert caught.value.errno == errno.ENAMETOOLONG


def test_a_link_is_followed(tmp_path):
    (tmp_path / "disk").mkdir()
    link = tmp_path / "link"
    link.symlink_to(Path("disk", "file"))  # it points to nothing yet
    for text in ("new", "again"):
        check_writable(link)
        write(link, text)
        assert link.is_symlink()
        assert (tmp_path / "disk" / "file").read_text() == text
    assert names(tmp_path / "disk") == ["file"]
    other = tmp_path / "other"
    other.symlink_to(link)
    write(other, "through two")
    assert (tmp_path / "disk" / "file").read_text() == "through two"


def test_links_that_lead_nowhere(tmp_path):
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    (tmp_path / "gone").symlink_to(tmp_path / "no" / "file")
    with pytest.raises(OSError, match=r"cannot write .*loop: Too many levels"):
        write(tmp_path / "loop", "")
    with pytest.raises(FileNotFoundError, match=r"cannot write .*gone: the folder .*no does not exist$"):
        write(tmp_path / "gone", "")
    assert names(tmp_path) == ["gone", "loop"]


def test_a_link_to_another_disk(tmp_path, small_disk):
    link = tmp_path / "link"
    link.symlink_to(small_disk / "x")
    write(link, "a")
    assert (small_disk / "x").read_text() == "a"
    with pytest.raises(OSError, match=r"cannot write .*link: No space left"):
        save(link)
    assert (link.read_text(), names(small_disk)) == ("a", ["x"])


@pytest.mark.parametrize("mask", [0o022, 0o077, 0o027, 0o002])
def test_the_mode_is_that_of_open(tmp_path, mask):
    """safetensors makes files that only their owner can read."""
    old = os.umask(mask)
    try:
        save(tmp_path / "ours")
        (tmp_path / "opened").write_bytes(b"")
    finally:
        os.umask(old)
    modes = {stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("ours", "opened")}
    assert modes == {0o666 & ~mask}


def test_an_old_file_keeps_its_mode(tmp_path):
    (tmp_path / "x").write_text("secret")
    (tmp_path / "x").chmod(0o640)
    save(tmp_path / "x")
    assert stat.S_IMODE((tmp_path / "x").stat().st_mode) == 0o640


def test_the_mask_of_the_process_is_never_switched(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "umask", lambda mask: pytest.fail("another thread's file would be open to all"))
    save(tmp_path / "x")


@pytest.mark.parametrize("writer", [save, lambda path: write(path, "a" * 80_000)])
def test_a_full_disk(small_disk, writer):
    write(small_disk / "x", "old")
    with pytest.raises(OSError, match=r"^cannot write .*/x: No space left on device$") as caught:
        writer(small_disk / "x")
    assert caught.value.errno == errno.ENOSPC
    assert (small_disk / "x").read_text() == "old"
    assert names(small_disk) == ["x"]
    with pytest.raises(OSError, match=r"/x: it needs 200,000,000 bytes, and 61,440 are free"):
        check_writable(small_disk / "x", needs=200_000_000)
    check_writable(small_disk / "x", needs=20_000)
    (small_disk / "big").write_bytes(bytes(os.statvfs(small_disk).f_bavail * 4096))
    with pytest.raises(OSError, match=r"^cannot write .*/x: No space left on device$"):
        check_writable(small_disk / "x")
    assert names(small_disk) == ["big", "x"]


def test_a_disk_that_is_read_only(small_disk):
    write(small_disk / "x", "old")
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    for attempt in (save, check_writable):
        for name in ("x", "new"):
            with pytest.raises(OSError, match=f"^cannot write .*/{name}: ") as caught:
                attempt(small_disk / name)
            assert caught.value.errno in (errno.EROFS, errno.EACCES)
    assert names(small_disk) == ["x"]


LIMITED = """
import resource, sys
import numpy as np
from safetensors.numpy import save_file
from landmarkzoo._utils.atomic_writing import atomic_write
resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))
try:
    with atomic_write(sys.argv[1]) as temporary: save_file({"x": np.zeros(20_000)}, str(temporary))
except OSError as error: print(type(error).__name__, error.errno, error)
"""


def test_a_limit_on_the_size_of_files(tmp_path):
    done = subprocess.run(command(LIMITED, tmp_path / "x"), capture_output=True, text=True)
    assert done.stdout == f"OSError {errno.EFBIG} cannot write {tmp_path / 'x'}: File too large\n"
    assert names(tmp_path) == []


NOBODY = """
import os, sys
from landmarkzoo._utils.atomic_writing import atomic_write, check_writable
os.setgid(65534); os.setuid(65534)
def write(path):
    with atomic_write(path) as temporary: temporary.write_text("x")
for attempt in (check_writable, write):
    for path in sys.argv[1:]:
        try: attempt(path)
        except OSError as error: print(type(error).__name__, error)
"""


@pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() != 0, reason="becoming another user needs root"
)
def test_no_rights(tmp_path):
    for folder in (tmp_path, *tmp_path.parents[:3]):  # pytest-xdist has one more than pytest
        if folder.name.startswith(("test_", "pytest-", "popen-")):
            folder.chmod(0o755)
    (tmp_path / "closed").mkdir(mode=0o700)
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o777)
    (tmp_path / "open" / "protected").write_text("old")
    paths = [tmp_path / "x", tmp_path / "closed" / "x", tmp_path / "open" / "protected"]
    done = subprocess.run(command(NOBODY, *paths), capture_output=True, text=True)
    lines = done.stdout.splitlines()
    assert lines[:3] == lines[3:] != []
    assert lines[0] == f"PermissionError cannot write {paths[0]}: Permission denied"
    assert lines[1].startswith(f"PermissionError cannot write {paths[1]}: ")
    assert lines[2] == f"PermissionError cannot write {paths[2]}: it is a file that may not be written"
    assert paths[2].read_text() == "old"


@pytest.mark.parametrize(
    ("path", "error", "match"),
    [
        ("no/x", FileNotFoundError, "the folder .*no does not exist$"),
        ("folder", IsADirectoryError, "it is a folder"),
        ("file/x", FileNotFoundError, "the folder .*file does not exist$"),
        ("pipe", OSError, "a device or a pipe"),
        (os.devnull, OSError, "a device or a pipe"),
    ],
)
def test_what_no_file_can_be(tmp_path, path, error, match):
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("")
    os.mkfifo(tmp_path / "pipe")
    for attempt in (check_writable, save):
        with pytest.raises(error, match=f"^cannot write .*{match}"):
            attempt(tmp_path / path)
    assert names(tmp_path) == ["file", "folder", "pipe"]
    assert stat.S_ISCHR(Path(os.devnull).stat().st_mode)


def test_a_folder_that_vanishes_meanwhile(tmp_path):
    folder = tmp_path / "folder"
    folder.mkdir()

    def write_too_late():
        with atomic_write(folder / "x") as temporary:
            temporary.unlink()
            folder.rmdir()
            save_file(ONE, str(temporary))

    with pytest.raises(FileNotFoundError, match=r"^cannot write .*/folder/x: No such file or directory$"):
        write_too_late()
    assert names(tmp_path) == []


def test_a_directory_that_changes_meanwhile(tmp_path, monkeypatch):
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    with atomic_write("x") as temporary:
        temporary.write_text("a")
        monkeypatch.chdir(tmp_path / "elsewhere")
    assert names(tmp_path) == ["elsewhere", "x"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_other_errors_stay_as_they_are(tmp_path, error):
    with pytest.raises(error, match="a reason"), atomic_write(tmp_path / "x"):
        raise error("a reason")
    with pytest.raises(FileNotFoundError, match=r"photo.jpg"), atomic_write(tmp_path / "x"):
        (tmp_path / "photo.jpg").read_bytes()
    assert names(tmp_path) == []


def test_several_files_all_or_none(tmp_path):
    folder = tmp_path / "a" / "b"

    def full(path):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with pytest.raises(OSError, match=r"^cannot write .*/b/two: No space left on device$"):
        write_together(folder, {"one": lambda path: path.write_text("1"), "two": full})
    assert names(tmp_path) == []
    write_together(folder, {"one": lambda path: path.write_text("1"), "stale": lambda path: None})
    for broken in (full, lambda path: path.unlink()):
        with pytest.raises(OSError, match="cannot write"):
            write_together(folder, {"one": lambda path: path.write_text("2"), "two": broken}, ["stale"])
        assert (names(folder), (folder / "one").read_text()) == (["one", "stale"], "1")
    write_together(folder, {"one": lambda path: path.write_text("2")}, ["stale", "never there"])
    assert (names(folder), (folder / "one").read_text()) == (["one"], "2")


def test_files_that_belong_together_are_those_of_one_thread(tmp_path):
    ready, pairs = threading.Barrier(4), []

    def many(text):
        ready.wait()
        for _ in range(40):
            write_together(tmp_path / "m", dict.fromkeys("abc", lambda path: path.write_text(text)))

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(many, "1234"))
    pairs = {path.read_text() for path in (tmp_path / "m").iterdir()}
    assert len(pairs) == 1


def test_folders_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("")
    for folder in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(NotADirectoryError, match=r"^cannot write "), made_folder(folder):
            pass
    (tmp_path / "theirs").mkdir()
    with pytest.raises(KeyError), made_folder(tmp_path / "theirs" / "new"):
        raise KeyError

    def fail_after(text):
        with made_folder(tmp_path / "theirs" / "new"):
            (tmp_path / "theirs" / "new" / "file").write_text(text)
            raise KeyError

    with pytest.raises(KeyError):
        fail_after("of somebody else")
    assert (tmp_path / "theirs" / "new" / "file").exists()


def test_an_error_says_its_number():
    assert cannot_write("x", errno.ENOENT, "a").errno == errno.ENOENT
    assert type(cannot_write("x", None, "a")) is OSError
