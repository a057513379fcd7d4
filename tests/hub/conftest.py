import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import hub_client
import numpy as np
import pytest
import torch
from file_server import file_server
from henkel_release import export, release
from hub_server import HubServer, Repo
from torch import nn

import landmarkzoo as lz
from landmarkzoo.hub.published_files import WeightsFile
from landmarkzoo.models import registry

Call = Callable[..., Any]


@dataclass(frozen=True)
class Saved:
    """A model with head and class names in a folder."""

    folder: Path
    cfg: lz.ModelCfg
    output: np.ndarray
    centers: np.ndarray
    names: list[str]

    @property
    def files(self) -> dict[str, bytes | None]:
        return {path.name: path.read_bytes() for path in self.folder.iterdir()}


def save(folder: Path, seed: int) -> Saved:
    torch.manual_seed(seed)
    model = lz.create_model("efficientnet_lite0_gem", backbone="test_efficientnet", embedding_dim=16)
    head, names = lz.SubCenterArcFaceDynamic(16, 3, margins=0.3), ["Taj Mahal", "Charminar", "塔"]
    model.save_pretrained(folder, head, names)
    return Saved(folder, model.cfg, hub_client.descriptors(model), head.weight.detach().numpy(), names)


@pytest.fixture(scope="session")
def pushed(tmp_path_factory: pytest.TempPathFactory) -> Saved:
    """What the tests find on the Hub."""
    return save(tmp_path_factory.mktemp("pushed"), seed=0)


@pytest.fixture(scope="session")
def other(tmp_path_factory: pytest.TempPathFactory) -> Saved:
    """A model of the same shape with other weights."""
    return save(tmp_path_factory.mktemp("other"), seed=1)


@pytest.fixture(scope="session")
def server() -> Iterator[HubServer]:
    server = HubServer()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def client(server: HubServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProcessPoolExecutor]:
    with hub_client.start(hub_client.environment(server.url, tmp_path_factory.mktemp("home"))) as pool:
        yield pool


@pytest.fixture
def hub(server: HubServer, pushed: Saved) -> HubServer:
    """The server with one repository, org/model."""
    server.reset()
    server.repos["org/model"] = Repo()
    server.repos["org/model"].commit(pushed.files)
    return server


@pytest.fixture
def call(client: ProcessPoolExecutor) -> Call:
    """Call a function of ``hub_client`` in the process of the client."""
    return lambda function, *args, **options: client.submit(function, *args, **options).result(300)


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


@pytest.fixture
def load(call: Call, cache: Path) -> Call:
    return partial(call, hub_client.load, cache_dir=cache)


@pytest.fixture
def load_head(call: Call, cache: Path) -> Call:
    return partial(call, hub_client.load_head, cache_dir=cache)


@pytest.fixture
def push(call: Call, pushed: Saved) -> Call:
    return partial(call, hub_client.push, pushed.folder, token="good-token")


@pytest.fixture
def downloaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Call:
    """A registered model with the weights of a file that a server gives; what the second start has."""

    def run(name: str, layout: str, file: Path) -> Any:
        with file_server() as web:
            weights = WeightsFile(layout, url=web.serve(f"/{file.name}", file.read_bytes()))
            entry = replace(lz.get_model_cfg(name), weights=weights)
            monkeypatch.setitem(registry._MODELS, "served", {"tag": entry})
            for _ in range(2):
                model = lz.create_model("served.tag", pretrained=True, cache_dir=tmp_path / "cache")
            assert len(web.requests) == 1
        assert (tmp_path / "cache" / "served.tag.landmarkzoo-1" / "model.safetensors").is_file()
        return model.eval()

    return run


@pytest.fixture(scope="session")
def net() -> nn.Module:
    """A small model of the class of the paper's authors."""
    torch.manual_seed(0)
    return release()


@pytest.fixture(scope="session")
def exported(net: nn.Module, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """As they exported it: batch norms are folded into convolutions."""
    onnx = pytest.importorskip("onnx", reason="needs the extra onnx")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        image = torch.zeros(1, 3, 64, 96)
        path = export(net, tmp_path_factory.mktemp("onnx") / "model_headless.onnx", image)
    return onnx.load(path)
