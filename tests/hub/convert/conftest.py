import warnings
from typing import Any

import pytest
import torch
from henkel_release import export, release
from torch import nn


@pytest.fixture(scope="session")
def net() -> nn.Module:
    """A small model of the authors' class."""
    torch.manual_seed(0)
    return release()


@pytest.fixture(scope="session")
def exported(net: nn.Module, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """As the authors exported it: batch norms are folded into convolutions."""
    onnx = pytest.importorskip("onnx", reason="pip install onnx")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        image = torch.zeros(1, 3, 64, 96)
        path = export(net, tmp_path_factory.mktemp("onnx") / "model_headless.onnx", image)
    return onnx.load(path)
