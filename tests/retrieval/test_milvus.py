"""A collection of Milvus by itself: what is added, found again, removed, refused; all with milvus-lite."""

import socket
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import landmarkzoo as lz
from landmarkzoo.retrieval import milvus_rows

pytest.importorskip("milvus_lite")


def some(rows, seed=0, name="photo", **provenance):
    x = np.random.default_rng(seed).standard_normal((rows, 8)).astype(np.float32)
    return lz.Descriptors([f"{name}{row}.jpg" for row in range(rows)], x, provenance=provenance)


@pytest.fixture
def milvus(tmp_path):
    opened = lz.Milvus(tmp_path / "photos.db", "monuments")
    yield opened
    opened.close()


def python(code, *arguments, check=True):
    command = [
        sys.executable,
        "-c",
        "import sys, numpy as np, landmarkzoo.retrieval as lz\n" + code,
        *map(str, arguments),
    ]
    return subprocess.run(command, capture_output=True, text=True, check=check)


def test_add_search_remove_drop(milvus):
    d = some(100)
    assert (len(milvus), milvus.ids, milvus.provenance) == (0, [], {})
    assert milvus.remove(["photo1.jpg"]) == 0
    assert milvus.add(d[:60]) == 60
    assert milvus.add(d) == 40  # what is there is not sent again
    assert len(milvus) == 100
    found, exact = milvus.search(d, 5), lz.search(d, d, 5)
    assert found.ids.tolist() == exact.ids.tolist()
    np.testing.assert_allclose(found.scores, exact.scores, atol=1e-6)
    assert found["photo3.jpg"].ids.tolist() == exact["photo3.jpg"].ids.tolist()
    others = lz.search(d, None, 5, backend=milvus, exclude_same_id=True)
    assert others.ids.tolist() == lz.search(d, d, 5, exclude_same_id=True).ids.tolist()
    assert milvus.search(d.vectors[:2], 1000).indices.shape == (2, 100)

    assert milvus.remove(["photo0.jpg", "photo1.jpg", "photo1.jpg", "nobody.jpg"]) == 2
    assert milvus.ids == sorted(d.ids[2:])
    assert "photo0.jpg" not in milvus.search(d[:1], 98).ids
    milvus.drop()
    milvus.drop()
    assert len(milvus) == 0
    with pytest.raises(ValueError, match="there is no collection 'monuments'"):
        milvus.search(d)


def test_a_changed_vector_takes_the_place_of_the_old_one(milvus):
    d = some(50)
    milvus.add(d)
    changed = lz.Descriptors(d.ids, np.concatenate([-d.vectors[:1], d.vectors[1:]]))
    assert milvus.add(changed) == 1
    assert len(milvus) == 50
    assert milvus.search(changed[:1], 1).ids.tolist() == [["photo0.jpg"]]


def test_the_collection_follows_the_index(milvus):
    d, more = some(100), some(30, seed=1, name="new")
    queries = some(5, seed=2).vectors
    for index in (d[:80], d, d[20:], lz.Descriptors.concat([d[20:], more]), d[20:]):
        found, exact = lz.search(queries, index, 10, backend=milvus), lz.search(queries, index, 10)
        assert found.indices.tolist() == exact.indices.tolist()
        assert milvus.ids == sorted(index.ids)
    again = d[20:]
    lz.search(queries, again, 10, backend=milvus)
    lz.Milvus(milvus._connection.uri, "monuments").remove(again.ids[:5])  # somebody else
    assert lz.search(queries, again, 10, backend=milvus).indices.tolist() == exact.indices.tolist()
    assert len(milvus) == 80
    with pytest.raises(ValueError, match="holds 80 vectors, and the index does not have 70 of them"):
        lz.search(queries, again[:10], 10, backend=milvus)
    assert len(milvus) == 80


