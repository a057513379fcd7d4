"""Parameter groups: each trainable parameter once, with the learning rate of its layer."""

import functools
from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import landmarkzoo as lz
from landmarkzoo.backbones.layer_depth import layer_numbers, whole_name

SWIN = "swin_tiny_patch4_window7_224"
SMALL = [
    "dolg_efficientnet_lite0",
    "dolg_efficientnet_b0",
    "efficientnet_lite0_gem",
    "hybrid_efficientnet_b0_swin_tiny_224",
]


def by_name(model, groups, *heads):
    """Learning rate and weight decay by name of the parameter."""
    names = {id(p): n for one in (model, *heads) for n, p in one.named_parameters()}
    found = [(names[id(p)], (g["lr"], g["weight_decay"])) for g in groups for p in g["params"]]
    assert len(found) == len(dict(found)), "a parameter stands in two groups"
    return dict(found)


def test_a_small_model_by_hand():
    model = lz.DOLG("test_resnet", hidden_dim=8, dilations=(1,), embedding_dim=4)
    model.backbone.pop("layer4")  # keep the list short: four layers, the stem and three blocks
    found = by_name(model, lz.parameter_groups(model, lr=1.0, weight_decay=0.1, layer_decay=0.5))
    stem, first, second, third, ours = 0.0625, 0.125, 0.25, 0.5, 1.0
    expected = {}
    for lr, layer, norms, filters in (
        (stem, "backbone", ["conv1.1", "conv1.4", "bn1"], ["conv1.0", "conv1.3", "conv1.6"]),
        (first, "backbone.layer1.0", ["bn1", "bn2"], ["conv1", "conv2"]),
        (second, "backbone.layer2.0", ["bn1", "bn2", "downsample.2"], ["conv1", "conv2", "downsample.1"]),
        (
            third,
            "backbone.layer3.0",
            ["bn1", "bn2", "bn3", "downsample.2"],
            ["conv1", "conv2", "conv3", "downsample.1"],
        ),
    ):
        expected |= {f"{layer}.{norm}.{leaf}": (lr, 0.0) for norm in norms for leaf in ("weight", "bias")}
        expected |= {f"{layer}.{conv}.weight": (lr, 0.1) for conv in filters}
    for layer in (
        "multi_atrous.branches.0",
        "multi_atrous.project",
        "spatial_attention.project",
        "spatial_attention.score",
        "global_project",
        "neck.0",
    ):
        expected |= {f"{layer}.weight": (ours, 0.1), f"{layer}.bias": (ours, 0.0)}
    for norm in ("spatial_attention.norm", "global_norm", "neck.1"):
        expected |= {f"{norm}.weight": (ours, 0.0), f"{norm}.bias": (ours, 0.0)}
    expected |= {"global_pool.p": (ours, 0.0), "neck.2.weight": (ours, 0.0)}
    assert found == expected


def test_transformers():
    model = lz.GlobalDescriptor("test_vit", pool="cls", neck="none")
    found = by_name(model, lz.parameter_groups(model, lr=1.0, weight_decay=0.1, layer_decay=0.5))
    assert found["backbone.norm.weight"] == (0.5, 0.0)  # of the last block
    assert found["backbone.blocks.5.mlp.fc2.weight"] == (0.5, 0.1)
    assert found["backbone.blocks.0.attn.qkv.bias"] == (0.5**6, 0.0)
    assert found["backbone.patch_embed.proj.weight"] == (0.5**7, 0.1)
    assert found["backbone.pos_embed"] == found["backbone.cls_token"] == (0.5**7, 0.0)


def test_the_cnn_of_a_hybrid_goes_on_where_its_transformer_ends():
    model = lz.HybridSwin("test_efficientnet", SWIN, image_size=448, cnn_level=8)
    found = by_name(model, lz.parameter_groups(model, lr=1.0, weight_decay=0.1, layer_decay=0.5))
    for name in ("project.bias", "position", "token", "token_key_bias.0", "neck.0.bias"):
        assert found[name] == (1.0, 0.0), name
    assert found["project.weight"] == found["neck.0.weight"] == (1.0, 0.1)
    assert found["transformer.layers.3.blocks.1.attn.qkv.weight"] == (0.5, 0.1)
    assert found["transformer.layers.3.blocks.1.attn.relative_position_bias_table"] == (0.5, 0.0)
    assert found["transformer.layers.0.blocks.0.attn.qkv.weight"] == (0.5**12, 0.1)  # 2 + 2 + 6 + 2 blocks
    assert found["cnn.blocks.2.0.conv_exp.weight"] == (0.5**13, 0.1)
    assert found["cnn.blocks.0.0.conv.weight"] == (0.5**15, 0.1)
    assert found["cnn.conv_stem.weight"] == (0.5**16, 0.1)


