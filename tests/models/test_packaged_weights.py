"""Weights of our own, in the package: what lies there, and what becomes of it, whatever was trained."""

import shutil
import socket
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file

import landmarkzoo as lz
from landmarkzoo.hub.model_files import read_config
from landmarkzoo.models import registry
from landmarkzoo.models.packaged_weights import FOLDER, packaged_folder
from landmarkzoo.models.registry import pretrained_cfg, without_weights

NAME = "efficientnet_lite0_gem.rendered"
PLAIN = "efficientnet_lite0_gem"
IMAGES = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0)) * 2 - 1


@pytest.fixture(autouse=True)
def _no_network(monkeypatch):
    def refuse(*args, **kwargs):
        raise AssertionError("nothing here needs a network")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


@pytest.fixture(scope="module")
def model():
    return lz.create_model(NAME, pretrained=True)


def test_what_lies_in_the_package():
    assert {path.name for path in FOLDER.iterdir()} == {NAME}
    folder = FOLDER / NAME
    assert {path.name for path in folder.iterdir()} == {"README.md", "config.json", "model.safetensors"}
    assert (folder / "model.safetensors").stat().st_size <= 10_000_000
    stored = load_file(folder / "model.safetensors")
    assert {tensor.dtype for tensor in stored.values() if tensor.is_floating_point()} == {torch.float16}
    assert all(tensor.isfinite().all() for tensor in stored.values())


def test_the_entry_is_the_config_beside_the_weights():
    cfg, config = lz.get_model_cfg(NAME), read_config(FOLDER / NAME)
    assert lz.ModelCfg.from_fields(config) == cfg
    assert (cfg.name, cfg.weights, cfg.license) == (NAME, f"package:{NAME}", "Apache-2.0")
    assert cfg.training_data == (
        "landmarks rendered by landmarkzoo.rendered, from ImageNet weights; no other photo"
    )
    assert (cfg.input_size, cfg.embedding_dim) == ((3, 384, 384), 512)
    assert not any(score.of_paper for score in cfg.scores)
    assert NAME in (FOLDER / NAME / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", [NAME, PLAIN])
def test_both_names_load_them_as_float32(name):
    model, stored = lz.create_model(name, pretrained=True), load_file(FOLDER / NAME / "model.safetensors")
    assert (model.cfg.name, model.cfg.weights, model.dtype) == (NAME, f"package:{NAME}", torch.float32)
    assert model.cfg == lz.get_model_cfg(NAME)
    state = model.state_dict()
    assert state.keys() == stored.keys()
    assert all(torch.equal(state[key].double(), tensor.double()) for key, tensor in stored.items())
    assert model.training


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_another_type_is_taken_where_it_is_asked_for(dtype):
    assert lz.create_model(NAME, pretrained=True, dtype=dtype).dtype == dtype


def test_without_pretrained_the_name_is_what_it_was():
    cfg = lz.get_model_cfg(PLAIN)
    assert (cfg.name, cfg.weights, cfg.input_size) == (PLAIN, None, (3, 224, 224))
    for name in (PLAIN, NAME):
        model = lz.create_model(name, pretrained_backbone=True)
        assert (model.cfg.name, model.cfg.weights, model.cfg.license) == (PLAIN, None, None)
        imagenet = lz.create_model(PLAIN, pretrained_backbone=True).backbone.conv_stem.weight
        assert torch.equal(model.backbone.conv_stem.weight, imagenet)


def test_which_weights_a_name_alone_stands_for():
    assert pretrained_cfg(PLAIN) == pretrained_cfg(NAME) == lz.get_model_cfg(NAME)
    assert pretrained_cfg("gem_resnet50").name == "gem_resnet50.sfm120k"
    for name in ("dolg_efficientnet_b5", "dolg_efficientnet_b5.gldv2x", "efficientnet_b3"):
        assert pretrained_cfg(name) == lz.get_model_cfg(name)  # there are none
    with pytest.raises(ValueError, match="its authors published them as two ONNX files"):
        lz.create_model("dolg_efficientnet_b5", pretrained=True)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"token": "t"}, "token is for the Hub"),
        ({"revision": "v1"}, "revision is for the Hub"),
        ({"cache_dir": "x", "force_download": True}, "cache_dir, force_download are for the Hub"),
    ],
)
def test_options_of_the_hub_have_no_use(options, message):
    with pytest.raises(ValueError, match=rf"{message}, .* not for '{NAME}'"):
        lz.create_model(PLAIN, pretrained=True, **options)


