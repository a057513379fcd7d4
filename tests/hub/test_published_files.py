"""Published weights from an address of their own: once, checked, resumed; and what is said of licences."""

import contextlib
import fcntl
import hashlib
import json
import logging
import multiprocessing
import os
import struct
import subprocess
import sys
import termios
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from file_server import file_server

from landmarkzoo.hub.client import HubOptions
from landmarkzoo.hub.published_files import WeightsFile, fetch

BODY = np.random.default_rng(0).bytes(300_000)
SHA = hashlib.sha256(BODY).hexdigest()
NAME = "gem_resnet50.test"


@pytest.fixture
def web():
    with file_server() as server:
        yield server


@pytest.fixture
def get(web, tmp_path):
    """Fetch by a path on the server."""

    def get(path="/net.pth", license="MIT", sha256=None, size=None, **options):
        weights = WeightsFile("cirtorch", url=web.url + path, sha256=sha256, size=size)
        return fetch(weights, HubOptions(cache_dir=tmp_path / "cache", **options), name=NAME, license=license)

    return get


def names(path: Path) -> list[str]:
    return sorted(file.name for file in path.iterdir()) if path.exists() else []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "give either url or repo"),
        ({"url": "http://a/b.pth", "repo": "o/r", "file": "f"}, "give either url or repo"),
        ({"repo": "o/r"}, "repo and file go together"),
        ({"url": "http://a/b.pth", "revision": "v1"}, "revision is for repo"),
        ({"url": "file:///etc/passwd"}, "url is http"),
        ({"url": "http://a/.."}, "url is http"),
        ({"url": "http://a/"}, "url is http"),
        ({"url": "http://a/b c.pth"}, "url is http"),
        ({"url": "http://a/x\\..\\b.pth"}, "url is http"),
        ({"url": "http://a/b.pth", "sha256": "A155E54"}, "sha256 is 6 to 64 digits"),
        ({"url": "http://a/b.pth", "size": 0}, "size is a number of bytes"),
    ],
)
def test_an_address_that_cannot_be_one(arguments, message):
    with pytest.raises(ValueError, match=message):
        WeightsFile("cirtorch", **arguments)


@pytest.mark.parametrize(
    ("name", "digits"),
    [
        ("rSfM120k-tl-resnet101-gem-w-a155e54.pth", "a155e54"),
        (f"x-{SHA}.pth", SHA),
        ("model-20230101.pth", None),  # a date
        ("ResNet50_512_cosplace.pth", None),
        ("a155e54.pth", None),
    ],
)
def test_a_name_may_carry_the_first_digits(name, digits):
    assert WeightsFile("cirtorch", url=f"http://host/{name}").known.sha256 == digits
    assert WeightsFile("cirtorch", url=f"http://host/{name}", sha256="12345678").known.sha256 == "12345678"


def test_it_comes_once(web, get, tmp_path):
    web.serve("/net.pth", BODY)
    path = get(sha256=SHA, size=len(BODY))
    assert path == tmp_path / "cache" / "net.pth"
    assert path.read_bytes() == BODY
    assert names(path.parent) == ["net.pth", "net.pth.source.json"]
    assert get() == get(local_files_only=True) == path
    assert len(web.requests) == 1
    web.files["/net.pth"].wait = 0.01
    assert get(force_download=True) == path
    assert len(web.requests) == 2


