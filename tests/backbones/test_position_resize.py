"""Positions resized as the authors of DINOv2 do, and only in the backbone that asks for it."""

import copy
import pickle

import pytest
import reference_megaloc
import torch
from timm.models.vision_transformer import VisionTransformer

import landmarkzoo as lz
from landmarkzoo.backbones.last_map import class_token, create_backbone, feature_map, map_and_class_token
from landmarkzoo.backbones.position_resize import dinov2_positions, set_position_resize
from landmarkzoo.embedding.eval_copies import eval_copy

VIT = "vit_base_patch14_dinov2"
SMALL = {"embed_dim": 32, "depth": 2, "num_heads": 2}


def backbone(how="dinov2", **arguments):
    torch.manual_seed(0)
    made = create_backbone(VIT, args={**SMALL, **arguments})
    torch.nn.init.normal_(made.pos_embed)
    return set_position_resize(made.eval(), how)


@pytest.mark.parametrize("new", [(9, 10), (37, 20), (5, 40), (50, 61), (1, 1)])
def test_resized_grid_equals_cubic_convolution_written_out(new):
    positions = torch.randn(1, 1 + 37 * 37, 3, dtype=torch.float64)
    resized = dinov2_positions(positions, (37, 37), new)
    expected = reference_megaloc.resized_positions(positions, *new, "dinov2")
    torch.testing.assert_close(resized, expected, rtol=0, atol=1e-9)


def test_the_grid_of_the_weights_is_left_as_it_is():
    positions = torch.randn(1, 1 + 37 * 37, 3)
    assert dinov2_positions(positions, (37, 37), (37, 37)) is positions
    x = torch.randn(1, 3, 518, 518)
    with torch.no_grad():
        assert torch.equal(feature_map(backbone(), x), feature_map(backbone("timm"), x))


@torch.no_grad()
def test_all_ways_through_the_backbone_know_it_and_no_other_backbone_does():
    ours, timms, x = backbone(), backbone("timm"), torch.randn(2, 3, 126, 168)
    features, token = map_and_class_token(ours, x)
    assert features.shape == (2, 32, 9, 12)
    assert torch.equal(features, feature_map(ours, x))
    assert torch.equal(token, class_token(ours, x))
    levels = ours.forward_intermediates(x, indices=1, norm=True, output_fmt="NCHW", intermediates_only=True)
    torch.testing.assert_close(levels[0], features)
    assert not torch.allclose(features, feature_map(timms, x), atol=1e-2)
    assert type(timms) is VisionTransformer
    assert ours.state_dict().keys() == timms.state_dict().keys()


@torch.no_grad()
def test_copies_pickles_and_compiled_backbones_do_the_same():
    ours, x = backbone(), torch.randn(1, 3, 126, 140)
    expected = feature_map(ours, x)
    twins = [copy.deepcopy(ours), pickle.loads(pickle.dumps(ours)), eval_copy(ours.train())]
    assert all(torch.equal(feature_map(twin, x), expected) for twin in twins)
    compiled = torch.compile(lambda x: feature_map(ours, x), backend="eager", fullgraph=True)
    ours.eval()
    for size in ((126, 140), (140, 154)):
        x = torch.randn(1, 3, *size)
        torch.testing.assert_close(compiled(x), feature_map(ours, x))


def test_positions_keep_their_type_and_are_trained():
    x = torch.randn(1, 3, 126, 126)
    assert feature_map(backbone().to(torch.bfloat16), x.bfloat16()).dtype == torch.bfloat16
    assert feature_map(backbone().double(), x.double()).dtype == torch.float64
    ours = backbone().train()
    feature_map(ours, x).square().sum().backward()
    assert ours.pos_embed.grad.abs().sum() > 0


def test_a_global_descriptor_takes_it_too(tmp_path):
    arguments = {"pool": "avg", "neck": "none", "backbone_args": SMALL}
    model = lz.GlobalDescriptor(VIT, position_resize="dinov2", **arguments).eval()
    torch.nn.init.normal_(model.backbone.pos_embed)
    plain = lz.GlobalDescriptor(VIT, **arguments).eval()
    plain.load_state_dict(model.state_dict())
    model.save_pretrained(tmp_path)
    loaded = lz.create_model(tmp_path).eval()
    x = torch.randn(1, 3, 126, 168)
    with torch.no_grad():
        assert torch.equal(loaded(x), model(x))
        assert not torch.allclose(plain(x), model(x), atol=1e-2)
    with pytest.raises(ValueError, match="position_resize are for the name of a timm model"):
        lz.GlobalDescriptor(plain.backbone, position_resize="dinov2", pool="avg")


@pytest.mark.parametrize(
    ("name", "args"),
    [
        ("resnet18", {}),
        ("swin_tiny_patch4_window7_224", {}),
        ("vit_small_patch14_reg4_dinov2", {}),
        ("vit_base_patch16_siglip_gap_224", {"embed_dim": 32, "depth": 1, "num_heads": 2}),  # no class token
        ("eva02_tiny_patch14_224", {}),
        (VIT, {**SMALL, "dynamic_img_size": False}),
        (VIT, {**SMALL, "pos_embed": "none"}),
    ],
)
def test_backbones_without_such_positions_are_refused(name, args):
    with pytest.raises(
        ValueError, match=f"and no registers.*; {name} is not one: use position_resize='timm'"
    ):
        set_position_resize(create_backbone(name, args=args), "dinov2")


def test_unknown_ways_are_refused():
    with pytest.raises(
        ValueError, match=r"position_resize must be one of .*'timm', 'dinov2'.*, got 'dinov3'"
    ):
        set_position_resize(create_backbone(VIT, args=SMALL), "dinov3")
