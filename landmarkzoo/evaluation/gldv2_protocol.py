"""Google Landmarks v2: the protocols of its retrieval and its recognition competition."""

from __future__ import annotations

from torch.utils.data import Subset

from landmarkzoo.datasets import GLDv2
from landmarkzoo.evaluation.dataset_evaluation import EmbedFn, evaluate_dataset
from landmarkzoo.evaluation.evaluation_result import Evaluation
from landmarkzoo.evaluation.recognition_protocol import evaluate_recognition
from landmarkzoo.evaluation.retrieval_protocol import evaluate_retrieval


@evaluate_dataset.register(GLDv2)
def _gldv2(dataset: GLDv2, embed_fn: EmbedFn, *, resamples: int, seed: int) -> Evaluation:
    """Index: retrieval, the test photos are the queries. Test: recognition by the vote of GLDv2c."""
    if dataset.split not in ("index", "test"):
        raise ValueError(
            f"the split {dataset.split!r} is for training: evaluate on GLDv2(root, 'index') for retrieval, "
            "on GLDv2(root, 'test') for recognition"
        )
    test = dataset if dataset.split == "test" else GLDv2(dataset.root, "test")
    if dataset.split == "index":
        return _gldv2_retrieval(dataset, test, embed_fn, resamples, seed)
    return _gldv2_recognition(test, GLDv2(dataset.root, "clean"), embed_fn, resamples, seed)


def _gldv2_retrieval(index: GLDv2, test: GLDv2, embed_fn: EmbedFn, resamples: int, seed: int) -> Evaluation:
    if index.retrieval is None:
        raise ValueError(
            f"no retrieval_solution_v2.1.csv in {index.root}: without it there is nothing to compare with"
        )
    row = {id_: row for row, id_ in enumerate(test.ids)}
    solution = index.retrieval
    asked = [n for n, usage in enumerate(solution.usage) if usage != "Ignored"]
    queries = embed_fn(Subset(test, [row[solution.ids[n]] for n in asked]))
    relevant = [solution.truth[n] for n in asked]
    data = "Google Landmarks v2 retrieval, solution v2.1, queries of usage Public and Private"
    return evaluate_retrieval(queries, embed_fn(index), relevant, data=data, resamples=resamples, seed=seed)


def _gldv2_recognition(test: GLDv2, train: GLDv2, embed_fn: EmbedFn, resamples: int, seed: int) -> Evaluation:
    if test.truth is None or test.usage is None:
        raise ValueError(
            f"no recognition_solution_v2.1.csv in {test.root}: without it there is nothing to compare with"
        )
    asked = [n for n, usage in enumerate(test.usage) if usage != "Ignored"]
    return evaluate_recognition(
        embed_fn(Subset(test, asked)),
        embed_fn(train),
        train.landmarks_of(train.targets),
        [test.truth[n] for n in asked],
        data="Google Landmarks v2 recognition, solution v2.1, test images of usage Public and Private",
        resamples=resamples,
        seed=seed,
    )
