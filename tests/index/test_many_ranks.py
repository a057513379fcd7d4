"""Several processes that add photos to one index: ranks of torchrun as users start them, and others."""

import os
import pickle
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from PIL import Image

import landmarkzoo as lz
from landmarkzoo.index import Ranks, add_by_ranks, add_in_units, planned_units

PHOTOS = 41


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return lz.GlobalDescriptor("test_efficientnet", embedding_dim=8).eval()


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    folder = tmp_path_factory.mktemp("photos")
    rng = np.random.default_rng(0)
    for number in range(PHOTOS):
        path = folder / f"landmark_{number % 3}" / f"{number:03d}.png"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(rng.integers(0, 255, (40, 50, 3), dtype=np.uint8)).save(path)
    (folder / "landmark_1" / "broken.png").write_bytes(b"no photo")
    return folder


def new_index(path, model):
    transform = lz.create_transform(model, image_size=32)
    return lz.Index.create(path, model, transform=transform, batch_size=4)


@pytest.fixture(scope="module")
def alone(model, photos, tmp_path_factory):
    """The index of one process."""
    index = new_index(tmp_path_factory.mktemp("alone") / "index", model)
    index.add(photos, labels="folder", progress=False)
    return index


def assert_same(index, other):
    index = lz.Index.open(index._files.path)
    assert index.ids == other.ids
    assert index.labels.tolist() == other.labels.tolist()
    assert index.vectors.tobytes() == other.vectors.tobytes()
    assert index.skipped == other.skipped
    assert not (index._files.path / planned_units.INCOMING).exists()


@pytest.fixture
def small_units(monkeypatch):
    monkeypatch.setitem(planned_units._UNIT, "cpu", 8)


SCRIPT = """
import os, signal, sys, time
import landmarkzoo as lz
from landmarkzoo.index import planned_units

folder, photos, how = sys.argv[1:]
planned_units._UNIT["cpu"] = 8
written = planned_units.write_shard

def write(path, *arguments):
    if os.environ["RANK"] == "0":  # lets rank 1 begin
        while not path.with_stem("00000003").exists():
            time.sleep(0.01)
    written(path, *arguments)
    if os.environ["RANK"] == "1":
        os.kill(os.getpid(), signal.SIGKILL)

if how == "rank 1 is killed":
    planned_units.write_shard = write
lz.index.add_by_ranks(lz.Index.open(folder), photos, labels="folder", progress=False)
"""


def torchrun(*command):
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    return subprocess.run(
        [*launcher, *command],
        capture_output=True,
        text=True,
        timeout=500,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )


def test_two_ranks_write_what_one_process_writes(model, photos, alone, tmp_path):
    index = new_index(tmp_path / "index", model)
    command = ["-m", "landmarkzoo", "index", "add", str(tmp_path / "index"), str(photos), "--folder-labels"]
    done = torchrun(*command)
    assert done.returncode == 0, done.stderr
    assert f"{PHOTOS} photos, 0 before" in done.stdout
    assert_same(index, alone)


def test_a_rank_dies_and_the_next_call_takes_up_its_share(model, photos, alone, tmp_path):
    index = new_index(tmp_path / "index", model)
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    failed = torchrun(str(script), str(tmp_path / "index"), str(photos), "rank 1 is killed")
    assert failed.returncode != 0
    assert "SIGKILL" in failed.stderr or "-9" in failed.stderr, failed.stderr
    done = torchrun(str(script), str(tmp_path / "index"), str(photos), "")
    assert done.returncode == 0, done.stderr
    assert_same(index, alone)


def follow(index, photos, rank, count=3):
    add_by_ranks(
        lz.Index.open(index._files.path),
        photos,
        labels="folder",
        progress=False,
        ranks=Ranks(rank, count),
    )


