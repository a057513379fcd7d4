"""Jobs of an index in processes of their own, which may be killed.

One process imports everything once and forks a child for each job, so that a job takes milliseconds. It reads
jobs as JSON from stdin, a line each, and answers each at once with the id of its process; ``{"wait": id}`` is
answered with how that one ended: minus the number of a signal, or 0, or 1 and the error.
"""

import json
import os
import resource
import sys
from pathlib import Path

import numpy as np
import torch
from torch import nn

import landmarkzoo as lz
from landmarkzoo.index import add_job

HALF = (0.5, 0.5, 0.5)
CFG = lz.ModelCfg("plain", {}, input_size=(3, 16, 16), mean=HALF, std=HALF, embedding_dim=8)
TRANSFORM = lz.create_transform(CFG)


def plain_model() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 8, 3, 2), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 49, 8)).eval()


def run(job, model):
    """One job, as a user's script would do it; ``remove`` leaves out what is gone."""
    folder = Path(job["index"])
    if job["do"] == "create":
        lz.Index.create(folder, model, transform=TRANSFORM, batch_size=1, exist_ok=True)
        return
    index = lz.Index.open(folder, model=model, transform=TRANSFORM)
    if job["do"] in ("add", "update"):
        how = {"labels": "folder", "progress": False, "num_workers": job.get("num_workers", 0)}
        getattr(index, job["do"])(job["photos"], **how)
    elif job["do"] == "remove":
        skipped = dict(index.skipped)
        index.remove([id_ for id_ in job["ids"] if id_ in index or id_ in skipped])
    elif job["do"] == "relabel":
        index.relabel(job["labels"])
    elif job["do"] == "compact":
        index.compact()
    elif job["do"] == "read":
        read(folder, job)


def read(folder, job):
    """Open, list and search, again and again, until a file says stop; every row must be a whole one."""
    truth = {}  # id -> vectors of its versions
    with np.load(job["truth"]) as known:
        for id_, vector in zip(known["ids"].tolist(), known["vectors"]):
            truth.setdefault(id_, []).append(vector)
    kept, seen, rounds = lz.Index.open(folder), set(), 0
    stopped = False
    while not stopped:
        stopped = Path(job["stop"]).exists()
        for index in (kept, lz.Index.open(folder)):
            rows = index.descriptors
            ids = list(rows.ids)
            assert len(ids) == len(rows.vectors) == len(set(ids))
            for id_, vector in zip(ids, rows.vectors):
                assert any((vector == version).all() for version in truth[id_]), f"half of {id_}"
            assert {label for label in index.labels if label} <= set(job["labels"])
            assert all(reason for _, reason in index.skipped)
            if ids:
                found = lz.search(rows.vectors[:3], rows, 4)
                assert (found.scores[:, 0] > 0.999).all()
                assert all(id_ in truth for id_ in index.search(rows.vectors[0], 4).ids[0])
            seen.add(tuple(ids))
        rounds += 1
    Path(job["stop"]).write_text(json.dumps([rounds, len(seen)]))


def signal_at(touch, number, folder):
    """Get a signal just before this process touches a file of the index, after so many other touches."""
    left = touch

    def touched(event, arguments):
        nonlocal left
        if event.partition(".")[0] in ("open", "os", "shutil") and any(
            isinstance(name, (str, os.PathLike)) and os.fspath(name).startswith(folder) for name in arguments
        ):
            if left == 0:
                os.kill(os.getpid(), number)
            left -= 1

    sys.addaudithook(touched)  # the interpreter calls it before it opens, renames, removes


def child(job, model, errors):
    try:
        add_job.SHARD_ROWS = job.get("shard_rows", 4)
        if "largest_file" in job:
            resource.setrlimit(resource.RLIMIT_FSIZE, (job["largest_file"], resource.RLIM_INFINITY))
        if "signal" in job:
            signal_at(job["touch"], job["signal"], job["index"])
        run(job, model)
    except BaseException as error:
        os.write(errors, f"{type(error).__name__}: {error}".encode())
        os._exit(1)
    os._exit(0)  # not by sys.exit: what the parent has open is not this process's


def main():
    torch.set_num_threads(1)  # a pool of threads would not live on in a child
    model, errors_of = plain_model(), {}
    for line in sys.stdin:
        job = json.loads(line)
        if "wait" in job:
            _, status = os.waitpid(job["wait"], 0)
            with os.fdopen(errors_of.pop(job["wait"])) as errors:
                answer = [os.waitstatus_to_exitcode(status), errors.read()]
        else:
            reading, writing = os.pipe()
            answer = os.fork()
            if answer == 0:
                child(job, model, writing)
            os.close(writing)
            errors_of[answer] = reading
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
