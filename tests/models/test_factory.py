"""Models that were saved come back, and what does not is named."""

import json
import subprocess
import sys
from dataclasses import replace

import pytest
import torch
from safetensors.torch import save_file

import landmarkzoo as lz

OFFLINE = """
import socket, sys
def refuse(*args, **kwargs): raise AssertionError("reload touches the network")
socket.socket.connect = refuse
socket.getaddrinfo = refuse
import landmarkzoo as lz
model = lz.create_model(sys.argv[1])
print(type(model).__name__, model.cfg.name)
"""


@pytest.fixture
def saved(tmp_path):
    model = lz.create_model("efficientnet_lite0_gem", embedding_dim=16).eval()
    model.save_pretrained(tmp_path)
    return model, tmp_path, f"local-dir:{tmp_path}"


def edit(folder, **changes):
    config = json.loads((folder / "config.json").read_text())
    config.update(changes)
    (folder / "config.json").write_text(json.dumps(config))


@pytest.mark.parametrize(
    "arguments",
    [
        {"name": "dolg_efficientnet_lite0", "dilations": (2, 4), "stem_stride": 1, "projection": "reference"},
        {"name": "hybrid_efficientnet_b0_swin_tiny_224", "aggregation": "avg", "image_size": 446},
        {"name": "hybrid_efficientnet_b0_swin_tiny_224"},
        {"name": "efficientnet_lite0_gem", "pool_trainable": False, "neck": "none"},
    ],
)
def test_round_trip_bit_for_bit(arguments, tmp_path):
    model = lz.create_model(**arguments).eval()
    model.save_pretrained(tmp_path / "model")
    loaded = lz.create_model(f"local-dir:{tmp_path / 'model'}").eval()
    assert loaded.cfg == model.cfg
    assert type(loaded) is type(model)
    x = torch.randn(1, *model.cfg.input_size)
    with torch.no_grad():
        assert torch.equal(loaded(x), model(x))


def test_whitened_neck_comes_back(saved, tmp_path):
    model, _, _ = saved
    lz.whiten_neck(model, torch.randn(6, 3, 64, 64), progress=False)
    model.save_pretrained(tmp_path)
    loaded = lz.create_model(f"local-dir:{tmp_path}").eval()
    x = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        assert torch.equal(loaded(x), model(x))


def test_reload_needs_no_network(tmp_path):
    model = lz.create_model("efficientnet_lite0_gem", pretrained_backbone=True)
    model.save_pretrained(tmp_path)
    run = subprocess.run(
        [sys.executable, "-c", OFFLINE, f"local-dir:{tmp_path}"], capture_output=True, text=True
    )
    assert run.returncode == 0, run.stderr
    assert run.stdout.split() == ["GlobalDescriptor", "efficientnet_lite0_gem"]


def test_scores_and_transform_travel(tmp_path):
    model = lz.create_model("efficientnet_lite0_gem")
    model.cfg = lz.ModelCfg(
        **{
            **{f: getattr(model.cfg, f) for f in model.cfg.__dataclass_fields__},
            "input_size": (3, 96, 96),
            "scores": (lz.Score("GAP", 0.5, "own photos"),),
            "license": "CC-BY-4.0",
        }
    )
    model.save_pretrained(tmp_path)
    cfg = lz.create_model(f"local-dir:{tmp_path}").cfg
    assert cfg == model.cfg
    assert cfg.scores[0].protocol == "own photos"
    assert lz.create_transform(cfg)(torch_photo()).shape == (3, 96, 96)


def torch_photo():
    from PIL import Image

    return Image.new("RGB", (120, 80))


def test_an_override_that_changes_no_shape_is_taken(saved):
    _, _, name = saved
    assert lz.create_model(name, normalize_pooled=True).cfg.args["normalize_pooled"] is True
    with pytest.raises(ValueError, match=r"neck.0.weight has shape \(16, 1280\), not \(8, 1280\)"):
        lz.create_model(name, embedding_dim=8)


def test_missing_folder_and_files(saved):
    _, folder, name = saved
    with pytest.raises(FileNotFoundError, match="there is no folder"):
        lz.create_model("local-dir:/nowhere/at/all")
    (folder / "model.safetensors").rename(folder / "model.bin")
    with pytest.raises(FileNotFoundError, match=r"no model.safetensors in .* only safetensors are read"):
        lz.create_model(name)
    (folder / "config.json").unlink()
    with pytest.raises(FileNotFoundError, match=r"no config.json in"):
        lz.create_model(name)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format": "landmarkzoo.model.v2"}, "written by a newer landmarkzoo: upgrade"),
        ({"format": None}, "it is of another library"),
        ({"architecture": "DELG"}, r"'DELG' is not registered; .* DOLG.*import the module.*upgrade"),
        ({"architecture": "HybridSwan"}, "is not registered; .* Did you mean HybridSwin"),
        ({"args": {"backbone": "tf_efficientnet_lite0", "gating": True}}, "no argument 'gating'"),
        ({"gamma": 3}, "damaged or of a newer landmarkzoo: gamma unknown"),
        ({"args": {"backbone": "resnet18"}}, "does not fit its config.json: .* and .* more"),
    ],
)
def test_configs_that_do_not_fit(saved, changes, message):
    _, folder, name = saved
    edit(folder, **changes)
    with pytest.raises(ValueError, match=message):
        lz.create_model(name)


def test_damaged_files(saved):
    _, folder, name = saved
    whole = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(whole[:-10])
    with pytest.raises(ValueError, match=r"model.safetensors is damaged"):
        lz.create_model(name)
    save_file({"other": torch.zeros(1)}, str(folder / "model.safetensors"))
    with pytest.raises(ValueError, match="is missing"):
        lz.create_model(name)
    (folder / "config.json").write_text('{"format": ')
    with pytest.raises(ValueError, match=r"config.json is damaged"):
        lz.create_model(name)


