"""Models come from the Hub as they were pushed: one commit, every argument in every request, or the cache."""

import subprocess
import sys
from functools import partial

import hub_client
import numpy as np
import pytest

import landmarkzoo as lz

OFFLINE = """
import sys
import hub_client
cache = sys.argv[1]
print(hub_client.load("hf-hub:org/model", cache_dir=cache).cfg.embedding_dim)
print(hub_client.load_head("hf-hub:org/model", cache_dir=cache)[1][0])
for options in ({"revision": "v2"}, {"force_download": True}):
    try:
        hub_client.load("hf-hub:org/model", cache_dir=cache, **options)
    except (OSError, ValueError) as error:
        print(type(error).__name__, error)
"""


@pytest.fixture(params=["model", "head"])
def either(request, load, load_head, pushed):
    """Load model or head, and the check that it is the one that was pushed."""

    def check_model(loaded, saved=pushed):
        assert np.array_equal(loaded.output, saved.output)

    def check_head(loaded, saved=pushed):
        assert np.array_equal(loaded[0], saved.centers)

    return (load, check_model) if request.param == "model" else (load_head, check_head)


def test_a_model_comes_bit_for_bit_and_nothing_else_is_asked_for(hub, load, pushed):
    loaded = load("hf-hub:org/model")
    assert loaded.cfg == pushed.cfg
    assert np.array_equal(loaded.output, pushed.output)
    assert loaded.log == []
    commit = hub.repos["org/model"].refs["main"]
    assert {path.rpartition("/")[2] for path in hub.paths("resolve")} == {"config.json", "model.safetensors"}
    assert all(
        "/storage/" in path or path.split()[1].startswith("/org/model/resolve/") for path in hub.paths()
    )
    assert {path.split("/")[4] for path in hub.paths("model.safetensors")} == {commit}
    assert all("landmarkzoo" in request.agent for request in hub.requests)


def test_a_head_comes_with_its_names_and_without_where_there_are_none(hub, load_head, pushed):
    centers, names = load_head("hf-hub:org/model")
    assert np.array_equal(centers, pushed.centers)
    assert names == pushed.names
    assert hub.paths("model.safetensors") == []
    hub.repos["org/model"].commit({"classes.json": None})
    centers, names = load_head("hf-hub:org/model")
    assert np.array_equal(centers, pushed.centers)
    assert names is None


def test_large_files_come_from_another_origin_that_sees_no_token(hub, load):
    hub.repos["org/model"].private = True
    load("hf-hub:org/model", token="good-token")
    storage = [request for request in hub.requests if request.path.startswith("/storage/")]
    assert [request.host for request in storage] == ["localhost"]
    assert storage[0].token is None


def test_the_token_reaches_every_request(hub, either):
    load, check = either
    hub.repos["org/model"].private = True
    check(load("hf-hub:org/model", token="good-token"))
    check(load("hf-hub:org/model", token="good-token"))  # cached now
    check(load("hf-hub:org/model", token="good-token", force_download=True))
    asked = [request for request in hub.requests if request.host == "127.0.0.1"]
    assert len(asked) >= 7
    assert {request.token for request in asked} == {"good-token"}


@pytest.mark.parametrize("written", ["in the name", "as keyword", "both"])
def test_the_revision_reaches_every_request(hub, either, other, written):
    load, check = either
    repo = hub.repos["org/model"]
    old = repo.refs["v1"] = repo.refs["main"]
    repo.commit(other.files)
    name = "hf-hub:org/model" if written == "as keyword" else "hf-hub:org/model@v1"
    check(load(name, **({} if written == "in the name" else {"revision": "v1"})))
    assert {path.split("/")[4] for path in hub.paths("resolve")} == {"v1", old}
    check(load("hf-hub:org/model"), other)
    check(load(f"hf-hub:org/model@{old}"))


def test_the_cache_dir_gets_everything_and_the_default_cache_nothing(hub, either, cache, tmp_path):
    load, check = either
    check(load("hf-hub:org/model", cache_dir=tmp_path / "elsewhere"))
    assert (tmp_path / "elsewhere" / "models--org--model").is_dir()
    assert not cache.exists()


def test_local_files_only_asks_nobody(hub, either):
    load, check = either
    with pytest.raises(FileNotFoundError, match=r"config.json is not cached in .* load it once without"):
        load("hf-hub:org/model", local_files_only=True)
    assert hub.requests == []
    check(load("hf-hub:org/model"))
    hub.requests.clear()
    check(load("hf-hub:org/model", local_files_only=True))
    assert hub.requests == []


def test_force_download_fetches_all_again(hub, either):
    load, check = either
    check(load("hf-hub:org/model"))
    first = [path for path in hub.paths() if path.startswith("GET")]
    hub.requests.clear()
    check(load("hf-hub:org/model", force_download=True))
    assert [path.split("/")[-1] for path in hub.paths() if path.startswith("GET")] == [
        path.split("/")[-1] for path in first
    ]


def test_what_is_cached_costs_one_question_and_a_commit_none(hub, load, other):
    load("hf-hub:org/model")
    hub.requests.clear()
    load("hf-hub:org/model")
    assert hub.paths() == ["HEAD /org/model/resolve/main/config.json"]
    hub.requests.clear()
    load(f"hf-hub:org/model@{hub.repos['org/model'].refs['main']}")
    assert hub.requests == []
    hub.repos["org/model"].commit(other.files)
    assert np.array_equal(load("hf-hub:org/model").output, other.output)


