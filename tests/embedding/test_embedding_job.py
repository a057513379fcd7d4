"""Nothing that a job has done is lost, and nothing of anybody else's destroyed."""

import errno
import os
import shutil
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from first_pixel import FirstPixel, embed, interrupt, interrupted, names

import landmarkzoo as lz
from landmarkzoo.embedding.embedding_job import EmbeddingJob
from landmarkzoo.photos import photo_source
from landmarkzoo.photos.batches import PhotoBatch, PhotoGroup

# What stands where the descriptors are to go


@pytest.mark.parametrize("kind", ["photo", "csv", "damaged", "whitening"])
def test_a_file_of_another_kind_is_refused_before_the_work(kind, photo_folder, tmp_path):
    out, transform = tmp_path / "x", FirstPixel()
    if kind == "photo":
        out = photo_folder / "0.png"
    elif kind == "csv":
        out.write_text("id,score\n")
    elif kind == "whitening":
        lz.Whitening.fit(np.random.default_rng(0).normal(size=(20, 3))).save(out)
    else:
        embed(photo_folder, out)
        out.write_bytes(out.read_bytes()[:-5])
    before = out.read_bytes()
    with pytest.raises(
        FileExistsError, match=r"^cannot write .* does not hold descriptors: use another name"
    ):
        embed(photo_folder, out, transform)
    assert (transform.seen, out.read_bytes()) == (0, before)
    assert names(tmp_path) == ([] if kind == "photo" else ["x"])


def test_descriptors_and_empty_files_are_replaced(photo_folder, tmp_path):
    expected = embed(photo_folder, None)
    lz.Descriptors(["old"], np.ones((1, 7))).save(tmp_path / "old")
    newer = (tmp_path / "old").read_bytes().replace(b"descriptors.v1", b"descriptors.v2")
    (tmp_path / "newer").write_bytes(newer)
    (tmp_path / "empty").touch()
    for name in ("old", "newer", "empty"):
        embed(photo_folder, tmp_path / name)
        assert lz.Descriptors.load(tmp_path / name).ids == expected.ids
    assert names(tmp_path) == ["empty", "newer", "old"]


def test_a_photo_that_appears_meanwhile_stays(photo_folder, tmp_path):
    out = tmp_path / "x"
    appear = FirstPixel(5, lambda: shutil.copy(photo_folder / "0.png", out))
    with pytest.raises(FileExistsError):
        embed(photo_folder, out, appear)
    assert out.read_bytes() == (photo_folder / "0.png").read_bytes()
    out.unlink()
    rest = FirstPixel()
    embed(photo_folder, out, rest)
    assert (rest.seen, names(tmp_path)) == (0, ["x"])  # all photos stood in parts


@pytest.mark.parametrize(("out", "error"), [("no/x", FileNotFoundError), (".", IsADirectoryError)])
def test_the_target_is_tried_before_the_work(out, error, photo_folder, tmp_path):
    transform = FirstPixel()
    with pytest.raises(error, match=r"^cannot write "):
        embed(photo_folder, tmp_path / out, transform)
    assert (transform.seen, names(tmp_path)) == (0, [])


def test_a_read_only_disk_is_found_before_the_work(photo_folder, small_disk):
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    transform = FirstPixel()
    with pytest.raises(OSError, match="Read-only file system"):
        embed(photo_folder, small_disk / "x", transform)
    assert transform.seen == 0


def test_names_as_long_as_they_may_be_and_photos_with_longer_ones(photo_folder, tmp_path):
    photos = [str(photo_folder / "0.png"), str(photo_folder / "1.png"), "n" * 300 + ".jpg"]
    for name in ("n" * 255, "塔" * 85):
        rest = FirstPixel()
        interrupted(photos, tmp_path / name, 2, batch_size=1, on_error="skip")
        assert len(list(tmp_path.glob("*.parts"))) == 1
        d = embed(photos, tmp_path / name, rest, batch_size=1, on_error="skip")
        assert (rest.seen, len(d), [photo for photo, _ in d.skipped]) == (1, 2, photos[2:])
    assert len(names(tmp_path)) == 2


# Disks that fill up, folders that vanish, directories that change


def test_a_disk_without_room_for_all_is_found_with_the_first_batch(photo_folder, small_disk):
    (small_disk / "filling").write_bytes(bytes(40_000))
    transform = FirstPixel()
    photos = [str(photo_folder / "0.png")] + [str(photo_folder / f"no {i}.png") for i in range(2_000)]
    with pytest.raises(
        OSError, match=r"cannot write .*: it needs 48,024 bytes, and 20,480 are free"
    ) as caught:
        embed(photos, small_disk / "x", transform, on_error="skip")
    assert caught.value.errno == errno.ENOSPC
    assert transform.seen == 1


