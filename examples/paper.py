r"""The paper end to end: Google Landmarks v2 and any models to validation scores and both submissions.

    python examples/miniature_gldv2.py mini
    python examples/paper.py mini --models local-dir:runs/dolg/step3/model local-dir:runs/first/model \
        --labelled x mini/wit/wit.csv --non-landmarks mini/non_landmark --out runs/paper

Henkel 2021 (arXiv 2110.03786), sections 2.1 and 2.4. Retrieval: every model re-ranks the index by the votes
of labelled photos, its best 750 a query are summed up, 100 remain. Recognition: the means of the families
beside each other name the landmark, and photos like those of no landmark come last. A family is an
architecture; FAMILY=NAME says another. OUT gets retrieval.csv, recognition.csv, scores.json, and a folder a
model. What is done there is not done again: after a kill the same call goes on, with the same result, bit by
bit. docs/guide/paper.md explains it.

All of Google Landmarks v2 (1,580,470 labelled photos, 761,757 of the index, 117,577 queries) and nine models
take, by measured rates, 7,600 core hours to embed if all are like DOLG-B5 (days on a GPU), 29 core hours for
all that follows, and on disk 47 GB for descriptors, 11 GB for those of the ensemble (half of both with
--storage float16) and 6 GB for rankings. Vectors are mapped from files and products computed in blocks, so
memory stays below 2 GB.
"""

from __future__ import annotations

import json
import re
import resource
import sys
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import paper_job
from paper_job import Job
from safetensors.numpy import load_file, save_file

import landmarkzoo as lz

PER_MODEL, TOP = 750, 100
# Rows that are computed together, and that a kill loses. Results do not depend on them.
VOTES, RANKINGS, ANSWERS, FUSED = 16_384, 1_024, 16_384, 16_384
PARTS_OF = {"index": "retrieval", "non_landmark": "recognition"}  # the other parts are of both tracks
ENSEMBLE = "ensemble"
START = time.perf_counter()

Arrays: TypeAlias = dict[str, np.ndarray]
Sets: TypeAlias = dict[str, lz.Index]  # of one model, by the name of the part
Scores: TypeAlias = dict[str, dict[str, float]]  # by model and metric


def say(text: str) -> None:
    """A line with the seconds since the start, and the most memory that was held until now."""
    unit = 2**20 if sys.platform == "darwin" else 2**10
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit
    print(f"[{time.perf_counter() - START:8.1f} s {peak:8,.0f} MiB] {text}", flush=True)


def in_blocks(folder: Path, total: int, size: int, compute: Callable[[slice], Arrays]) -> Path:
    """Compute blocks of rows that are not in the folder yet, each into a file that is whole or not there."""
    folder.mkdir(parents=True, exist_ok=True)
    for start in range(0, total, size):
        path = folder / f"{start:09}.safetensors"
        if path.exists():
            continue
        arrays = {
            name: np.ascontiguousarray(array) for name, array in compute(slice(start, start + size)).items()
        }
        paper_job.write_whole(path, lambda temporary, arrays=arrays: save_file(arrays, temporary))
    return folder


def blocks_of(folder: Path) -> Iterator[Arrays]:
    return (load_file(path) for path in sorted(folder.glob("*.safetensors")))


def joined(folder: Path) -> Arrays:
    blocks = list(blocks_of(folder))
    return {name: np.concatenate([block[name] for block in blocks]) for name in blocks[0]}


def folder_of(job: Job, name: str) -> Path:
    readable = re.sub(r"[^A-Za-z0-9.]+", "_", name.partition(" ")[0])[-60:]
    return job.out / f"{readable}-{zlib.crc32(name.encode()):08x}"


def ids_of(descriptors: Any) -> list[str]:
    """Ids, which an index would keep in memory if it was asked itself."""
    return list(getattr(descriptors, "descriptors", descriptors).ids)