def test_another_process_finds_all_and_is_told_who_has_it_open(tmp_path):
    milvus, d = lz.Milvus(tmp_path / "photos.db", "monuments"), some(20, model="m", weights="a")
    milvus.add(d)
    code = "m = lz.Milvus(sys.argv[1], 'monuments'); print(len(m), m.ids[0], m.provenance)"
    locked = python(code, tmp_path / "photos.db", check=False)
    assert "OSError: cannot open" in locked.stderr
    assert "another process has it open" in locked.stderr
    twin = lz.Milvus(tmp_path / "photos.db", "monuments")  # in this process any number
    assert twin.search(d[:1], 1).ids.tolist() == [["photo0.jpg"]]
    milvus.close()
    assert len(twin) == 20  # which still has it open
    twin.close()
    free = python(code, tmp_path / "photos.db")
    assert free.stdout == "20 photo0.jpg {'model': 'm', 'weights': 'a'}\n"
    assert free.stderr == ""  # what pymilvus prints is not ours
    assert len(milvus) == 20  # connects again
    milvus.close()


KILLED = """
import os, signal
from landmarkzoo.retrieval import milvus
milvus.ROWS = __import__("landmarkzoo.retrieval.milvus_rows").retrieval.milvus_rows.ROWS = 10
m, left = lz.Milvus(sys.argv[1], "monuments"), int(sys.argv[2])
ask = m._ask
def counted(method, doing, **arguments):
    global left
    result = ask(method, doing, **arguments)
    left -= 1
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return result
m._ask = counted
x = np.random.default_rng(0).standard_normal((60, 8)).astype(np.float32)
m.add(lz.Descriptors([f"photo{row}.jpg" for row in range(60)], x))
"""


@pytest.mark.parametrize(
    "requests", [9, *(pytest.param(number, marks=pytest.mark.slow) for number in (2, 3, 4, 5, 14))]
)
def test_a_killed_call_goes_on_where_it_was(tmp_path, requests):
    assert python(KILLED, tmp_path / "photos.db", requests, check=False).returncode == -9
    milvus, d = lz.Milvus(tmp_path / "photos.db", "monuments"), some(60)
    there = len(milvus)
    assert there < 60
    assert milvus.add(d) == 60 - there
    assert milvus.ids == sorted(d.ids)
    assert milvus.search(d, 1).ids[:, 0].tolist() == d.ids
    milvus.close()


def test_many_threads_add_and_search(milvus):
    d = some(200)
    twins = [lz.Milvus(milvus._connection.uri, "monuments") for _ in range(10)]  # each makes the collection
    with ThreadPoolExecutor(10) as pool:
        sent = list(pool.map(lambda one, start: one.add(d[start : start + 10]), 2 * twins, range(0, 200, 10)))
        found = list(pool.map(lambda row: milvus.search(d[row], 1).ids[0, 0], range(200)))
    assert sum(sent) == 200
    assert found == d.ids
    for one in twins:
        one.close()


def test_unlike_descriptors_are_refused(milvus):
    milvus.add(some(10, model="m", weights="a", precision="float32"))
    other = some(10, name="other", model="n", weights="b")
    for call in (milvus.add, milvus.search, lambda d: lz.search(d, d, 3, backend=milvus)):
        with pytest.raises(ValueError, match=r"weights b.*the collection 'monuments' from m \(weights a\)"):
            call(other)
    wide = lz.Descriptors(["wide.jpg"], np.ones((1, 9)))
    for call in (milvus.add, milvus.search, lambda d: lz.search(d, d, 3, backend=milvus)):
        with pytest.raises(ValueError, match="has 9 dimensions, the collection 'monuments' has 8"):
            call(wide)
    for _ in range(3):
        milvus.add(some(10, name="half", model="m", weights="a", precision="float16"))
    assert milvus.provenance["precision"] == "float32 | float16"
    assert len(milvus) == 20


def test_ids_must_name_photos(milvus):
    twice = lz.Descriptors(["a", "b", "a"], np.eye(3))
    numbered = lz.Descriptors(["0", "1"], np.eye(2), provenance={"ids": "running numbers"})
    long = lz.Descriptors(["塔" * 22_000], np.eye(1))
    for wrong, why in (
        (twice, "'a' is there more than once"),
        (numbered, "running numbers"),
        (long, "bytes"),
    ):
        with pytest.raises(ValueError, match=why):
            milvus.add(wrong)
        with pytest.raises(ValueError, match=why):
            lz.search(wrong.vectors, wrong, 1, backend=milvus)
    with pytest.raises(TypeError, match="pass Descriptors"):
        milvus.add(np.eye(3))
    with pytest.raises(TypeError, match="pass Descriptors"):
        lz.search(np.eye(3), np.eye(3), 1, backend=milvus)
    with pytest.raises(ValueError, match="exclude_same_id needs ids"):
        milvus.search(np.eye(8), exclude_same_id=True)
    assert len(milvus) == 0


