"""Without a network every call that wants weights answers soon, in one line; what is cached is used."""

import contextlib
import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import hub_client
import numpy as np
import pytest
import timm
import torch
from file_server import silent_server
from hub_server import Repo
from safetensors.torch import save

import landmarkzoo as lz

TIMMS = "test_efficientnet.r160_in1k"  # the smallest model of timm that has weights
CALLS = """
import json, sys, time
import landmarkzoo as lz
import hub_client

def no_second_try(seconds):
    raise AssertionError("the client waits to try again")

time.sleep = no_second_try
for call in json.loads(sys.argv[1]):
    start = time.monotonic()
    try:
        eval(call)
    except (OSError, lz.WeightsNotFoundError) as error:
        print(f"{time.monotonic() - start:.1f} s", type(error).__name__, error)
"""
BACKBONE = "lz.create_model({!r}, pretrained_backbone=True{})"
FROM_TIMM = BACKBONE.format("dinov2_vit_small", "")
NOT_ON_THE_HUB = BACKBONE.format("efficientnet_lite0_gem", ", backbone='gcvit_xxtiny'")
WANT_WEIGHTS = {
    FROM_TIMM: "WeightsNotFoundError",
    BACKBONE.format("hybrid_efficientnet_b0_swin_tiny_224", ""): "WeightsNotFoundError",
    NOT_ON_THE_HUB: "WeightsNotFoundError",
    "lz.create_model('hf-hub:org/model')": "ConnectionError",
    "lz.create_model('megaloc', pretrained=True)": "ConnectionError",
    "lz.create_model('eigenplaces_resnet18', pretrained=True)": "ConnectionError",  # by an address of its own
    "lz.load_head('hf-hub:org/model', force_download=True)": "ConnectionError",
    "lz.create_model('efficientnet_lite0_gem').push_to_hub('org/m', token='good-token')": "ConnectionError",
}


@contextlib.contextmanager
def closed_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    yield f"http://127.0.0.1:{port}"


def run(calls, url, home, **more):
    environment = {**os.environ, **hub_client.environment(url, home, **more)}
    environment |= {"HTTPS_PROXY": url, "https_proxy": url, "TORCH_HOME": str(home)}
    environment["PYTHONPATH"] = os.pathsep.join([str(Path(hub_client.__file__).parent), *sys.path])
    command = [sys.executable, "-c", CALLS, json.dumps(list(calls))]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout.splitlines()


@pytest.mark.parametrize("network", [closed_port, pytest.param(silent_server, marks=pytest.mark.slow)])
def test_the_answer_is_one_line_without_a_second_try(network, tmp_path):
    with network() as url:
        lines = run(WANT_WEIGHTS, url, tmp_path)
    assert len(lines) == len(WANT_WEIGHTS)
    for line, kind in zip(lines, WANT_WEIGHTS.values()):
        assert f"s {kind} " in line
        assert "no connection" in line
        assert "HF_HUB_OFFLINE" not in line  # it is not set
        if network is silent_server:
            assert "no answer within 4 s; HF_HUB_ETAG_TIMEOUT sets how long is waited" in line


def test_the_setting_of_huggingface_hub_waits_longer_or_shorter(tmp_path):
    with silent_server() as url:
        (line,) = run([FROM_TIMM], url, tmp_path, HF_HUB_ETAG_TIMEOUT="1")
    assert "no answer within 1 s" in line


def test_the_reason_is_the_one_at_hand(tmp_path):
    (line,) = run([FROM_TIMM], "http://127.0.0.1:9", tmp_path, HF_HUB_OFFLINE="1")
    assert "HF_HUB_OFFLINE is set, and timm/vit_small_patch14_dinov2.lvd142m is not in the cache" in line
    cached_only = [
        call.replace("=True", "=True, local_files_only=True") for call in (FROM_TIMM, NOT_ON_THE_HUB)
    ]
    for line in run(cached_only, "http://127.0.0.1:9", tmp_path):
        assert "with local_files_only=True nothing is asked, and " in line


@pytest.fixture
def weights(hub):
    """ImageNet weights on the Hub, with numbers of our own."""
    torch.manual_seed(3)
    state = {name: t.clone() for name, t in timm.create_model("test_efficientnet").state_dict().items()}
    hub.repos[f"timm/{TIMMS}"] = Repo()
    hub.repos[f"timm/{TIMMS}"].commit({"model.safetensors": save(state)})
    return state


def backbone(call, cache, **options):
    return call(hub_client.backbone_weights, TIMMS, cache_dir=cache, **options)


def test_timms_weights_come_once_and_then_from_the_cache(hub, call, weights, cache):
    for options in ({}, {"local_files_only": True}, {}):
        came = backbone(call, cache, **options)
        assert set(came) < set(weights)
        assert all(np.array_equal(value, weights[name].numpy()) for name, value in came.items())
    assert len(hub.paths("model.safetensors")) <= 4  # of the first call
    hub.stop()
    try:
        assert backbone(call, cache).keys() == came.keys()
    finally:
        hub.start()
    assert any(cache.rglob("model.safetensors"))


def test_force_download_and_the_token_reach_the_hub(hub, call, weights, cache):
    backbone(call, cache)
    hub.requests.clear()
    hub.repos[f"timm/{TIMMS}"].private = True
    with pytest.raises(lz.WeightsNotFoundError, match="RepositoryNotFoundError"):
        backbone(call, cache, force_download=True)
    backbone(call, cache, force_download=True, token="good-token")
    assert {request.token for request in hub.requests} == {None, "good-token"}


def test_old_repositories_have_no_safetensors(hub, call, weights, cache, tmp_path):
    torch.save(weights, tmp_path / "weights.bin")
    repo = hub.repos[f"timm/{TIMMS}"]
    repo.commit({"model.safetensors": None, "pytorch_model.bin": (tmp_path / "weights.bin").read_bytes()})
    came = backbone(call, cache)
    assert all(np.array_equal(value, weights[name].numpy()) for name, value in came.items())


def test_timms_model_keeps_no_second_copy(hub, call, weights, cache):
    assert call(hub_client.kept_state_dicts, TIMMS, cache_dir=cache) == []


def test_a_slow_network_is_not_cut_off(hub, call, pushed, cache):
    """Each answer takes a second, all of them together more than the patience."""
    hub.before = lambda request: time.sleep(1)
    loaded = call(hub_client.load, "hf-hub:org/model", cache_dir=cache)
    assert len(hub.requests) > 4
    assert np.array_equal(loaded.output, pushed.output)


def test_options_of_the_hub_where_nothing_comes_from_it():
    with pytest.raises(ValueError, match="cache_dir is for the Hub"):
        lz.create_model("efficientnet_lite0_gem", cache_dir="x")
    with pytest.raises(ValueError, match="revision is for the Hub"):
        lz.create_model("efficientnet_lite0_gem", pretrained_backbone=True, revision="v1")
