import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import landmarkzoo as lz
from landmarkzoo.datasets import (
    read_recognition_submission,
    read_retrieval_submission,
    write_recognition_submission,
    write_retrieval_submission,
)

IDS = st.text(min_size=1, max_size=8).filter(lambda id_: id_.isprintable() and " " not in id_)
SCORES = st.floats(allow_nan=False, allow_infinity=False)
PREDICTIONS = st.dictionaries(IDS, st.tuples(st.integers(-1, 2**62), SCORES), max_size=20)


@given(PREDICTIONS)
def test_recognition_comes_back_exactly(tmp_path_factory, predictions):
    path = tmp_path_factory.mktemp("submission") / "submission.csv"
    labels = np.array([label for label, _ in predictions.values()], dtype=np.int64)
    scores = np.array([score for _, score in predictions.values()], dtype=np.float64)
    write_recognition_submission(path, list(predictions), labels, scores)
    read = read_recognition_submission(path)
    assert read.ids == list(predictions)
    assert read.labels.tolist() == labels.tolist()
    assert read.scores.tolist() == np.where(labels >= 0, scores, 0).tolist()
    assert path.read_bytes().count(b"\n") == len(predictions) + 1


@given(st.dictionaries(IDS, st.lists(IDS, unique=True, max_size=6), max_size=10))
def test_retrieval_comes_back_exactly(tmp_path_factory, results):
    path = tmp_path_factory.mktemp("submission") / "submission.csv"
    write_retrieval_submission(path, results)
    assert read_retrieval_submission(path) == results


def test_formats_of_the_competition(tmp_path):
    path = tmp_path / "submission.csv"
    write_recognition_submission(path, ["a", "b"], torch.tensor([8815, -1]), torch.tensor([0.5, 0.25]))
    assert path.read_text() == "id,landmarks\na,8815 0.5\nb,\n"
    write_recognition_submission(path, ["a"], [1], torch.tensor([0.5], dtype=torch.bfloat16))
    assert path.read_text() == "id,landmarks\na,1 0.5\n"
    write_recognition_submission(path, ["a"], np.array([1]), np.array([0.1], dtype=np.float32))
    assert np.float32(read_recognition_submission(path).scores[0]) == np.float32(0.1)
    write_retrieval_submission(path, {"a": ["x", "y", "z"], "b": []}, k=2)
    assert path.read_text() == "id,images\na,x y\nb,\n"


def test_ranking_goes_out_without_its_padding_and_cut_to_100(tmp_path):
    path = tmp_path / "submission.csv"
    index = lz.Descriptors([f"i{row}" for row in range(120)], np.random.default_rng(0).random((120, 4)))
    queries = lz.Descriptors(["i3", "q"], index.vectors[[3, 5]])
    ranking = lz.search(queries, index, k=120, exclude_same_id=True)
    write_retrieval_submission(path, ranking)
    read = read_retrieval_submission(path)
    assert list(read) == ["i3", "q"]
    assert read["i3"] == ranking.ids[0, :100].tolist()
    assert read["q"][0] == "i5"
    padded = lz.Ranking(np.array([[1, -1]]), np.zeros((1, 2)), ["q"], ["a", "b"])
    write_retrieval_submission(path, padded)
    assert read_retrieval_submission(path) == {"q": ["b"]}
    with pytest.raises(ValueError, match="the ranking has no ids: search with Descriptors on both sides"):
        write_retrieval_submission(path, lz.search(queries.vectors, index.vectors, 3))


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((["a"], [1, 2], [0.5, 0.5]), ValueError, r"1 ids need as many labels and scores, got shapes \(2,\)"),
        ((["a"], [1.0], [0.5]), TypeError, "labels must be integer landmark ids, got dtype float64"),
        ((["a"], [-2], [0.5]), ValueError, r"the label of a must be a landmark id, or -1 .* got -2"),
        ((["a"], [1], [float("nan")]), ValueError, "the score of a must be a finite number, got nan"),
        ((["a"], [1], [float("inf")]), ValueError, "the score of a must be a finite number, got inf"),
        ((["a", "a"], [1, 2], [0.5, 0.5]), ValueError, "the id a occurs twice"),
        ((["a b"], [1], [0.5]), ValueError, "without spaces and control characters, got 'a b'"),
        (([""], [1], [0.5]), ValueError, "without spaces and control characters, got ''"),
        ((["a\nb"], [1], [0.5]), ValueError, "without spaces and control characters"),
    ],
)
def test_wrong_recognition_is_refused_and_leaves_the_file(tmp_path, arguments, error, message):
    path = tmp_path / "submission.csv"
    path.write_text("before")
    with pytest.raises(error, match=message):
        write_recognition_submission(path, *arguments)
    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]


def test_wrong_retrieval_is_refused(tmp_path):
    path = tmp_path / "submission.csv"
    for results, message in (
        ({"a b": []}, "got 'a b'"),
        ({"a": ["x", "x"]}, "the id x occurs twice"),
        ({"a": ["x y"]}, "got 'x y'"),
    ):
        with pytest.raises(ValueError, match=message):
            write_retrieval_submission(path, results)
    with pytest.raises(ValueError, match="k must be a positive integer, got 0"):
        write_retrieval_submission(path, {}, k=0)
    with pytest.raises(FileNotFoundError, match=r"the folder .* does not exist"):
        write_retrieval_submission(tmp_path / "no" / "s.csv", {})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("read", "text", "message"),
    [
        (
            read_recognition_submission,
            "id,images\na,\n",
            "line 1: the columns are id, images; .* missing: landmarks",
        ),
        (
            read_recognition_submission,
            "id,landmarks\na,5\n",
            "line 2: landmarks must be 'label score' or empty, got '5'",
        ),
        (
            read_recognition_submission,
            "id,landmarks\na,5 .5 6 .4\n",
            "line 2: landmarks must be 'label score'",
        ),
        (
            read_recognition_submission,
            "id,landmarks\na,x .5\n",
            "line 2: the label must be a non-negative integer",
        ),
        (
            read_recognition_submission,
            "id,landmarks\na,5 x\n",
            "line 2: the score must be a finite number, got 'x'",
        ),
        (read_recognition_submission, "id,landmarks\na,5 nan\n", "line 2: the score must be a finite number"),
        (read_recognition_submission, "id,landmarks\na,\na,\n", "line 3: the id a occurs a second time"),
        (read_retrieval_submission, "id,landmarks\na,\n", "line 1: .* missing: images"),
        (read_retrieval_submission, "id,images\na,x\n,y\n", "line 3: the id is empty"),
        (read_retrieval_submission, "id,images\na,x\na,y\n", "line 3: the id a occurs a second time"),
    ],
)
def test_wrong_submissions_are_named_with_the_line(tmp_path, read, text, message):
    (tmp_path / "s.csv").write_text(text)
    with pytest.raises(ValueError, match=r"s\.csv, " + message):
        read(tmp_path / "s.csv")


def test_images_that_occur_twice_are_read(tmp_path):
    (tmp_path / "s.csv").write_text("id,images\na,x y x \n")
    assert read_retrieval_submission(tmp_path / "s.csv") == {"a": ["x", "y", "x"]}
