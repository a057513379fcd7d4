"""The answer of a classification: rows by number and id, tables, and what is refused."""

import csv

import numpy as np
import pytest
import torch

import landmarkzoo as lz


@pytest.fixture
def predictions():
    names = [["Taj Mahal", "Lotus, Temple"], ["Charminar", "Taj Mahal"], ["Lotus, Temple", "Charminar"]]
    return lz.Predictions(
        ["a/1.jpg", "ü.jpg", "3.jpg"],
        [[0, 2], [1, 0], [2, 1]],
        [[0.9, 0.5], [0.123456789, -0.25], [0.3, 0.3]],
        names,
        [("bad.jpg", "the file is empty")],
    )


def test_arrays(predictions):
    assert len(predictions) == 3
    assert (predictions.labels.dtype, predictions.scores.dtype) == (np.int64, np.float32)
    assert (predictions.names.shape, predictions.names.dtype) == ((3, 2), object)
    assert predictions.skipped == [("bad.jpg", "the file is empty")]
    assert repr(predictions) == "Predictions(3 photos x 2 classes, skipped=1)"
    with pytest.raises(AttributeError):
        predictions.ids = []


def test_some_photos(predictions):
    assert predictions["ü.jpg"].labels.tolist() == [[1, 0]]
    assert "ü.jpg" in predictions
    assert "x.jpg" not in predictions
    assert predictions[-1].names.tolist() == [["Lotus, Temple", "Charminar"]]
    assert predictions[1:].ids == ["ü.jpg", "3.jpg"]
    assert predictions[predictions.scores[:, 0] > 0.2].ids == ["a/1.jpg", "3.jpg"]
    assert [one.ids for one in predictions] == [["a/1.jpg"], ["ü.jpg"], ["3.jpg"]]
    assert lz.Predictions(["a"], [[1]], [[0.5]])[0].names is None
    with pytest.raises(IndexError):
        predictions[3]


def test_csv(predictions, tmp_path):
    predictions.to_csv(tmp_path / "out.csv")
    with (tmp_path / "out.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))
    assert rows == [
        ["id", "rank", "label", "name", "score"],
        ["a/1.jpg", "1", "0", "Taj Mahal", "0.9"],
        ["a/1.jpg", "2", "2", "Lotus, Temple", "0.5"],
        ["ü.jpg", "1", "1", "Charminar", "0.1234568"],
        ["ü.jpg", "2", "0", "Taj Mahal", "-0.25"],
        ["3.jpg", "1", "2", "Lotus, Temple", "0.3"],
        ["3.jpg", "2", "1", "Charminar", "0.3"],
    ]
    lz.Predictions(["a"], [[7]], [[0.5]]).to_csv(tmp_path / "out.csv")
    assert (tmp_path / "out.csv").read_text(encoding="utf-8").split() == [
        "id,rank,label,name,score",
        "a,1,7,,0.5",
    ]


def test_frame(predictions):
    pytest.importorskip("pandas")
    frame = predictions.to_pandas()
    assert list(frame.columns) == ["id", "rank", "label", "name", "score"]
    assert frame["id"].tolist() == ["a/1.jpg", "a/1.jpg", "ü.jpg", "ü.jpg", "3.jpg", "3.jpg"]
    assert frame["rank"].tolist() == [1, 2] * 3
    assert frame["name"].tolist() == predictions.names.ravel().tolist()
    assert lz.Predictions(["a"], [[7]], [[0.5]]).to_pandas()["name"].tolist() == [None]


@pytest.mark.parametrize(
    ("arguments", "error", "says"),
    [
        ((["a"], [[1, 2]], [[0.5]]), ValueError, "got (1, 2), (1, 1) and 1 ids"),
        ((["a", "b"], [[1]], [[0.5]]), ValueError, "a row an id, got (1, 1), (1, 1) and 2 ids"),
        ((["a"], [1], [0.5]), ValueError, "of one shape (N, k)"),
        ((["a"], [[1.5]], [[0.5]]), TypeError, "integers, got dtype float64"),
        ((["a"], [[-1]], [[0.5]]), ValueError, "the label -1 is not a class"),
        ((["a"], [[1]], [[np.nan]]), ValueError, "the photo a has a score that is NaN"),
        (
            (["a"], [[1]], [[0.5]], ["x"]),
            ValueError,
            "names must have the shape of the labels, (1, 1), got (1,)",
        ),
        ((["a"], torch.tensor([[1]]), torch.tensor([[0.5]]), [["x", "y"]]), ValueError, "got (1, 2)"),
    ],
)
def test_what_does_not_fit(arguments, error, says):
    with pytest.raises(error) as raised:
        lz.Predictions(*arguments)
    assert says in str(raised.value)