def test_a_disk_that_fills_up_keeps_what_is_done(photo_folder, small_disk, monkeypatch, caplog):
    monkeypatch.setattr("landmarkzoo.embedding.embedding_job.PART_SIZE", 2)

    def fill():
        free = os.statvfs(small_disk)
        (small_disk / "filling").write_bytes(bytes(free.f_bavail * free.f_frsize))

    with pytest.raises(
        OSError, match=r"^cannot write .*/x\..*\.parts/000000004-.*: No space left on device$"
    ):
        embed(photo_folder, small_disk / "x", FirstPixel(5, fill))
    assert "the last 2 photos are not kept: cannot write" in caplog.text
    assert sorted(path.stem[:9] for path in small_disk.glob("x.*.parts/*")) == ["000000000", "000000002"]
    (small_disk / "filling").unlink()
    rest = FirstPixel()
    embed(photo_folder, small_disk / "x", rest)
    assert (rest.seen, names(small_disk)) == (11 - 4, ["x"])


def test_a_disk_that_is_full_at_the_first_part_keeps_no_empty_folder(photo_folder, small_disk):
    def fill():
        free = os.statvfs(small_disk)
        (small_disk / "filling").write_bytes(bytes(free.f_bavail * free.f_frsize))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):  # and nothing else: the user wants to stop
        embed(photo_folder, small_disk / "x", FirstPixel(5, fill))
    assert names(small_disk) == ["filling"]


def test_a_folder_that_vanishes_is_not_made_again(photo_folder, tmp_path, monkeypatch):
    """It may be the place of a disk that was taken away."""
    monkeypatch.setattr("landmarkzoo.embedding.embedding_job.PART_SIZE", 2)
    (tmp_path / "disk").mkdir()
    vanish = FirstPixel(5, lambda: shutil.rmtree(tmp_path / "disk"))
    with pytest.raises(FileNotFoundError, match=r"^cannot write .*/disk/x\."):
        embed(photo_folder, tmp_path / "disk" / "x", vanish)
    assert names(tmp_path) == []


def test_parts_that_somebody_removes_cost_nothing(photo_folder, tmp_path, monkeypatch):
    monkeypatch.setattr("landmarkzoo.embedding.embedding_job.PART_SIZE", 2)
    vanish = FirstPixel(5, lambda: [shutil.rmtree(path) for path in tmp_path.glob("*.parts")])
    d = embed(photo_folder, tmp_path / "x", vanish)
    assert (len(d), names(tmp_path)) == (11, ["x"])


def test_a_relative_file_stays_where_it_was_meant(photo_folder, tmp_path, monkeypatch):
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.setattr("landmarkzoo.embedding.embedding_job.PART_SIZE", 2)
    monkeypatch.chdir(tmp_path)
    embed(photo_folder, "x", FirstPixel(5, lambda: os.chdir("elsewhere")))
    assert names(tmp_path) == ["elsewhere", "x"]
    assert names(tmp_path / "elsewhere") == []


def test_a_link_is_followed_with_all_that_lies_beside_it(photo_folder, tmp_path, small_disk):
    link = tmp_path / "link"
    link.symlink_to(small_disk / "x")
    interrupted(photo_folder, link, 5)
    assert len(list(small_disk.glob("x.*.parts"))) == 1
    rest = FirstPixel()
    embed(photo_folder, link, rest)
    assert (rest.seen, names(small_disk), link.is_symlink()) == (7, ["x"], True)


# Jobs that are stopped


class ByHand(EmbeddingJob):
    """A job with a clock that is set by hand."""

    def __init__(self, photos, out, on_error="raise"):
        self.now = 0.0
        super().__init__(
            photo_source(photos),
            {},
            out,
            transform=None,
            precision="auto",
            on_error=on_error,
            clock=lambda: self.now,
        )

    def one_more(self):
        self.add(PhotoBatch([PhotoGroup([self.seen], torch.zeros(1, 3, 1, 1))], []), torch.ones(1, 2))


def test_parts_are_written_by_time(photo_folder, tmp_path):
    job = ByHand(photo_folder, tmp_path / "x")
    parts = []

    def run():
        with job:
            for job.now in (0, 59.9, 60, 61, 119.9, 120, 179):
                job.one_more()
                parts.append([path.stem[:9] for path in sorted(tmp_path.glob("x.*.parts/*"))])
            interrupt()

    with pytest.raises(KeyboardInterrupt):
        run()
    one, two = ["000000000"], ["000000000", "000000003"]
    assert parts == [[], [], one, one, one, two, two]
    again = ByHand(photo_folder, tmp_path / "x")
    with again:
        assert again.seen == 7


def test_an_interrupt_at_any_moment_keeps_photos_and_positions_together(photo_folder, tmp_path):
    class Interrupted(list):
        def __iadd__(self, others):
            raise KeyboardInterrupt

    job = ByHand(photo_folder, tmp_path / "x", on_error="skip")

    def run():
        with job:
            job.one_more()
            job.skipped = Interrupted()
            job.one_more()

    with pytest.raises(KeyboardInterrupt):
        run()
    again = ByHand(photo_folder, tmp_path / "x", on_error="skip")
    with again:
        assert (again.seen, again.ids) == (1, ["0.png"])


