"""Jobs that are killed, find the disk full, or meet another writer: nothing of an index is lost or half."""

import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import landmarkzoo as lz

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="jobs are forked, which Windows cannot")

LANDMARKS = ("arch", "bridge", "castle")
STEPS = [  # version of the photos, or None if they stay, and what is done then
    (0, {"do": "add"}),
    (1, {"do": "update"}),
    (None, {"do": "remove", "ids": ["arch/3.png", "bridge/2.png", "castle/broken.png"]}),
    (None, {"do": "relabel", "labels": {"arch/1.png": "castle", "arch/5.png": None}}),
    (2, {"do": "add"}),
    (None, {"do": "compact"}),
    (0, {"do": "update"}),
    (None, {"do": "compact"}),
]


class Jobs:
    """The warm process of ``index_jobs.py``."""

    def __init__(self):
        command = [sys.executable, Path(__file__).with_name("index_jobs.py")]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(self, job):
        self.process.stdin.write(json.dumps(job, default=str) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def run(self, job, kill_after=None):
        """How a job ends: minus the number of a signal, or 0, or 1 and the error."""
        process = self.ask(job)
        if kill_after is not None:
            time.sleep(kill_after)
            os.kill(process, signal.SIGKILL)  # if it has ended, it waits still for somebody to ask how
        return self.ask({"wait": process})

    def done(self, job):
        assert self.run(job) == [0, ""]


@pytest.fixture(scope="module")
def jobs():
    jobs = Jobs()
    yield jobs
    jobs.process.kill()
    jobs.process.wait()


@pytest.fixture(scope="module")
def versions(tmp_path_factory):
    """Three versions of a folder: most photos are the same, some come, go or change, some cannot be read."""
    folder, draw = tmp_path_factory.mktemp("versions"), np.random.default_rng(0)
    looks = {f"{name}/{i}.png": [_colors(draw)] * 3 for name in LANDMARKS for i in range(6)}
    for number, id_ in enumerate(list(looks)):
        first, other = looks[id_][0], _colors(draw)
        looks[id_] = [
            [first, first, first],
            [first, other, other],  # changes, and changes back
            [first, None, first],  # goes, and comes back
            [None, first, first],  # comes
            [first, first, b"half a photo"],  # becomes unreadable
        ][number % 5]
    looks["castle/broken.png"] = [b"no photo", b"no photo", b"nor this"]
    for version in range(3):
        for id_, look in looks.items():
            path = folder / str(version) / id_
            path.parent.mkdir(parents=True, exist_ok=True)
            if isinstance(look[version], bytes):
                path.write_bytes(look[version])
            elif look[version] is not None:
                Image.fromarray(look[version]).save(path)
    return folder


def _colors(draw):
    return draw.integers(0, 255, (16, 16, 3), dtype=np.uint8)


def set_photos(live, version):
    """Make a folder what a version is; what stays the same is not touched."""
    wanted = {path.relative_to(version): path for path in version.rglob("*.png")}
    for path in live.rglob("*.png"):
        if path.relative_to(live) not in wanted:
            path.unlink()
    for name, path in wanted.items():
        put(path, live / name)


def put(photo, target):
    target.parent.mkdir(parents=True, exist_ok=True)
    if not target.exists() or target.read_bytes() != photo.read_bytes():
        shutil.copy(photo, target.with_suffix(".new"))
        target.with_suffix(".new").replace(target)


class World:
    """Photos that change and their index, after each of the steps."""

    def __init__(self, folder, versions, jobs, index=None):
        self.photos, self.index = folder / "photos", index or folder / "index"
        self.versions, self.jobs = versions, jobs
        self.run_whole({"do": "create"})

    def job(self, step, **how):
        return {**step, "index": self.index, "photos": self.photos, **how}

    def run_whole(self, step):
        self.jobs.done(self.job(step))

    def set_photos(self, version):
        if version is not None:
            set_photos(self.photos, self.versions / str(version))

    def content(self):
        return content(self.index)


def content(folder):
    """All that an index says, to the last bit, in its order."""
    index = lz.Index.open(folder)
    rows = [vector.tobytes() for vector in index.vectors]
    return list(zip(index.ids, rows, index.labels.tolist())), index.skipped


def leftovers(folder):
    """Files in an index that are not of its last commit."""
    manifest = json.loads((folder / "manifest.json").read_text())
    wanted = {f"{shard['name']}.safetensors" for shard in manifest["shards"]}
    wanted |= {f"{manifest['edits']}.safetensors", "manifest.json"}
    return sorted(path.name for path in folder.rglob("*") if path.is_file() and path.name not in wanted)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory, versions, jobs):
    """What the index is after each step, if nothing happens."""
    world, found = World(tmp_path_factory.mktemp("undisturbed"), versions, jobs), []
    for version, step in STEPS:
        world.set_photos(version)
        world.run_whole(step)
        found.append(world.content())
    return found


