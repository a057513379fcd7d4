"""Every error of the Hub is one sentence that says what to do, and no wait is silent."""

import json
import time

import hub_client
import numpy as np
import pytest


def edited(saved, **changes):
    config = json.loads(saved.files["config.json"])
    return {"config.json": json.dumps({**config, **changes}).encode()}


def test_no_such_repository(hub, load, load_head):
    for get in (load, load_head):
        with pytest.raises(
            FileNotFoundError, match=r"hf-hub:org/none: there is no such repository on http.*private"
        ):
            get("hf-hub:org/none")


def test_a_private_repository_looks_like_a_missing_one(hub, load):
    hub.repos["org/model"].private = True
    with pytest.raises(
        FileNotFoundError, match=r"or it is private: .* give token=\.\.\., or log in with 'hf auth"
    ):
        load("hf-hub:org/model")
    with pytest.raises(PermissionError, match=r"hf-hub:org/model: http.* refuses the token"):
        load("hf-hub:org/model", token="bad-token")
    load("hf-hub:org/model", token="good-token")
    with pytest.raises(FileNotFoundError, match="or it is private"):  # what is cached is no way around
        load("hf-hub:org/model")
    load("hf-hub:org/model", local_files_only=True)


def test_a_gated_repository(hub, load, load_head):
    hub.repos["org/model"].gated = True
    for get in (load, load_head):
        with pytest.raises(
            PermissionError, match=r"hf-hub:org/model is gated: accept its terms at http\S+/org/model"
        ):
            get("hf-hub:org/model")
    load("hf-hub:org/model", token="good-token")


def test_no_such_revision(hub, load, load_head):
    for get in (load, load_head):
        with pytest.raises(
            FileNotFoundError, match=r"hf-hub:org/model@v9: the repository has no revision 'v9'"
        ):
            get("hf-hub:org/model", revision="v9")


def test_revision_twice(hub, load, load_head):
    for get in (load, load_head):
        with pytest.raises(ValueError, match="names the revision 'v1', and revision='v2' another: give one"):
            get("hf-hub:org/model@v1", revision="v2")
    assert hub.requests == []


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("hf-hub:", "a name on the Hub is 'hf-hub:org/repo' or 'hf-hub:org/repo@revision'"),
        ("hf-hub:org/model@", "a name on the Hub is"),
        ("hf-hub:a/b/c", "'a/b/c' cannot be a repository, whose name is 'org/repo'"),
        ("hf-hub:org/-.-", "cannot be a repository"),
        ("hf_hub:org/model", "does not name a saved model: .* a repository 'hf-hub:org/repo'"),
    ],
)
@pytest.mark.parametrize("options", [{}, {"force_download": True}, {"local_files_only": True}])
def test_names_that_cannot_be_a_repository(hub, load, name, message, options):
    with pytest.raises(
        ValueError, match=message if name.startswith("hf-") or not options else "is for the Hub"
    ):
        load(name, **{"cache_dir": None, **options})
    assert hub.requests == []


def test_missing_files(hub, load, load_head, pushed):
    repo = hub.repos["org/model"]
    repo.commit({"head.safetensors": None})
    with pytest.raises(
        FileNotFoundError, match=r"has no head.safetensors: it was pushed without a head; .*head=head"
    ):
        load_head("hf-hub:org/model")
    repo.commit({"model.safetensors": None})
    with pytest.raises(
        FileNotFoundError, match=r"is not a complete landmarkzoo model: .* no model.safetensors"
    ):
        load("hf-hub:org/model")
    repo.commit({"config.json": None})
    for get in (load, load_head):
        with pytest.raises(
            FileNotFoundError,
            match=r"is not a complete landmarkzoo model: .* has no config.json; model.push_to",
        ):
            get("hf-hub:org/model")


@pytest.mark.parametrize("missing", ["model.safetensors", "config.json"])
def test_pickles_are_never_asked_for(hub, load, missing):
    repo = hub.repos["org/model"]
    repo.private = True
    load("hf-hub:org/model", token="good-token")
    repo.commit({missing: None, "pytorch_model.bin": b"cos\nsystem\n(S'true'\ntR."})
    with pytest.raises(
        FileNotFoundError, match=rf"no {missing}, only pytorch_model.bin. Pickles .* only safetensors"
    ):
        load("hf-hub:org/model", token="good-token")
    assert hub.paths(r"\.bin") == []


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: data[:-100],
        lambda data: data[:4],
        lambda data: b"garbage" * 20_000,
        lambda data: data[:-1] + bytes([data[-1] ^ 1]),  # one bit of one weight: still a safetensors file
    ],
    ids=["truncated", "a few bytes", "garbage", "one bit"],
)
@pytest.mark.parametrize("online", [True, False])
def test_a_damaged_cache_is_noticed_and_mended(hub, load, load_head, cache, pushed, damage, online):
    for get, name in ((load, "model.safetensors"), (load_head, "head.safetensors")):
        get("hf-hub:org/model")
        path = next(cache.rglob(name)).resolve()
        path.write_bytes(damage(path.read_bytes()))
        with pytest.raises(
            ValueError, match=rf"{name} is damaged: .*; force_download=True downloads it again"
        ):
            get("hf-hub:org/model", local_files_only=not online)
        get("hf-hub:org/model", force_download=True)
    assert np.array_equal(load("hf-hub:org/model").output, pushed.output)


