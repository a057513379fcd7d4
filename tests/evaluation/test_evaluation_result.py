import json

import numpy as np
import pytest

import landmarkzoo as lz
from landmarkzoo.evaluation.evaluation_result import join


def example(metric="mAP@100", values=(0.25, np.nan, 1.0, 0.25), **options):
    interval = lz.metrics.bootstrap(values)
    return lz.Evaluation(
        (lz.Score(metric, interval.value, "four photos"),),
        {metric: interval},
        {metric: np.array(values)},
        ["a", "b", "c", "d"],
        **options,
    )


def test_text():
    result = example(provenance={"model": "dolg", "weights": "0123", "transform": "none"})
    assert str(result).splitlines() == [
        "mAP@100  0.500 [0.250, 1.000]",
        "",
        "Protocol: four photos.",
        "In brackets: 95% of the bootstrap over queries.",
        "Model: dolg, weights 0123.",
    ]
    assert repr(result) == "Evaluation(mAP@100 0.500 [0.250, 1.000]; 4 queries)"


def test_protocols_that_differ_are_told_apart():
    other = example("GAP", (0.0, 0.0, 1.0, 1.0))
    scores = (lz.Score("GAP", 0.5, "recognition"),)
    other = lz.Evaluation(scores, other.intervals, other.per_query, other.query_ids)
    lines = str(join([example(), other])).splitlines()
    assert lines[0].startswith("mAP@100  0.500 [")
    assert lines[1].startswith("GAP      0.500 [")
    assert lines[3:5] == ["mAP@100: four photos.", "GAP: recognition."]


def test_value_and_worst_queries():
    result = example()
    assert result["mAP@100"] == 0.5
    assert result.worst("mAP@100") == [("a", 0.25), ("d", 0.25), ("c", 1.0)]  # b has no value
    assert result.worst("mAP@100", 1) == [("a", 0.25)]
    for wrong in (lambda: result["mAP"], lambda: result.worst("mAP")):
        with pytest.raises(KeyError, match=r"no metric 'mAP'; the metrics are mAP@100\. Did you mean mAP@1"):
            wrong()


def test_json(tmp_path):
    result = example()
    result.to_json(tmp_path / "scores.json")
    read = json.loads((tmp_path / "scores.json").read_text())
    assert read == result.to_dict()
    assert read["scores"] == [
        {
            "metric": "mAP@100",
            "value": 0.5,
            "low": 0.25,
            "high": 1.0,
            "level": 0.95,
            "protocol": "four photos",
        }
    ]
    assert read["per_query"] == {"mAP@100": [0.25, None, 1.0, 0.25]}
    assert read["query_ids"] == ["a", "b", "c", "d"]
    with pytest.raises(FileNotFoundError, match="does not exist"):
        result.to_json(tmp_path / "no" / "scores.json")


def test_parts_must_fit():
    one = example()
    with pytest.raises(ValueError, match="mAP@100 is given twice"):
        join([one, one])
    with pytest.raises(ValueError, match="same queries"):
        join([one, lz.Evaluation(one.scores, one.intervals, one.per_query, ["a", "b", "c", "x"])])
    with pytest.raises(ValueError, match=r"intervals must be of the metrics \['mAP@100'\], got \[\]"):
        lz.Evaluation(one.scores, {}, one.per_query, one.query_ids)
    with pytest.raises(ValueError, match=r"values of mAP@100 must have shape \(3,\), got \(4,\)"):
        lz.Evaluation(one.scores, one.intervals, one.per_query, ["a", "b", "c"])


def test_the_worst_are_some():
    result = lz.evaluation.score_retrieval(lz.search(np.eye(3), np.eye(3)), [[0], [1], [0]])
    assert len(result.worst("mAP@100", 2)) == 2
    for count in (0, -2, 1.5):
        with pytest.raises(ValueError, match="count must be a positive integer"):
            result.worst("mAP@100", count)