def test_the_steps_do_something(undisturbed):
    assert all(one != other for one, other in pairwise(undisturbed[:5]))
    assert [len(rows) for rows, _ in undisturbed] == [15, 14, 12, 12, 15, 15, 15, 15]
    assert [len(skipped) for _, skipped in undisturbed] == [1, 1, 0, 0, 4, 4, 1, 1]


@pytest.mark.parametrize("kills", [5, pytest.param(50, marks=pytest.mark.slow)])
def test_killed_at_random_moments(tmp_path, versions, jobs, undisturbed, kills):
    seed = random.randrange(2**32)
    draw, seconds = random.Random(seed), {}
    while kills > 0:
        world = World(tmp_path / str(kills), versions, jobs)
        for number, (version, step) in enumerate(STEPS):
            world.set_photos(version)
            tries = 3 if kills > 0 else 0
            for _ in range(tries):
                status, error = jobs.run(world.job(step), draw.uniform(0, seconds.get(number, 0.1)))
                assert error == "", seed
                kills -= status == -signal.SIGKILL
                world.content()  # whatever it is, it is whole
            started = time.monotonic()
            world.run_whole(step)
            seconds[number] = time.monotonic() - started
            assert world.content() == undisturbed[number], (seed, step)
            assert leftovers(world.index) == []


@pytest.mark.parametrize("every", [15, pytest.param(1, marks=pytest.mark.slow)])
@pytest.mark.parametrize("number", range(len(STEPS)))
def test_killed_whenever_it_touches_a_file(tmp_path, versions, jobs, undisturbed, number, every):
    """At every instant that there is, as far as the folder of the index goes."""
    world = World(tmp_path, versions, jobs)
    before, step = world_before(world, number), STEPS[number][1]
    kills, touch = 0, random.randrange(every)
    while jobs.run(world.job(step, touch=touch, signal=signal.SIGKILL)) == [-signal.SIGKILL, ""]:
        check_goes_on(world, number, before, undisturbed)
        kills, touch = kills + 1, touch + every
    assert kills >= 20 // every
    assert world.content() == undisturbed[number]  # it was not killed


def test_killed_while_it_is_made(tmp_path, versions, jobs):
    world, touch, status = World(tmp_path, versions, jobs), 0, -signal.SIGKILL
    world.set_photos(0)
    while status == -signal.SIGKILL:
        shutil.rmtree(world.index)
        status, error = jobs.run(world.job({"do": "create"}, touch=touch, signal=signal.SIGKILL))
        assert error == ""
        world.run_whole({"do": "create"})
        assert content(world.index) == ([], [])
        world.run_whole({"do": "compact"})  # whoever writes next removes what is left
        assert leftovers(world.index) == []
        touch += 1
    assert touch > 5


def test_worker_processes_of_a_killed_job_do_not_keep_its_lock(tmp_path, versions, jobs, undisturbed):
    world = World(tmp_path, versions, jobs)
    world.set_photos(0)
    job = world.job({"do": "add"}, num_workers=2)
    assert jobs.run(job | {"touch": 20, "signal": signal.SIGKILL}) == [-signal.SIGKILL, ""]
    assert 0 < len(world.content()[0]) < len(undisturbed[0][0])  # the workers were at work
    jobs.done(job)
    assert world.content() == undisturbed[0]


@pytest.mark.parametrize("kills", [6, pytest.param(50, marks=pytest.mark.slow)])
def test_photos_change_and_somebody_reads_meanwhile(tmp_path, versions, jobs, kills):
    """In the end it is an index of the last photos, and readers have seen whole rows only."""
    world, seed = World(tmp_path, versions, jobs), random.randrange(2**32)
    draw, end = random.Random(seed), threading.Event()
    stop, truth = tmp_path / "stop", tmp_path / "truth.npz"
    save_truth(truth, world)
    world.set_photos(0)
    world.run_whole({"do": "add"})
    reader = jobs.ask(world.job({"do": "read"}, stop=stop, truth=truth, labels=LANDMARKS))
    change = threading.Thread(target=change_photos, args=(world, end, random.Random(seed + 1)))
    change.start()
    while kills > 0:
        killed, _ = jobs.run(world.job(draw.choice(STEPS)[1]), draw.uniform(0, 0.15))
        kills -= killed == -signal.SIGKILL
        status, error = jobs.run(world.job(draw.choice(STEPS)[1]))
        assert status == 0 or error.startswith("KeyError"), (seed, error)  # labels of photos that are gone
    end.set()
    change.join()
    stop.touch()
    assert jobs.ask({"wait": reader}) == [0, ""]
    assert min(json.loads(stop.read_text())) > 1  # rounds, and commits seen
    world.run_whole({"do": "update"})
    assert in_any_order(world.index) == in_any_order(fresh_index(world, "fresh", world.photos)), seed
    world.run_whole({"do": "compact"})
    assert in_any_order(world.index) == in_any_order(tmp_path / "fresh"), seed
    assert leftovers(world.index) == []


