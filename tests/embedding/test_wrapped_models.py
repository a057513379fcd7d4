"""Models inside torch.compile, DataParallel and DistributedDataParallel embed like the model itself."""

import numpy as np
import pytest
import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel
from torch.optim.swa_utils import AveragedModel

import landmarkzoo as lz
from landmarkzoo.embedding.fingerprints import weights_fingerprint


def compiled(model):
    return torch.compile(model, backend="eager", dynamic=True)


NESTINGS = {
    "compile": [compiled],
    "dp": [nn.DataParallel],
    "ddp": [DistributedDataParallel],
    "ddp of compile": [compiled, DistributedDataParallel],
    "compile of ddp": [DistributedDataParallel, compiled],
    "compile of dp of compile": [compiled, nn.DataParallel, compiled],
    "ema": [AveragedModel],
}


@pytest.fixture(scope="module", autouse=True)
def one_process(tmp_path_factory):
    store = tmp_path_factory.mktemp("gloo") / "store"
    dist.init_process_group("gloo", init_method=f"file://{store}", rank=0, world_size=1)
    yield
    dist.destroy_process_group()


@pytest.fixture
def model():
    torch.manual_seed(0)
    return lz.create_model("efficientnet_lite0_gem", embedding_dim=8, pretrained_backbone=True)


@pytest.fixture
def photos():
    random = np.random.default_rng(0)
    return list(random.integers(0, 256, (4, 64, 64, 3), dtype=np.uint8))


def wrap(model, nesting):
    for wrapper in NESTINGS[nesting]:
        model = wrapper(model)
    return model


@pytest.mark.parametrize(
    ("nesting", "training"),
    [*((nesting, True) for nesting in NESTINGS), ("compile", False), ("ddp of compile", False)],
)
def test_embedding(model, photos, nesting, training):
    expected = lz.embed(model, photos, progress=False)
    wrapped = wrap(model, nesting)
    wrapped.train(training)
    modes = [module.training for module in wrapped.modules()]
    buffers = [buffer.clone() for buffer in wrapped.buffers()]
    ours = lz.embed(wrapped, photos, progress=False)
    np.testing.assert_allclose(ours.vectors, expected.vectors, atol=1e-6)
    assert ours.provenance == expected.provenance
    assert lz.search(ours, expected, k=1).indices[:, 0].tolist() == [0, 1, 2, 3]
    assert [module.training for module in wrapped.modules()] == modes
    assert all(torch.equal(one, other) for one, other in zip(buffers, wrapped.buffers()))


@pytest.mark.parametrize("nesting", [n for n in NESTINGS if n != "ema"])
def test_whitening(model, photos, nesting):
    twin = lz.create_model("efficientnet_lite0_gem", embedding_dim=3)
    model = lz.create_model("efficientnet_lite0_gem", embedding_dim=3)
    model.load_state_dict(twin.state_dict())
    lz.whiten_neck(twin, photos, progress=False)
    wrapped = wrap(model, nesting)
    assert lz.whiten_neck(wrapped, photos, progress=False) is wrapped
    assert weights_fingerprint(wrapped) == weights_fingerprint(model) == weights_fingerprint(twin)


def test_parts_that_are_compiled(model, photos):
    expected = lz.embed(model, photos, progress=False)
    model.backbone = compiled(model.backbone)
    assert any("_orig_mod" in name for name in model.state_dict())
    for training in (True, False):
        ours = lz.embed(model.train(training), photos, progress=False)
        np.testing.assert_allclose(ours.vectors, expected.vectors, atol=1e-6)
        assert ours.provenance == expected.provenance


def test_a_model_compiled_in_place(model, photos):
    expected = lz.embed(model, photos, progress=False)
    calls = []

    def counting(graph, _):
        return lambda *inputs: calls.append(1) or graph.forward(*inputs)

    model.compile(backend=counting, dynamic=True)
    np.testing.assert_allclose(lz.embed(model, photos, progress=False).vectors, expected.vectors, atol=1e-6)
    assert not calls  # in training mode it is not what runs
    ours = lz.embed(model.eval(), photos, progress=False)
    assert calls
    np.testing.assert_allclose(ours.vectors, expected.vectors, atol=1e-6)
    assert ours.provenance == expected.provenance


def test_evaluating_a_wrapped_model(model):
    data = lz.rendered.RenderedLandmarks(2, 4, 1, image_size=64)
    expected = lz.evaluate(model, data, resamples=10, progress=False)
    ours = lz.evaluate(nn.DataParallel(model), data, resamples=10, progress=False)
    assert ours["mAP@100"] == expected["mAP@100"]
    assert ours.provenance == expected.provenance
