import pytest
import timm
import torch
from torch import nn

from landmarkzoo.backbones.relu_floor import FlooredReLU, set_relu_floor


def floors(backbone):
    return {
        name: module.floor for name, module in backbone.named_modules() if isinstance(module, FlooredReLU)
    }


def test_stands_where_the_authors_have_it():
    backbone = timm.create_model("resnet26", num_classes=0)
    set_relu_floor(backbone, 0.014)
    expected = {f"layer{stage}.{block}.act3" for stage in (1, 2, 3) for block in (0, 1)}
    expected |= {f"layer1.{block}.{name}" for block in (0, 1) for name in ("act1", "act2")}
    assert floors(backbone) == dict.fromkeys(expected, 0.014)
    assert isinstance(backbone.act1, nn.ReLU)  # of the stem
    assert all(isinstance(block.act3, nn.ReLU) for block in backbone.layer4)


def test_maps_of_the_first_stages_are_at_least_the_floor_and_the_last_is_not():
    backbone = timm.create_model("resnet26", num_classes=0).eval()
    images = torch.randn(1, 3, 64, 96)
    with torch.no_grad():
        before = backbone.forward_features(images)
        set_relu_floor(backbone, 0)
        assert torch.equal(backbone.forward_features(images), before)
        set_relu_floor_again(backbone, 0.25)
        stem, *stages = backbone.forward_intermediates(images, intermediates_only=True)
    assert [stage.min().item() for stage in stages] == [0.25, 0.25, 0.25, 0.0]
    assert stem.min() == 0


def set_relu_floor_again(backbone, floor):
    for module in backbone.modules():
        if isinstance(module, FlooredReLU):
            module.floor = floor


def test_the_weights_stay_and_learn():
    backbone = timm.create_model("resnet26", num_classes=0)
    names = list(backbone.state_dict())
    set_relu_floor(backbone, 0.014)
    assert list(backbone.state_dict()) == names
    backbone(torch.randn(2, 3, 64, 64)).sum().backward()
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in backbone.parameters())


@pytest.mark.parametrize("name", ["resnet18", "test_efficientnet", "resnetv2_50", "test_vit"])
def test_other_networks_are_refused(name):
    backbone = timm.create_model(name, num_classes=0)
    with pytest.raises(
        ValueError, match=rf"such as 'resnet50'.*this {type(backbone).__name__} is another net"
    ):
        set_relu_floor(backbone, 0.014)
    assert floors(backbone) == {}


def test_other_activations_are_refused():
    backbone = timm.create_model("resnet26", num_classes=0, act_layer=nn.SiLU)
    with pytest.raises(ValueError, match="relu_floor is for ResNets of bottlenecks with ReLUs"):
        set_relu_floor(backbone, 0.014)


def test_the_floor_is_a_number_from_0_on():
    backbone = timm.create_model("resnet26", num_classes=0)
    for wrong in (-0.1, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="relu_floor must be 0 or a small positive number"):
            set_relu_floor(backbone, wrong)
    for wrong in ("0.014", True, None):
        with pytest.raises(TypeError, match="relu_floor must be a number"):
            set_relu_floor(backbone, wrong)
