"""The layout of the ICCV 2021 DOLG: what is converted computes what their code computes."""

import copy
from functools import cache

import pytest
import torch
from reference_iccv_dolg import forward, random_state
from torch.nn import functional as F

import landmarkzoo as lz
from landmarkzoo.models import convert_state_dict

SHAPES = [(97, 131), (64, 64), (160, 75)]


@cache
def state_of(depth):
    return random_state(depth)


@pytest.fixture(scope="module", params=[50, 101])
def checkpoint(request, tmp_path_factory):
    """Depth, state and file; one file as their trainer writes it, one plain."""
    state = state_of(request.param)
    path = tmp_path_factory.mktemp("dolg") / f"r{request.param}_dolg_512.pt"
    torch.save({"model_state": state, "cfg": "MODEL:"} if request.param == 50 else state, path)
    return request.param, state, path


@pytest.fixture(scope="module")
def converted(checkpoint):
    depth, state, path = checkpoint
    model, head = lz.convert_checkpoint(path, f"dolg_resnet{depth}")
    return state, model.eval(), head.eval()


@torch.no_grad()
def worst_distance(model, state, shapes=SHAPES):
    """Between unit descriptors of the same photos, in RGB for ours and in BGR for theirs."""
    torch.manual_seed(3)
    distances = []
    for shape in shapes:
        rgb = torch.randn(2, 3, *shape, dtype=model.dtype)
        ours, theirs = F.normalize(model(rgb)), F.normalize(forward(state, rgb.flip(1)))
        assert (theirs[0] - theirs[1]).norm() > 0.05  # the descriptor sees what is in the photo
        distances.append((ours - theirs).norm(dim=1).max().item())
    return max(distances)


def test_equals_their_computation(converted):
    state, model, head = converted
    assert worst_distance(model, state) < 1e-5
    exact = {name: t.double() for name, t in state.items()}
    assert worst_distance(copy.deepcopy(model).double(), exact, SHAPES[:1]) < 1e-12
    assert model.cfg.args["projection"] == "exact"
    rgb = torch.randn(2, 3, 97, 131)
    with torch.no_grad():
        theirs = F.normalize(forward(state, rgb.flip(1))) @ F.normalize(state["desc_cls.weight"]).T
        torch.testing.assert_close(head.cosine(model(rgb)), theirs, atol=1e-5, rtol=0)
    assert (head.num_classes, head.sub_centers) == (7, 1)


@torch.no_grad()
def test_what_a_wrong_conversion_would_change(converted):
    """Colours, halves, projection, power: each of them is seen by the comparison above."""
    state, model, _ = converted
    changes = {
        "colours as theirs": (model.backbone.conv1.weight, lambda w: w.flip(1)),
        "halves as theirs": (model.neck[0].weight, lambda w: w.roll(1024, 1)),
        "p of 3": (model.global_pool.p, lambda p: torch.full_like(p, 3.0)),
    }
    for tensor, changed in changes.values():
        before = tensor.clone()
        tensor.copy_(changed(before))
        assert worst_distance(model, state, SHAPES[:1]) > 1e-3
        tensor.copy_(before)
    model.fusion.projection = "reference"
    assert worst_distance(model, state, SHAPES[:1]) > 1e-3
    model.fusion.projection = "exact"
    assert worst_distance(model, state, SHAPES[:1]) < 1e-5


def test_report_of_what_became_of_all_tensors():
    state = state_of(50)
    model, _, report = convert_state_dict(state, "dolg_resnet50")
    assert report.unused == {"desc_cls.t": "a state of their loss"}
    assert report.missing_keys == ()
    assert len(report.matched) == len(model.state_dict()) + 1
    assert report.matched["backbone.layer3.5.bn2.weight"] == "globalmodel.s3.b6.f.b_bn.weight"
    assert "blue, green, red became red, green, blue" in report.notes


def test_a_checkpoint_of_their_code_with_a_fixed_power():
    state = {**state_of(50), "pool1.p": torch.tensor([2.2])}
    del state["pool_g.p"]
    model, _, report = convert_state_dict(state, "dolg_resnet50")
    assert model.global_pool.p.item() == 3.0
    assert report.missing_keys == ("global_pool.p",)
    assert set(report.unused) == {"desc_cls.t", "pool1.p"}
    assert "GeM's p=3, fixed in their code" in report.notes[0]
    assert worst_distance(model.eval(), {**state, "pool_g.p": torch.tensor([3.0])}) < 1e-5


def test_without_a_head():
    state = {name: t for name, t in state_of(50).items() if not name.startswith("desc_cls")}
    _, head, report = convert_state_dict({"model_state": state}, "dolg_resnet50")
    assert head is None
    assert report.unused == {}


def test_a_checkpoint_of_another_depth_or_damaged():
    state = dict(state_of(101))
    with pytest.raises(
        ValueError, match=r"backbone='resnet101', but 'dolg_resnet50.*fits dolg_resnet101\.gldv2"
    ):
        convert_state_dict(state, "dolg_resnet50")
    del state["globalmodel.stem.conv.weight"]
    with pytest.raises(ValueError, match=r"globalmodel\.stem\.conv\.weight is missing"):
        convert_state_dict(state, "dolg_resnet101")
    with pytest.raises(ValueError, match=r"fc\.weight has shape \(512,\), not \(512, 2048\)"):
        convert_state_dict({**state_of(50), "fc.weight": torch.zeros(512)}, "dolg_resnet50")


def test_saved_and_loaded_it_is_the_same(converted, tmp_path):
    state, model, head = converted
    model.save_pretrained(tmp_path, head=head)
    again = lz.create_model(f"local-dir:{tmp_path}").eval()
    assert dict(again.cfg.args) == dict(model.cfg.args)
    assert worst_distance(again, state, SHAPES[:1]) < 1e-5
