"""The protocols of the published data sets: Google Landmarks v2, Revisited Oxford and Paris."""

from __future__ import annotations

from typing import Any

from torch.utils.data import Dataset

from landmarkzoo.datasets import GLDv2, RevisitedOxford, RevisitedParis
from landmarkzoo.evaluation.dataset_protocols import Describe, evaluate_dataset
from landmarkzoo.evaluation.evaluation_result import Evaluation
from landmarkzoo.evaluation.recognition_protocol import evaluate_recognition
from landmarkzoo.evaluation.retrieval_protocol import evaluate_retrieval
from landmarkzoo.evaluation.revisited_scores import evaluate_revisited


class _Part(Dataset[tuple[Any, Any]]):
    """Some photos of a data set: ignored ones need no descriptor."""

    def __init__(self, dataset: GLDv2, rows: list[int]) -> None:
        self.dataset, self.rows = dataset, rows
        self.ids = [dataset.ids[row] for row in rows]

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, position: int) -> tuple[Any, Any]:
        return self.dataset[self.rows[position]]


_OVERLAP = "the clean landmarks of GLDv2 overlap those of {} of the 70 queries"


@evaluate_dataset.register(RevisitedOxford)
def _oxford(dataset: RevisitedOxford, describe: Describe, *, resamples: int, seed: int) -> Evaluation:
    return _revisited(dataset, describe, f"Revisited Oxford, {_OVERLAP.format(36)}", resamples, seed)


@evaluate_dataset.register(RevisitedParis)
def _paris(dataset: RevisitedParis, describe: Describe, *, resamples: int, seed: int) -> Evaluation:
    return _revisited(dataset, describe, f"Revisited Paris, {_OVERLAP.format(38)}", resamples, seed)


def _revisited(
    dataset: RevisitedOxford | RevisitedParis, describe: Describe, data: str, resamples: int, seed: int
) -> Evaluation:
    queries, index = describe(dataset.queries), describe(dataset.index)
    return evaluate_revisited(queries, index, dataset.gnd, data=data, resamples=resamples, seed=seed)


@evaluate_dataset.register(GLDv2)
def _gldv2(dataset: GLDv2, describe: Describe, *, resamples: int, seed: int) -> Evaluation:
    """Of the index: retrieval, its queries among it. Of the test split: recognition by GLDv2c's photos."""
    if dataset.split not in ("index", "test"):
        raise ValueError(
            f"the split {dataset.split!r} is for training: evaluate on GLDv2(root, 'index') for retrieval, "
            "on GLDv2(root, 'test') for recognition"
        )
    test = dataset if dataset.split == "test" else GLDv2(dataset.root, "test")
    if dataset.split == "index":
        return _gldv2_retrieval(dataset, test, describe, resamples, seed)
    return _gldv2_recognition(test, GLDv2(dataset.root, "clean"), describe, resamples, seed)


def _gldv2_retrieval(index: GLDv2, test: GLDv2, describe: Describe, resamples: int, seed: int) -> Evaluation:
    if index.retrieval is None:
        raise ValueError(
            f"no retrieval_solution_v2.1.csv in {index.root}: there is no truth to evaluate with"
        )
    row = {id_: row for row, id_ in enumerate(test.ids)}
    solution = index.retrieval
    asked = [n for n, usage in enumerate(solution.usage) if usage != "Ignored"]
    queries = describe(_Part(test, [row[solution.ids[n]] for n in asked]))
    relevant = [solution.truth[n] for n in asked]
    data = "Google Landmarks v2 retrieval, solution v2.1, queries of usage Public and Private"
    return evaluate_retrieval(queries, describe(index), relevant, data=data, resamples=resamples, seed=seed)


def _gldv2_recognition(
    test: GLDv2, train: GLDv2, describe: Describe, resamples: int, seed: int
) -> Evaluation:
    if test.truth is None or test.usage is None:
        raise ValueError(
            f"no recognition_solution_v2.1.csv in {test.root}: there is no truth to evaluate with"
        )
    asked = [n for n, usage in enumerate(test.usage) if usage != "Ignored"]
    return evaluate_recognition(
        describe(_Part(test, asked)),
        describe(train),
        train.landmarks_of(train.targets),
        [test.truth[n] for n in asked],
        data="Google Landmarks v2 recognition, solution v2.1, test images of usage Public and Private",
        resamples=resamples,
        seed=seed,
    )
