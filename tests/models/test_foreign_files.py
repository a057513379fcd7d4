"""Files of others: what they describe is checked before memory is taken, and digits and types come back."""

import json

import pytest
import torch
from safetensors.torch import load_file, save_file

import landmarkzoo as lz
from landmarkzoo._utils.bounded_building import TooLargeError, no_larger_than


@pytest.fixture(scope="module")
def tiny():
    return lz.create_model("efficientnet_lite0_gem", backbone="test_efficientnet", embedding_dim=8).eval()


@pytest.fixture
def folder(tiny, tmp_path):
    tiny.save_pretrained(tmp_path)
    return tmp_path


def load(folder):
    return lz.create_model(f"local-dir:{folder}")


def edit(folder, **changes):
    """Change fields of the config; those of ``args`` are merged."""
    config = json.loads((folder / "config.json").read_text())
    config["args"] |= changes.pop("args", {})
    (folder / "config.json").write_text(json.dumps({**config, **changes}))


NO_SIZES = [10**9, 2**70, -8, 0, 8.0, float("nan"), float("inf"), True, "8", None, [8], {}]


@pytest.mark.parametrize("value", NO_SIZES)
@pytest.mark.parametrize("place", ["embedding_dim", "args", "input_size"])
def test_sizes_that_cannot_be(folder, place, value):
    if place == "args":
        edit(folder, args={"embedding_dim": value})
    else:
        edit(folder, **{place: value if place == "embedding_dim" else [3, value, 64]})
    field = "embedding_dim" if place == "args" else place
    no_json = isinstance(value, float) and value != 8.0  # no number that JSON has
    with pytest.raises(ValueError, match="is no value that it can hold" if no_json else field) as error:
        load(folder)
    assert str(folder / "config.json") in str(error.value) or str(folder) in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (
            {"embedding_dim": 2**20},
            r"more than 4 times .* is embedding_dim \(1\.04858e\+06\)",
        ),
        ({"backbone": "vit_small_patch16_224", "backbone_args": {"depth": 10**6}}, r"'depth'\] \(1e\+06"),
        ({"backbone": "vit_giant_patch14_dinov2"}, "more than 4 times"),
        ({"backbone": "vit_small_patch16_224", "backbone_args": {"img_size": 10**6}}, r"\['img_size'\]"),
        (
            {"backbone": "resnet18", "backbone_args": {"layers": [10**6] * 4}},
            r"more tensors than the|more than 4 times",
        ),
        ({"backbone_args": {"img_size": [1] * 10**4}}, "cannot be built here"),
        ({"backbone": ["resnet18"]}, "cannot be built here"),
        ({"neck": {"a": 1}}, "cannot be built here"),
    ],
)
def test_more_than_the_weights_beside_it_hold(folder, args, message):
    edit(folder, args=args)
    with pytest.raises(ValueError, match=message) as error:
        load(folder)
    assert str(folder) in str(error.value)


def test_what_a_constructor_may_call():
    mean = torch.zeros(3)
    with no_larger_than({"weight": mean}):
        assert torch.normal(mean, 1.0).shape == torch.normal(mean, mean + 1).shape == (3,)
        assert torch.normal(0.0, 1.0, (2, 3)).shape == torch.randn(2, 3, generator=None).shape == (2, 3)
        assert torch.arange(torch.tensor(4)).tolist() == [0, 1, 2, 3]
        with pytest.raises(TooLargeError, match="more than 4 times the 3 numbers"):
            torch.normal(0.0, 1.0, (2**14, 2**14))