def test_the_cache_is_that_of_torch_hub(web, tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    weights = WeightsFile("cirtorch", url=web.serve("/a/net.pth", BODY))
    assert fetch(weights, HubOptions(), name=NAME, license="MIT") == tmp_path / "hub/checkpoints/net.pth"


def test_what_torch_hub_downloaded_is_used_if_its_hash_is_known(web, get, tmp_path):
    torch.hub.download_url_to_file(
        web.serve("/net.pth", BODY), str(tmp_path / "net.pth"), SHA[:8], progress=False
    )
    (tmp_path / "cache").mkdir()
    (tmp_path / "net.pth").rename(tmp_path / "cache/net.pth")
    web.requests.clear()
    assert get(sha256=SHA[:8]) == tmp_path / "cache" / "net.pth"
    assert web.requests == []
    path = get()  # without a hash it could be anything
    assert path.name.startswith("net.")
    assert path.name != "net.pth"
    assert path.read_bytes() == BODY
    assert len(web.requests) == 1


def test_two_addresses_with_one_file_name(web, get):
    other = BODY[::-1]
    web.serve("/a/net.pth", BODY)
    web.serve("/b/net.pth", other)
    for _ in range(2):
        assert get("/a/net.pth").read_bytes() == BODY
        assert get("/b/net.pth").read_bytes() == other
    assert len(web.requests) == 2
    assert get("/a/net.pth").name == "net.pth"


def test_a_folder_of_that_name_is_left_alone(web, get, tmp_path):
    web.serve("/net.pth", BODY)
    (tmp_path / "cache/net.pth").mkdir(parents=True)
    assert get().read_bytes() == BODY
    assert (tmp_path / "cache/net.pth").is_dir()


def test_a_cut_download_goes_on(web, get, tmp_path):
    web.serve("/net.pth", BODY, cut_after=100_000)
    with pytest.raises(ConnectionError, match=r"connection was lost after 100,000 of 300,000 bytes"):
        get()
    (part,) = (tmp_path / "cache").iterdir()
    assert part.name.startswith("net.pth.")
    assert part.suffix == ".part"
    assert part.read_bytes() == BODY[:100_000]
    web.files["/net.pth"].cut_after = None
    web.requests.clear()
    assert get().read_bytes() == BODY
    assert web.requests[-1] == ("/net.pth", "bytes=100000-", web.files["/net.pth"].etag, 206)
    assert names(tmp_path / "cache") == ["net.pth", "net.pth.source.json"]


def test_it_goes_on_more_than_once(web, get):
    web.serve("/net.pth", BODY, cut_after=40_000)
    lengths = []
    for _ in range(4):
        with pytest.raises(ConnectionError) as caught:
            get()
        lengths.append(int(str(caught.value).split(" after ")[1].split(" of ")[0].replace(",", "")))
    assert lengths == [40_000, 80_000, 120_000, 160_000]
    web.files["/net.pth"].cut_after = None
    assert get(sha256=SHA).read_bytes() == BODY


@pytest.mark.parametrize(
    ("how", "known", "goes_on"),
    [
        ({"weak": True}, None, True),
        ({"marks": False}, None, False),  # it could be the rest of another version
        ({"marks": False}, SHA, True),
        ({"marks": False, "ranges": False}, SHA, False),
    ],
    ids=str,
)
def test_a_server_that_can_less(web, get, how, known, goes_on):
    web.serve("/net.pth", BODY, cut_after=100_000, **how)
    with pytest.raises(ConnectionError):
        get(sha256=known)
    web.files["/net.pth"].cut_after = None
    web.requests.clear()
    assert get(sha256=known).read_bytes() == BODY
    assert [asked.status for asked in web.requests].count(206) == goes_on
    assert all(asked.if_range is None for asked in web.requests)  # a mark that is not allowed there, or none


@pytest.mark.parametrize(
    "how", [{"ranges": False}, {"early": 7}, {"next_body": BODY[::-1]}], ids=["whole", "early", "replaced"]
)
def test_a_range_that_is_not_the_rest_is_not_used(web, get, how):
    web.serve("/net.pth", BODY, cut_after=100_000, **how)
    with pytest.raises(ConnectionError):
        get()
    web.files["/net.pth"].cut_after = None
    assert get().read_bytes() == BODY
    assert web.requests[-1].range == "bytes=100000-"


def test_a_version_is_not_continued_with_another(web, get, tmp_path):
    web.serve("/net.pth", BODY, cut_after=100_000)
    with pytest.raises(ConnectionError):
        get()
    other = BODY[::-1]
    web.serve("/net.pth", other)
    assert get().read_bytes() == other
    assert names(tmp_path / "cache") == ["net.pth", "net.pth.source.json"]


def test_without_a_length_the_published_size_shows_a_cut(web, get):
    web.serve("/net.pth", BODY, length=False, cut_after=100_000)
    with pytest.raises(ConnectionError, match="after 100,000 of 300,000 bytes"):
        get(size=len(BODY))
    web.files["/net.pth"].cut_after = None
    assert get(size=len(BODY)).read_bytes() == BODY


def test_the_hash_of_the_first_download_holds(web, get, tmp_path, caplog):
    web.serve("/net.pth", BODY)
    with caplog.at_level(logging.INFO, logger="landmarkzoo"):
        path = get()
    assert SHA in caplog.text
    record = tmp_path / "cache" / "net.pth.source.json"
    assert json.loads(record.read_text()) == {"url": web.url + "/net.pth", "sha256": SHA, "size": 300_000}
    web.serve("/net.pth", BODY[::-1])
    with pytest.raises(ValueError, match=r"the file was changed: .* the first download had") as caught:
        get(force_download=True)
    assert str(record) in str(caught.value)
    assert path.read_bytes() == BODY
    path.unlink()
    with pytest.raises(ValueError, match="the file was changed"):
        get()
    assert names(tmp_path / "cache") == ["net.pth.source.json"]
    record.unlink()  # the user trusts the new one
    assert get().read_bytes() == BODY[::-1]


def test_a_file_that_was_changed_in_the_cache(web, get):
    web.serve("/net.pth", BODY)
    path = get()
    path.write_bytes(BODY[:-1] + b"x")
    for options in ({}, {"local_files_only": True}):
        with pytest.raises(ValueError, match="is damaged: its content is not what was downloaded"):
            get(**options)
    assert get(force_download=True).read_bytes() == BODY


@pytest.mark.parametrize("workers", [ThreadPoolExecutor, ProcessPoolExecutor])
def test_jobs_at_once_download_once(web, tmp_path, workers):
    url = web.serve("/net.pth", BODY, wait=0.7)
    weights, options = WeightsFile("cirtorch", url=url), HubOptions(cache_dir=tmp_path)
    more = {"mp_context": multiprocessing.get_context("forkserver")} if workers is ProcessPoolExecutor else {}
    with workers(2, **more) as pool:
        jobs = [pool.submit(fetch, weights, options, name=NAME, license="MIT") for _ in range(2)]
        assert {job.result() for job in jobs} == {tmp_path / "net.pth"}
    assert len(web.requests) == 1
    assert names(tmp_path) == ["net.pth", "net.pth.source.json"]


OFFLINE = """
import sys
from landmarkzoo.hub.client import HubOptions
from landmarkzoo.hub.published_files import WeightsFile, fetch
for url in sys.argv[2:]:
    for force in (False, True):
        try:
            options = HubOptions(cache_dir=sys.argv[1], force_download=force)
            print(fetch(WeightsFile("cirtorch", url=url), options, name="a.b", license=None))
        except (OSError, ValueError) as error:
            print(type(error).__name__, error)
"""


def test_offline_the_cache_answers_or_says_that_it_does_not_have_it(web, get, tmp_path):
    web.serve("/net.pth", BODY)
    path = get()
    web.requests.clear()
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            OFFLINE,
            str(tmp_path / "cache"),
            web.url + "/net.pth",
            web.url + "/other.pth",
        ],
        env={**os.environ, "HF_HUB_OFFLINE": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    cached, forced, missing, _ = done.stdout.splitlines()
    assert cached == str(path)
    assert forced.startswith("ValueError force_download=True cannot be combined with ")
    assert missing.startswith(f"FileNotFoundError a.b: {web.url}/other.pth is not cached in ")
    assert 'lz.create_model("a.b", weights_file="path")' in missing
    assert done.stderr == ""
    assert web.requests == []
    with pytest.raises(FileNotFoundError, match="is not cached in"):
        get("/other.pth", local_files_only=True)
    assert web.requests == []


@pytest.mark.parametrize(
    ("license", "said"),
    [
        (None, "no licence is stated"),
        ("CC-BY-NC-4.0", "its licence is CC-BY-NC-4.0"),
        ("MIT", None),
        ("apache-2.0", None),
        ("BSD-3-Clause", None),
        ("CC-BY-4.0", None),
        ("CC0-1.0", None),
    ],
)
def test_a_licence_that_is_not_open_is_said_before_the_first_download(web, get, capsys, license, said):
    web.serve("/net.pth", BODY, cut_after=100)
    with pytest.raises(ConnectionError):
        get(license=license)
    web.files["/net.pth"].cut_after = None
    for _ in range(2):
        get(license=license)
    get(license=license, force_download=True)
    lines = capsys.readouterr().err.splitlines()
    digest = hashlib.sha256(BODY).hexdigest()
    assert lines.pop() == (
        f"{NAME}: {web.url}/net.pth: no hash was published; this download has the SHA-256 {digest}"
    )
    assert len(lines) == (said is not None)
    if said:
        assert lines[0].startswith(f"{NAME}: {web.url}/net.pth: {said}")


def test_a_hash_that_is_known_is_not_said(web, get, capsys):
    web.serve("/net.pth", BODY)
    get(license="MIT", sha256=hashlib.sha256(BODY).hexdigest())
    assert capsys.readouterr().err == ""


def test_the_bar_is_for_terminals(web, tmp_path):
    """The other tests see that nothing is said on a stderr that is no terminal."""
    web.serve("/net.pth", BODY, wait=0.3)
    code = OFFLINE.replace("(False, True)", "(False,)").replace("license=None", "license='MIT'")
    master, slave = os.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 100, 0, 0))
    command = [sys.executable, "-c", code, str(tmp_path), web.url + "/net.pth"]
    subprocess.run(command, stdout=subprocess.PIPE, stderr=slave, check=True)
    assert (tmp_path / "net.pth").read_bytes() == BODY
    os.close(slave)
    shown = b""
    with contextlib.suppress(OSError):  # the end of a terminal
        while piece := os.read(master, 10_000):
            shown += piece
    os.close(master)
    assert b"net.pth: 100%" in shown
    assert b"293k/293k" in shown