def key_of(*sets: Any) -> str:
    """What results of these descriptors are kept under: others have another key."""
    text = repr([(one.provenance.get("weights"), ids_of(one)) for one in sets])
    return f"{zlib.crc32(text.encode()):08x}"


def landmarks_of(index: lz.Index) -> np.ndarray:
    """Landmark id (N,) of each photo, -1 where it is not known."""
    return np.array([-1 if name is None else int(name) for name in index.labels], dtype=np.int64)


def embedded(job: Job, model: str, name: str) -> lz.Index:
    """The index of a model and a part, with all photos that can be read."""
    part, folder = job.parts[name], folder_of(job, model) / name
    how: dict[str, Any] = {"storage": job.storage, "precision": job.precision, "device": job.device}
    index = lz.Index.create(folder, model, exist_ok=True, **how)  # refuses an index of other weights
    if len(index) + len(index.skipped) < part.count:
        for photos, labels in part.sources:
            index.add(photos, labels=labels, num_workers=job.workers)
    text = f"{model}, {name}: {len(index)} photos"
    if index.skipped:
        text += f"; {len(index.skipped)} cannot be read, such as {': '.join(index.skipped[0])}"
    say(text)
    if not len(index):
        raise ValueError(f"not a single photo of {name} can be read")
    return lz.Index.open(folder)  # without the model


def with_index(job: Job, model: str, sets: Sets) -> lz.Index:
    """The labelled photos, and those of the index whose landmark is known: who votes if they all do."""
    folder = folder_of(job, model) / "train_and_index"
    voters = lz.Index.create(folder, storage=job.storage, exist_ok=True)
    landmarks = landmarks_of(sets["index"])
    known = np.flatnonzero(landmarks >= 0)
    if len(voters) < len(sets["train"]):
        voters.add(sets["train"], labels=landmarks_of(sets["train"]))
    for start in range(len(voters) - len(sets["train"]), len(known), FUSED):
        rows = known[start : start + FUSED]
        voters.add(sets["index"][rows], labels=landmarks[rows])
    return voters


def ranked(job: Job, model: str, queries: Any, index: Any, voters: lz.Index) -> Path:
    """Folder with the best 750 of each query, re-ranked by the votes of labelled photos (section 2.4.1)."""
    folder = folder_of(job, model) / f"retrieval-{key_of(queries, index, voters)}"
    landmarks = landmarks_of(voters)

    def vote(rows: slice) -> Arrays:
        return vars(lz.rerank.vote(index[rows], voters, landmarks, device=job.device))

    votes = lz.rerank.Votes(**joined(in_blocks(folder / "votes", len(index), VOTES, vote)))
    how: dict[str, Any] = {"k": PER_MODEL, "index_votes": votes, "device": job.device}

    def rank(rows: slice) -> Arrays:
        found = lz.rerank.soft_discriminative(queries[rows], index, voters, landmarks, **how)
        return {"indices": found.indices.astype(np.int32), "scores": found.scores}

    return in_blocks(folder / "rankings", len(queries), RANKINGS, rank)


def best_of(rankings: Sequence[Path], queries: Any, index: Any) -> dict[str, list[str]]:
    """Ids of the best 100 of each query by the sum of the models' scores."""
    found, index_ids = list[list[str]](), ids_of(index)
    for blocks in zip(*map(blocks_of, rankings)):
        models = [lz.Ranking(**block) for block in blocks]
        best = lz.ensemble.sum_scores(models, per_model=PER_MODEL, k=TOP).indices
        found += [[index_ids[row] for row in rows if row >= 0] for rows in best.tolist()]
    return dict(zip(ids_of(queries), found))


def mean_ap(found: dict[str, list[str]], solution: Any) -> float:
    """mAP@100 of the queries that count; photos that were not embedded count as not found."""
    number: dict[str, int] = {}
    asked = [n for n, usage in enumerate(solution.usage) if usage != "Ignored" and solution.truth[n]]
    wanted = [[number.setdefault(id_, len(number)) for id_ in solution.truth[n]] for n in asked]
    indices = np.full((len(asked), TOP), -1)
    for row, n in enumerate(asked):
        ids = found.get(solution.ids[n], [])[:TOP]
        indices[row, : len(ids)] = [number.setdefault(id_, len(number)) for id_ in ids]
    return lz.metrics.mean_average_precision(indices, wanted, k=TOP)


