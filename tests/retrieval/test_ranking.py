import csv

import numpy as np
import pytest

import landmarkzoo as lz


def test_csv(tmp_path):
    r = lz.Ranking([[1, 0], [0, -1]], [[0.9, 0.25], [0.5, -np.inf]], ["q,1", "ü"], ["a", 'b"c'])
    r.to_csv(tmp_path / "out.csv")
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
    assert repr(r) == "Ranking(2 queries x 2 results)"
    with pytest.raises(FileNotFoundError):
        r.to_csv(tmp_path / "no" / "out.csv")


def test_wrong_shapes():
    with pytest.raises(ValueError, match=r"one shape \(Q, k\)"):
        lz.Ranking([[1, 0]], [[0.9]])
    with pytest.raises(ValueError, match="got 2 query ids for 1 queries"):
        lz.Ranking([[1]], [[0.9]], query_ids=["a", "b"])
