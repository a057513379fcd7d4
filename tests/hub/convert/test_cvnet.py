"""A file of CVNet becomes CVNet's global branch or SuperGlobal, which compute what their code computes."""

import pytest
import torch
from foreign_resnets import Pycls, distance, gem, normalised, normalised_bgr, randomize
from torch import nn
from torch.nn import functional as F

import landmarkzoo as lz
from landmarkzoo.models import convert_state_dict


def network(depth):
    """Their encoder under their names."""
    torch.manual_seed(depth)
    net = Pycls(depth)
    net.head = nn.Module()
    net.head.pool, net.head.fc = nn.Module(), nn.Linear(2048, 2048)
    net.head.pool.p = nn.Parameter(torch.tensor([2.6]))
    return randomize(net)


def state_of(net):
    """Their state dict; a re-ranker stands beside the encoder."""
    state = {f"encoder_q.{name}": tensor for name, tensor in net.state_dict().items()}
    state["conv2ds.0.weight"] = torch.randn(256, 8, 3, 3)
    return state | {
        "cv_learner.block1.0.weight": torch.randn(4, 4),
        "cv_learner.block1.0.bias": torch.randn(4),
    }


@pytest.fixture(scope="module", params=[50, 101])
def pair(request, tmp_path_factory):
    """Depth, their network, and the file that holds it."""
    net = network(request.param)
    path = tmp_path_factory.mktemp("cvnet") / "CVPR2022_CVNet.pyth"
    checkpoint = {
        "epoch": 39,
        "model_state": state_of(net),
        "optimizer_state": {"state": {}},
        "cfg": "MODEL:\n",
    }
    torch.save(checkpoint, path)
    return request.param, net, path


@torch.no_grad()
def cvnet(net, photos, *, bgr=True, p=None, l2=False):
    pooled = gem(
        net((normalised_bgr if bgr else normalised)(photos)), net.head.pool.p if p is None else p, 1e-6
    )
    return net.head.fc(F.normalize(pooled, dim=1) if l2 else pooled)


@torch.no_grad()
def superglobal(
    net, photos, *, l2=True, p=4.6, eps=1e-8, padding="reflect", regional=True, bgr=True, **floors
):
    x = net((normalised_bgr if bgr else normalised)(photos), **{"floor": 0.014, **floors})
    if regional:
        around = F.pad(x / 25 ** (1 / 2.5), (2, 2, 2, 2), mode=padding)
        x = 0.5 * F.lp_pool2d(around, 2.5, 5, stride=1) + 0.5 * x
    pooled = gem(x, p, eps)
    return net.head.fc(F.normalize(pooled, dim=1) if l2 else pooled)


def test_cvnet_computes_what_their_code_computes(pair):
    depth, net, path = pair
    model, head = lz.convert_checkpoint(path, f"cvnet_resnet{depth}")
    model.eval()
    assert head is None
    assert model.global_pool.eps == 1e-6
    assert (model.cfg.mean, model.cfg.std) == ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    for shape in ((97, 131), (64, 150)):
        photos = torch.rand(2, 3, *shape)
        with torch.no_grad():
            ours = model(normalised(photos))
        assert distance(ours, cvnet(net, photos)) < 1e-5
        for wrong in ({"bgr": False}, {"p": 3.0}, {"l2": True}):
            assert distance(ours, cvnet(net, photos, **wrong)) > 1e-3, wrong


WRONG = [
    {"bgr": False},
    {"l2": False},
    {"p": 2.6},
    {"regional": False},
    {"padding": "replicate"},
    {"floor": 0.0},
    {"inner_floor": 0.0},
    {"floored_stages": (1, 2)},
    {"floored_stages": (1, 2, 3, 4)},
]


def test_superglobal_computes_what_their_code_computes(pair):
    depth, net, path = pair
    model, _ = lz.convert_checkpoint(path, f"superglobal_resnet{depth}")
    model.eval()
    for shape in ((65, 200), (97, 131)):
        photos = torch.rand(2, 3, *shape)
        with torch.no_grad():
            ours = model(normalised(photos))
        assert distance(ours, superglobal(net, photos)) < 1e-5
    for wrong in WRONG if depth == 50 else WRONG[:1]:
        assert distance(ours, superglobal(net, photos, **wrong)) > 3e-4, wrong


def test_the_smallest_values_count_as_in_their_code():
    """With a last map of tiny numbers, the lower bound of GeM decides the descriptor."""
    net = network(50)
    with torch.no_grad():
        for block in net.s4.children():
            for norm in (block.f.c_bn, *([block.bn] if hasattr(block, "bn") else [])):
                norm.weight *= 1e-7
                norm.bias *= 1e-7
    photos = torch.rand(1, 3, 97, 131)
    model, _, _ = convert_state_dict(state_of(net), "superglobal_resnet50")
    with torch.no_grad():
        ours = model.eval()(normalised(photos))
    assert distance(ours, superglobal(net, photos)) < 1e-5
    assert distance(ours, superglobal(net, photos, eps=1e-6)) > 1e-2


def test_the_report_names_what_is_unused_and_what_is_changed():
    net = network(50)
    state = state_of(net)
    model, _, report = convert_state_dict({"model_state": state}, "cvnet_resnet50")
    assert report.unused == {name: "CVNet's re-ranker" for name in state if not name.startswith("encoder_q.")}
    assert {*report.matched.values()} | report.unused.keys() == state.keys()
    assert report.notes == ("the input is RGB: the first convolution took blue, green, red",)
    assert torch.equal(model.backbone.conv1.weight, state["encoder_q.stem.conv.weight"][:, [2, 1, 0]])
    assert model.global_pool.p.item() == pytest.approx(2.6)

    model, _, report = convert_state_dict(state, "superglobal_resnet50")
    assert model.global_pool.p.item() == pytest.approx(4.6)
    assert "the power of GeM is that of SuperGlobal" in str(report)
    assert state["encoder_q.head.pool.p"].item() == pytest.approx(2.6)  # what came is not changed
    model, _, _ = convert_state_dict(state, "superglobal_resnet50", pool_args={})
    assert (model.global_pool.p.item(), model.global_pool.eps) == (pytest.approx(4.6), 1e-8)


@pytest.mark.parametrize(("name", "theirs"), [("cvnet", cvnet), ("superglobal", superglobal)])
def test_a_download_computes_it_too(pair, downloaded, name, theirs):
    depth, net, path = pair
    model, photos = downloaded(f"{name}_resnet{depth}", "cvnet", path), torch.rand(2, 3, 97, 131)
    with torch.no_grad():
        assert distance(model(normalised(photos)), theirs(net, photos)) < 1e-5