@pytest.mark.parametrize("backbone", ["test_convnext", "resnet10t", SWIN, "poolformer_s12"])
def test_pyramids_have_the_layers_of_the_whole_model(backbone):
    pyramid = lz.DOLG(backbone, hidden_dim=8, dilations=(1,)).backbone
    whole = lz.GlobalDescriptor(backbone).backbone
    expected = layer_numbers(whole)
    for name, number in layer_numbers(pyramid).items():
        inside = whole_name(pyramid, name)
        assert expected.get(inside, number) == number, name
    assert len({*layer_numbers(pyramid).values()}) > 3


def test_a_model_without_group_matcher_has_a_layer_a_stage():
    backbone = lz.GlobalDescriptor("poolformer_s12").backbone
    assert not hasattr(backbone, "group_matcher")
    numbers = layer_numbers(backbone)
    assert numbers["stem.conv.weight"] == 0
    assert numbers["stages.0.blocks.1.mlp.fc1.weight"] == 1
    assert numbers["stages.3.blocks.0.mlp.fc1.weight"] == 4
    assert max(numbers.values()) == 4


@pytest.mark.parametrize("name", SMALL)
def test_every_trainable_parameter_once(name):
    model = lz.create_model(name)
    head = lz.SubCenterArcFaceDynamic(model.embedding_dim, 3, margins=0.3)
    groups = lz.parameter_groups(model, lr=1e-3, weight_decay=1e-4, head=head)
    found = by_name(model, groups, head)
    assert set(found) == {n for n, _ in model.named_parameters()} | {"weight"}
    assert found["weight"] == (1e-3, 1e-4)
    rates = [g["lr"] for g in groups]
    assert rates == sorted(rates, reverse=True)
    assert len(rates) == len({(g["lr"], g["weight_decay"]) for g in groups})
    optimizer = torch.optim.AdamW(groups, lr=9.0, weight_decay=9.0)  # the groups' own count
    assert {g["lr"] for g in optimizer.param_groups} == set(rates)


@functools.cache
def shared_model():
    return lz.DOLG("test_efficientnet", hidden_dim=8, dilations=(1, 2), embedding_dim=4)


@given(
    frozen=st.sets(st.sampled_from(["backbone", "backbone.blocks.2", "multi_atrous", "global_pool"])),
    lr=st.floats(1e-6, 1.0),
    layer_decay=st.floats(0.1, 1.0),
    weight_decay=st.floats(0.0, 1.0),
)
def test_groups_are_a_partition_of_what_is_trained(frozen, lr, layer_decay, weight_decay):
    model = shared_model()
    lz.unfreeze(model)
    if frozen:
        lz.freeze(model, *frozen)
    groups = lz.parameter_groups(model, lr=lr, weight_decay=weight_decay, layer_decay=layer_decay)
    found = by_name(model, groups)
    assert set(found) == {n for n, p in model.named_parameters() if p.requires_grad}
    for name, (rate, decay) in found.items():
        assert 0 < rate <= lr
        assert rate == lr or name.startswith("backbone.")
        assert decay in (0.0, weight_decay)
    assert all(g["params"] for g in groups)


def test_layer_decay_1_is_one_learning_rate():
    model = shared_model()
    lz.unfreeze(model)
    groups = lz.parameter_groups(model, lr=0.1, layer_decay=1.0)
    assert {g["lr"] for g in groups} == {0.1}


def test_wrong_numbers():
    model = lz.GlobalDescriptor("test_resnet", pool="avg", neck="none")
    for wrong in ({"lr": -1.0}, {"layer_decay": 0.0}, {"layer_decay": 1.5}, {"weight_decay": -0.1}):
        with pytest.raises(ValueError, match="needs lr >= 0, weight_decay >= 0 and 0 < layer_decay <= 1"):
            lz.parameter_groups(model, **{"lr": 0.1, **wrong})
    lz.freeze(model, "backbone")
    with pytest.raises(ValueError, match=r"all is frozen, see lz\.unfreeze"):
        lz.parameter_groups(model, lr=0.1)


def test_a_subclass_with_arguments_of_its_own_has_the_same_layers():
    class Sub(lz.DOLG):
        def __init__(self, embedding_dim=16):
            super().__init__("tf_efficientnet_b0", hidden_dim=8, dilations=(1,), embedding_dim=embedding_dim)
            self.cfg = replace(self.cfg, args={"embedding_dim": embedding_dim})

    def rates(model):
        return {name: lr for name, (lr, _) in by_name(model, lz.parameter_groups(model, lr=1.0)).items()}

    parent = lz.DOLG("tf_efficientnet_b0", hidden_dim=8, dilations=(1,), embedding_dim=16)
    assert rates(Sub()) == rates(parent)
    assert len({*rates(parent).values()}) > 15


def test_parts_that_do_not_exist_are_named():
    class Trunk(lz.GlobalDescriptor):
        timm_parts = ("trunk",)

    model = Trunk("test_efficientnet", embedding_dim=8)
    with pytest.raises(
        ValueError, match=r"Trunk\.timm_parts names 'trunk', .* some of backbone, global_pool"
    ):
        lz.parameter_groups(model, lr=1.0)
    with pytest.raises(ValueError, match="'trunk', which is not a module of the model"):
        model.set_grad_checkpointing()
