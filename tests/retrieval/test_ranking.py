import csv
import sys
import tracemalloc

import numpy as np
import pytest
import torch

import landmarkzoo as lz


@pytest.fixture
def ranking():
    return lz.Ranking([[1, 0], [0, -1]], [[0.9, 0.25], [0.5, -np.inf]], ["q,1", "ü"], ["a", 'b"c'])


def test_csv(ranking, tmp_path):
    ranking.to_csv(tmp_path / "out.csv")
    with (tmp_path / "out.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))
    assert rows == [
        ["query", "rank", "id", "score"],
        ["q,1", "1", 'b"c', "0.9"],
        ["q,1", "2", "a", "0.25"],
        ["ü", "1", "a", "0.5"],
    ]
    lz.Ranking([[1, 0]], [[0.9, 0.25]]).to_csv(tmp_path / "out.csv")
    assert (tmp_path / "out.csv").read_text().splitlines()[1] == "0,1,1,0.9"
    assert repr(ranking) == "Ranking(2 queries x 2 results)"
    with pytest.raises(FileNotFoundError):
        ranking.to_csv(tmp_path / "no" / "out.csv")


def test_file_names_that_are_not_unicode_keep_their_bytes(tmp_path):
    id_ = b"caf\xe9.jpg".decode("utf-8", "surrogateescape")  # as Python lists such a file
    lz.Ranking([[0]], [[0.5]], ["q"], [id_]).to_csv(tmp_path / "out.csv")
    assert b"q,1,caf\xe9.jpg,0.5" in (tmp_path / "out.csv").read_bytes()


def test_csv_is_written_line_by_line(tmp_path):
    indices = np.broadcast_to(np.arange(100), (500, 100)).copy()
    ranking = lz.Ranking(indices, np.zeros(indices.shape), None, [f"{n:050}" for n in range(100)])
    tracemalloc.start()
    ranking.to_csv(tmp_path / "out.csv")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len((tmp_path / "out.csv").read_text().splitlines()) == 50_001
    assert peak < 2**20  # all lines at once are more than ten times that


def test_ids_of_ndarrays_tensors_and_numbers():
    ids = np.array(["a", "b", "c"])
    ranking = lz.Ranking(torch.tensor([[2, 0]]), torch.tensor([[0.9, 0.1]]), np.array(["q"]), ids)
    assert ranking.ids.tolist() == [["c", "a"]]
    assert (ranking.query_ids, ranking.index_ids) == (["q"], ["a", "b", "c"])
    assert ranking.indices.dtype == np.int64
    assert ranking.scores.dtype == np.float32
    assert lz.ensemble.sum_scores([ranking, ranking]).ids.tolist() == [["c", "a"]]
    assert lz.Ranking([[1, -1]], [[0.9, 0]]).ids.tolist() == [["1", ""]]  # no ids: row numbers
    assert lz.Ranking([[1, -1]], [[0.9, 0]], index_ids=range(5, 8)).ids.tolist() == [["6", ""]]
    assert lz.Ranking(np.zeros((0, 3), int), np.zeros((0, 3))).ids.shape == (0, 3)


def test_ids_that_are_not_strings_become_strings():
    ranking = lz.Ranking([[0], [1]], [[1.0], [0.5]], [5, 6], ["a", 7])
    assert ranking.ids.tolist() == [["a"], ["7"]]
    assert ranking["6"].ids.tolist() == [["7"]]
    ids = [str(n) for n in range(3)]
    assert lz.Ranking([[0]], [[1.0]], None, ids).index_ids is ids


def test_ids_are_the_same_for_few_and_many_results():
    index_ids = ["a", "b", "c", "d"]
    indices = np.array([[3, -1, 0], [1, 2, 3]])
    many = lz.Ranking(indices, np.zeros((2, 3)), None, index_ids)
    assert many.ids.tolist() == [["d", "", "a"], ["b", "c", "d"]]
    assert [row.ids.tolist() for row in many] == [[row] for row in many.ids.tolist()]
    few = lz.Ranking([[-1]], [[0.0]], None, index_ids)
    assert few.ids.tolist() == [[""]]


def test_ids_are_not_kept():
    ranking = lz.Ranking(np.zeros((1000, 100), int), np.zeros((1000, 100)), None, ["a"])
    tracemalloc.start()
    assert ranking.ids.shape == (1000, 100)
    held = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert held < 2**18  # the ids are 800 kB


def test_some_queries(ranking):
    for one in (ranking[1], ranking["ü"], ranking[-1:], ranking[torch.tensor([1])], ranking[[False, True]]):
        assert one.query_ids == ["ü"]
        assert one.ids.tolist() == [["a", ""]]
        assert one.scores.tolist() == [[0.5, -np.inf]]
    assert ranking[["ü", "q,1"]].ids.tolist() == ranking.ids[::-1].tolist()
    assert [row.query_ids for row in ranking] == [["q,1"], ["ü"]]
    assert "ü" in ranking
    assert "a" not in ranking
    with pytest.raises(KeyError, match=r"no id 'q1' among 2\. Did you mean q,1"):
        ranking["q1"]
    with pytest.raises(IndexError, match="row 2 is not among 2 rows"):
        ranking[2]
    plain = lz.Ranking([[1, 0]], [[0.9, 0.25]])
    assert "0" not in plain
    with pytest.raises(KeyError, match="there are no ids here"):
        plain["0"]
    assert len(list(plain)) == 1


def test_as_an_array(ranking):
    assert np.asarray(ranking).tolist() == [[1, 0], [0, -1]]
    assert np.shares_memory(np.asarray(ranking), ranking.indices)
    assert np.array(ranking, dtype=float).dtype == float


def test_as_a_tensor(ranking):
    assert torch.as_tensor(ranking).tolist() == torch.tensor(ranking).tolist() == [[1, 0], [0, -1]]
    assert torch.as_tensor(ranking).dtype == torch.int64


def test_scores_of_low_precision():
    for dtype in (torch.bfloat16, torch.float16):
        scores = torch.tensor([[0.5, 0.25]], dtype=dtype)
        assert lz.Ranking([[1, 0]], scores).scores.tolist() == [[0.5, 0.25]]


def test_as_a_frame(ranking):
    pytest.importorskip("pandas")
    frame = ranking.to_pandas()
    assert frame.columns.tolist() == ["query", "rank", "id", "score"]
    assert frame["query"].tolist() == ["q,1", "q,1", "ü"]
    assert frame["rank"].tolist() == [1, 2, 1]
    assert frame["id"].tolist() == ['b"c', "a", "a"]
    np.testing.assert_allclose(frame["score"], [0.9, 0.25, 0.5], atol=1e-6)
    assert lz.Ranking([[7]], [[0.5]]).to_pandas().iloc[0].tolist() == ["0", 1, "7", 0.5]


def test_without_pandas(ranking, monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)  # as where it is not installed
    with pytest.raises(ModuleNotFoundError, match="pip install pandas"):
        ranking.to_pandas()


def test_wrong_input():
    for arguments, message in (
        (([[1, 0]], [[0.9]]), r"one shape \(Q, k\)"),
        (([1, 0], [0.9, 0.1]), r"one shape \(Q, k\)"),
        (([[1]], [[0.9]], ["a", "b"]), "got 2 query ids for 1 queries"),
        (([[2]], [[0.9]], None, ["a", "b"]), "row 2 is not in an index of 2 ids"),
        (([[-7]], [[0.9]]), "row -7 is not a row of an index; -1 is padding"),
        (([[1], [0]], [[0.9], [np.nan]]), "query 1 has a score that is NaN"),
    ):
        with pytest.raises(ValueError, match=message):
            lz.Ranking(*arguments)
    with pytest.raises(TypeError, match="integers, got dtype float64"):
        lz.Ranking([[0.5]], [[0.9]])