def validation(sets: Sets, solution: Any) -> tuple[lz.Descriptors, lz.Descriptors]:
    """Queries that count, and the photos of the index that match one of them (section 2.1)."""
    counts = [n for n, usage in enumerate(solution.usage) if usage != "Ignored"]
    asked, matches = {solution.ids[n] for n in counts}, {id_ for n in counts for id_ in solution.truth[n]}
    pairs = ((sets["test"], asked), (sets["index"], matches))
    queries, index = ([row for row, id_ in enumerate(ids_of(of)) if id_ in ids] for of, ids in pairs)
    return sets["test"][queries], sets["index"][index]


def validate_retrieval(job: Job, sets: dict[str, Sets]) -> Scores:
    """mAP@100 of each model, by cosine and re-ranked, and of the sum of all."""
    scores, rankings, solution = Scores(), [], job.test.retrieval
    for name, own in sets.items():
        queries, index = validation(own, solution)
        plain = dict(zip(queries.ids, lz.search(queries, index, TOP, device=job.device).ids.tolist()))
        rankings.append(ranked(job, name, queries, index, own["train"]))
        best = best_of(rankings[-1:], queries, index)
        scores[name] = {"mAP@100": mean_ap(plain, solution), "re-ranked": mean_ap(best, solution)}
        say(f"{name}: validated on {len(queries)} queries and the {len(index)} photos that match them")
    return {**scores, ENSEMBLE: {"re-ranked": mean_ap(best_of(rankings, queries, index), solution)}}


def submit_retrieval(job: Job, sets: dict[str, Sets]) -> Scores:
    """Write retrieval.csv; its mAP@100 in the whole index."""
    rankings = []
    for name, own in sets.items():
        voters = with_index(job, name, own) if job.index_votes else own["train"]
        rankings.append(ranked(job, name, own["test"], own["index"], voters))
        say(f"{name}: {len(own['test'])} queries ranked {len(own['index'])} photos, {len(voters)} voted")
    best = best_of(rankings, own["test"], own["index"])
    lines = {id_: best.get(id_, []) for id_ in job.test.ids}
    lz.datasets.write_retrieval_submission(job.out / "retrieval.csv", lines, k=TOP)
    solution = job.test.retrieval
    return {} if solution is None else {ENSEMBLE: {"whole index": mean_ap(best, solution)}}


def fused(job: Job, name: str, members: Sequence[tuple[str, lz.Index]]) -> lz.Index:
    """Index with the means of the families beside each other (section 2.4.2), block by block."""
    families, first = dict.fromkeys(family for family, _ in members), members[0][1]
    folder = folder_of(job, name) / key_of(*(one for _, one in members))
    index = lz.Index.create(folder, storage=job.storage, exist_ok=True)
    landmarks = landmarks_of(first)
    for start in range(len(index), len(first), FUSED):
        rows = slice(start, start + FUSED)
        blocks = [[one[rows] for of, one in members if of == family] for family in families]
        index.add(lz.ensemble.concat_families(blocks), labels=landmarks[rows])
    return index


def recognized(job: Job, name: str, sets: Sets) -> dict[str, tuple[int, float]]:
    """Landmark id and score of each test photo."""
    landmarks, test = landmarks_of(sets["train"]), sets["test"]
    folder = folder_of(job, name) / f"recognition-{key_of(*sets.values())}"
    how: dict[str, Any] = {"non_landmark": sets.get("non_landmark"), "device": job.device}

    def answer(rows: slice) -> Arrays:
        found = lz.recognize(test[rows], sets["train"], landmarks, **how)
        return {"labels": found.labels, "scores": found.scores}

    found = joined(in_blocks(folder, len(test), ANSWERS, answer))
    say(f"{name.partition(' ')[0]}: {len(test)} photos recognized by {len(landmarks)}")
    return dict(zip(ids_of(test), zip(found["labels"].tolist(), found["scores"].tolist())))


