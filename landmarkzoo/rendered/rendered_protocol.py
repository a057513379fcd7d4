"""How a model is evaluated on rendered landmarks; registers itself with ``lz.evaluate``."""

from __future__ import annotations

import numpy as np

from landmarkzoo.evaluation.dataset_evaluation import EmbedFn, evaluate_dataset
from landmarkzoo.evaluation.evaluation_result import Evaluation, join
from landmarkzoo.evaluation.recognition_protocol import evaluate_recognition
from landmarkzoo.evaluation.retrieval_protocol import evaluate_retrieval
from landmarkzoo.rendered.rendered_landmarks import RenderedLandmarks


@evaluate_dataset.register(RenderedLandmarks)
def _rendered_landmarks(
    dataset: RenderedLandmarks, embed_fn: EmbedFn, *, resamples: int, seed: int
) -> Evaluation:
    labels, ids, parts = dataset.targets, np.array(dataset.ids), dataset.parts
    data = (
        f"{dataset.landmarks} rendered landmarks, {dataset.views} views of each, {dataset.distractors} "
        f"scenes without landmark, {dataset.image_size} px, seed {dataset.seed}"
    )
    asked, index = labels[parts.query], parts.index
    relevant = [ids[index][(labels[index] == label) & (label >= 0)].tolist() for label in asked]
    truth = [[label] if label >= 0 else [] for label in asked.tolist()]
    d = embed_fn(dataset)
    queries = d[parts.query]
    retrieval = evaluate_retrieval(queries, d[index], relevant, data=data, resamples=resamples, seed=seed)
    recognition = evaluate_recognition(
        queries, d[parts.train], labels[parts.train], truth, data=data, resamples=resamples, seed=seed
    )
    return join([retrieval, recognition])
