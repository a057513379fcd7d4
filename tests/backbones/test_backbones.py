import pytest
import torch

import landmarkzoo as lz
from landmarkzoo.backbones.image_sizes import ImageSizeRule
from landmarkzoo.backbones.last_map import backbone_size_rule, create_backbone, feature_map
from landmarkzoo.backbones.pyramid import create_pyramid, pyramid_channels, pyramid_maps, pyramid_size_rule


@pytest.mark.parametrize(
    "name", ["tf_efficientnet_lite0", "resnet18", "swin_tiny_patch4_window7_224", "convnext_atto"]
)
def test_pyramid_gives_nchw_maps_at_the_strides(name):
    pyramid = create_pyramid(name, (8, 16, 32)).eval()
    maps = pyramid_maps(pyramid, torch.randn(1, 3, 224, 224))
    assert [m.shape[-1] for m in maps] == [28, 14, 7]
    assert [m.shape[1] for m in maps] == pyramid_channels(pyramid)


def test_stages_behind_the_last_map_are_cut_off():
    whole, cut = (create_pyramid("tf_efficientnet_lite0", r).eval() for r in ((8, 16, 32), (8, 16)))
    assert len(cut.blocks) < len(whole.blocks)
    cut.load_state_dict({k: v for k, v in whole.state_dict().items() if k in cut.state_dict()})
    x = torch.randn(1, 3, 64, 64)
    torch.testing.assert_close(pyramid_maps(cut, x), pyramid_maps(whole, x)[:2])
    sum(m.sum() for m in pyramid_maps(cut.train(), torch.randn(2, 3, 64, 64))).backward()
    assert [n for n, p in cut.named_parameters() if p.grad is None] == []


@pytest.mark.parametrize("name", ["tf_efficientnet_lite0", "resnet18"])
def test_stem_stride_1(name):
    pyramid = create_pyramid(name, (16, 32), stem_stride=1).eval()
    maps = pyramid_maps(pyramid, torch.randn(1, 3, 64, 64))
    assert [m.shape[-1] for m in maps] == [8, 4]
    assert pyramid_size_rule(pyramid, name, stem_stride=1).minimum == 16


def test_wrong_backbones():
    with pytest.raises(ValueError, match=r"strides \[16\], but strides \[16, 32\] are needed"):
        create_pyramid("vit_tiny_patch16_224", (16, 32))
    with pytest.raises(ValueError, match=r"strides \[32\], but"):
        create_pyramid("mixer_s32_224", (16, 32))
    with pytest.raises(ValueError, match="Did you mean resnet50"):
        create_pyramid("resnet5o", (16, 32))
    with pytest.raises(ValueError, match="stem_stride must be 1 or 2"):
        create_pyramid("resnet18", (16, 32), stem_stride=4)
    with pytest.raises(ValueError, match="first convolution has stride 2"):
        create_pyramid("convnext_atto", (16, 32), stem_stride=1)


def test_transformer_tokens_become_a_grid_in_reading_order():
    backbone = create_backbone("vit_tiny_patch16_224").eval()
    x = torch.randn(1, 3, 96, 64)
    features = feature_map(backbone, x)
    assert features.shape == (1, 192, 6, 4)
    tokens = backbone.forward_features(x)
    torch.testing.assert_close(features[0, :, 2, 3], tokens[0, 1 + 2 * 4 + 3])


def test_maps_are_upright_on_images_that_are_not_square():
    """An offset in the lower left of the image must change the lower left of the map most."""
    x = torch.randn(1, 3, 224, 448)
    changed = x.clone()
    changed[:, :, 160:, :96] += 2.0
    pyramids = [create_pyramid(name, (32,)).eval() for name in ("convnext_atto", "resnet18")]
    names = ("swin_tiny_patch4_window7_224", "vit_tiny_patch16_224")
    backbones = [create_backbone(name).eval() for name in names]
    maps = [lambda x, p=p: pyramid_maps(p, x)[0] for p in pyramids]
    maps += [lambda x, b=b: feature_map(b, x) for b in backbones]
    for of in maps:
        with torch.no_grad():
            difference = (of(changed) - of(x)).norm(dim=1)[0]
        assert difference.shape[1] == 2 * difference.shape[0]
        row, column = divmod(int(difference.argmax()), difference.shape[1])
        assert row >= difference.shape[0] / 2
        assert column < difference.shape[1] / 2


@pytest.mark.parametrize("name", ["ghostnet_100", "hiera_tiny_224"])
def test_backbones_whose_blocks_are_named_like_those_of_efficientnet(name):
    maps = pyramid_maps(create_pyramid(name, (16, 32)).eval(), torch.zeros(1, 3, 224, 224))
    assert [m.shape[-1] for m in maps] == [14, 7]


def test_fixed_sizes_of_pyramids_are_named():
    model = lz.DOLG("swin_tiny_patch4_window7_224", hidden_dim=8).eval()
    with pytest.raises(ValueError, match="takes 224x224 px only"):
        model(torch.zeros(1, 3, 256, 256))
    assert model(torch.zeros(1, 3, 224, 224)).shape == (1, 512)


def test_size_rules():
    vit = backbone_size_rule(create_backbone("vit_tiny_patch16_224"))
    assert (vit.minimum, vit.multiple, vit.fixed) == (16, 16, None)
    assert backbone_size_rule(create_backbone("mixer_s32_224")).fixed == (224, 224)
    assert backbone_size_rule(create_backbone("resnet18")).minimum == 32
    with pytest.raises(ValueError, match="multiples of 16, such as 96x64"):
        vit.check(torch.zeros(1, 3, 100, 64))
    with pytest.raises(ValueError, match="takes 224x224 px only"):
        ImageSizeRule(fixed=(224, 224)).check(torch.zeros(1, 3, 256, 256))
    ImageSizeRule(minimum=32).check(torch.zeros(1, 3, 33, 47))


def test_backbone_without_a_map():
    with pytest.raises(ValueError, match="neither a feature map nor tokens"):
        feature_map(create_backbone("crossvit_tiny_240"), torch.zeros(1, 3, 240, 240))
    with pytest.raises(ValueError, match="50 tokens do not form a grid"):
        feature_map(create_backbone("coat_lite_tiny"), torch.zeros(1, 3, 224, 224))


@pytest.mark.parametrize("name", ["dla34", "tresnet_m", "resnet18", "tf_efficientnet_lite0", "convnext_atto"])
def test_maps_of_a_pyramid_have_their_nominal_strides(name):
    # The maps of some models are not numbered from 0.
    model = lz.DOLG(name, hidden_dim=8, dilations=(1,)).eval()
    with torch.no_grad():
        maps = model.forward_features(torch.zeros(1, 3, 224, 224))
    assert [tuple(m.shape[2:]) for m in maps] == [(14, 14), (7, 7)]
    assert model.size_rule.minimum == 32


def test_layers_before_the_pooling_are_no_head():
    model = lz.GlobalDescriptor("selecsls42", pool="avg", neck="none").eval()  # whose head is convolutions
    assert model(torch.zeros(1, 3, 64, 64)).shape == (1, model.embedding_dim)


@pytest.mark.parametrize("create", [lz.GlobalDescriptor, lz.DOLG])
def test_an_unknown_tag_is_named(create):
    with pytest.raises(ValueError, match=r"resnet18\.nope"):
        create("resnet18.nope")