def test_a_repository_that_holds_garbage(hub, load, pushed):
    hub.repos["org/model"].commit({"model.safetensors": pushed.files["model.safetensors"][:-10]})
    for options in ({}, {"force_download": True}):
        with pytest.raises(ValueError, match=r"is damaged: .* does not help if the file in the repository"):
            load("hf-hub:org/model", **options)
    hub.repos["org/model"].commit({**pushed.files, "config.json": b'{"format": '})
    with pytest.raises(ValueError, match=r"config.json is damaged"):
        load("hf-hub:org/model")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"format": "landmarkzoo.model.v2"},
            r"models--org--model\S+config.json .* a newer landmarkzoo: upgrade",
        ),
        ({"format": None}, r"models--org--model\S+config.json has the format None, .* of another library"),
        ({"architecture": "DELG"}, "architecture 'DELG' is not registered"),
        ({"gamma": 3}, "damaged or of a newer landmarkzoo: gamma unknown"),
        (
            {"args": {"backbone": "test_efficientnet", "pretrained_backbone": True}},
            "has no argument 'pretrained_b",
        ),
        (
            {"args": {"backbone": "test_efficientnet", "embedding_dim": 8}},
            r"does not fit its config.json: neck.0.weight has shape \(16, 256\), not \(8, 256\)",
        ),
    ],
)
def test_configs_that_do_not_fit(hub, load, pushed, changes, message):
    hub.repos["org/model"].commit(edited(pushed, **changes))
    with pytest.raises(ValueError, match=message):
        load("hf-hub:org/model")
    assert hub.paths("timm") == []


def test_arguments_for_the_hub_with_other_names(hub, call, pushed):
    local = f"local-dir:{pushed.folder}"
    for options in ({"revision": "v1"}, {"token": "t"}, {"cache_dir": "c"}, {"local_files_only": True}):
        (name,) = options
        for get, model in (
            (hub_client.load, local),
            (hub_client.load_head, local),
            (hub_client.load, "dinov2_vit_small"),
        ):
            with pytest.raises(
                ValueError, match=f"{name} is for the Hub, 'hf-hub:org/repo', not for '{model}'"
            ):
                call(get, model, **options)
    with pytest.raises(ValueError, match="revision, force_download are for the Hub"):
        call(hub_client.load, "efficientnet_lite0_gem", revision="v1", force_download=True)
    with pytest.raises(
        ValueError, match=r"no landmark weights of 'dinov2_vit_small' can be loaded .*'hf-hub:org/repo'"
    ):
        call(hub_client.load, "dinov2_vit_small", pretrained=True, revision="v1")


@pytest.mark.parametrize("how", ["down", "503"])
@pytest.mark.parametrize("options", [{}, {"force_download": True}])
def test_a_dead_hub_and_nothing_cached(hub, call, cache, how, options):
    hub.stop() if how == "down" else hub.broken.update({"": 503})
    message = "no connection to http" if how == "down" else r"cannot answer now \(503\): try again later"
    try:
        with pytest.raises(ConnectionError, match=f"hf-hub:org/model: .*{message}"):
            call(hub_client.load_without_patience, "hf-hub:org/model", cache_dir=cache, **options)
    finally:
        if how == "down":
            hub.start()


@pytest.mark.parametrize("file", ["model.safetensors", "classes.json", "head.safetensors"])
def test_a_hub_that_dies_in_between(hub, call, cache, file):
    """Class names that could not be had are an error: only those that are not there are None."""
    get = (
        hub_client.load_without_patience
        if file.startswith("model")
        else hub_client.load_head_without_patience
    )
    hub.broken[file] = 503
    with pytest.raises(ConnectionError, match=r"hf-hub:org/model@\w{40}: .* cannot answer now \(503\)"):
        call(get, "hf-hub:org/model", cache_dir=cache)


def test_a_hub_that_dies_between_model_and_head(hub, call, cache):
    """With the config in the cache, the client would try for half a minute: we ask once."""
    call(hub_client.load, "hf-hub:org/model", cache_dir=cache)
    hub.stop()
    try:
        with pytest.raises(ConnectionError, match="hf-hub:org/model: no connection to http"):
            call(hub_client.load_head_without_waiting, "hf-hub:org/model", cache_dir=cache)
    finally:
        hub.start()


def test_a_refused_request_is_not_a_missing_file(hub, call, cache):
    hub.broken[""] = 400
    with pytest.raises(OSError, match=r"refuses the request \(400"):
        call(hub_client.load_without_patience, "hf-hub:org/model", cache_dir=cache)


def test_a_damaged_config_in_the_cache_is_noticed(hub, load, cache):
    load("hf-hub:org/model")
    (blob,) = {path.resolve() for path in cache.rglob("config.json")}
    blob.write_bytes(blob.read_bytes().replace(b": 16", b": 17"))
    with pytest.raises(ValueError, match=r"config.json is damaged: its content does not have the hash"):
        load("hf-hub:org/model")


def test_a_server_that_is_not_a_hub(hub, load):
    hub.broken["config.json"] = 200
    with pytest.raises(ConnectionError, match="does not answer as a Hub does: check HF_ENDPOINT and proxies"):
        load("hf-hub:org/model")


def test_a_slow_hub_is_not_waited_for_in_silence(hub, call, cache, pushed, tmp_path):
    """The Hub answers only when the client has said that it waits, and for what."""
    said = tmp_path / "said"

    def wait(request):
        if len(hub.requests) < 2:  # the first one only asks whether the Hub is there
            return
        hub.before = lambda request: None
        deadline = time.monotonic() + 30  # so that a client that says nothing fails the test
        while not said.exists() and time.monotonic() < deadline:
            time.sleep(0.01)

    hub.before = wait
    loaded = call(hub_client.load_and_write_log, "hf-hub:org/model", said, cache_dir=cache)
    assert np.array_equal(loaded.output, pushed.output)
    assert said.read_text() == (
        f"hf-hub:org/model: no answer from {hub.url} for 0.05 seconds, still trying. Press Ctrl-C to stop; "
        "to use only what was downloaded before, give local_files_only=True or set HF_HUB_OFFLINE=1"
    )