STOPPED = """
import signal, sys
import landmarkzoo as lz, torch
from landmarkzoo.embedding import embedding_job
def interrupt(*_): raise KeyboardInterrupt
if sys.argv[3] == "handler": signal.signal(signal.SIGTERM, interrupt)
embedding_job.PART_SECONDS = float(sys.argv[4])
class Stopping:
    seen = 0
    def __call__(self, image):
        self.seen += 1
        if self.seen == 8:
            print("eighth photo", flush=True)
            sys.stdin.read()
        return torch.tensor(image.getpixel((0, 0)))[:, None, None] / 255
    def __repr__(self): return "first pixel"
lz.embed(torch.nn.Flatten(), sys.argv[1], transform=Stopping(), batch_size=2, out=sys.argv[2], progress=False)
"""


@pytest.fixture
def stopped(photo_folder, tmp_path):
    """A process that stands still at the eighth of eleven photos."""
    running = []

    def start(handler="", seconds=0.0):
        command = [sys.executable, "-c", STOPPED, photo_folder, tmp_path / "x", handler, str(seconds)]
        pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
        process = subprocess.Popen(command, text=True, **pipes)
        running.append(process)
        assert process.stdout.readline() == "eighth photo\n"
        return process

    yield start
    for process in running:
        process.kill()
        process.communicate()


@pytest.mark.parametrize(
    ("number", "handler", "seconds"),
    [(signal.SIGKILL, "", 0), (signal.SIGTERM, "", 0), (signal.SIGTERM, "handler", 60)],
)
def test_a_process_that_is_stopped_for_real_goes_on(
    stopped, photo_folder, tmp_path, number, handler, seconds
):
    process = stopped(handler, seconds)
    process.send_signal(number)
    process.communicate()
    rest = FirstPixel()
    d = embed(photo_folder, tmp_path / "x", rest)
    expected = embed(photo_folder, None)
    assert (rest.seen, d.ids) == (11 - 6, expected.ids)
    np.testing.assert_array_equal(d.vectors, expected.vectors)
    np.testing.assert_array_equal(lz.Descriptors.load(tmp_path / "x").vectors, expected.vectors)
    assert names(tmp_path) == ["x"]


WITH_WORKERS = """
import os, sys, time
import landmarkzoo as lz, torch
class Waiting:
    def __call__(self, image):
        print(os.getpid(), flush=True)
        time.sleep(100)
    def __repr__(self): return "first pixel"
lz.embed(torch.nn.Flatten(), sys.argv[1], transform=Waiting(), out=sys.argv[2], progress=False, num_workers=1)
"""


def test_workers_of_a_killed_process_keep_nobody_out(photo_folder, tmp_path):
    command = [sys.executable, "-c", WITH_WORKERS, photo_folder, tmp_path / "x"]
    with subprocess.Popen(command, text=True, stdout=subprocess.PIPE) as process:
        worker = int(process.stdout.readline())
        try:
            with pytest.raises(OSError, match=f"process {process.pid} "):
                embed(photo_folder, tmp_path / "x")
            process.kill()
            process.wait()
            os.kill(worker, 0)  # it is there still
            embed(photo_folder, tmp_path / "x")
        finally:
            os.kill(worker, signal.SIGKILL)
    assert names(tmp_path) == ["x"]


# Two jobs, one file


def test_a_second_process_is_told_and_destroys_nothing(stopped, photo_folder, tmp_path):
    process, before = stopped(), set(tmp_path.rglob("*"))
    for options in ({}, {"flip": True}):
        transform = FirstPixel()
        with pytest.raises(OSError, match=rf"/x: another job writes it since .*process {process.pid} on"):
            embed(photo_folder, tmp_path / "x", transform, **options)
        assert transform.seen == 0
    assert set(tmp_path.rglob("*")) == before
    process.communicate("")
    assert process.returncode == 0
    assert lz.Descriptors.load(tmp_path / "x").ids == embed(photo_folder, None).ids
    assert names(tmp_path) == ["x"]


def test_a_second_thread_is_told_and_destroys_nothing(photo_folder, tmp_path):
    inside, end = threading.Event(), threading.Event()

    def wait():
        inside.set()
        end.wait()

    with ThreadPoolExecutor(1) as pool:
        job = pool.submit(embed, photo_folder, tmp_path / "x", FirstPixel(5, wait))
        inside.wait()
        try:
            with pytest.raises(OSError, match="another job writes it"):
                embed(photo_folder, tmp_path / "x")
            embed(photo_folder, tmp_path / "y")
        finally:
            end.set()
        assert job.result().ids == lz.Descriptors.load(tmp_path / "y").ids
    assert names(tmp_path) == ["x", "y"]


def test_another_job_leaves_the_parts_of_an_interrupted_one(photo_folder, tmp_path):
    interrupted(photo_folder, tmp_path / "x", 5)
    flipped = FirstPixel()
    embed(photo_folder, tmp_path / "x", flipped, flip=True)
    assert flipped.seen == 11
    rest = FirstPixel()
    embed(photo_folder, tmp_path / "x", rest)
    assert (rest.seen, names(tmp_path)) == (7, ["x"])
