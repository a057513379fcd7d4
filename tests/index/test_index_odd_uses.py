"""Uses of an index at its edges: empty ones, copies for other processes, files put back, repeated calls."""

import multiprocessing
import os
import pickle
import shutil
import signal
import warnings

import numpy as np
import pytest
from torch.utils.data import DataLoader, Dataset

import landmarkzoo as lz


@pytest.fixture
def index(tmp_path):
    made = lz.Index.create(tmp_path / "index")
    made.add(lz.Descriptors(["a", "b", "c"], np.eye(3)), labels=["x", "x", "y"])
    return made


def test_a_path_is_opened_and_no_argument_of_the_class(tmp_path):
    with pytest.raises(TypeError, match=r"an index is opened by lz\.Index\.open\('monuments'\), or made by"):
        lz.Index("monuments")


def test_an_empty_index_gives_and_takes_nothing(tmp_path):
    empty = lz.Index.create(tmp_path / "empty")
    assert len(empty[:]) == len(empty[[]]) == 0
    empty.add(empty)
    with pytest.raises(ValueError, match=r"got \(0, 0\); there is nothing in it"):
        lz.Whitening.fit(empty)
    empty.add(lz.Descriptors(["a"], np.ones((1, 2))))
    assert empty.ids == ["a"]


def test_descriptors_have_ids_of_their_own(index):
    with pytest.raises(ValueError, match="descriptors have their own"):
        index.add(lz.Descriptors(["d"], np.ones((1, 3))), ids=["e"])


def test_vectors_longer_than_float32_can_say_are_found_without_a_warning(index):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        index.add(lz.Descriptors(["long"], np.full((1, 3), 3e38)))
        found = index.search(np.ones(3), 1)
    assert found.ids == "long"
    assert found.scores == 1


def test_a_killed_removal_is_made_again(index):
    index.remove(["a", "b"])
    generation = index.info.generation
    with pytest.raises(KeyError, match="no id 'a' among 1"):
        index.remove(["a", "b"])
    index.remove(["a", "b"], missing_ok=True)
    assert index.info.generation == generation
    index.remove(["b", "c"], missing_ok=True)
    assert len(index) == 0


def test_a_manifest_with_the_size_and_time_of_another_is_read_before_writing(index, tmp_path):
    other = lz.Index.open(tmp_path / "index")
    path = tmp_path / "index/manifest.json"
    before, times = path.read_bytes(), path.stat()
    other.add(lz.Descriptors(["d"], np.ones((1, 3))))
    after = path.read_bytes()
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    index._files._seen = index._files._signature()  # as on a disk with a coarse clock
    assert before != after
    index.add(lz.Descriptors(["e"], np.ones((1, 3))))
    assert lz.Index.open(tmp_path / "index").ids == ["a", "b", "c", "d", "e"]


def nearest(index):
    return index.search(np.eye(3)[2], 1).ids.tolist()


class Nearest(Dataset):
    def __init__(self, index):
        self.index = index

    def __len__(self):
        return 3

    def __getitem__(self, row):
        if row >= 3:
            raise IndexError(row)
        return int(self.index.search(np.eye(3)[row], 1).indices[0, 0])


@pytest.mark.parametrize("start", ["fork", "spawn"])
def test_an_index_goes_to_workers(index, start):
    if start not in multiprocessing.get_all_start_methods():
        pytest.skip("no fork")
    loader = DataLoader(Nearest(index), batch_size=None, num_workers=1, multiprocessing_context=start)
    assert [int(row) for row in loader] == [0, 1, 2]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
def test_a_process_that_is_forked_while_a_thread_looks_for_a_commit_reads_on(index):
    with index._files._turn:
        process = os.fork()
        if process == 0:
            signal.alarm(20)
            os._exit(len(index))
    assert os.waitpid(process, 0)[1] == 3 << 8


def test_a_pickled_index_is_opened_where_it_lies(index, tiny_model, photo_folder, tmp_path):
    assert nearest(pickle.loads(pickle.dumps(index))) == [["c"]]
    photos = lz.Index.create(tmp_path / "index-of-photos", tiny_model)
    photos.add(photo_folder, progress=False)
    again = pickle.loads(pickle.dumps(lz.Index.open(tmp_path / "index-of-photos", model=tiny_model)))
    assert again.search(photo_folder / "1.png", 1).ids == "1.png"
    content = pickle.dumps(index)
    shutil.rmtree(tmp_path / "index")
    with pytest.raises(FileNotFoundError, match="is no index"):
        pickle.loads(content)


@pytest.mark.parametrize("name", ["shards", "edits"])
def test_files_of_others_are_not_removed(tmp_path, name):
    (tmp_path / "data" / name).mkdir(parents=True)
    (tmp_path / "data" / name / "train-0001.tar").touch()
    with pytest.raises(FileExistsError, match=f"other files, such as {name}/train-0001.tar"):
        lz.Index.create(tmp_path / "data")
    index = lz.Index.create(tmp_path / "index")
    (tmp_path / "index" / name / "notes.txt").touch()
    index.add(lz.Descriptors(["a", "b"], np.eye(2)))
    index.remove("a")
    index.compact()
    assert (tmp_path / "index" / name / "notes.txt").exists()
    assert len(list((tmp_path / "index" / "shards").glob("*.safetensors"))) == 1


@pytest.mark.parametrize(
    "half", [".tmpSDmWE6", ".landmarkzoo-0123456789abcdef.tmp", f"{'0' * 16}.safetensors"]
)
@pytest.mark.parametrize("name", ["shards", "edits"])
def test_what_a_killed_writer_left_is_removed(tmp_path, name, half):
    index = lz.Index.create(tmp_path / "index")
    index.add(lz.Descriptors(["a", "b"], np.eye(2)))
    left = tmp_path / "index" / name / half  # the first is the temporary name of safetensors
    left.parent.mkdir(exist_ok=True)
    left.touch()
    index.remove("a")
    assert not left.exists()


def test_labels_whose_keys_are_no_ids(index):
    index.add(lz.Descriptors(["5"], np.ones((1, 3))))
    index.relabel({5: "five"})
    assert index.labels[3] == "five"
    for labels in ([], None, [("a", "x")]):
        with pytest.raises(TypeError, match="labels are a dictionary by id"):
            index.relabel(labels)
    with pytest.raises(TypeError, match="ids are texts, got the key 5"):
        index.add(lz.Descriptors(["6"], np.ones((1, 3))), labels={5: "five"})