@pytest.mark.usefixtures("small_units")
def test_ranks_that_start_at_any_time_in_any_order(model, photos, alone, tmp_path):
    index = new_index(tmp_path / "index", model)
    with ThreadPoolExecutor(3) as pool:  # as processes on three machines would
        started = []
        for rank in (2, 0, 1):
            started.append(pool.submit(follow, index, photos, rank))
            time.sleep(0.3)
        for one in started:
            one.result(300)
    assert_same(index, alone)
    follow(index, photos, 1)  # far too late: there is nothing to do
    generation = index.info.generation
    follow(index, photos, 0)  # nor is anything new
    assert index.info.generation == generation


@pytest.mark.usefixtures("small_units")
def test_rank_0_does_the_shares_of_ranks_that_never_come(model, photos, alone, tmp_path):
    index = new_index(tmp_path / "index", model)
    follow(index, photos, 0, count=4)
    assert_same(index, alone)


class Killed(BaseException):
    pass


def kill_after(monkeypatch, name, calls):
    """Let the calls of a function of the module end, and kill the process at the end of the last one."""
    real, left = getattr(planned_units, name), [calls]

    def killed(*arguments):
        result = real(*arguments)
        left[0] -= 1
        if left[0] == 0:
            raise Killed
        return result

    monkeypatch.setattr(planned_units, name, killed)


@pytest.mark.usefixtures("small_units")
@pytest.mark.parametrize(
    ("name", "calls"), [("_written_plan", 1), ("write_shard", 1), ("write_shard", 4), ("Shard", 2)]
)
@pytest.mark.parametrize("count", [1, 2, 5])
def test_rank_0_is_killed_and_called_again(model, photos, alone, tmp_path, monkeypatch, name, calls, count):
    index = new_index(tmp_path / "index", model)
    with monkeypatch.context() as patch:
        kill_after(patch, name, calls)
        with pytest.raises(Killed):
            follow(index, photos, 0)
    follow(index, photos, 0, count)  # also with another number of ranks
    assert_same(index, alone)


@pytest.mark.usefixtures("small_units")
def test_a_commit_whose_note_is_missing_is_not_made_again(model, photos, alone, tmp_path, monkeypatch):
    index = new_index(tmp_path / "index", model)
    with monkeypatch.context() as patch:

        def killed(self, units):
            if units:
                raise Killed

        patch.setattr(planned_units._Collection, "_note", killed)
        with pytest.raises(Killed):
            follow(index, photos, 0)
    assert len(index) == PHOTOS
    follow(index, photos, 0)
    assert_same(index, alone)


@pytest.mark.usefixtures("small_units")
def test_what_changes_between_two_calls_counts(model, photos, tmp_path, monkeypatch):
    folder = tmp_path / "photos"
    for path in sorted(photos.glob("*/*.png")):
        copy = folder / path.relative_to(photos)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(path.read_bytes())
    index = new_index(tmp_path / "index", model)
    with monkeypatch.context() as patch:
        kill_after(patch, "write_shard", 2)
        with pytest.raises(Killed):
            follow(index, folder, 0)
    (folder / "landmark_2" / "002.png").unlink()
    (folder / "landmark_0" / "000.png").write_bytes((folder / "landmark_1" / "001.png").read_bytes())
    Image.new("RGB", (40, 50), "red").save(folder / "landmark_0" / "new.png")
    follow(index, folder, 0)
    assert sorted(index.ids) == sorted(
        path.relative_to(folder).as_posix() for path in folder.glob("*/*.png") if path.name != "broken.png"
    )
    assert (index["landmark_0/000.png"].vectors == index["landmark_1/001.png"].vectors).all()


@pytest.mark.usefixtures("small_units")
def test_a_photo_that_changes_after_its_commit_is_embedded_again(model, photos, tmp_path, monkeypatch):
    """Its unit is committed and noted, and is not taken a second time."""
    folder = tmp_path / "photos"
    shutil.copytree(photos, folder)
    index = new_index(tmp_path / "index", model)
    with monkeypatch.context() as patch:
        patch.setattr(planned_units, "_LOOK_SECONDS", 0.0)
        patch.setattr(planned_units, "SHARD_SECONDS", 0.0)
        kill_after(patch, "write_shard", 3)
        with pytest.raises(Killed):
            follow(index, folder, 0)
    assert len(index) == 16
    (folder / index.ids[3]).write_bytes((folder / "landmark_1" / "040.png").read_bytes())
    follow(index, folder, 0)
    assert len(index) == PHOTOS
    assert index.ids[-1] == "landmark_0/009.png"
    assert (index["landmark_0/009.png"].vectors == index["landmark_1/040.png"].vectors).all()
    assert not (tmp_path / "index" / planned_units.INCOMING).exists()


