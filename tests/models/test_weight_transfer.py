"""Weights that go on in a larger model: what matches, what is missing, and that the numbers stay."""

import copy

import pytest
import torch
from torch import nn

import landmarkzoo as lz

SWIN, SHIFTED = "swin_tiny_patch4_window7_224", "swin_s3_tiny_224"  # of the same size, other windows
CNN = "test_efficientnet"


def randomise(model):
    """As after training: no tensor has the value that another model starts with."""
    with torch.no_grad():
        for tensor in model.state_dict().values():
            if tensor.is_floating_point():
                tensor.normal_().abs_()  # variances are positive
            else:
                tensor.fill_(7)
    return model


def hybrid(size=448, level=8, **arguments):
    arguments = {"cnn": CNN, "transformer": SWIN, "embedding_dim": 16, **arguments}
    return lz.HybridSwin(image_size=size, cnn_level=level, **arguments)


def swin_alone(**arguments):
    return lz.GlobalDescriptor(SWIN, **{"pool": "avg", "embedding_dim": 16, **arguments})


def names(model, *parts):
    return {name for name in model.state_dict() if name.startswith(parts)}


def transfer(source, target):
    """Transfer, and check the report against the tensors themselves."""
    before, fresh = copy.deepcopy(source.state_dict()), copy.deepcopy(target.state_dict())
    report = lz.transfer_weights(source, target)
    now = target.state_dict()
    matched, origins = set(report.matched), set(report.matched.values())
    assert matched | set(report.missing_keys) == set(now)
    assert not matched & set(report.missing_keys)
    assert origins | set(report.unexpected_keys) == set(before)
    assert not origins & set(report.unexpected_keys)
    for name, origin in report.matched.items():
        assert torch.equal(now[name], before[origin]), name
    for name in report.missing_keys:
        assert torch.equal(now[name], fresh[name]), name
    for name, tensor in source.state_dict().items():
        assert torch.equal(tensor, before[name]), name
    return report


class TestHybridStages:
    """Section 2.2.2 of the paper: Swin alone, with two blocks in front, with three."""

    def test_a_swin_alone_becomes_the_transformer(self):
        source, target = randomise(swin_alone()), hybrid()
        report = transfer(source, target)
        assert set(report.matched) == names(target, "transformer.", "neck.")
        assert set(report.unexpected_keys) == names(source, "backbone.patch_embed.")
        assert report.matched["transformer.norm.bias"] == "backbone.norm.bias"

    def test_its_descriptors_stay_where_the_map_does(self):
        source = swin_alone().eval()
        target = hybrid(224, 4, aggregation="avg").eval()
        transfer(source, target)
        # The Swin's own patch embedding in place of the network: from here on both compute the same.
        target.cnn = nn.Sequential(PatchEmbedding(source.backbone.patch_embed))
        target.project = nn.Identity()
        target.project.weight = torch.zeros(1)
        x = torch.randn(2, 3, 224, 224)
        with torch.no_grad():
            torch.testing.assert_close(target(x), source(x), rtol=1e-4, atol=1e-5)

    @torch.no_grad()
    def test_one_more_block_between(self):
        source, target = randomise(hybrid()), hybrid(896, 16)
        report = transfer(source, target)
        assert set(report.missing_keys) == names(target, "cnn.blocks.3.", "project.")
        assert report.unexpected_keys == ("project.weight", "project.bias")
        assert {"position", "token", "token_key_bias.10"} <= set(report.matched)
        x = torch.randn(1, 3, 448, 448)
        deep, shallow = target.cnn.eval(), source.cnn.eval()
        torch.testing.assert_close(deep.blocks[:3](deep.bn1(deep.conv_stem(x))), shallow(x)[0])

    def test_an_efficientnet_becomes_its_first_blocks_and_back(self):
        source, target = randomise(lz.GlobalDescriptor(CNN)), hybrid()
        report = transfer(source, target)
        assert {n for n in report.matched if "neck" not in n} == names(target, "cnn.")
        back = lz.GlobalDescriptor(CNN)
        report = transfer(target, back)
        assert names(back, "backbone.blocks.0.", "backbone.blocks.2.") <= set(report.matched)
        assert names(back, "backbone.blocks.3.", "backbone.conv_head") <= set(report.missing_keys)

    def test_position_embeddings_of_another_grid_stay(self):
        source, target = randomise(hybrid()), hybrid()
        target.position = nn.Parameter(torch.zeros(1, 96 * 96, 96))
        report = transfer(source, target)
        assert report.missing_keys == report.unexpected_keys == ("position",)

    def test_bias_tables_of_other_windows_stay_and_are_reported(self):
        source, target = randomise(swin_alone()), lz.GlobalDescriptor(SHIFTED, pool="avg", embedding_dim=16)
        report = transfer(source, target)
        tables = [
            f"backbone.layers.2.blocks.{i}.attn.relative_position_bias_table" for i in range(6)
        ]  # windows of 14
        assert list(report.missing_keys) == list(report.unexpected_keys) == tables
        assert str(report).splitlines()[1] == (
            "missing: backbone.layers.*.blocks.*.attn.relative_position_bias_table 6"
        )


