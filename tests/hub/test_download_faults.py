"""What can go wrong with a download: one sentence with the address and the way out, nothing left behind."""

import hashlib
import os
import pickle
import re
import resource
import socket
import subprocess
from pathlib import Path

import pytest
import torch
from file_server import file_server, silent_server

from landmarkzoo.hub import resumable_download
from landmarkzoo.hub.client import HubOptions
from landmarkzoo.hub.convert.checkpoint_files import read_checkpoint
from landmarkzoo.hub.published_files import WeightsFile, fetch

BODY = bytes(range(256)) * 1200
SHA = hashlib.sha256(BODY).hexdigest()
WAY_OUT = 'if you have the file, lz.create_model("gem.test", weights_file="path") reads it'


@pytest.fixture
def web():
    with file_server() as server:
        yield server


@pytest.fixture
def cache(tmp_path):
    return tmp_path / "new" / "cache"


def get(url, cache, license="MIT", **known):
    return fetch(
        WeightsFile("cirtorch", url=url, **known),
        HubOptions(cache_dir=cache),
        name="gem.test",
        license=license,
    )


def refusal(kind: type[Exception], url: str, cache: Path, **known: object) -> str:
    """The message of a download that fails, which leaves nothing behind."""
    with pytest.raises(kind) as caught:
        get(url, cache, license=None, **known)
    assert caught.type is kind
    message = str(caught.value)
    assert message.startswith(f"gem.test: {url}: ")
    assert "\n" not in message
    assert not cache.parent.exists()
    return message


@pytest.mark.parametrize(
    ("status", "kind", "said"),
    [
        (404, FileNotFoundError, "there is no such file (404 Not Found): it may have moved"),
        (410, FileNotFoundError, "there is no such file (410 Gone): it may have moved"),
        (401, PermissionError, "the server refuses access (401 Unauthorized)"),
        (403, PermissionError, "the server refuses access (403 Forbidden)"),
        (429, ConnectionError, "the server cannot answer now (429 Too Many Requests): try again later"),
        (500, ConnectionError, "the server cannot answer now (500 Internal Server Error): try again later"),
        (503, ConnectionError, "the server cannot answer now (503 Service Unavailable): try again later"),
        (418, OSError, "the server refuses the request (418 I'm a Teapot)"),
        (599, ConnectionError, "the server cannot answer now (599): try again later"),
    ],
)
def test_a_refusal(web, cache, capsys, status, kind, said):
    url = web.serve("/net.pth", b"no", status=status)
    assert refusal(kind, url, cache).lower() == f"gem.test: {url}: {said}; {WAY_OUT}".lower()
    assert capsys.readouterr().err == ""  # no licence of what does not come


def test_redirects(web, cache):
    url = web.serve("/loop.pth", status=302, location="/loop.pth")
    assert "the server redirects without end (302 Found); if you" in refusal(ConnectionError, url, cache)
    url = web.serve("/old.pth", status=301, location="/new/other-name.pth")
    web.serve("/new/other-name.pth", BODY)
    assert get(url, cache).name == "old.pth"
    url = web.serve("/file.pth", status=302, location="file:///etc/hostname")
    with pytest.raises(ConnectionError, match="the server redirects"):
        get(url, cache)


@pytest.mark.parametrize(
    "page", [b"<!DOCTYPE html>\n<html><body>moved</body></html>", b"\n <HTML><head></head></HTML>"]
)
def test_a_web_page_in_place_of_the_file(web, cache, page, capsys):
    url = web.serve("/net.pth", page)
    message = refusal(ValueError, url, cache)
    assert message.endswith(f": a web page came in place of the file, which may have moved; {WAY_OUT}")
    assert capsys.readouterr().err == ""


def test_a_web_page_does_not_cost_what_came(web, cache):
    url = web.serve("/net.pth", BODY, cut_after=100_000)
    with pytest.raises(ConnectionError):
        get(url, cache)
    whole = web.files["/net.pth"]
    web.serve("/net.pth", b"<html>log in to this network</html>")
    with pytest.raises(ValueError, match="a web page came"):
        get(url, cache)
    assert [path.suffix for path in cache.iterdir()] == [".part"]
    web.files["/net.pth"], whole.cut_after = whole, None
    assert get(url, cache).read_bytes() == BODY
    assert web.requests[-1].status == 206


def test_a_wrong_hash(web, cache):
    url = web.serve("/net-a155e54.pth", BODY)
    message = refusal(ValueError, url, cache)
    assert f"the file was changed: its SHA-256 is {SHA[:11]}..., and a155e54... was published; " in message
    assert message.endswith(WAY_OUT)
    refusal(ValueError, web.serve("/net.pth", BODY), cache, sha256=SHA[:-1] + "0")


def test_a_wrong_hash_after_resuming(web, cache):
    url = web.serve("/net-a155e54.pth", BODY, cut_after=1000)
    with pytest.raises(ConnectionError):
        get(url, cache)
    web.files["/net-a155e54.pth"].cut_after = None
    with pytest.raises(ValueError, match="its SHA-256 is"):
        get(url, cache)
    assert not list(cache.iterdir())


def test_a_wrong_size(web, cache):
    url = web.serve("/net.pth", BODY)
    message = refusal(ValueError, url, cache, size=5)
    assert "the server has a file of 307,200 bytes, and 5 were published: it was changed; if you" in message
    web.files["/net.pth"].length = False
    assert "it has 307,200 bytes, and 5 were published" in refusal(ValueError, url, cache, size=5)
    url = web.serve("/empty.pth", b"")
    assert "the server has a file of 0 bytes: it was changed" in refusal(ValueError, url, cache)