def fresh_index(world, name, photos):
    folder = world.index.with_name(name)
    world.jobs.done({"do": "create", "index": folder})
    world.jobs.done({"do": "add", "index": folder, "photos": photos})
    return folder


def save_truth(path, world):
    """The vectors that a photo has in some version."""
    indexes = [lz.Index.open(fresh_index(world, f"of {v}", world.versions / str(v))) for v in range(3)]
    vectors = np.concatenate([index.vectors for index in indexes])
    np.savez(path, ids=[id_ for index in indexes for id_ in index.ids], vectors=vectors)


def change_photos(world, end, draw):
    ids = sorted({path.relative_to(path.parents[1]) for path in world.versions.rglob("*.png")})
    while not end.is_set():
        id_, version = draw.choice(ids), world.versions / str(draw.randrange(3))
        if (version / id_).exists():
            put(version / id_, world.photos / id_)
        else:
            (world.photos / id_).unlink(missing_ok=True)
        time.sleep(draw.uniform(0, 0.02))


def in_any_order(folder):
    rows, skipped = content(folder)
    return sorted(rows), sorted(skipped)


def test_a_second_writer_is_told_who_writes(tmp_path, versions, jobs):
    world = World(tmp_path, versions, jobs)
    world.set_photos(0)
    first = jobs.ask(world.job({"do": "add"}, touch=20, signal=signal.SIGSTOP))
    lock = world.index / "manifest.json.lock"
    while not (lock.exists() and f'"process": {first},' in lock.read_text()):
        time.sleep(0.01)
    for _, step in STEPS[1:3]:
        status, error = jobs.run(world.job(step))
        assert (status, error.partition(":")[0]) == (1, "OSError")
        assert "another job writes it since 20" in error
        assert f"(process {first} on {socket.gethostname()})" in error
    os.kill(first, signal.SIGKILL)
    assert jobs.ask({"wait": first})[0] == -signal.SIGKILL
    world.run_whole({"do": "add"})  # its lock went with it


@pytest.fixture
def disk(tmp_path):
    """A disk of 256 kB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", folder], capture_output=True
    )
    if mounted.returncode != 0:
        pytest.skip("mounting a small disk needs root")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


@pytest.mark.parametrize("number", [0, 1, 2, 3, 4, 5])
def test_a_disk_that_is_full_at_any_moment(tmp_path, versions, jobs, undisturbed, number, disk):
    world = World(tmp_path, versions, jobs, index=disk / "index")
    before = world_before(world, number)
    ballast, failed = disk / "ballast", 0
    for free in range(0, 12):  # pages
        fill(ballast, 4096 * free)
        status, error = jobs.run(world.job(STEPS[number][1]))
        if status == 0:
            break
        assert (status, error.partition(":")[0]) == (1, "OSError"), error
        assert "No space left on device" in error or " are free on this disk" in error
        failed += 1
        check_goes_on(world, number, before, undisturbed, ballast.unlink)
    assert failed > 1
    assert world.content() == undisturbed[number]


def test_files_that_may_not_grow(tmp_path, versions, jobs, undisturbed):
    for number in (1, 2, 5):
        world = World(tmp_path / str(number), versions, jobs)
        before = world_before(world, number)
        for largest in (0, 400, 1_500):
            status, error = jobs.run(world.job(STEPS[number][1], largest_file=largest))
            assert status == 0 or "File too large" in error, error
            check_goes_on(world, number, before, undisturbed)


def world_before(world, number):
    """Bring an index to before a step; a copy of it."""
    for version, step in STEPS[:number]:
        world.set_photos(version)
        world.run_whole(step)
    world.set_photos(STEPS[number][0])
    before = world.photos.with_name("before")
    shutil.copytree(world.index, before)
    return before


def check_goes_on(world, number, before, undisturbed, make_room=lambda: None):
    """After a job that has failed the index is whole, and the same call goes on; then all is as before it."""
    world.content()
    make_room()
    world.run_whole(STEPS[number][1])
    assert world.content() == undisturbed[number]
    assert leftovers(world.index) == []
    shutil.rmtree(world.index)
    shutil.copytree(before, world.index)


def fill(ballast, free):
    """Fill a disk but for some bytes."""
    disk = os.statvfs(ballast.parent)
    ballast.write_bytes(bytes(disk.f_bavail * disk.f_frsize))
    os.truncate(ballast, max(0, ballast.stat().st_size - free))
