"""The service as users start it: a process of its own, asked over the loopback address."""

import dataclasses
import io
import json
import signal
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import landmarkzoo as lz

httpx = pytest.importorskip("httpx")
for name in ("fastapi", "uvicorn", "python_multipart"):
    pytest.importorskip(name)

EXAMPLES = Path(__file__).parents[2] / "examples"


@contextmanager
def running(folder, log, *options):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, str(EXAMPLES / "serve.py"), str(folder), "--port", str(port), *options]
    with log.open("w") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output)
    try:
        for _ in range(1200):
            try:
                httpx.get(f"http://127.0.0.1:{port}/health")
                break
            except httpx.ConnectError:
                assert process.poll() is None, log.read_text()
                time.sleep(0.1)
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
            yield process, client, port
    finally:
        process.kill()
        process.wait()


@pytest.fixture(scope="module")
def index(photos, tmp_path_factory):
    model = lz.create_model("efficientnet_lite0_gem", embedding_dim=16)
    model.cfg = dataclasses.replace(model.cfg, input_size=(3, 64, 64))
    index = lz.Index.create(tmp_path_factory.mktemp("served") / "index", model)
    index.add(photos, labels="folder", progress=False)
    return index


@pytest.fixture(scope="module")
def folder(index):
    return index._files.path


@pytest.fixture(scope="module")
def client(folder, tmp_path_factory):
    log = tmp_path_factory.mktemp("log") / "service.log"
    with running(folder, log, "--max-megabytes", "0.2", "--max-megapixels", "1") as (_, client, _):
        yield client


def png(image):
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def a_photo(seed):
    return png(Image.fromarray(np.random.default_rng(seed).integers(0, 255, (80, 100, 3), dtype=np.uint8)))


def post(client, content, k=5):
    return client.post("/search", params={"k": k}, files={"photo": content})


def expected(index, content, k=5):
    found = index.search(content, k)
    rows = zip(found.ids[0], found.indices[0], found.scores[0])
    return [
        {"id": id_, "label": index.labels[row], "score": round(float(score), 6)} for id_, row, score in rows
    ]


def test_health(client, index):
    answer = client.get("/health").raise_for_status().json()
    info = index.info
    assert answer == {"rows": info.rows, "generation": info.generation, "model": "efficientnet_lite0_gem"}


def test_a_photo_finds_itself_with_its_label(client, photos, index):
    path = next(photos.glob("*/*.png"))
    answer = post(client, path.read_bytes()).raise_for_status().json()["results"]
    assert answer[0]["id"] == path.relative_to(photos).as_posix()
    assert answer[0]["label"] == path.parent.name
    assert answer == expected(index, path)


@pytest.mark.parametrize(
    ("content", "status", "why"),
    [
        (b"no photo", 422, "cannot read the photo: not an image, or of a format that Pillow cannot read"),
        (b"", 422, "cannot read the photo: it has no bytes"),
        (a_photo(0)[:5000], 422, "cannot read the photo: image file is truncated"),
        (
            png(Image.new("RGB", (1200, 1000))),
            422,
            "cannot read the photo: Image size (1200000 pixels) exceeds",
        ),
        (bytes(300_000), 413, "larger than 200,000 bytes"),
    ],
    ids=["no photo", "empty", "truncated", "too many pixels", "too many bytes"],
)
def test_what_cannot_be_searched_is_refused_in_one_line(client, content, status, why):
    answer = post(client, content)
    assert answer.status_code == status
    detail = answer.json()["detail"]
    assert detail.startswith(why)
    assert "\n" not in detail


def test_an_upload_of_unknown_size_is_cut_off(client):
    def endless():
        yield b'--x\r\nContent-Disposition: form-data; name="photo"; filename="a.png"\r\n\r\n'
        for _ in range(1000):
            yield bytes(10_000)

    try:
        answer = client.post(
            "/search", content=endless(), headers={"content-type": "multipart/form-data; boundary=x"}
        )
    except httpx.WriteError:  # it was hung up on while it sent: rightly so
        return
    assert answer.status_code == 413


@pytest.mark.parametrize("k", ["0", "1001", "x"])
def test_an_impossible_k_is_refused(client, k):
    answer = post(client, a_photo(0), k)
    assert answer.status_code == 422
    assert answer.json()["detail"].startswith("k: Input should be")


