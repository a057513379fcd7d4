"""Converted copies: whole or made again, also where the job that wrote one was killed."""

import signal
import subprocess
import sys
from threading import Barrier, Thread

import pytest

from landmarkzoo.models.kept_copies import keep_copy

KILLED = """
import os, signal, sys
from pathlib import Path
from landmarkzoo.models.kept_copies import keep_copy

def write(new):
    new.mkdir()
    (new / "half.txt").write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)

keep_copy(Path(sys.argv[1]), {"version": 1}, write)
"""


def names(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture
def writes():
    return []


@pytest.fixture
def write(writes):
    def write_text(new):
        new.mkdir()
        (new / "a.txt").write_text("made")
        writes.append(new)

    return write_text


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="there is no such signal on Windows")
def test_a_killed_job_leaves_nothing_that_counts(tmp_path, write, writes):
    folder = tmp_path / "copy"
    job = subprocess.run([sys.executable, "-c", KILLED, folder], check=False)
    assert job.returncode == -signal.SIGKILL
    assert not folder.exists()
    keep_copy(folder, {"version": 1}, write)
    assert names(tmp_path) == ["copy"]
    assert names(folder) == ["a.txt", "source.json"]
    assert len(writes) == 1


def test_many_jobs_make_one_copy(tmp_path, write, writes):
    together = Barrier(8)

    def job():
        together.wait()
        keep_copy(tmp_path / "copy", {"version": 1}, write)

    threads = [Thread(target=job) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(writes) == 1
    assert names(tmp_path) == ["copy"]


def test_a_copy_of_something_else_is_replaced_as_a_whole(tmp_path, write, writes):
    folder = tmp_path / "copy"
    keep_copy(folder, {"args": {"dilations": (3, 6)}}, write)
    keep_copy(folder, {"args": {"dilations": [3, 6]}}, write)  # as JSON has it
    assert len(writes) == 1
    (folder / "old.txt").write_text("old")
    keep_copy(folder, {"args": {}}, write)
    assert len(writes) == 2
    assert names(folder) == ["a.txt", "source.json"]


@pytest.mark.parametrize("source", ["", "[]", "[" * 100_000, '{"made_of": {}, "files": 3}'])
def test_a_damaged_record_is_no_record(tmp_path, write, writes, source):
    folder = tmp_path / "copy"
    keep_copy(folder, {}, write)
    (folder / "source.json").write_text(source)
    keep_copy(folder, {}, write)
    assert len(writes) == 2


def test_links_are_not_followed(tmp_path, write):
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "a.txt").write_text("of somebody else")
    (tmp_path / "copy").symlink_to(tmp_path / "precious")
    with pytest.raises(OSError, match=r"cannot write .*copy: something else has its name"):
        keep_copy(tmp_path / "copy", {}, write)
    (tmp_path / "copy").unlink()
    (tmp_path / "copy").mkdir()
    (tmp_path / "copy" / "a.txt").symlink_to(tmp_path / "precious" / "a.txt")
    keep_copy(tmp_path / "copy", {}, write)
    assert (tmp_path / "precious" / "a.txt").read_text() == "of somebody else"
    assert names(tmp_path) == ["copy", "precious"]


def test_a_write_that_fails_leaves_the_copy_as_it_was(tmp_path, write):
    def fail(new):
        new.mkdir()
        (new / "a.txt").write_text("half")
        raise ValueError("the file does not fit")

    keep_copy(tmp_path / "copy", {"version": 1}, write)
    with pytest.raises(ValueError, match="does not fit"):
        keep_copy(tmp_path / "copy", {"version": 2}, fail)
    assert (tmp_path / "copy" / "a.txt").read_text() == "made"
    assert names(tmp_path) == ["copy"]