def test_units_go_anywhere_in_any_order(model, photos, alone, tmp_path):
    index = new_index(tmp_path / "index", model)
    with ThreadPoolExecutor(2) as pool:

        def embed_units(units):
            assert len(units.left()) == len(units) == 6
            there = pickle.loads(pickle.dumps(units.on("cpu")))
            return pool.map(there.embed, reversed(units.left()))

        add_in_units(index, photos, embed_units, labels="folder", num_workers=0, progress=False, unit=8)
    assert_same(index, alone)


def test_who_comes_after_the_end_has_nothing_to_do(model, photos, alone, tmp_path):
    index, late = new_index(tmp_path / "index", model), []

    def embed_units(units):
        late.append(pickle.dumps(units))  # of a worker that starts when others have done it all
        return map(units.embed, units.left())

    add_in_units(index, photos, embed_units, labels="folder", num_workers=0, progress=False, unit=8)
    pickle.loads(late[0]).embed(3)
    assert_same(index, alone)


def test_who_embeds_may_give_nothing(model, photos, alone, tmp_path):
    """A plain function that embeds all, which is easily written, and whose work is not to end in an error."""
    index = new_index(tmp_path / "index", model)

    def embed_units(units):
        for unit in units.left():
            units.embed(unit)

    add_in_units(index, photos, embed_units, labels="folder", num_workers=0, progress=False, unit=8)
    assert_same(index, alone)


def test_what_nobody_embeds_the_writer_does_and_the_bar_ends_full(model, photos, alone, tmp_path, capsys):
    index = new_index(tmp_path / "index", model)
    add_in_units(index, photos, lambda units: (), labels="folder", num_workers=0, unit=8)
    assert_same(index, alone)
    assert f"{PHOTOS + 1}/{PHOTOS + 1}" in capsys.readouterr().err


@pytest.mark.usefixtures("small_units")
def test_update_drops_what_has_vanished(model, photos, tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    for name in ("001", "004", "007"):
        (folder / f"{name}.png").write_bytes((photos / "landmark_1" / f"{name}.png").read_bytes())
    index = new_index(tmp_path / "index", model)
    index.add(folder, progress=False)
    (folder / "004.png").unlink()
    add_by_ranks(index, folder, mirror=True, progress=False, ranks=Ranks(0, 2))
    assert index.ids == ["001.png", "007.png"]


def test_an_iterator_cannot_be_divided(model, tmp_path):
    with pytest.raises(TypeError, match="cannot be divided among processes"):
        add_by_ranks(new_index(tmp_path / "index", model), iter(["a.png"]), ranks=Ranks(0, 2))


def test_a_photo_that_cannot_be_read_is_an_error_where_that_is_asked(model, photos, tmp_path):
    index = new_index(tmp_path / "index", model)
    with pytest.raises(lz.PhotoError, match="broken"):
        add_by_ranks(index, photos, on_error="raise", progress=False, ranks=Ranks(0, 2))


def test_a_rank_whose_disk_is_away_says_so(model, photos, tmp_path, small_units, monkeypatch):
    """Only a plan that rank 0 has just removed is no error."""
    index = new_index(tmp_path / "index", model)

    def away(path, *_):
        raise FileNotFoundError(f"cannot write {path}")

    monkeypatch.setattr(planned_units, "write_shard", away)
    for rank in (0, 1):  # the first one leaves its plan behind
        with pytest.raises(FileNotFoundError, match="cannot write"):
            add_by_ranks(index, photos, labels="folder", progress=False, ranks=Ranks(rank, 2))
