"""Files of CosPlace and EigenPlaces become models that compute what their code computes."""

import pytest
import torch
from foreign_resnets import distance, gem, normalised, randomize, torchvision_trunk
from torch import nn
from torch.nn import functional as F

import landmarkzoo as lz
from landmarkzoo.models import convert_state_dict

SIZES = {18: 512, 50: 128, 101: 256}  # depth: size of the descriptor
NAMES = {
    18: "cosplace_resnet18",
    50: "cosplace_resnet50.sf_xl_128",
    101: "eigenplaces_resnet101.sf_xl_256",
}


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
    model, head = lz.convert_checkpoint(tmp_path / "net.pth", NAMES[depth])
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
    _, _, report = convert_state_dict(state, NAMES[18])
    assert sorted(report.matched.values()) == sorted(state)
    assert report.matched["global_pool.p"] == "aggregation.1.p"
    assert (report.unused, report.missing_keys) == ({}, ())


def test_another_size_is_named_and_can_be_given():
    state = network(50).state_dict() | {
        "aggregation.3.weight": torch.randn(64, 2048),
        "aggregation.3.bias": torch.randn(64),
    }
    fits = r"but 'cosplace_resnet50' has embedding_dim=512\. It fits cosplace_resnet50\.sf_xl_64$"
    with pytest.raises(ValueError, match=f"has embedding_dim=64, {fits}"):
        convert_state_dict(state, "cosplace_resnet50")
    model, _, _ = convert_state_dict(state, "cosplace_resnet50", embedding_dim=64)
    assert torch.equal(model.neck[0].weight, state["aggregation.3.weight"])