@pytest.mark.parametrize("dilations", [[10**12], [0], [1.5], [True], "123", 3, [], list(range(1, 5000))])
def test_a_local_branch_that_cannot_be(tmp_path, dilations):
    model = lz.DOLG("test_efficientnet", hidden_dim=8, dilations=(3,), embedding_dim=8)
    model.save_pretrained(tmp_path)
    edit(tmp_path, args={"dilations": dilations})
    with pytest.raises(ValueError, match=r"dilations|does not fit|cannot be built"):
        load(tmp_path)
    edit(tmp_path, args={"dilations": [3], "hidden_dim": 10**6})
    with pytest.raises(ValueError, match="more than 4 times"):
        load(tmp_path)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("interpolation", "cubic"),
        ("interpolation", 3),
        ("interpolation", ["bicubic"]),
        ("resize", {}),
        ("mean", 0.5),
        ("mean", [0.5, 0.5, "0.5"]),
        ("mean", [True, True, True]),
        ("std", [0.2, float("inf"), 0.2]),
        ("std", [0.2, -0.2, 0.2]),
        ("std", None),
        ("input_size", 64),
        ("input_size", [1, 64, 64]),
        ("input_size", [3, 64.5, 64]),
        ("architecture", None),
        ("architecture", ["DOLG"]),
        ("name", 3),
        ("weights", ["org/repo"]),
        ("license", {}),
        ("args", [1]),
        ("scores", "many"),
        ("scores", [3]),
        ("scores", [{"metric": "GAP", "value": "high", "protocol": "x"}]),
    ],
)
def test_values_of_a_field(folder, field, value):
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, field: value}))
    with pytest.raises(ValueError, match="score" if field == "scores" else field) as error:
        load(folder)
    assert "config.json" in str(error.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[]", "config.json is no config.json of a model: it holds a list"),
        ("null", "it holds a NoneType"),
        ('{"format": ' + "[" * 10**5, "is damaged: "),
        ('{"format": ' + "1" * 5000 + "}", "is damaged: "),
        ('{"mean": NaN}', "NaN is no value"),
        (" " * 2**21, "has 2097152 bytes, which no config.json of landmarkzoo has"),
    ],
)
def test_texts_that_are_no_config(folder, text, message):
    (folder / "config.json").write_text(text)
    with pytest.raises(ValueError, match=message):
        load(folder)


def test_one_full_stop_in_front_of_the_advice(folder):
    edit(folder, args={"backbone": "no_such_network"})
    with pytest.raises(ValueError, match=r"See timm\.list_models\(\)\. If a newer"):
        load(folder)


def test_the_size_of_the_descriptor_must_be_that_of_the_model(folder):
    edit(folder, embedding_dim=16)
    with pytest.raises(
        ValueError, match="its embedding_dim is 16, but its model gives descriptors of size 8"
    ):
        load(folder)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_weights_come_back_with_all_digits_in_their_type(tiny, tmp_path, dtype):
    model = lz.create_model("efficientnet_lite0_gem", backbone="test_efficientnet", embedding_dim=8).to(dtype)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(1 + 1e-12 if dtype == torch.float64 else 1)
    model.save_pretrained(tmp_path)
    loaded = load(tmp_path)
    assert loaded.dtype == dtype
    for name, tensor in model.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], tensor)
    assert lz.create_model(tmp_path, dtype=torch.float32).dtype == torch.float32


def test_each_tensor_keeps_the_type_of_its_own(tiny, tmp_path):
    model = lz.create_model("efficientnet_lite0_gem", backbone="test_efficientnet", embedding_dim=8)
    model.backbone.to(torch.bfloat16)
    model.save_pretrained(tmp_path)
    types = {name: tensor.dtype for name, tensor in load(tmp_path).state_dict().items()}
    assert types == {name: tensor.dtype for name, tensor in model.state_dict().items()}


def test_types_that_no_model_has(folder):
    path = folder / "model.safetensors"
    tensors = load_file(path)
    save_file({**tensors, "neck.0.bias": tensors["neck.0.bias"].to(torch.int8)}, path)
    with pytest.raises(ValueError, match=r"neck\.0\.bias has dtype torch\.int8, not"):
        load(folder)


@pytest.mark.parametrize("compiled", ["model", "backbone"])
def test_a_compiled_model_is_saved_by_its_plain_names(tiny, tmp_path, compiled):
    model = lz.create_model("efficientnet_lite0_gem", backbone="test_efficientnet", embedding_dim=8)
    if compiled == "backbone":
        model.backbone = torch.compile(model.backbone)
        wrapped = model
    else:
        wrapped = torch.compile(model)
    wrapped.save_pretrained(tmp_path)
    assert load(tmp_path).state_dict().keys() == tiny.state_dict().keys()


def test_a_subclass_is_never_saved_as_its_parent(tmp_path):
    class Mine(lz.GlobalDescriptor):
        def forward_pooled(self, images):
            return super().forward_pooled(images) * 2

    with pytest.raises(TypeError, match="Mine is not registered, so a saved Mine could not be loaded"):
        Mine("test_efficientnet", embedding_dim=8).save_pretrained(tmp_path / "mine")
    assert not (tmp_path / "mine").exists()


def test_a_model_of_another_network_does_not_keep_the_name(tiny):
    assert tiny.cfg.name is None
    assert lz.create_model("efficientnet_lite0_gem", embedding_dim=8).cfg.name == "efficientnet_lite0_gem"
    same = lz.create_model(
        "efficientnet_lite0_gem", backbone=lz.get_model_cfg("efficientnet_lite0_gem").args["backbone"]
    )
    assert same.cfg.name == "efficientnet_lite0_gem"
