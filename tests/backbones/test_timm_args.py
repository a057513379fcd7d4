"""Arguments of timm that reach the backbone, and the images that timm says a backbone was trained on."""

import pytest
import timm
import torch
from timm.layers import DropPath

import landmarkzoo as lz
from landmarkzoo.backbones.image_sizes import timm_input

CNN, SWIN = "test_efficientnet", "swin_tiny_patch4_window7_224"
DROP = {"drop_path_rate": 0.05}  # not what timm does by itself


def drop_paths(module):
    return sorted({round(m.drop_prob, 4) for m in module.modules() if isinstance(m, DropPath)})


@pytest.mark.parametrize(
    ("create", "part"),
    [
        (lambda **args: lz.GlobalDescriptor("resnet10t", **args), "backbone"),
        (lambda **args: lz.GlobalDescriptor("vit_tiny_patch16_224", pool="cls", **args), "backbone"),
        (lambda **args: lz.DOLG("resnet10t", hidden_dim=8, dilations=(1,), **args), "backbone"),
        (lambda **args: lz.DOLG("tf_efficientnet_b0", hidden_dim=8, dilations=(1,), **args), "backbone"),
        (
            lambda **args: lz.DOLG("resnet10t", hidden_dim=512, dilations=(1,), global_map="head", **args),
            "backbone",
        ),
        (lambda **args: lz.HybridSwin("resnet10t", SWIN, image_size=224, cnn_level=4, **args), "transformer"),
        (
            lambda **args: lz.HybridSwin("tf_efficientnet_b0", SWIN, image_size=448, cnn_level=8, **args),
            "cnn",
        ),
    ],
)
def test_reach_the_backbone_and_are_saved(create, part, tmp_path):
    model = create(**{f"{part}_args": DROP})
    found = drop_paths(getattr(model, part))
    assert found
    assert 0 < max(found) <= 0.05
    assert found != drop_paths(getattr(create(), part))
    assert model.cfg.args[f"{part}_args"] == DROP
    model.save_pretrained(tmp_path)
    loaded = lz.create_model(tmp_path)
    assert loaded.cfg == model.cfg
    assert drop_paths(getattr(loaded, part)) == found
    assert lz.parameter_groups(loaded, lr=1.0, layer_decay=0.5)[-1]["lr"] < 0.2


def test_stochastic_depth_is_on_in_training_only():
    model = lz.GlobalDescriptor("test_vit", pool="cls", neck="none", backbone_args={"drop_path_rate": 0.5})
    x = torch.randn(4, 3, 64, 64)
    with torch.no_grad():
        assert not torch.equal(model.train()(x), model(x))
        assert torch.equal(model.eval()(x), model(x))


def test_as_overrides_of_a_registered_model():
    model = lz.create_model("efficientnet_lite0_gem", backbone_args=DROP, embedding_dim=8)
    assert model.cfg.args["backbone_args"] == DROP
    with pytest.raises(TypeError, match="arguments of a ModelCfg cannot be changed"):
        model.cfg.args["backbone_args"]["drop_path_rate"] = 0.5


def test_the_image_size_of_a_transformer():
    model = lz.GlobalDescriptor("test_vit", pool="cls", neck="none", backbone_args={"img_size": 96}).eval()
    assert model.cfg.input_size == (3, 96, 96)
    assert model(torch.zeros(1, 3, 96, 96)).shape == (1, 64)
    dolg = lz.DOLG(SWIN, hidden_dim=8, dilations=(1,), backbone_args={"img_size": (256, 192)}).eval()
    assert dolg.cfg.input_size == (3, 256, 192)
    with torch.no_grad():
        assert dolg(torch.zeros(1, 3, 256, 192)).shape == (1, 512)
    with pytest.raises(ValueError, match="takes 256x192 px only"):
        dolg(torch.zeros(1, 3, 224, 224))


def test_arguments_that_change_the_strides_count():
    with pytest.raises(ValueError, match=r"strides \[16, 32\] are needed"):
        lz.DOLG("resnet18", backbone_args={"output_stride": 16})


@pytest.mark.parametrize(
    ("args", "error", "message"),
    [
        ({"pretrained": True}, ValueError, "cannot set 'pretrained': use pretrained_backbone=True"),
        ({"num_classes": 5}, ValueError, "cannot set 'num_classes': .* classes belong to the head"),
        ({"features_only": True}, ValueError, "the architecture chooses the maps"),
        ({"out_indices": (1,)}, ValueError, "the architecture chooses the maps"),
        ({"global_pool": "avg"}, ValueError, "GlobalDescriptor has pool="),
        ({"in_chans": 1}, ValueError, "models take RGB images"),
        ({"device": "cuda"}, ValueError, r"use lz\.create_model\(\.\.\., device=\.\.\.\)"),
        ({"drop_pth": 0.1}, ValueError, "timm's '.*' cannot be built with these arguments: .*'drop_pth'"),
        ([("drop_rate", 0.1)], TypeError, "must be a dictionary of timm's arguments"),
        ({1: 2}, TypeError, "must be a dictionary of timm's arguments"),
    ],
)
@pytest.mark.parametrize(
    "create",
    [
        lambda args: lz.GlobalDescriptor(CNN, backbone_args=args),
        lambda args: lz.GlobalDescriptor("test_vit", backbone_args=args),
        lambda args: lz.DOLG(CNN, backbone_args=args),
        lambda args: lz.HybridSwin(CNN, SWIN, image_size=224, cnn_level=4, transformer_args=args),
    ],
)
def test_arguments_that_are_refused(create, args, error, message):
    with pytest.raises(error, match=message):
        create(args)


def test_the_argument_is_named_as_the_user_typed_it():
    for name in ("cnn_args", "transformer_args"):
        with pytest.raises(ValueError, match=f"{name} cannot set 'num_classes'"):
            lz.HybridSwin(CNN, SWIN, image_size=224, cnn_level=4, **{name: {"num_classes": 5}})


@pytest.mark.parametrize("create", [lz.GlobalDescriptor, lz.DOLG])
@pytest.mark.parametrize("name", ["resnet18.tv_in1k", "resnet18.a1_in1k", CNN])
def test_a_model_built_by_hand_reads_photos_as_its_backbone_did(create, name):
    theirs, cfg = timm.get_pretrained_cfg(name), create(name).cfg
    assert (cfg.input_size, cfg.mean, cfg.std) == (theirs.input_size, theirs.mean, theirs.std)
    assert cfg.interpolation == theirs.interpolation
    assert lz.create_transform(cfg).transforms[0].interpolation.value == theirs.interpolation


def test_another_backbone_brings_its_filter():
    model = lz.create_model("efficientnet_lite0_gem", backbone="resnet18.tv_in1k")
    assert (model.cfg.interpolation, model.cfg.mean) == ("bilinear", (0.485, 0.456, 0.406))
    assert lz.create_model("efficientnet_lite0_gem").cfg.interpolation == "bicubic"


def test_timm_input_of_what_timm_does_not_know():
    assert timm_input(torch.nn.Linear(2, 2)) == {}
    assert timm_input(torch.nn.Linear(2, 2), {"img_size": 96}) == {"input_size": (3, 96, 96)}
