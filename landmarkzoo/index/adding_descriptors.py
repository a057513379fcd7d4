"""Descriptors that are brought along, into an index."""

from __future__ import annotations

import numpy as np

from landmarkzoo._utils.checks import FloatArray
from landmarkzoo.index.add_job import AddJob
from landmarkzoo.index.label_sources import GivenLabels, label_names
from landmarkzoo.retrieval import Descriptors
from landmarkzoo.retrieval.comparability import RUNNING_NUMBERS, joined_provenance, refuse_unlike
from landmarkzoo.retrieval.row_selection import first_repeated
from landmarkzoo.retrieval.shard_files import NewRows, SkippedPhoto, as_stored, rows_that_fit
from landmarkzoo.retrieval.stored_vectors import StoredDescriptors


def add_descriptors(job: AddJob, descriptors: Descriptors, labels: GivenLabels) -> None:
    """Add what is new in descriptors: other ids, or other vectors of an id.

    Raises:
        OSError: If they cannot be written.
        ValueError: If they do not fit the index: other dimensions, weights, transform or views, or ids that
            are running numbers or stand there twice.
    """
    _check(job, descriptors)
    names = label_names(labels, descriptors.ids)
    if not job.base.manifest.options:  # else the model of the index says it
        parts = [job.provenance] if len(job.base) else []
        job.provenance = joined_provenance([*parts, descriptors.provenance])
    skipped = [
        SkippedPhoto(id_, reason)
        for id_, reason in descriptors.skipped
        if id_ not in job.skipped_before and id_ not in job.base.rows
    ]
    size = (
        descriptors.stored.shape[1]
        if isinstance(descriptors, StoredDescriptors)
        else descriptors.vectors.shape[1]
    )
    step = rows_that_fit(size, job.base.manifest.storage)
    for start in range(0, len(descriptors), step):
        stop = min(start + step, len(descriptors))
        vectors = _block(descriptors, start, stop)
        ids = list(descriptors.ids[start:stop])
        own = {row: names[start + row] for row in range(len(ids)) if start + row in names}
        new = _new_rows(job, ids, vectors, own)
        if len(new):
            job.take(
                NewRows(
                    [ids[row] for row in new],
                    [vectors[new]],
                    [own.get(row) for row in new],
                    [None for _ in new],
                )
            )
    if skipped:
        job.take(NewRows(skipped=skipped))


def _check(job: AddJob, descriptors: Descriptors) -> None:
    if RUNNING_NUMBERS in descriptors.provenance.get("ids", ""):
        raise ValueError(
            "these descriptors are of images without names, whose ids are running numbers: give them ids, "
            "lz.Descriptors(ids, d.vectors, provenance=...)"
        )
    if (twice := first_repeated(descriptors.ids)) is not None:
        raise ValueError(f"the id {twice!r} stands there twice: an id stands for one photo")
    refuse_unlike(job.provenance, descriptors.provenance, "the index", "what is added")


def _block(descriptors: Descriptors, start: int, stop: int) -> FloatArray:
    if isinstance(descriptors, StoredDescriptors):
        return descriptors.stored.block(start, stop)
    return descriptors.vectors[start:stop]


def _new_rows(job: AddJob, ids: list[str], vectors: FloatArray, labels: dict[int, str | None]) -> list[int]:
    """Numbers of the descriptors that the index does not have; labels of the others are corrected."""
    base = job.base
    row_of = base.rows.find(ids)
    there = np.flatnonzero(row_of >= 0).tolist()
    if not there:
        return list(range(len(ids)))
    old = row_of[there]
    kept = base.descriptors.stored.take(old)
    given = as_stored(vectors[there], base.manifest.storage).astype(np.float32)
    same = (kept == given).all(axis=1) if kept.shape == given.shape else np.zeros(len(there), bool)
    wrong = {
        int(number): labels[row]
        for row, number, is_same in zip(there, old, same)
        if is_same and row in labels and base.labels[number] != labels[row]
    }
    if wrong:
        job.relabel(wrong)
    unchanged = {row for row, is_same in zip(there, same) if is_same}
    return [row for row in range(len(ids)) if row not in unchanged]
