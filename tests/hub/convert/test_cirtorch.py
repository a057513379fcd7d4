"""Files of cirtorch become models that compute what its code computes."""

import numpy as np
import pytest
import torch
from foreign_resnets import distance, gem, normalised, randomize, torchvision_trunk
from torch import nn

import landmarkzoo as lz
from landmarkzoo.models import convert_state_dict

NAMES = {50: "gem_resnet50", 101: "gem_resnet101.gl18"}


def network(depth):
    """A network of cirtorch: its modules under its names."""
    torch.manual_seed(depth)
    net = nn.Module()
    net.features, net.pool, net.whiten = torchvision_trunk(depth), nn.Module(), nn.Linear(2048, 2048)
    net.pool.p = nn.Parameter(torch.tensor([2.3]))
    return randomize(net)


@torch.no_grad()
def their_descriptors(net, photos, *, first_norm=True):
    def l2(x):
        return x / (x.norm(dim=1, keepdim=True) + 1e-6)

    pooled = gem(net.features(normalised(photos)), net.pool.p, 1e-6)
    return l2(net.whiten(l2(pooled) if first_norm else pooled))


def saved(net, path):
    meta = {
        "architecture": "resnet",
        "whitening": True,
        "mean": [0.485, 0.456, 0.406],
        "Lw": {"sfm": {"P": np.eye(3), "m": np.zeros(3)}},
    }
    torch.save({"meta": meta, "state_dict": net.state_dict()}, path)
    return path


@pytest.mark.parametrize("depth", NAMES)
def test_computes_what_their_code_computes(depth, tmp_path):
    net = network(depth)
    model, head = lz.convert_checkpoint(saved(net, tmp_path / "net.pth"), NAMES[depth])
    model.eval()
    assert head is None
    assert model.global_pool.eps == 1e-6
    for shape in ((97, 131), (64, 200)):
        photos = torch.rand(2, 3, *shape)
        expected = their_descriptors(net, photos)
        with torch.no_grad():
            ours = model(normalised(photos))
        assert distance(ours, expected) < 1e-5
        assert distance(expected[:1], expected[1:]) > 1e-3
        assert distance(ours, their_descriptors(net, photos, first_norm=False)) > 1e-3


def test_every_tensor_is_used(tmp_path):
    net = network(50)
    _, _, report = convert_state_dict({"state_dict": net.state_dict()}, NAMES[50])
    assert sorted(report.matched.values()) == sorted(net.state_dict())
    assert report.matched["backbone.layer3.5.bn2.running_var"] == "features.6.5.bn2.running_var"
    assert report.matched["neck.0.weight"] == "whiten.weight"
    assert (report.unused, report.missing_keys) == ({}, ())
    assert report.notes == ("GeM, L2, Linear, as in cirtorch",)


def test_the_layout_says_how_the_parts_are_put_together():
    args = {"backbone": "resnet50", "embedding_dim": 2048, "pool": "avg"}
    lz.register_model(
        "test_cirtorch_plain", lz.ModelCfg("GlobalDescriptor", args, embedding_dim=2048), exist_ok=True
    )
    model, _, _ = convert_state_dict(network(50).state_dict(), "test_cirtorch_plain")
    assert (model.pool, model.neck.kind, model.neck.normalize_input) == ("gem", "fc", True)
    assert model.global_pool.p.item() == pytest.approx(2.3)


def test_a_missing_tensor_is_named_as_they_call_it():
    state = network(50).state_dict()
    del state["features.5.0.downsample.1.running_mean"]
    with pytest.raises(ValueError, match=r"features\.5\.0\.downsample\.1\.running_mean is missing"):
        convert_state_dict(state, NAMES[50])


def test_a_download_computes_it_too(downloaded, tmp_path):
    net = network(50)
    saved(net, tmp_path / "net.pth")
    model, photos = downloaded("gem_resnet50", "cirtorch", tmp_path / "net.pth"), torch.rand(2, 3, 97, 131)
    with torch.no_grad():
        assert distance(model(normalised(photos)), their_descriptors(net, photos)) < 1e-5
