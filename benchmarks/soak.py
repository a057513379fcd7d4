"""A soak: threads embed, search, re-rank, whiten and save for minutes, while an index grows and things fail.

    python benchmarks/soak.py [--minutes 20] [--threads 8] [--full-disk DIR]

Every answer is compared, bit by bit, with the one that a single thread gives for the same input. Meanwhile
other threads add photos to the index, flip the precision of products and the mode of the model, and kill
embedding jobs, which then have to go on; photos are broken and targets cannot be written. Prints how often
each thing was done and what differed; exit code 1 if anything did. A killed process cannot remove the
temporary file that it was writing: at most one for each kill may stay.
"""

from __future__ import annotations

import argparse
import copy
import hashlib
import io
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from measuring import machine
from PIL import Image
from torch import nn

import landmarkzoo as lz

PHOTOS = 48
PARTS = 6  # the index grows by these, and starts again
SIZE = 96  # pixels: short forward passes, so that calls overlap often

Task = Callable[[], object]


def digest(answer: object) -> str:
    """The bits of an answer: descriptors, rankings, votes, models, errors."""
    total = hashlib.sha256()

    def add(value: object) -> None:
        if isinstance(value, lz.Descriptors):
            add((value.ids, value.vectors, sorted(value.provenance.items())))
            add([photo for photo, _ in value.skipped])
        elif isinstance(value, lz.Ranking):
            add((value.indices, value.scores))
        elif isinstance(value, nn.Module):
            add([*value.state_dict().items()])
        elif isinstance(value, torch.Tensor):
            add(value.numpy())
        elif isinstance(value, np.ndarray):
            total.update(f"{value.dtype}{value.shape}".encode() + np.ascontiguousarray(value).tobytes())
        elif isinstance(value, (list, tuple)):
            for item in value:
                add(item)
        else:
            total.update(repr(value).encode())

    add(answer)
    return total.hexdigest()


def error_of(task: Task) -> str:
    """The kind of error that a task must end with."""
    try:
        task()
    except (OSError, ValueError) as error:
        return type(error).__name__
    return "no error"


