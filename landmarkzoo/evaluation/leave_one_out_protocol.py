"""Leave one out: each labelled photo is a query, all others are the index. The protocol of a folder."""

from __future__ import annotations

import numpy as np

from landmarkzoo._utils.checks import Labels, as_labels
from landmarkzoo.datasets import ImageFolder
from landmarkzoo.evaluation.dataset_evaluation import EmbedFn, evaluate_dataset, rows_with_descriptor
from landmarkzoo.evaluation.evaluation_result import Evaluation, join_clauses, with_provenance
from landmarkzoo.evaluation.retrieval_protocol import score_retrieval
from landmarkzoo.retrieval.descriptors import Descriptors, Vectors, as_vectors, descriptors_of
from landmarkzoo.retrieval.exact_search import search_others


def evaluate_leave_one_out(
    descriptors: Vectors,
    labels: Labels,
    *,
    k: int = 100,
    data: str = "",
    resamples: int = 1000,
    seed: int = 0,
) -> Evaluation:
    """Search each labelled photo among all others: mAP@k, recall@k, hit rate@1.

    The other photos of the same label are relevant. A photo is never its own result: its row is taken out,
    whatever its id, and copies of it in other rows stay. Photos whose label no other photo has, and photos
    without label, are in the index but are not used as queries; the protocol counts them.

    Args:
        descriptors: Descriptors or an array (N, D).
        labels: Label (N,) of each photo: integers, -1 for a photo without label, or names, ``None`` for one
            without.
        k: Depth of mAP and recall.
        data: Name of the data, for the protocol.
        resamples: Resamples of the bootstrap over queries.
        seed: Its seed.

    Raises:
        TypeError: If labels are neither integers nor names.
        ValueError: If shapes do not fit, or no two photos share a label.

    Examples:
        >>> vectors = np.array([[1.0, 0.0], [0.9, 0.1], [0.0, 1.0], [0.2, 1.0], [0.5, 0.5]])
        >>> lz.evaluation.evaluate_leave_one_out(vectors, [0, 0, 1, 1, 2])["mAP@100"]
        1.0
    """
    descriptors = descriptors_of(descriptors)
    vectors = as_vectors(descriptors, "descriptors")
    classes = as_labels(labels, len(vectors), "labels")
    if not isinstance(descriptors, Descriptors):
        descriptors = Descriptors([str(row) for row in range(len(vectors))], vectors)
    members = {label: np.flatnonzero(classes == label) for label in np.unique(classes) if label != -1}
    asking = np.array([len(members.get(label, ())) > 1 for label in classes], dtype=bool)
    queries = np.flatnonzero(asking)
    if len(queries) == 0:
        raise ValueError("no two photos share a label, so there is nothing to find")
    ranking = search_others(descriptors, k, rows=queries)
    relevant = [members[classes[row]][members[classes[row]] != row] for row in queries]
    without, single = int((classes == -1).sum()), int((~asking & (classes != -1)).sum())
    data = join_clauses(
        data,
        f"each photo by exact cosine against the {len(vectors) - 1} others",
        _in_the_index_only(single, "whose label no other photo has"),
        _in_the_index_only(without, "without label"),
    )
    result = score_retrieval(ranking, relevant, k=k, data=data, resamples=resamples, seed=seed)
    return with_provenance(result, descriptors)


def _in_the_index_only(count: int, which: str) -> str:
    photos, are = ("photo", "is") if count == 1 else ("photos", "are")
    return f"{count} {photos} {which} {are} in the index only" if count else ""


@evaluate_dataset.register(ImageFolder)
def _image_folder(dataset: ImageFolder, embed_fn: EmbedFn, *, resamples: int, seed: int) -> Evaluation:
    descriptors = embed_fn(dataset, allow_skipped=True)
    labels = dataset.targets[rows_with_descriptor(dataset.ids, descriptors)]
    skipped = len(descriptors.skipped)
    data = join_clauses(
        f"folder of {len(dataset)} photos of {len(dataset.classes)} landmarks",
        f"{skipped} of them left out: could not be read" if skipped else "",
    )
    return evaluate_leave_one_out(descriptors, labels, data=data, resamples=resamples, seed=seed)