def test_what_cannot_be_served_is_said_at_the_start(tmp_path):
    lz.Index.create(tmp_path / "bare")
    for name, why in [("bare", "was made without a model"), ("none", "is no index")]:
        done = subprocess.run(
            [sys.executable, EXAMPLES / "serve.py", tmp_path / name],
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == 2
        assert why in done.stderr.splitlines()[-1]


def test_a_new_commit_is_seen_without_a_restart(client, index):
    before = client.get("/health").json()
    content = a_photo(1)
    assert post(client, content).json()["results"][0]["id"] != "new/1.png"
    index.add([("new/1.png", Image.open(io.BytesIO(content)))], labels="folder", progress=False)
    found = post(client, content).json()["results"][0]
    assert (found["id"], found["label"]) == ("new/1.png", "new")
    after = client.get("/health").json()
    assert (after["rows"], after["generation"]) == (before["rows"] + 1, before["generation"] + 1)
    index.remove("new/1.png")
    assert "new/1.png" not in [result["id"] for result in post(client, content, 1000).json()["results"]]


def test_eight_clients_get_the_answers_of_one(client, photos, index):
    contents = [path.read_bytes() for path in sorted(photos.glob("*/*.png"))[::4]]
    wanted = [expected(index, content) for content in contents]
    with ThreadPoolExecutor(8) as clients:
        answers = list(clients.map(lambda content: post(client, content), contents * 4))
    assert [answer.status_code for answer in answers] == [200] * len(answers)
    assert [answer.json()["results"] for answer in answers] == wanted * 4


def slow_upload(port, content):
    """A client that has begun to send a photo, whose place is taken, and what it has still to send."""
    body = b'--x\r\nContent-Disposition: form-data; name="photo"; filename="a.png"\r\n\r\n' + content
    body += b"\r\n--x--\r\n"
    head = f"POST /search HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\nExpect: 100-continue\r\n"
    connection = socket.create_connection(("127.0.0.1", port), timeout=60)
    connection.sendall(f"{head}Content-Type: multipart/form-data; boundary=x\r\n\r\n".encode())
    answer = b""
    while not answer.endswith(b"\r\n\r\n"):
        answer += connection.recv(1)
    assert answer.startswith(b"HTTP/1.1 100 ")  # it was let in
    connection.sendall(body[:1000])
    return connection, body[1000:]


def read_answer(connection):
    with connection, connection.makefile("rb") as stream:
        status = int(stream.readline().split()[1])
        length = 0
        while line := stream.readline().strip():
            name, _, value = line.decode().partition(": ")
            length = int(value) if name.lower() == "content-length" else length
        return status, json.loads(stream.read(length))


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGTERM that a process can catch")
def test_a_small_service_from_an_empty_index_to_its_stop(photos, folder, tmp_path):
    model = lz.create_model(f"local-dir:{folder / 'model'}")
    index = lz.Index.create(tmp_path / "index", model)
    content, log = a_photo(2), tmp_path / "log"
    options = ("--threads", "1", "--queue", "1", "--timeout", "10")
    with running(tmp_path / "index", log, *options) as (process, client, port):
        answer = post(client, content)
        assert (answer.status_code, answer.json()) == (503, {"detail": "the index is empty"})
        index.add([("own", Image.open(io.BytesIO(content)))], progress=False)
        assert post(client, content).json()["results"] == expected(index, content)

        slow = [slow_upload(port, content)[0] for _ in range(2)]
        refused = post(client, content)
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
        assert client.get("/health").status_code == 200
        for connection in slow:  # their time is over, and their places are free
            assert read_answer(connection) == (504, {"detail": "no answer within 10 seconds"})
        assert post(client, content).status_code == 200

        running_ones = [slow_upload(port, content) for _ in range(2)]
        process.send_signal(signal.SIGTERM)
        while "Waiting for connections" not in log.read_text():
            time.sleep(0.05)
        with pytest.raises(httpx.ConnectError):
            httpx.get(f"http://127.0.0.1:{port}/health")
        for connection, rest in running_ones:
            connection.sendall(rest)
            assert read_answer(connection) == (200, {"results": expected(index, content)})
        assert process.wait(60) in (0, -signal.SIGTERM)
    assert "Traceback" not in log.read_text()
