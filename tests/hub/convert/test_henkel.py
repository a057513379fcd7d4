"""A hybrid reads the level whose channels the checkpoint projects; image size and stem go with it."""

from dataclasses import replace

import pytest
import torch

import landmarkzoo as lz
from landmarkzoo.backbones.pyramid import pyramid_levels
from landmarkzoo.hub.convert.henkel import HYBRID

B0 = "hybrid_efficientnet_b0_swin_tiny_224"
B3 = "hybrid_efficientnet_b3_swin_base_224"
B5 = "hybrid_efficientnet_b5_swin_base_224"
B6 = "hybrid_efficientnet_b6_swin_base_384"


def read(channels, registered, **given):
    return HYBRID.arguments(
        {"backbone.patch_embed.proj.weight": torch.empty(128, channels, 1, 1)}, registered, given
    )


def arguments(name, channels, **overrides):
    geometry, note = read(channels, lz.get_model_cfg(name).args, **overrides)
    assert geometry["aggregation"] == "avg"
    return (geometry["cnn_level"], geometry["stem_stride"], geometry["image_size"]), note


@pytest.mark.parametrize(
    ("name", "channels", "level", "stem_stride", "image_size"),
    [
        # as registered
        (B3, 136, 16, 2, 896),
        (B5, 176, 16, 1, 448),
        (B6, 72, 8, 1, 384),
        # the authors' own B6, and those of earlier stages of their training
        (B6, 40, 4, 2, 384),
        (B3, 48, 8, 2, 448),
        (B5, 64, 8, 2, 448),
        # a level that fits the registered image with neither stem keeps the registered stem
        (B6, 200, 16, 1, 768),
        (B0, 24, 4, 2, 224),
        (B0, 112, 16, 1, 448),
    ],
)
def test_level_and_what_fits_it(name, channels, level, stem_stride, image_size):
    found, note = arguments(name, channels)
    assert found == (level, stem_stride, image_size)
    assert f"cnn_level={level}, read from the {channels} channels" in note
    registered = lz.get_model_cfg(name).args
    as_registered = found == tuple(registered[a] for a in ("cnn_level", "stem_stride", "image_size"))
    assert ("registered:" in note) != as_registered


def test_what_is_given_is_taken():
    assert arguments(B0, 112, stem_stride=2)[0] == (16, 2, 896)
    assert arguments(B0, 112, image_size=890)[0] == (16, 2, 890)
    assert arguments(B0, 112, image_size=(445, 448))[0] == (16, 1, (445, 448))
    assert arguments(B6, 40, stem_stride=1)[0] == (4, 1, 192)
    found, note = arguments(B0, 112, cnn_level=8)
    assert found == (8, 2, 448)
    assert "as given" in note
    assert arguments(B0, 72, cnn="tf_efficientnet_b6")[0] == (8, 2, 448)
    assert arguments(B0, 40, transformer="swin_base_patch4_window12_384")[0] == (8, 2, 768)


def test_channels_that_no_level_has():
    with pytest.raises(
        ValueError, match=r"projects 72 channels, but .* 32 at level 4, 48 at level 8, 136 at"
    ):
        arguments(B3, 72)
    with pytest.raises(ValueError, match="timm has no model 'tf_efficientnet_b99'"):
        arguments(B3, 72, cnn="tf_efficientnet_b99")


def test_channels_of_several_levels():
    levels = pyramid_levels("vgg11")
    assert levels[8] == levels[16] == 512
    assert arguments(B0, 512, cnn="vgg11")[0][0] == 8  # the registered one
    cfg = lz.get_model_cfg(B0)
    cfg = replace(cfg, args={**cfg.args, "cnn": "vgg11", "cnn_level": 4})
    with pytest.raises(ValueError, match=r"at the levels \[8, 16\]: say which with cnn_level="):
        read(512, cfg.args)