def gap_of(answers: dict[str, tuple[int, float]], test: lz.datasets.GLDv2) -> dict[str, float]:
    """GAP of the test photos that count; a photo that was not embedded has no prediction."""
    if test.truth is None or test.usage is None:
        return {}
    asked = [n for n, usage in enumerate(test.usage) if usage != "Ignored"]
    ids = [test.ids[n] for n in asked]
    labels, scores = zip(*(answers.get(id_, (-1, 0.0)) for id_ in ids))
    truth = [test.truth[n] for n in asked]
    return {"GAP": lz.metrics.gap(np.array(labels), np.array(scores), truth, ids=ids)}


def submit_recognition(job: Job, sets: dict[str, Sets]) -> Scores:
    """Write recognition.csv; GAP of each model and of the ensemble."""
    scores = {name: gap_of(recognized(job, name, own), job.test) for name, own in sets.items()}
    families = {model.name: model.family for model in job.models}
    name = f"{ENSEMBLE} {' '.join(f'{families[one]}={one}' for one in sets)}"
    together = {
        part: fused(job, name, [(families[one], own[part]) for one, own in sets.items()])
        for part in job.parts
        if part != "index"
    }
    answers = recognized(job, name, together)
    labels, values = zip(*(answers.get(id_, (-1, 0.0)) for id_ in job.test.ids))
    lz.datasets.write_recognition_submission(job.out / "recognition.csv", job.test.ids, labels, values)
    return {**scores, ENSEMBLE: gap_of(answers, job.test)}


def check_alike(job: Job, sets: dict[str, Sets]) -> None:
    """All models must have read the same photos, in one order."""
    for part in job.parts:
        having = [name for name in sets if part in sets[name]]
        for first, other in pairwise(having):
            if ids_of(sets[first][part]) != ids_of(sets[other][part]):
                folders = " or ".join(str(folder_of(job, name) / part) for name in (first, other))
                raise ValueError(
                    f"{first} and {other} have other photos of {part}: remove {folders}, run again"
                )


def run(job: Job) -> Scores:
    """All stages; those that are done are read."""
    paper_job.check_settings(job)
    sets = {}
    for model in job.models:
        wanted = [part for part in job.parts if PARTS_OF.get(part, model.tracks[0]) in model.tracks]
        sets[model.name] = {part: embedded(job, model.name, part) for part in wanted}
    check_alike(job, sets)
    retrieval, recognition = (
        {model.name: sets[model.name] for model in job.models if track in model.tracks}
        for track in ("retrieval", "recognition")
    )
    results = []
    if retrieval and job.test.retrieval is not None:
        results.append(validate_retrieval(job, retrieval))
    if retrieval:
        results.append(submit_retrieval(job, retrieval))
    if recognition:
        results.append(submit_recognition(job, recognition))
    scores: Scores = {name: {} for name in [*sets, ENSEMBLE]}
    for result in results:
        for name, values in result.items():
            scores[name] |= values
    text = json.dumps(scores, indent=1)
    paper_job.write_whole(job.out / "scores.json", lambda temporary: temporary.write_text(text))
    return scores


def main(argv: Sequence[str] | None = None) -> Scores:
    job = paper_job.job_of(argv, __doc__)
    scores = run(job)
    columns = dict.fromkeys(metric for values in scores.values() for metric in values)
    print("".join(f"{column:>13}" for column in columns))
    for name, values in scores.items():
        print("".join(f"{values[c]:13.4f}" if c in values else " " * 13 for c in columns), "", name)
    say(f"wrote {job.out}")
    return scores


if __name__ == "__main__":
    main()
