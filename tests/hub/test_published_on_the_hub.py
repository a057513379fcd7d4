"""Published weights in a repository of the Hub, which is no model of ours: no config.json is needed."""

import hashlib
from functools import partial
from pathlib import Path

import hub_client
import numpy as np
import pytest
from hub_server import HubServer, Repo

from landmarkzoo.hub.published_files import WeightsFile

BODY = np.random.default_rng(1).bytes(200_000)  # large: the Hub knows its SHA-256
SHA = hashlib.sha256(BODY).hexdigest()
WAY_OUT = '; if you have the file, lz.create_model("megaloc.test", weights_file="path") reads it'


@pytest.fixture
def repo(server: HubServer) -> Repo:
    server.reset()
    server.repos["others/net"] = Repo()
    server.repos["others/net"].commit({"models/net.pt": BODY, "small.pt": b"small"})
    return server.repos["others/net"]


@pytest.fixture
def get(call, cache, repo):
    return partial(call, hub_client.fetch_published, cache_dir=cache)


def weights(**more) -> WeightsFile:
    return WeightsFile("megaloc", **{"repo": "others/net", "file": "models/net.pt", **more})


@pytest.mark.parametrize("file", ["models/net.pt", "small.pt"])
def test_it_comes_once(get, server, repo, cache, file):
    commit = repo.refs["main"]
    published = weights(file=file, revision=commit)
    path, said = get(published)
    assert path.read_bytes() == repo.files()[file]
    assert path.is_relative_to(cache)
    assert said == ""
    server.requests.clear()
    assert get(published) == get(published, local_files_only=True) == (path, "")
    assert server.requests == []
    assert get(published, force_download=True) == (path, "")
    assert len([path for path in server.paths() if path.startswith("GET")]) == 1
    assert not server.paths("config.json")


def test_a_revision_of_the_user_and_the_token(get, server, repo):
    repo.commit({"models/net.pt": BODY[::-1]}, branch="new")
    repo.private = True
    with pytest.raises(FileNotFoundError, match="or it is private"):
        get(weights(revision="main"))
    assert get(weights(revision="main"), token="good-token")[0].read_bytes() == BODY
    path, _ = get(weights(revision="main"), revision="new", token="good-token")
    assert path.read_bytes() == BODY[::-1]


def test_a_licence_that_is_not_open_is_said_once(get):
    _, said = get(weights(), license=None)
    assert said.startswith("megaloc.test: hf-hub:others/net models/net.pt: no licence is stated: ask its")
    assert said.count("\n") == 1
    for options in ({}, {"force_download": True}):
        assert get(weights(), license=None, **options)[1] == ""


def test_what_was_published_is_checked(get, cache):
    good = weights(sha256=SHA[:7], size=len(BODY))
    assert get(good)[0].read_bytes() == BODY
    for wrong in (weights(sha256="0123456789"), weights(size=7)):
        with pytest.raises(ValueError, match="the file was changed: it") as caught:
            get(wrong)
        assert str(caught.value).startswith("megaloc.test: hf-hub:others/net models/net.pt: ")
        assert str(caught.value).endswith(WAY_OUT)
    assert get(good, local_files_only=True)[0].read_bytes() == BODY  # it came for another purpose, and stays


def test_nothing_is_left_of_what_was_not_published(get, cache):
    with pytest.raises(ValueError, match="the file was changed"):
        get(weights(sha256="0123456789"))
    assert not [path for path in cache.rglob("*") if path.name in ("net.pt", SHA)]


def test_a_file_that_was_changed_in_the_cache(get):
    path, _ = get(weights())
    path.resolve().write_bytes(BODY[:-1])
    with pytest.raises(ValueError, match="is damaged; force_download=True downloads it again"):
        get(weights())
    assert get(weights(), force_download=True)[0].read_bytes() == BODY


@pytest.mark.parametrize(
    ("changes", "options", "kind", "said"),
    [
        (
            {"file": "gone.pt"},
            {},
            FileNotFoundError,
            "others/net has no file gone.pt: it may have moved",
        ),
        ({"repo": "others/gone"}, {}, FileNotFoundError, "there is no such repository on http"),
        ({"revision": "v9"}, {}, FileNotFoundError, "the repository has no revision 'v9'"),
        ({}, {"token": "bad"}, PermissionError, "refuses the token"),
        ({}, {"local_files_only": True}, FileNotFoundError, "models/net.pt is not cached in "),
        ({"repo": "a/b/c"}, {}, ValueError, "cannot be a repository"),
    ],
    ids=str,
)
def test_a_refusal(get, cache, changes, options, kind, said):
    with pytest.raises(kind) as caught:
        get(weights(**changes), license=None, **options)
    assert caught.type is kind
    message = str(caught.value)
    assert message.startswith("megaloc.test: ")
    assert said in message
    assert message.endswith(WAY_OUT)
    assert "\n" not in message


def test_a_hub_that_is_down(get, server, repo):
    path, _ = get(weights())
    server.broken["net.pt"] = 503
    with pytest.raises(ConnectionError, match="cannot answer now") as caught:
        get(weights(revision="other"))
    assert str(caught.value).endswith(WAY_OUT)
    server.stop()
    try:
        assert get(weights())[0] == path
        with pytest.raises(ConnectionError, match="no connection to"):
            get(weights(), force_download=True)
    finally:
        server.start()


def test_a_disk_without_room(get, small_disk: Path):
    with pytest.raises(OSError, match="No space left on device") as caught:
        get(weights(), cache_dir=small_disk)
    assert str(caught.value).startswith("megaloc.test: ")
    assert str(caught.value).endswith("; cache_dir= names another folder, or HF_HOME")
