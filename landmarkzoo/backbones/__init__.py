"""All that knows timm: whole backbones, pyramids, Swin with a token, ImageNet weights, order of layers."""

from landmarkzoo.backbones.image_sizes import ImageSizeRule
from landmarkzoo.backbones.imagenet_weights import WeightsNotFoundError, create_timm_model
from landmarkzoo.backbones.last_map import (
    backbone_channels,
    backbone_size_rule,
    check_backbone,
    class_token,
    create_backbone,
    feature_map,
    has_class_token,
)
from landmarkzoo.backbones.pyramid import create_pyramid, pyramid_channels, pyramid_maps, pyramid_size_rule

__all__ = [
    "ImageSizeRule",
    "WeightsNotFoundError",
    "backbone_channels",
    "backbone_size_rule",
    "check_backbone",
    "class_token",
    "create_backbone",
    "create_pyramid",
    "create_timm_model",
    "feature_map",
    "has_class_token",
    "pyramid_channels",
    "pyramid_maps",
    "pyramid_size_rule",
]
