"""Whatever happens to a writer, readers see the last commit whole, and the same call goes on."""

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

import landmarkzoo as lz
from landmarkzoo.index.add_job import AddJob
from landmarkzoo.index.index_folder import IndexFolder, Writer
from landmarkzoo.retrieval.shard_files import NewRows


def some(start, stop):
    rows = [np.random.default_rng(number).normal(size=8) for number in range(start, stop)]
    return lz.Descriptors([str(n) + ".jpg" for n in range(start, stop)], np.array(rows))


class Killed(BaseException):
    pass


def die_at(monkeypatch, count):
    """Let the process die at the n-th file that is renamed or removed; returns how many there were."""
    seen = []
    for name in ("replace", "unlink"):
        real = getattr(Path, name)

        def dying(path, *args, _real=real, **options):
            if path.name.endswith((".lock",)):
                return _real(path, *args, **options)
            seen.append(path)
            if len(seen) == count:
                raise Killed
            return _real(path, *args, **options)

        monkeypatch.setattr(Path, name, dying)
    return seen


def work(folder):
    index = lz.Index.create(folder, exist_ok=True)
    index.add(some(0, 20), labels=["x"] * 20)
    index.add(lz.Descriptors(["3.jpg"], np.ones((1, 8))))
    if "7.jpg" in index:
        index.remove("7.jpg")
    index.relabel({"1.jpg": "y"})
    index.compact()


def content(folder):
    index = lz.Index.open(folder)
    return index.ids, index.vectors.tobytes(), index.labels.tolist()


def test_a_writer_that_dies_at_any_file(tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        seen = die_at(patch, -1)
        work(tmp_path / "undisturbed")
    assert len(seen) > 12
    for count in range(1, len(seen) + 1):
        folder = tmp_path / str(count)
        with monkeypatch.context() as patch:
            # The handler that keeps what is done at an interrupt does not run in a process that is killed.
            patch.setattr(AddJob, "__exit__", lambda job, kind, *_: job.commit() if kind is None else None)
            die_at(patch, count)
            with pytest.raises(Killed):
                work(folder)
        if (folder / "manifest.json").exists():
            whole = lz.Index.open(folder)
            assert len(whole.vectors) == len(whole.ids) == len(whole.labels)
        finish(folder)
        assert content(folder) == content(tmp_path / "undisturbed")
        files = [file for file in folder.rglob("*") if file.is_file()]
        assert sorted(file.suffix for file in files) == [".json", ".safetensors"]


def finish(folder):
    """Do what is left of ``work``, and no more."""
    index = lz.Index.create(folder, exist_ok=True)
    if len(index) < 19:
        index.add(some(0, 20), labels=["x"] * 20)
    if not (index["3.jpg"].vectors == 1).all():
        index.add(lz.Descriptors(["3.jpg"], np.ones((1, 8))))
    if "7.jpg" in index:
        index.remove("7.jpg")
    index.relabel({"1.jpg": "y"})
    index.compact()


def test_an_interrupt_after_the_commit_adds_nothing_twice(tmp_path, monkeypatch):
    index = lz.Index.create(tmp_path / "index")
    real = Writer.commit

    def interrupted(self, *args):
        real(self, *args)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Writer, "commit", interrupted)
        with pytest.raises(KeyboardInterrupt):
            index.add(some(0, 5))
    assert index.ids == some(0, 5).ids


def test_an_interrupt_keeps_whole_batches(tmp_path):
    files = IndexFolder(lz.Index.create(tmp_path / "index")._files.path)

    def interrupted():
        with files.writing() as writer, AddJob(writer) as job:
            job.take(NewRows(["a"], [np.ones((1, 4))], [None], [None]))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert files.last().ids == ["a"]


def test_commits_come_by_time_and_by_count(tmp_path):
    files = IndexFolder(lz.Index.create(tmp_path / "index")._files.path)
    now = [0.0]
    with files.writing() as writer, AddJob(writer, clock=lambda: now[0]) as job:
        for number, (clock, committed) in enumerate([(0, 0), (59, 0), (60, 3), (61, 3), (121, 5)]):
            now[0] = clock
            job.take(NewRows([str(number)], [np.ones((1, 4))], [None], [None]))
            assert len(files.last()) == committed
        many = [f"x{n}" for n in range(1024)]
        job.take(NewRows(many, [np.ones((1024, 4))], [None] * 1024, [None] * 1024))
        assert len(files.last()) == 1029


def test_a_full_disk_leaves_the_last_commit(small_disk):
    index = lz.Index.create(small_disk / "index")
    index.add(some(0, 20))
    with pytest.raises(OSError, match="No space left"):
        index.add(some(20, 3000))
    assert index.ids == some(0, 20).ids
    index.add(some(20, 30))
    again = lz.Index.open(small_disk / "index")
    assert again.ids == some(0, 30).ids


def test_the_second_writer_is_told_who_the_first_is(tmp_path):
    index = lz.Index.create(tmp_path / "index")
    with (
        index._files.writing(),
        pytest.raises(OSError, match=r"another job writes it since .*\(process \d+ on"),
    ):
        lz.Index.open(tmp_path / "index").add(some(0, 1))


def test_several_make_one_index_at_once(tmp_path, tiny_model):
    def make(number, exist_ok):
        return lz.Index.create(tmp_path / str(number), tiny_model, exist_ok=exist_ok)

    with ThreadPoolExecutor(4) as pool:
        for number in range(4):
            indexes = list(pool.map(make, [number] * 4, [True] * 4))
            assert {len(index) for index in indexes} == {0}
            assert {index.info.generation for index in indexes} == {0}
        jobs = [pool.submit(make, "one", False) for _ in range(4)]
    errors = [job.exception() for job in jobs if job.exception() is not None]
    assert [type(error) for error in errors] == [FileExistsError] * 3


def test_a_reader_sees_whole_commits_while_others_are_made(tmp_path):
    index = lz.Index.create(tmp_path / "index")
    index.add(some(0, 50))
    done, wrong = threading.Event(), []

    def read():
        reader = lz.Index.open(tmp_path / "index")
        while not done.is_set():
            found = reader.descriptors
            numbers = {int(id_.removesuffix(".jpg")) for id_ in found.ids}
            if len(numbers) != len(found) or len(numbers) not in (50, 60) or len(found.vectors) != len(found):
                wrong.append(numbers)

    threads = [threading.Thread(target=read) for _ in range(3)]
    for thread in threads:
        thread.start()
    for _ in range(8):
        index.add(some(50, 60))
        index.compact()
        index.remove(some(50, 60).ids)
        index.compact()
    done.set()
    for thread in threads:
        thread.join()
    assert not wrong
    assert len(index) == 50


def test_damaged_files_are_named(tmp_path):
    folder = tmp_path / "index"
    index = lz.Index.create(folder)
    index.add(some(0, 5))
    shard = next((folder / "shards").iterdir())
    content = shard.read_bytes()
    for damaged in (content[:-8], b"", b"x" * 50, content[:8] + b"[" + content[9:]):
        shard.write_bytes(damaged)
        with pytest.raises(ValueError, match="is no shard, or it is damaged"):
            lz.Index.open(folder)
    shard.unlink()
    with pytest.raises(FileNotFoundError, match=r"the index .* is damaged: .*No such file"):
        lz.Index.open(folder)
    for text in ("", "[]", "{}", '{"format": "landmarkzoo.index.v9"}', '{"format": "landmarkzoo.index.v1"}'):
        (folder / "manifest.json").write_text(text)
        with pytest.raises(ValueError, match=r"manifest\.json is damaged or of another landmarkzoo"):
            lz.Index.open(folder)