@pytest.mark.parametrize("cached", [False, True])
def test_a_push_in_between_mixes_nothing(hub, load, other, pushed, cached):
    """The branch moves before the weights are asked for: they are still those of the commit of the config."""
    repo = hub.repos["org/model"]
    if cached:
        repo.commit(other.files)
        load("hf-hub:org/model")
        repo.commit(pushed.files)

    def move(request):
        if request.path.endswith("model.safetensors"):
            hub.before = lambda request: None
            repo.commit(other.files)

    hub.before = move
    assert np.array_equal(load("hf-hub:org/model").output, pushed.output)
    assert hub.before is not move
    assert np.array_equal(load("hf-hub:org/model").output, other.output)


@pytest.mark.parametrize("how", ["down", "503"])
def test_with_a_dead_hub_the_cache_is_used_and_it_says_so(hub, load, load_head, pushed, how):
    load("hf-hub:org/model")
    load_head("hf-hub:org/model")
    hub.repos["org/model"].commit({"notes.txt": b""})
    hub.stop() if how == "down" else hub.broken.update({"": 503})
    try:
        loaded = load("hf-hub:org/model")
        assert np.array_equal(loaded.output, pushed.output)
        assert "Using what is cached" in loaded.log[-1]
        assert ("no connection to" if how == "down" else "cannot answer now (503") in loaded.log[-1]
        assert load_head("hf-hub:org/model")[1] == pushed.names
    finally:
        if how == "down":
            hub.start()


def test_offline_by_environment(hub, load, load_head, cache, tmp_path):
    load("hf-hub:org/model")
    load_head("hf-hub:org/model")
    hub.requests.clear()
    run = subprocess.run(
        [sys.executable, "-c", OFFLINE, str(cache)],
        env=own_environment(hub, tmp_path, HF_HUB_OFFLINE="1"),
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stderr
    lines = run.stdout.splitlines()
    assert lines[:2] == ["16", "Taj Mahal"]
    assert lines[2].startswith("FileNotFoundError hf-hub:org/model@v2: config.json is not cached in ")
    assert lines[3].startswith("ValueError force_download=True cannot be combined with local_files_only=")
    assert run.stderr == ""
    assert hub.requests == []


def own_environment(hub, home, **more):
    """The test server as the Hub, and the path of this process, where the modules of the tests are."""
    import os

    return {
        **os.environ,
        **hub_client.environment(hub.url, home, **more),
        "PYTHONPATH": os.pathsep.join(sys.path),
    }


def test_a_published_registry_entry_is_loaded_and_checked(hub, call, pushed, other, cache):
    repo = hub.repos["org/model"]
    repo.refs["v1"] = repo.refs["main"]
    repo.commit(other.files)
    repo.private = True
    published = partial(
        call, hub_client.load_published, "org/model@v1", pushed.folder, cache_dir=cache, token="good-token"
    )
    loaded = published({})
    assert np.array_equal(loaded.output, pushed.output)
    assert (loaded.cfg.name, loaded.cfg.weights) == ("published", "org/model@v1")
    assert {request.token for request in hub.requests if request.host == "127.0.0.1"} == {"good-token"}
    with pytest.raises(
        ValueError, match=r"org/model@v1 is not 'published' as it is registered: .* mean, neck"
    ):
        published({"mean": (0, 0, 0), "args": {**pushed.cfg.args, "neck": "none"}})
    with pytest.raises(ValueError, match="names the revision 'v1', and revision='v2' another"):
        published({}, revision="v2")


def test_the_command_line_takes_a_registered_name_with_weights(hub, call, pushed, tmp_path, photo_folder):
    out = tmp_path / "index.safetensors"
    command = ("embed", str(photo_folder), "--out", str(out), "--model", "published", "--quiet")
    code, stderr = call(hub_client.run_command_with_published, "org/model", pushed.folder, *command)
    assert code == 0, stderr
    model = lz.create_model(f"local-dir:{pushed.folder}")
    expected = lz.embed(model, photo_folder, progress=False)
    np.testing.assert_allclose(lz.Descriptors.load(out).vectors, expected.vectors, atol=1e-5)
    command = (*command, "--whiten", str(photo_folder), "--overwrite")
    code, stderr = call(hub_client.run_command_with_published, "org/model", pushed.folder, *command)
    assert (code, "--whiten is for ImageNet weights" in stderr) == (2, True)


def test_the_command_line_takes_a_name_on_the_hub(hub, call, tmp_path, photo_folder):
    out = tmp_path / "index.safetensors"
    code, stderr = call(
        hub_client.run_command,
        "embed",
        str(photo_folder),
        "--out",
        str(out),
        "--model",
        "hf-hub:org/model",
        "--quiet",
    )
    assert (code, out.is_file()) == (0, True), stderr
    out = tmp_path / "none.safetensors"
    code, stderr = call(
        hub_client.run_command, "embed", str(photo_folder), "--out", str(out), "--model", "hf-hub:org/none"
    )
    assert code == 2
    assert stderr.startswith("landmarkzoo: error: hf-hub:org/none: there is no such repository")
    assert stderr.count("\n") == 1