def test_more_results_than_milvus_gives(milvus, monkeypatch):
    monkeypatch.setattr("landmarkzoo.retrieval.milvus._MOST", 18)
    d = some(40)
    milvus.add(d)
    with pytest.raises(ValueError, match="k must be at most 18"):
        milvus.search(d, 19)
    assert milvus.search(d, 18, exclude_same_id=True).indices.shape == (40, 18)
    with pytest.raises(ValueError, match="take at most 16"):
        lz.search(d, d, 17, backend=milvus)


def test_collections_of_others_are_left_alone(milvus, tmp_path):
    len(milvus)
    milvus._connection.client.create_collection("theirs", dimension=8)
    theirs = lz.Milvus(tmp_path / "photos.db", "theirs")
    for call in (
        lambda: theirs.add(some(3)),
        theirs.drop,
        lambda: len(theirs),
        lambda: theirs.search(some(3)),
    ):
        with pytest.raises(ValueError, match="was not made by landmarkzoo: choose another name"):
            call()
    assert milvus._connection.client.has_collection("theirs")


def test_a_place_that_cannot_be(tmp_path):
    for uri in ("photos", "photos.sqlite", ""):
        with pytest.raises(ValueError, match=r"a path that ends in \.db"):
            lz.Milvus(uri, "c")
    for name in ("", "1c", "a b", "a-b", "ü", "a" * 256, 'a"'):
        with pytest.raises(ValueError, match="letters, digits and underscores"):
            lz.Milvus("photos.db", name)
    for timeout in (0, -1):
        with pytest.raises(ValueError, match="timeout must be positive"):
            lz.Milvus("photos.db", "c", timeout=timeout)
    with pytest.raises(FileNotFoundError, match="there is no folder"):
        len(lz.Milvus(tmp_path / "no" / "photos.db", "c"))
    (tmp_path / "text.db").write_text("not a database")
    with pytest.raises(OSError, match="cannot open"):
        len(lz.Milvus(tmp_path / "text.db", "c"))


def test_a_server_that_is_not_there_is_told_in_time():
    with socket.socket() as silent:  # takes connections and never answers
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        silent_port = silent.getsockname()[1]
        for port in (1, silent_port):
            milvus = lz.Milvus(f"http://127.0.0.1:{port}", "c", timeout=1)
            done = threading.Event()
            errors = []

            def call(milvus=milvus, errors=errors, done=done):
                try:
                    len(milvus)
                except ConnectionError as error:
                    errors.append(str(error))
                done.set()

            threading.Thread(target=call, daemon=True).start()
            assert done.wait(60)
            assert errors[0].startswith(f"cannot connect to Milvus at http://127.0.0.1:{port}")
            assert "\n" not in errors[0]


def test_a_server_that_goes_away(tmp_path):
    from milvus_lite.server_manager import server_manager_instance

    milvus, d = lz.Milvus(tmp_path / "photos.db", "monuments", timeout=2), some(20)
    milvus.add(d)
    server_manager_instance.release_server(str(tmp_path / "photos.db"))
    with pytest.raises(ConnectionError, match="did not answer within 2 s") as caught:
        milvus.add(some(30))
    assert "\n" not in str(caught.value)
    milvus.close()
    assert milvus.add(some(30)) == 10  # nothing was lost
    milvus.close()


def test_text_of_ids():
    for id_ in ("a", "", 'q"', "\\", "\0", "\udc80\udcff", "塔", "😀"):
        text = milvus_rows.as_text(id_)
        text.encode()
        assert milvus_rows.from_text(text) == id_
    assert len({milvus_rows.key_of(id_) for id_ in ("a", "A", "ä", "a\u0308", "", " ")}) == 6