class PatchEmbedding(nn.Module):
    """A Swin's patch embedding as a pyramid of one map."""

    def __init__(self, embed):
        super().__init__()
        self.embed = embed

    def forward(self, x):
        return [self.embed(x).permute(0, 3, 1, 2)]  # (B, H, W, C) -> (B, C, H, W)


class TestDOLGStages:
    @pytest.mark.parametrize("arguments", [{}, {"stem_stride": 1}, {"dilations": (3, 6, 9)}])
    def test_all_weights_go_on(self, arguments):
        source = lz.DOLG(CNN, hidden_dim=16, dilations=(1, 2, 3), embedding_dim=8)
        target = lz.DOLG(CNN, **{"hidden_dim": 16, "dilations": (1, 2, 3), "embedding_dim": 8, **arguments})
        report = transfer(randomise(source), target)
        assert report.missing_keys == report.unexpected_keys == ()
        assert str(report).endswith("\nmissing: nothing\nunexpected: nothing")

    @torch.no_grad()
    def test_larger_images_get_the_same_descriptors_as_before(self):
        source = lz.create_model("dolg_efficientnet_lite0", hidden_dim=16).eval()
        target = lz.create_model("dolg_efficientnet_lite0", hidden_dim=16).eval()
        x = torch.randn(1, 3, 448, 448)
        assert not torch.equal(source(x), target(x))
        transfer(source, target)
        assert torch.equal(source(x), target(x))

    def test_a_global_descriptor_becomes_the_backbone(self):
        target = lz.DOLG(CNN, hidden_dim=16, dilations=(1, 2))
        report = transfer(randomise(lz.GlobalDescriptor(CNN)), target)
        assert names(target, "backbone.") <= set(report.matched)
        assert {"backbone.conv_head.weight", "neck.0.weight", "neck.0.bias"} <= set(report.unexpected_keys)

    def test_names_that_timms_pyramids_flatten(self):
        target = lz.DOLG("test_convnext", hidden_dim=16, dilations=(1, 2))
        report = transfer(randomise(lz.GlobalDescriptor("test_convnext")), target)
        assert names(target, "backbone.") <= set(report.matched)
        assert "backbone.stages_3.blocks.0.mlp.fc1.weight" in report.matched


@pytest.mark.parametrize("backbones", [("test_resnet", "resnet10t"), (CNN, "efficientnet_b0"), (CNN, CNN)])
def test_no_layer_is_transferred_in_part(backbones):
    source, target = (lz.GlobalDescriptor(b, embedding_dim=d) for b, d in zip(backbones, (16, 24)))
    report = transfer(randomise(source), target)
    for name in report.matched:
        owner, _, leaf = name.rpartition(".")
        if leaf in ("weight", "bias", "running_mean", "num_batches_tracked"):
            of_layer = {f"{owner}.{key}" for key in target.get_submodule(owner).state_dict()}
            assert of_layer <= set(report.matched), name
    assert {"neck.0.weight", "neck.0.bias", "neck.1.num_batches_tracked"} <= set(report.missing_keys)


def test_other_precisions_and_frozen_targets():
    source = randomise(lz.GlobalDescriptor(CNN, neck="none"))
    target = lz.GlobalDescriptor(CNN, neck="none").to(torch.bfloat16)
    lz.freeze(target, "backbone")
    lz.transfer_weights(source, target)
    expected = source.backbone.conv_stem.weight.to(torch.bfloat16)
    assert torch.equal(target.backbone.conv_stem.weight, expected)
    assert not target.backbone.conv_stem.weight.requires_grad
    assert target.global_pool.p.requires_grad


def test_the_report_is_short():
    report = lz.transfer_weights(hybrid(), hybrid(896, 16))
    assert str(report).splitlines() == [
        "matched: position 1, token 1, transformer 167, cnn.conv_stem 1, cnn.bn1 5, cnn.blocks.0 6, "
        "cnn.blocks.1 12, cnn.blocks.2 12, token_key_bias 11, neck 8",
        "missing: cnn.blocks.3 22, project 2",
        "unexpected: project 2",
    ]


def test_what_cannot_be_transferred():
    one, other = (lz.GlobalDescriptor(b, pool="avg", neck="none") for b in ("test_vit", "test_resnet"))
    with pytest.raises(
        ValueError, match=r"no weight of the GlobalDescriptor .*'test_vit'.* fits .*'test_resnet'"
    ):
        lz.transfer_weights(one, other)
    with pytest.raises(TypeError, match="two landmarkzoo models, got ResNet"):
        lz.transfer_weights(other.backbone, other)


def test_a_neck_is_transferred_whole_or_not_at_all():
    source = lz.GlobalDescriptor("test_efficientnet", embedding_dim=8)
    target = lz.DOLG("test_efficientnet", embedding_dim=8, hidden_dim=8, dilations=(1,))
    report = lz.transfer_weights(source, target)  # the Linear takes other features
    assert [name for name in report.matched if name.startswith("neck.")] == []
    assert {name for name in report.missing_keys if name.startswith("neck.")} == {
        name for name in target.state_dict() if name.startswith("neck.")
    }
