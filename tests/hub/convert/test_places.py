"""Files of CosPlace and EigenPlaces become models that compute what their code computes."""

import pytest
import torch
from foreign_resnets import distance, gem, normalised, randomize, torchvision_trunk
from torch import nn
from torch.nn import functional as F

import landmarkzoo as lz
from landmarkzoo.models import convert_state_dict

SIZES = {18: 512, 50: 128, 101: 256}  # depth: size of the descriptor


@pytest.fixture(scope="module", autouse=True)
def registered():
    for depth, dim in SIZES.items():
        args = {"backbone": f"resnet{depth}", "neck": "fc", "embedding_dim": dim, "normalize_map": True}
        cfg = lz.ModelCfg("GlobalDescriptor", args, embedding_dim=dim)
        lz.register_model(f"test_places_resnet{depth}", cfg, exist_ok=True)


def network(depth):
    """Their model under their names; the L2 norms at 0, 2 and 4 of the aggregation have no weights."""
    torch.manual_seed(depth)
    net = nn.Module()
    net.backbone = torchvision_trunk(depth)
    pool = nn.Module()
    pool.p = nn.Parameter(torch.tensor([3.7]))
    linear = nn.Linear(512 if depth == 18 else 2048, SIZES[depth])
    net.aggregation = nn.ModuleList([nn.Identity(), pool, nn.Identity(), linear, nn.Identity()])
    return randomize(net)


@torch.no_grad()
def their_descriptors(net, photos, *, map_norm=True):
    features = net.backbone(normalised(photos))
    if map_norm:
        features = F.normalize(features, dim=1)
    return F.normalize(net.aggregation[3](gem(features, net.aggregation[1].p, 1e-6)), dim=1)


@pytest.mark.parametrize("depth", SIZES)
def test_computes_what_their_code_computes(depth, tmp_path):
    net = network(depth)
    torch.save(net.state_dict(), tmp_path / "net.pth")
    model, head = lz.convert_checkpoint(tmp_path / "net.pth", f"test_places_resnet{depth}")
    model.eval()
    assert head is None
    assert model.embedding_dim == SIZES[depth]
    for shape in ((97, 131), (75, 64)):
        photos = torch.rand(2, 3, *shape)
        with torch.no_grad():
            ours = model(normalised(photos))
        assert distance(ours, their_descriptors(net, photos)) < 1e-5
        assert distance(ours, their_descriptors(net, photos, map_norm=False)) > 1e-3


def test_every_tensor_is_used():
    state = network(18).state_dict()
    _, _, report = convert_state_dict(state, "test_places_resnet18")
    assert sorted(report.matched.values()) == sorted(state)
    assert report.matched["global_pool.p"] == "aggregation.1.p"
    assert (report.unused, report.missing_keys) == ({}, ())


def test_another_size_is_named_and_can_be_given():
    state = network(50).state_dict() | {
        "aggregation.3.weight": torch.randn(64, 2048),
        "aggregation.3.bias": torch.randn(64),
    }
    with pytest.raises(
        ValueError, match=r"has embedding_dim=64, but 'test_places_resnet50' has embedding_di"
    ):
        convert_state_dict(state, "test_places_resnet50")
    model, _, _ = convert_state_dict(state, "test_places_resnet50", embedding_dim=64)
    assert torch.equal(model.neck[0].weight, state["aggregation.3.weight"])