def test_a_path_without_its_prefix():
    with pytest.raises(ValueError, match="a folder is 'local-dir:path', a repository 'hf-hub:org/repo'"):
        lz.create_model("some/folder")


def test_arguments_of_numpy_are_saved_as_numbers(tmp_path):
    import numpy as np

    model = lz.DOLG("test_efficientnet", embedding_dim=np.int64(8), hidden_dim=8, dilations=np.array([1, 2]))
    model.save_pretrained(tmp_path)
    loaded = lz.create_model(f"local-dir:{tmp_path}")
    assert loaded.cfg == model.cfg
    assert loaded.cfg.args["dilations"] == (1, 2)
    hybrid = {"image_size": np.int64(448), "cnn_level": 8}
    assert (
        lz.HybridSwin("tf_efficientnet_b0", "swin_tiny_patch4_window7_224", **hybrid).cfg.args["image_size"]
        == 448
    )


def test_what_cannot_be_written_is_noticed_before_anything_is(tmp_path):
    model = lz.create_model("efficientnet_lite0_gem", embedding_dim=8)
    model.cfg = replace(model.cfg, args={**model.cfg.args, "backbone": object()})
    with pytest.raises(TypeError, match="not JSON serializable"):
        model.save_pretrained(tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"scores": [{"metric": "GAP", "value": 0.5, "protocol": "x", "date": "2027"}]},
            "newer landmarkzoo.*date",
        ),
        ({"args": None}, "args must be a dictionary"),
        ({"args": {}}, "that its config.json describes cannot be built here.*backbone"),
        (
            {"args": {"backbone": "tf_efficientnet_lite0", "pool": "r-mac"}},
            "cannot be built here: .*r-mac.*upgrade",
        ),
        ({"mean": [1, 2]}, "mean must be 3 numbers"),
        ({"std": [0, 0, 0]}, "std must be positive"),
        ({"input_size": "big"}, "input_size must be 3 numbers"),
        ({"resize": "crop"}, "resize must be one of squash, longest"),
    ],
)
def test_values_of_a_config_that_cannot_be(saved, changes, message):
    _, folder, name = saved
    edit(folder, **changes)
    with pytest.raises(ValueError, match=message) as raised:
        lz.create_model(name)
    assert str(folder) in str(raised.value)


def test_a_config_without_its_transform(saved):
    _, folder, name = saved
    config = json.loads((folder / "config.json").read_text())
    del config["mean"]
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(ValueError, match="mean unknown or missing"):
        lz.create_model(name)


def test_a_backbone_of_another_size_brings_its_own():
    model = lz.create_model("efficientnet_lite0_gem", backbone="test_vit", pool="avg", neck="none").eval()
    with torch.no_grad():
        assert model(torch.zeros(1, *model.cfg.input_size)).shape == (1, model.embedding_dim)
    other = lz.create_model("efficientnet_b3", backbone="mixer_s32_224")
    assert other.cfg.input_size == (3, 224, 224)


@pytest.mark.parametrize("name", [None, 3, ["efficientnet_lite0_gem"], lz.GlobalDescriptor])
def test_names_that_are_not_strings(name):
    with pytest.raises(
        TypeError, match=r"create_model takes a name, .* or a Path, got .*; see lz\.list_models"
    ):
        lz.create_model(name)
    with pytest.raises(TypeError, match=r"a model is named by a string"):
        lz.get_model_cfg(name)


def test_device_and_dtype(saved):
    model, _, name = saved
    loaded = lz.create_model(name, device="cpu", dtype=torch.float64).eval()
    assert loaded.dtype == torch.float64
    x = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(loaded(x.double()).float(), model(x), rtol=1e-3, atol=1e-4)
    for device in ("meta", torch.device("meta")):
        other = lz.create_model("dolg_efficientnet_lite0", device=device, dtype=torch.float16)
        assert {(p.device.type, p.dtype) for p in other.parameters()} == {("meta", torch.float16)}
    with torch.device("meta"):
        assert lz.create_model("efficientnet_lite0_gem").device.type == "meta"


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA")
def test_a_model_on_the_gpu(saved):
    _, _, name = saved
    model = lz.create_model(name, device="cuda", dtype=torch.bfloat16).eval()
    assert (model.device.type, model.dtype) == ("cuda", torch.bfloat16)
    assert {p.device.type for p in model.parameters()} == {"cuda"}


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"device": "gpu"}, ValueError, "cannot compute on the device 'gpu'"),
        ({"device": "cuda:99"}, ValueError, "cannot compute on the device 'cuda:99'"),
        ({"dtype": "bfloat16"}, TypeError, r"such as torch\.bfloat16, got 'bfloat16'"),
        ({"dtype": torch.int8}, TypeError, r"such as torch\.bfloat16, got torch\.int8"),
    ],
)
def test_wrong_devices_and_dtypes(options, error, message):
    with pytest.raises(error, match=message):
        lz.create_model("efficientnet_lite0_gem", **options)


def test_img_size_of_a_timm_model_changes_the_input():
    model = lz.create_model("dinov2_vit_small", backbone_args={"img_size": 112})
    assert model.cfg.input_size == (3, 112, 112)
    lz.register_model("small_dino", model.cfg)
    assert lz.create_model("small_dino").cfg.input_size == (3, 112, 112)
    assert lz.create_model("small_dino", neck="fc-bn").cfg.input_size == (3, 112, 112)
    assert lz.create_model("dinov2_vit_small", backbone_args={"drop_path_rate": 0.1}).cfg.input_size[1] == 224
