"""An index goes where descriptors files go, and nothing else is ever written into it."""

import csv
from pathlib import Path

import numpy as np
import pytest

import landmarkzoo as lz
from landmarkzoo.cli import main


@pytest.fixture
def files(tmp_path, monkeypatch):
    """Descriptors of twelve photos in folders, in a file and in an index, and four queries of both kinds."""
    monkeypatch.chdir(tmp_path)
    random = np.random.default_rng(0)
    for name, count in (("index", 4), ("query", 2)):
        ids = [f"{place}/{n}.png" for place in ("bridge", "pond", "tower") for n in range(count)]
        descriptors = lz.Descriptors(ids, random.standard_normal((len(ids), 8)))
        descriptors.save(f"{name}.st")
        lz.Index.create(name).add(descriptors)
    return tmp_path


def labels_in(name):
    with Path(name).open(newline="") as file:
        return {row["label"] for row in csv.DictReader(file)}


def run(capsys, *arguments):
    code = main([str(a) for a in arguments])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


@pytest.mark.parametrize(
    "command",
    [
        ["search"],
        ["rerank"],
        ["rerank", "--method", "hard", "--train", "index.st"],
        ["recognize"],
        ["recognize", "--non-landmark", "query.st"],
    ],
    ids=" ".join,
)
def test_same_answer_as_for_the_files(capsys, files, command):
    name, *options = command
    expected = run(capsys, name, "query.st", "index.st", *options)
    assert expected[0] == 0
    of_indexes = [option.removesuffix(".st") for option in options]
    assert run(capsys, name, "query", "index", *of_indexes) == expected


def test_each_photo_of_an_index_among_the_others(capsys, files):
    expected = run(capsys, "search", "index.st", "index.st", "-k", 2)
    assert run(capsys, "search", "index", "./index/", "-k", 2) == expected
    rows = [line.split() for line in expected[1].splitlines()[2:-1]]
    assert all(query != found for query, _, found, _ in rows)


def test_evaluate(capsys, files):
    photos = [Path("photos", id_) for id_ in lz.Index.open("index").ids]
    for path in photos:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    expected = run(capsys, "evaluate", "photos", "index.st")
    assert expected[0] == 0
    assert run(capsys, "evaluate", "photos", "index") == expected


def test_labels_of_an_index_come_before_its_folders(capsys, files):
    index = lz.Index.open("index")
    index.relabel(dict.fromkeys(index.ids, "Old Town"))
    assert run(capsys, "recognize", "query.st", "index", "--out", "a.csv")[0] == 0
    assert labels_in("a.csv") == {"Old Town"}
    labels = "".join(f"{id_},x\n" for id_ in index.ids)
    Path("labels.csv").write_text(f"id,label\n{labels}")
    options = ["--labels", "labels.csv", "--out", "a.csv", "--overwrite"]
    assert run(capsys, "recognize", "query.st", "index", *options)[0] == 0
    assert labels_in("a.csv") == {"x"}


def test_nothing_is_written_into_an_index(capsys, files):
    before = {path: path.read_bytes() for path in Path("index").rglob("*") if path.is_file()}
    Path("link").symlink_to("index")
    for out in ("index/manifest.json", "index/shards/x.csv", "link/x.csv", "index/../index/new.csv"):
        code, _, err = run(capsys, "search", "query.st", "index.st", "--out", out, "--overwrite")
        assert code == 2
        assert "is an index, whose files are its own; give a name outside of it" in err
    for command in (["convert", "query.st", "dolg_efficientnet_b5"], ["index", "create"]):
        code, _, err = run(capsys, *command, "index/model")
        assert code == 2
        assert "is an index, whose files are its own" in err
    assert {path: path.read_bytes() for path in Path("index").rglob("*") if path.is_file()} == before


def test_a_folder_that_is_no_index(capsys, files):
    Path("photos").mkdir()
    for command in ("search", "rerank", "recognize"):
        code, _, err = run(capsys, command, "photos", "index")
        assert (code, err.count("\n")) == (2, 1)
        assert "photos is a folder and not a descriptors file, nor an index of 'landmarkzoo index" in err
