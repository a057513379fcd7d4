"""An index whose files were damaged says so in one line, wherever the damage is."""

import json
import shutil

import numpy as np
import pytest

import landmarkzoo as lz


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("damaged") / "index"
    index = lz.Index.create(folder)
    ids = [f"p{number}" for number in range(6)]
    index.add(lz.Descriptors(ids, np.random.default_rng(0).normal(size=(6, 4))), labels=list("aabbcc"))
    index.add(lz.Descriptors(["q", "r"], np.random.default_rng(1).normal(size=(2, 4))))
    index.remove(["p1", "q"])
    index.add(lz.Descriptors(["p0"], index["p0"].vectors), labels=["z"])
    return folder


@pytest.fixture
def folder(whole, tmp_path):
    return shutil.copytree(whole, tmp_path / "index")


def use(folder):
    index = lz.Index.open(folder)
    _ = index.ids, index.labels, index.vectors, index.info, index.skipped
    index.search(np.ones(4), 3)
    index.add(lz.Descriptors(["new"], np.ones((1, 4))))
    index.compact()


@pytest.mark.parametrize("value", [-1, 1.5, "x", [], True, 10**30, float("nan")])
@pytest.mark.parametrize("name", ["generation", "jobs", "dimensions", "storage", "edits", "provenance"])
def test_values_that_no_manifest_has(folder, name, value):
    path = folder / "manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), name: value}))
    with pytest.raises((ValueError, FileNotFoundError), match=r"is damaged"):
        use(folder)


@pytest.mark.parametrize("value", [None, -1, "../x", [], 10**30, True, 10])
@pytest.mark.parametrize("name", ["name", "rows", "order"])
def test_entries_of_shards_that_no_manifest_has(folder, name, value):
    path = folder / "manifest.json"
    manifest = json.loads(path.read_text())
    manifest["shards"][0][name] = value
    path.write_text(json.dumps(manifest))
    with pytest.raises(ValueError, match=r"is damaged"):
        use(folder)


def test_a_shard_of_another_index_in_its_place(folder, tmp_path):
    other = lz.Index.create(tmp_path / "other")
    other.add(lz.Descriptors(["z"], np.ones((1, 7))))
    (foreign,) = (tmp_path / "other/shards").iterdir()
    shutil.copy(foreign, next((folder / "shards").iterdir()))
    with pytest.raises(ValueError, match=r"of another index: its vectors are float32 \(1, 7\)"):
        lz.Index.open(folder)


@pytest.mark.parametrize("kind", ["shards", "edits"])
def test_one_bit_of_the_header_or_of_small_tables_is_another(folder, kind):
    path = next((folder / kind).iterdir())
    content, told = path.read_bytes(), 0
    for place in range(0, len(content), 3):
        path.write_bytes(content[:place] + bytes([content[place] ^ 4]) + content[place + 1 :])
        try:
            index = lz.Index.open(folder)
            _ = index.labels, index.ids
        except ValueError:
            told += 1
    assert told > len(content) // 10  # one bit of a vector or of an id tells nobody


def test_an_index_is_no_file(folder):
    with pytest.raises(NotADirectoryError, match=r"manifest\.json is a file: an index is a folder"):
        lz.Index.open(folder / "manifest.json")