def test_no_network_is_what_they_need_anyway(model, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    again = lz.create_model(NAME, pretrained=True, local_files_only=True)
    assert torch.equal(again.eval()(IMAGES), model.eval()(IMAGES))


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (
            {"embedding_dim": 64},
            "do not fit embedding_dim=64: leave it out, or say pretrained_backbone=True for ImageNet",
        ),
        ({"neck": "none"}, rf"the landmark weights of '{NAME}' do not fit neck='none': leave it out"),
        ({"backbone": "resnet18", "neck": "fc"}, "do not fit backbone='resnet18', neck='fc': leave them out"),
        ({"dilations": (3, 6)}, "GlobalDescriptor has no argument 'dilations'"),
    ],
)
def test_arguments_that_they_do_not_fit(overrides, message):
    with pytest.raises(ValueError, match=message):
        lz.create_model(NAME, pretrained=True, **overrides)


def test_arguments_that_change_no_weight(model):
    other = lz.create_model(
        NAME, pretrained=True, backbone_args={"drop_path_rate": 0.1}, pool_trainable=False
    )
    assert torch.equal(other.eval()(IMAGES), model.eval()(IMAGES))
    assert other.cfg.scores == ()
    assert other.cfg.args["pool_trainable"] is False


def test_what_is_not_for_them():
    for name in (NAME, PLAIN):
        with pytest.raises(FileNotFoundError, match=f"the landmark weights of '{NAME}' have no head: it is"):
            lz.load_head(name)
    with pytest.raises(ValueError, match="lie in landmarkzoo itself: pretrained=True loads them"):
        lz.create_model(NAME, weights_file="x.safetensors")


def test_a_saved_copy_is_the_same_model(model, tmp_path):
    model.save_pretrained(tmp_path)
    again = lz.create_model(f"local-dir:{tmp_path}")
    assert again.cfg == model.cfg
    assert torch.equal(again.eval()(IMAGES), model.eval()(IMAGES))
    assert without_weights(again.cfg).name == PLAIN


def test_entries_of_ones_own_may_name_them(model, monkeypatch):
    monkeypatch.setattr(registry, "_MODELS", dict(registry._MODELS))
    cfg = lz.get_model_cfg(NAME)
    lz.register_model("mine", cfg)
    mine = lz.create_model("mine", pretrained=True)
    assert mine.cfg.name == "mine"
    assert torch.equal(mine.eval()(IMAGES), model.eval()(IMAGES))
    lz.register_model("wider", replace(cfg, args={**cfg.args, "neck": "fc"}))
    with pytest.raises(ValueError, match=r"is not 'wider' as it is registered: .* other values of neck"):
        lz.create_model("wider", pretrained=True)
    lz.register_model("gone", replace(cfg, weights="package:../models"))
    with pytest.raises(ValueError, match=rf"no weights '\.\./models' in its package; there are {NAME}"):
        lz.create_model("gone", pretrained=True)


def test_a_damaged_installation_is_said(tmp_path, monkeypatch):
    shutil.copytree(FOLDER, tmp_path / "packaged")
    monkeypatch.setattr("landmarkzoo.models.packaged_weights.FOLDER", tmp_path / "packaged")
    path = packaged_folder(f"package:{NAME}") / "model.safetensors"
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(ValueError, match=r"model\.safetensors is damaged or not a safetensors file"):
        lz.create_model(NAME, pretrained=True)
