"""DOLG as its own authors have it on ResNets: without multi-atrous part, projected behind the pooling."""

import pytest
import torch
from torch.nn import functional as F

import landmarkzoo as lz
from landmarkzoo.layers import MultiAtrous

PLAIN = {"dilations": (), "hidden_dim": 256, "global_map": "pooled", "neck": "fc"}


def plain_model(**arguments) -> lz.DOLG:
    return lz.DOLG("resnet18", **{**PLAIN, "embedding_dim": 16, **arguments})


def modules(model) -> set[str]:
    return {name.partition(".")[0] for name in model.state_dict()}


@torch.no_grad()
def test_forward_by_hand():
    model = plain_model().eval()
    model.global_pool.p.fill_(2.5)
    images = torch.randn(2, 3, 97, 131)
    local_map, global_map = model.backbone(images)
    z = model.spatial_attention.norm(model.spatial_attention.project(local_map))
    weight = F.softplus(model.spatial_attention.score(F.relu(z)))
    local = (z / z.norm(dim=1, keepdim=True) * weight).mean((2, 3))
    g = model.global_fc(global_map.clamp(min=1e-6).pow(2.5).mean((2, 3)).pow(1 / 2.5))
    orthogonal = local - (local * g).sum(1, keepdim=True) / g.square().sum(1, keepdim=True) * g
    torch.testing.assert_close(model(images), model.neck[0](torch.cat([orthogonal, g], 1)))
    torch.testing.assert_close(model.attention(images), weight[:, 0])
    assert [tuple(m.shape) for m in model.forward_features(images)] == [(2, 256, 7, 9), (2, 512, 4, 5)]


def test_options_are_independent():
    kept = {"backbone", "spatial_attention", "global_pool", "neck"}
    assert modules(plain_model()) == kept | {"global_fc"}
    assert modules(plain_model(global_map="stage")) == kept | {"global_project", "global_norm"}
    assert modules(plain_model(dilations=(1, 2), hidden_dim=8)) == kept | {"global_fc", "multi_atrous"}
    assert isinstance(lz.DOLG("resnet18", hidden_dim=8, dilations=[3]).multi_atrous, MultiAtrous)
    head = lz.DOLG("resnet10t", dilations=(), hidden_dim=256, global_map="pooled", neck="none")
    assert (head.embedding_dim, modules(head)) == (512, kept - {"neck"} | {"global_fc"})


def test_saved_and_loaded_it_is_the_same(tmp_path):
    model = plain_model().eval()
    model.save_pretrained(tmp_path)
    again = lz.create_model(f"local-dir:{tmp_path}").eval()
    assert dict(again.cfg.args) == dict(model.cfg.args)
    assert {name: again.cfg.args[name] for name in PLAIN} == PLAIN
    images = torch.randn(2, 3, 64, 64)
    assert torch.equal(again(images), model(images))


def test_every_parameter_gets_a_gradient_and_freezing_and_groups_work():
    model = plain_model()
    model(torch.randn(4, 3, 64, 64)).square().sum().backward()
    assert [name for name, p in model.named_parameters() if p.grad is None] == []
    groups = lz.parameter_groups(model, lr=1.0, weight_decay=0.1)
    names = {id(p): name for name, p in model.named_parameters()}
    decayed = {names[id(p)] for group in groups[:1] for p in group["params"]}
    assert decayed == {
        "spatial_attention.project.weight", "spatial_attention.score.weight", "global_fc.weight",
        "neck.0.weight",
    }  # fmt: skip
    assert sum(len(group["params"]) for group in groups) == len(names)
    lz.freeze(model, "backbone", "global_fc")
    assert not model.global_fc.weight.requires_grad
    assert model.neck[0].weight.requires_grad


@torch.no_grad()
def test_the_neck_can_be_whitened():
    model = plain_model(embedding_dim=8)
    images = torch.randn(12, 3, 64, 64)
    lz.whiten_neck(model, images, shrinkage=0, progress=False)
    assert model.cfg.args["normalize_pooled"] is True
    out = model.eval()(images).double()
    torch.testing.assert_close(out.T @ out / 12, torch.eye(8).double(), atol=1e-2, rtol=0)


def test_wrong_arguments_say_what_is_right():
    with pytest.raises(ValueError, match=r"has the 256 channels .* use hidden_dim=256, got 1024"):
        lz.DOLG("resnet18", dilations=())
    with pytest.raises(ValueError, match=r"such as \(6, 12, 18\), or \(\) for none, got 3"):
        lz.DOLG("resnet18", dilations=3)
    with pytest.raises(ValueError, match="neck must be one of"):
        plain_model(neck="linear")
