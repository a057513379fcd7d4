"""One job writes a file at a time; the others are told who does; one that was killed keeps nobody out."""

import os
import signal
import socket
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from quick_process import command

from landmarkzoo._utils.file_locks import beside, single_writer

HOLDER = """
import os, sys
from pathlib import Path
from landmarkzoo._utils.file_locks import single_writer
with single_writer(Path(sys.argv[1])):
    if "fork" in sys.argv and os.fork() == 0:
        print("child", flush=True)
        sys.stdin.read()
        os._exit(0)
    if "fork" not in sys.argv:
        print("held", flush=True)
    sys.stdin.read()
"""

COUNTER = """
import sys
from pathlib import Path
from landmarkzoo._utils.file_locks import single_writer
path, counter = Path(sys.argv[1]), Path(sys.argv[2])
for _ in range(100):
    while True:
        try:
            with single_writer(path):
                counter.write_text(str(int(counter.read_text()) + 1))
            break
        except OSError as error:
            assert "another job" in str(error), error
"""


@pytest.fixture
def holder(tmp_path):
    """Start a process that holds the file x."""
    processes = []

    def start(*options):
        python = command(HOLDER, tmp_path / "x", *options)
        process = subprocess.Popen(python, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        processes.append(process)
        assert process.stdout.readline() in ("held\n", "child\n")
        return process

    yield start
    for process in processes:
        process.kill()
        process.communicate()


def hold(path):
    with single_writer(path):
        return [file.name for file in path.parent.iterdir()]


def test_the_lock_is_there_while_it_is_held_and_no_longer(tmp_path):
    assert hold(tmp_path / "x") == ["x.lock"]
    with pytest.raises(KeyError), single_writer(tmp_path / "x"):
        raise KeyError
    assert list(tmp_path.iterdir()) == []


def test_another_process_is_told_who_writes(tmp_path, holder):
    process = holder()
    who = rf"since 20.* \(process {process.pid} on {socket.gethostname()}\)"
    for _ in range(2):
        with pytest.raises(OSError, match=rf"cannot write .*/x: another job writes it {who}: wait"):
            hold(tmp_path / "x")
    process.communicate("")
    assert hold(tmp_path / "x") == ["x.lock"]


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_a_killed_process_keeps_nobody_out(tmp_path, holder, how):
    process = holder()
    process.send_signal(how)
    process.wait()
    assert (tmp_path / "x.lock").exists()
    assert hold(tmp_path / "x") == ["x.lock"]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_worker_that_outlives_its_killed_parent_keeps_nobody_out(tmp_path, holder):
    process = holder("fork")
    with pytest.raises(OSError, match=f"process {process.pid} "):
        hold(tmp_path / "x")
    process.kill()
    process.wait()
    assert hold(tmp_path / "x") == ["x.lock"]  # while the child waits on our pipe


def test_threads_keep_each_other_out(tmp_path):
    inside, end = threading.Event(), threading.Event()

    def long_job():
        with single_writer(tmp_path / "x"):
            inside.set()
            end.wait()

    with ThreadPoolExecutor(1) as pool:
        job = pool.submit(long_job)
        inside.wait()
        try:
            with pytest.raises(OSError, match=f"process {os.getpid()} "):
                hold(tmp_path / "x")
        finally:
            end.set()
        job.result()
    hold(tmp_path / "x")


def test_the_lock_file_vanishes_without_a_race(tmp_path):
    """Each of four processes takes the lock, adds one, and removes the lock file, again and again."""
    counter = tmp_path / "counter"
    counter.write_text("0")
    processes = [subprocess.Popen(command(COUNTER, tmp_path / "x", counter)) for _ in range(4)]
    assert [process.wait() for process in processes] == [0] * 4
    assert counter.read_text() == "400"
    assert [path.name for path in tmp_path.iterdir()] == ["counter"]


def test_a_lock_of_somebody_else_is_not_removed(tmp_path):
    with single_writer(tmp_path / "x"):
        (tmp_path / "x.lock").unlink()
        (tmp_path / "x.lock").write_text("somebody else's")
    assert (tmp_path / "x.lock").exists()
    (tmp_path / "y.lock").mkdir()
    with pytest.raises(OSError, match=r"cannot write .*lock: Is a directory"):
        hold(tmp_path / "y")


def test_a_file_that_is_no_lock_stays_as_it_is(tmp_path):
    (tmp_path / "x.lock").write_text('{"packages": []}')
    with pytest.raises(OSError, match=r"x\.lock is in the way, which landmarkzoo did not write"):
        hold(tmp_path / "x")
    assert (tmp_path / "x.lock").read_text() == '{"packages": []}'
    (tmp_path / "x.lock").write_text("")
    assert hold(tmp_path / "x") == ["x.lock"]


@pytest.mark.parametrize("name", ["n" * 255, "塔" * 85])
def test_long_names(tmp_path, name):
    assert len(hold(tmp_path / name)) == 1
    assert beside(tmp_path / name, ".parts").name.endswith(".parts")