class Soak:
    """Photos on disk, a model in training mode, the tasks, and what came out of them."""

    def __init__(self, folder: Path, full_disk: Path | None) -> None:
        self.folder, self.full_disk = folder, full_disk
        self.photos = folder / "photos"
        self.photos.mkdir()
        drawn = lz.rendered.RenderedLandmarks(landmarks=8, views=6, distractors=0, image_size=160)
        for position in range(PHOTOS):
            drawn.photo(position).save(self.photos / f"{position:02d}.jpg", quality=95)
        whole = (self.photos / "00.jpg").read_bytes()
        (folder / "half.jpg").write_bytes(whole[: len(whole) // 2])
        (folder / "empty.jpg").write_bytes(b"")
        self.model = lz.create_model("efficientnet_lite0_gem", pretrained_backbone=True, neck="none")
        self.transform = lz.create_transform(self.model, image_size=SIZE)
        self.whole = self.embed(self.photos)
        self.labels = np.arange(PHOTOS) // 6
        self.parts = [self.part(number) for number in range(PARTS)]
        self.index = self.parts[0]  # grows while others search
        self.grown = 1
        self.done: Counter[str] = Counter()
        self.wrong: list[str] = []
        self.lock = threading.Lock()

    def embed(self, photos: object, model: nn.Module | None = None, **options: object) -> lz.Descriptors:
        options = {"transform": self.transform, "progress": False, **options}
        return lz.embed(self.model if model is None else model, photos, **options)

    def part(self, number: int) -> lz.Descriptors:
        """Every sixth photo: what is added to the index at once."""
        return self.embed(sorted(self.photos.iterdir())[number::PARTS])

    def index_of(self, parts: int) -> lz.Descriptors:
        return lz.Descriptors.concat(self.parts[:parts])

    def tasks(self) -> dict[str, Task]:
        """What the threads do: a name, and a function whose answer is always the same."""
        paths = sorted(self.photos.iterdir())
        tasks: dict[str, Task] = {}
        for number, path in enumerate(paths):
            tasks[f"embed path {number}"] = lambda path=path: self.embed(path)
            data = path.read_bytes()
            tasks[f"embed bytes {number}"] = lambda data=data: self.embed(io.BytesIO(data))
            tasks[f"embed image {number}"] = lambda data=data: self.embed(Image.open(io.BytesIO(data)))
            query = self.whole[number]
            for parts in range(1, PARTS + 1):
                index = self.index_of(parts)
                tasks[f"search {number} of {parts}"] = lambda q=query, x=index: lz.search(q, x, 5)
        tasks["embed folder"] = lambda: self.embed(self.photos, batch_size=16)
        tasks["embed views"] = lambda: self.embed(paths[:4], scales=(0.8, 1.0), flip=True)
        tasks["embed half"] = lambda: error_of(lambda: self.embed(self.folder / "half.jpg"))
        tasks["embed some"] = lambda: self.embed([paths[0], self.folder / "empty.jpg"], on_error="skip")
        tasks["embed to a device"] = lambda: error_of(lambda: self.embed(paths[:2], out="/dev/full"))
        tasks["embed to nowhere"] = lambda: error_of(lambda: self.embed(paths[:2], out="/nowhere/x"))
        if (full := self.full_disk) is not None:
            tasks["embed to a full disk"] = lambda: error_of(lambda: self.embed(paths[:2], out=full / "a"))
            tasks["save to a full disk"] = lambda: error_of(lambda: self.whole.save(full / "b"))
            tasks["save a model there"] = lambda: error_of(lambda: self.model.save_pretrained(full / "c"))
        tasks["search all"] = lambda: lz.search(self.whole, self.whole, 10, exclude_same_id=True)
        tasks["vote"] = lambda: lz.rerank.vote(self.whole, self.whole, self.labels).labels
        tasks["soft"] = lambda: lz.rerank.soft_discriminative(self.whole, self.whole, self.whole, self.labels)
        tasks["whiten"] = self.whitened
        tasks["save and load"] = self.saved
        tasks["save and load a model"] = self.saved_model
        return tasks

    def whitened(self) -> nn.Module:
        torch.manual_seed(0)
        with torch.random.fork_rng():
            model = lz.create_model("efficientnet_lite0_gem", neck="fc-bn", embedding_dim=8)
        model.load_state_dict(self.start)
        return lz.whiten_neck(model, self.photos, transform=self.transform, progress=False)

    def saved(self) -> lz.Descriptors:
        self.whole.save(self.folder / "shared.safetensors")  # all threads write this one file
        return lz.Descriptors.load(self.folder / "shared.safetensors")

    def saved_model(self) -> nn.Module:
        self.model.save_pretrained(self.folder / "shared_model")
        return lz.create_model(f"local-dir:{self.folder / 'shared_model'}")

    def check(self, name: str, answer: str, expected: str) -> None:
        with self.lock:
            self.done[" ".join(word for word in name.split() if not word.isdigit())] += 1
            if answer != expected:
                self.wrong.append(name)
                print(f"WRONG: {name}", flush=True)


def work(soak: Soak, tasks: dict[str, Task], expected: dict[str, str], seed: int, end: float) -> None:
    """One of the threads: any task, again and again."""
    draw = random.Random(seed)
    names = list(tasks)
    heavy = [name for name in names if not any(character.isdigit() for character in name)]
    while time.monotonic() < end:
        name = draw.choice(heavy if draw.random() < 0.15 else names)
        try:
            soak.check(name, digest(tasks[name]()), expected[name])
        except Exception as error:
            soak.check(name, f"{type(error).__name__}: {error}", expected[name])
            print(f"  {type(error).__name__}: {error}", flush=True)


def grow(soak: Soak, expected: dict[str, str], end: float) -> None:
    """Add photos to an index that is searched meanwhile, saved and read again each time."""
    while time.monotonic() < end:
        added = soak.grown % PARTS
        new = soak.part(added)
        index = new if added == 0 else lz.Descriptors.concat([soak.index, new])
        index.save(soak.folder / "grown.safetensors")
        soak.index, soak.grown = lz.Descriptors.load(soak.folder / "grown.safetensors"), added + 1
        for number in range(0, PHOTOS, 7):
            answer = digest(lz.search(soak.whole[number], soak.index, 5))
            soak.check("add and search", answer, expected[f"search {number} of {soak.grown}"])


def disturb(soak: Soak, end: float) -> None:
    """Turn what a program may turn while others compute: modes, precision."""
    while time.monotonic() < end:
        soak.model.train(random.random() < 0.5)
        torch.set_float32_matmul_precision(random.choice(["high", "highest"]))
        soak.done["flip modes and precision"] += 1
        time.sleep(random.random() / 50)


def kill_jobs(soak: Soak, end: float) -> None:
    """Kill a process that embeds, and start it again until it is done: the result is that of one run."""
    code = (
        "import sys, torch, landmarkzoo as lz; torch.set_num_threads(1)\n"
        "from landmarkzoo.embedding import embedding_job; embedding_job.PART_SIZE = 4\n"
        "model = lz.create_model('efficientnet_lite0_gem', pretrained_backbone=True, neck='none')\n"
        f"transform = lz.create_transform(model, image_size={SIZE})\n"
        "lz.embed(model, sys.argv[1], transform=transform, progress=False, batch_size=4, out=sys.argv[2])\n"
    )
    expected = digest(soak.embed(soak.photos, batch_size=4))
    round_ = 0
    while time.monotonic() < end:
        round_ += 1
        out = soak.folder / f"job{round_}.safetensors"
        while not out.exists() and time.monotonic() < end + 60:
            job = subprocess.Popen([sys.executable, "-c", code, str(soak.photos), str(out)])
            try:
                job.wait(timeout=random.uniform(4, 25))
            except subprocess.TimeoutExpired:
                job.send_signal(random.choice([signal.SIGKILL, signal.SIGTERM]))
                job.wait()
                soak.done["kill a job"] += 1
        answer = digest(lz.Descriptors.load(out)) if out.exists() else "the job never ended"
        soak.check("job killed and started again", answer, expected)
        out.unlink(missing_ok=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=20)
    parser.add_argument("--threads", type=int, default=8)
    parser.add_argument("--full-disk", type=Path, metavar="DIR", help="a folder with no room for 10 kB")
    arguments = parser.parse_args()
    torch.set_num_threads(1)  # sums in one order: answers can be compared bit by bit
    with tempfile.TemporaryDirectory() as folder:
        soak = Soak(Path(folder), arguments.full_disk)
        with torch.random.fork_rng():
            torch.manual_seed(0)
            first = lz.create_model("efficientnet_lite0_gem", neck="fc-bn", embedding_dim=8)
        soak.start = copy.deepcopy(first.state_dict())
        tasks = soak.tasks()
        before = digest(soak.model)
        expected = {name: digest(task()) for name, task in tasks.items()}  # one thread
        print(
            f"{len(tasks)} tasks, answers of one thread known; {machine()}, {os.cpu_count()} cores",
            flush=True,
        )
        end = time.monotonic() + 60 * arguments.minutes
        threads = [
            threading.Thread(target=work, args=(soak, tasks, expected, seed, end))
            for seed in range(arguments.threads)
        ]
        threads.append(threading.Thread(target=grow, args=(soak, expected, end)))
        threads.append(threading.Thread(target=disturb, args=(soak, end)))
        threads.append(threading.Thread(target=kill_jobs, args=(soak, end)))
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        soak.check("weights and buffers of the model", digest(soak.model), before)
        for name, times in sorted(soak.done.items()):
            print(f"{times:8d}  {name}")
        print(f"{sum(soak.done.values())} answers, {len(soak.wrong)} wrong")
        folders = [folder] if arguments.full_disk is None else [folder, arguments.full_disk]
        left = [p.name for f in folders for p in Path(f).iterdir() if ".tmp" in p.name or ".part" in p.name]
        print(f"left behind: {left or 'nothing'}")
        if soak.wrong or len(left) > soak.done["kill a job"]:
            sys.exit(1)


if __name__ == "__main__":
    main()
