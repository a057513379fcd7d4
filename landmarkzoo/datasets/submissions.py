"""Submissions to the two Google Landmark competitions, written and read back."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from landmarkzoo._utils.atomic_writing import atomic_write
from landmarkzoo._utils.checks import check_count
from landmarkzoo.datasets.csv_files import csv_error, csv_rows, whole_number


class _Ranking(Protocol):
    """What a retrieval submission needs of a ``Ranking``."""

    @property
    def query_ids(self) -> list[str] | None: ...

    @property
    def index_ids(self) -> list[str] | None: ...

    @property
    def ids(self) -> NDArray[Any]: ...


@dataclass(frozen=True, eq=False)
class RecognitionSubmission:
    """What a recognition submission says, ready for ``lz.metrics.gap``.

    Attributes:
        ids: Test images.
        labels: Landmark id (N,) predicted for each, int64; -1 for no prediction.
        scores: Its score (N,), float64; 0 for no prediction.
    """

    ids: list[str]
    labels: NDArray[np.int64]
    scores: NDArray[np.float64]


def write_recognition_submission(
    path: str | Path,
    ids: Sequence[str],
    labels: NDArray[Any] | Tensor | Sequence[int],
    scores: NDArray[Any] | Tensor | Sequence[float],
) -> None:
    r"""Write ``id,landmarks``: "label score" for each test image, or nothing if the label is -1.

    Args:
        path: The file to write; it appears whole or not at all.
        ids: Test images.
        labels: Landmark id (N,) of each, -1 for no prediction. The competition wants landmark ids, not class
            ids: ``GLDv2.landmarks_of`` translates.
        scores: Score (N,) of each; any number where there is no prediction.

    Raises:
        FileNotFoundError: If the folder does not exist.
        TypeError: If labels are not integers.
        ValueError: If lengths differ, an id has spaces or control characters or is given twice, a label is
            below -1, or a score is not finite.

    Examples:
        >>> import pathlib, tempfile
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "submission.csv"
        >>> lz.datasets.write_recognition_submission(path, ["0a1c", "0a1d"], [9, -1], [0.75, 0.0])
        >>> path.read_text()
        'id,landmarks\n0a1c,9 0.75\n0a1d,\n'
        >>> lz.datasets.read_recognition_submission(path).labels
        array([ 9, -1])
    """
    numbers, values = _array(labels), _array(scores)
    if numbers.size and numbers.dtype.kind not in "iu":
        raise TypeError(f"labels must be integer landmark ids, got dtype {numbers.dtype}")
    if not (numbers.shape == values.shape == (len(ids),)):
        raise ValueError(
            f"{len(ids)} ids need as many labels and scores, got shapes {numbers.shape} and {values.shape}"
        )
    rows = []
    for id_, label, score in zip(_checked(ids), numbers.tolist(), values.tolist()):
        if label < -1:
            raise ValueError(
                f"the label of {id_} must be a landmark id, or -1 for no prediction, got {label}"
            )
        if label >= 0 and not math.isfinite(score):
            raise ValueError(f"the score of {id_} must be a finite number, got {score}")
        rows.append([id_, f"{label} {float(score)!r}" if label >= 0 else ""])
    _write(path, ["id", "landmarks"], rows)


def read_recognition_submission(path: str | Path) -> RecognitionSubmission:
    """Read what ``write_recognition_submission`` or anyone else wrote in this format.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If a column, an id or a prediction is wrong, or an id is listed twice; with file and line.
    """
    ids: dict[str, None] = {}
    labels, scores = [], []
    for line, (id_, cell) in csv_rows(path, ["id", "landmarks"]):
        _add(ids, id_, path, line)
        words = cell.split()
        if len(words) not in (0, 2):
            raise csv_error(path, line, f"landmarks must be 'label score' or empty, got {cell!r}")
        labels.append(whole_number(words[0], path, line, "the label") if words else -1)
        scores.append(_score(words[1], path, line) if words else 0.0)
    return RecognitionSubmission(list(ids), np.array(labels, np.int64), np.array(scores, np.float64))


def write_retrieval_submission(
    path: str | Path, results: _Ranking | Mapping[str, Iterable[str]], *, k: int = 100
) -> None:
    r"""Write ``id,images``: the best index images for each test image, best first, separated by spaces.

    Args:
        path: The file to write; it appears whole or not at all.
        results: A ``Ranking`` of ``Descriptors``, or a dict from each test id to the ids of its index images.
        k: How many are written at most; the competition counts 100.

    Raises:
        FileNotFoundError: If the folder does not exist.
        ValueError: If the ranking has no ids, or an id has spaces or control characters or is given twice.

    Examples:
        >>> import pathlib, tempfile
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "submission.csv"
        >>> lz.datasets.write_retrieval_submission(path, {"0a1c": ["77ab", "fe01"], "0a1d": []})
        >>> path.read_text()
        'id,images\n0a1c,77ab fe01\n0a1d,\n'
        >>> lz.datasets.read_retrieval_submission(path)
        {'0a1c': ['77ab', 'fe01'], '0a1d': []}
    """
    k = check_count(k, "k")
    if isinstance(results, Mapping):
        alone = [query for query, found in results.items() if isinstance(found, str)]
        if alone:
            raise TypeError(f"the images of {alone[0]!r} must be a list of ids, got {results[alone[0]]!r}")
        queries, images = list(results), [list(found) for found in results.values()]
    elif results.query_ids is None or results.index_ids is None:
        raise ValueError("the ranking has no ids: search with Descriptors on both sides, which have them")
    else:
        queries = results.query_ids
        images = [[id_ for id_ in row if id_] for row in results.ids.tolist()]  # "" is padding
    rows = [[query, " ".join(_checked(found[:k]))] for query, found in zip(_checked(queries), images)]
    _write(path, ["id", "images"], rows)


def read_retrieval_submission(path: str | Path) -> dict[str, list[str]]:
    """Read what ``write_retrieval_submission`` or anyone else wrote: index ids of each test id.

    An image that is listed twice is kept: metrics decide how it counts.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If a column or id is wrong, or an id is listed twice; with file and line.
    """
    ids: dict[str, None] = {}
    results = {}
    for line, (id_, cell) in csv_rows(path, ["id", "images"]):
        _add(ids, id_, path, line)
        results[id_] = cell.split()
    return results


def _array(x: Any) -> NDArray[Any]:
    if isinstance(x, Tensor):
        x = x.detach().cpu()
        x = (x.double() if x.is_floating_point() else x).numpy()  # numpy has no bfloat16
    return np.asarray(x)


def _checked(ids: Sequence[str]) -> list[str]:
    seen = set[str]()
    for id_ in ids:
        if not id_ or " " in id_ or not id_.isprintable():  # ids in a cell are separated by spaces
            raise ValueError(f"an id must be text without spaces and control characters, got {id_!r}")
        if id_ in seen:
            raise ValueError(f"the id {id_} occurs twice")
        seen.add(id_)
    return list(ids)


def _add(ids: dict[str, None], id_: str, path: str | Path, line: int) -> None:
    if not id_ or id_ in ids:
        raise csv_error(path, line, f"the id {id_} occurs a second time" if id_ else "the id is empty")
    ids[id_] = None


def _score(text: str, path: str | Path, line: int) -> float:
    try:
        score = float(text)
    except ValueError:
        score = math.nan
    if not math.isfinite(score):
        raise csv_error(path, line, f"the score must be a finite number, got {text!r}")
    return score


def _write(path: str | Path, header: list[str], rows: list[list[str]]) -> None:
    with atomic_write(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows([header, *rows])