def test_a_connection_that_ends_at_once(web, cache):
    url = web.serve("/net.pth", BODY, cut_after=0)
    assert "the connection was lost after 0 of 307,200 bytes" in refusal(ConnectionError, url, cache)


def test_nobody_there(cache):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    message = refusal(ConnectionError, f"http://127.0.0.1:{port}/net.pth", cache)
    assert "no connection (ConnectionRefusedError: [Errno 111] Connection refused): check" in message
    assert message.endswith(WAY_OUT)
    assert "no connection (gaierror: " in refusal(ConnectionError, "http://nobody.invalid/net.pth", cache)


def test_a_silent_server_is_not_waited_for(cache, monkeypatch):
    monkeypatch.setenv("HF_HUB_ETAG_TIMEOUT", "0.3")
    with silent_server() as url:
        message = refusal(ConnectionError, url + "/net.pth", cache)
    assert "no answer within 0.3 s; HF_HUB_ETAG_TIMEOUT sets how long is waited" in message


@pytest.mark.parametrize(
    ("how", "cause"),
    [
        ({"cut_after": 90_000, "wait": 0.3, "reset": True}, "ConnectionResetError"),
        ({"wait": 1.0}, "TimeoutError"),
    ],
    ids=["broken", "stalled"],
)
def test_a_connection_that_breaks_or_stalls(web, cache, monkeypatch, how, cause):
    monkeypatch.setattr(resumable_download, "_STALLED", 0.6)  # seconds in place of 30
    url = web.serve("/net.pth", BODY, **how)
    with pytest.raises(ConnectionError) as caught:
        get(url, cache)
    message = str(caught.value)
    assert re.search(
        rf": the connection was lost after [\d,]+ of 307,200 bytes \({cause}\): try again", message
    )
    assert message.endswith(WAY_OUT)
    (part,) = cache.iterdir()
    assert 0 < part.stat().st_size < len(BODY)
    web.serve("/net.pth", BODY)
    assert get(url, cache).read_bytes() == BODY
    assert web.requests[-1].status == 206


def test_what_does_not_speak_http(cache):
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(5)
        pid = os.fork()
        if pid == 0:
            connection, _ = server.accept()
            connection.recv(1000)
            connection.sendall(b"220 welcome to ftp\r\n")
            connection.close()
            os._exit(0)
        message = refusal(ConnectionError, f"http://127.0.0.1:{server.getsockname()[1]}/net.pth", cache)
        os.waitpid(pid, 0)
    assert "no connection (BadStatusLine: 220 welcome to ftp): check the network" in message


def disk_refusal(kind: type[Exception], url: str, cache: Path) -> str:
    with pytest.raises(kind) as caught:
        get(url, cache)
    message = str(caught.value)
    assert message.startswith(f"gem.test: {url}: cannot write {cache}/net.pth")
    assert message.endswith("; cache_dir= names another folder, or TORCH_HOME")
    assert "\n" not in message
    return message


def test_a_small_disk(web, small_disk):
    url = web.serve("/net.pth", BODY)
    message = disk_refusal(OSError, url, small_disk)
    assert re.search(r": it needs 307,200 bytes, and \d+,\d+ are free on this disk;", message)
    assert list(small_disk.iterdir()) == []
    web.files["/net.pth"].length = False  # so that it is seen when it is full
    assert "/net.pth: No space left on device;" in disk_refusal(OSError, url, small_disk)
    assert list(small_disk.iterdir()) == []


def test_files_may_not_grow(web, cache):
    url = web.serve("/net.pth", BODY)
    cache.mkdir(parents=True)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1]))
    try:
        assert "/net.pth: File too large;" in disk_refusal(OSError, url, cache)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert list(cache.iterdir()) == []
    assert get(url, cache).read_bytes() == BODY


def test_a_read_only_cache(web, small_disk):
    url, there = web.serve("/net.pth", BODY), web.serve("/small.pth", b"small")
    path = get(there, small_disk)
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    assert "Read-only file system" in disk_refusal(OSError, url, small_disk)
    assert get(there, small_disk) == path  # what is there is used
    assert sorted(file.name for file in small_disk.iterdir()) == ["small.pth", "small.pth.source.json"]


def test_a_file_in_place_of_the_folder(web, tmp_path):
    (tmp_path / "cache").write_text("mine")
    with pytest.raises(NotADirectoryError, match="it is a file, and must be a folder; cache_dir="):
        get(web.serve("/net.pth", BODY), tmp_path / "cache")


def test_both_names_are_taken_by_folders(web, cache):
    url = web.serve("/net.pth", BODY)
    own = f"net.{hashlib.sha256(url.encode()).hexdigest()[:8]}.pth"
    for name in ("net.pth", own):
        (cache / name).mkdir(parents=True)
    with pytest.raises(IsADirectoryError, match="it is a folder; cache_dir= names another"):
        get(url, cache)
    assert sorted(path.name for path in cache.iterdir()) == sorted(["net.pth", own])


class Hostile:
    """Makes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


@pytest.mark.parametrize("way", ["pickle", "torch.save"])
def test_a_pickle_that_runs_code_comes_and_does_not_run(web, cache, tmp_path, way):
    """It is what the server has, so the download cannot know; the reading refuses it."""
    trace, file = tmp_path / "ran", tmp_path / "net.pth"
    content = {"state_dict": {"features.0.weight": torch.zeros(2)}, "meta": Hostile(trace)}
    if way == "pickle":
        file.write_bytes(pickle.dumps(content))
    else:
        torch.save(content, file)
    path = get(web.serve("/net.pth", file.read_bytes()), cache)
    with pytest.raises(ValueError, match="code in a"):
        read_checkpoint(path)
    assert not trace.exists()
    pickle.loads(pickle.dumps(content))
    assert trace.exists()  # it was hostile indeed
