"""GlobalDescriptor on modules: a backbone and a pooling that landmarkzoo does not know."""

import copy
import pickle

import numpy as np
import pytest
import timm
import torch
from torch import nn

import landmarkzoo as lz


class Cnn(nn.Module):
    """Any module that gives a map; nothing in it is timm's."""

    def __init__(self, channels=8):
        super().__init__()
        self.num_features = channels
        self.stem = nn.Sequential(nn.Conv2d(3, channels, 3, stride=4, padding=1), nn.BatchNorm2d(channels))
        self.stages = nn.ModuleList(nn.Conv2d(channels, channels, 3, stride=2, padding=1) for _ in range(2))

    def forward(self, images):
        x = self.stem(images).relu()
        for stage in self.stages:
            x = stage(x).relu()
        return x


class MeanMax(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(0.5))

    def forward(self, maps):
        return self.weight * maps.mean((2, 3)) + (1 - self.weight) * maps.amax((2, 3))


class Give(nn.Module):
    """A module that gives what a function makes of its input."""

    def __init__(self, function, num_features=None):
        super().__init__()
        self.function = function
        if num_features is not None:
            self.num_features = num_features

    def forward(self, x):
        return self.function(x)


@pytest.fixture
def model():
    return lz.GlobalDescriptor(Cnn(), pool=MeanMax(), embedding_dim=4)


def test_is_backbone_pooling_and_neck_in_a_row(model):
    model.eval()
    x = torch.randn(2, 3, 40, 56)
    with torch.no_grad():
        maps = model.backbone(x)
        torch.testing.assert_close(model.forward_features(x), maps)
        assert maps.shape == (2, 8, 3, 4)
        torch.testing.assert_close(model(x), model.neck(model.global_pool(maps)))
    assert (model.cfg.architecture, model.cfg.embedding_dim) == ("GlobalDescriptor", 4)
    assert model.cfg.mean == (0.485, 0.456, 0.406)
    assert model.cfg.input_size == (3, 224, 224)
    assert model.cfg.args["backbone"] is model.backbone


@pytest.mark.parametrize("pool", ["gem", "avg"])
def test_a_module_as_backbone_with_a_named_pooling(pool):
    model = lz.GlobalDescriptor(Cnn(), pool=pool, neck="none")
    model(torch.randn(2, 3, 64, 64)).sum().backward()
    assert model.embedding_dim == 8
    assert all(p.grad is not None for p in model.parameters())


def test_a_module_as_pooling_of_a_timm_backbone():
    model = lz.GlobalDescriptor("test_vit", pool=MeanMax(), neck="none").eval()
    with torch.no_grad():
        x = torch.randn(2, 3, 64, 64)
        torch.testing.assert_close(model(x), model.global_pool(model.forward_features(x)))
    assert model.cfg.args["backbone"] == "test_vit"


def test_a_timm_model_as_backbone():
    backbone = timm.create_model("test_vit.r160_in1k", num_classes=0).eval()
    model = lz.GlobalDescriptor(backbone, pool="cls", neck="none").eval()
    x = torch.randn(1, 3, 160, 160)
    with torch.no_grad():
        torch.testing.assert_close(model(x), backbone.forward_features(x)[:, 0])
        assert model.forward_features(x).shape == (1, 64, 10, 10)
    assert model.cfg.input_size == (3, 160, 160)  # timm's models know their images
    with pytest.raises(ValueError, match=r"takes 160x160 px only|multiples of 16"):
        model(torch.randn(1, 3, 100, 100))


def test_all_that_is_done_to_models_works_on_it(model, tmp_path):
    photos = torch.rand(7, 3, 64, 64)
    groups = lz.parameter_groups(model, lr=1.0, layer_decay=0.5, weight_decay=0.1)
    rate = {id(p): group["lr"] for group in groups for p in group["params"]}
    assert rate[id(model.neck[0].weight)] == rate[id(model.global_pool.weight)] == 1.0
    assert rate[id(model.backbone.stages[1].weight)] == 0.5
    assert rate[id(model.backbone.stages[0].weight)] == 0.25
    assert rate[id(model.backbone.stem[1].weight)] == 0.125
    lz.freeze(model, "backbone")
    assert not model.train().backbone.stem[1].training
    lz.whiten_neck(model, photos, progress=False)
    transform = lz.create_transform(model, image_size=64)
    assert transform(torch.zeros(3, 80, 80, dtype=torch.uint8)).shape == (3, 64, 64)
    descriptors = lz.embed(model, photos, progress=False, out=tmp_path / "index.safetensors")
    assert descriptors.vectors.shape == (7, 4)
    assert np.allclose(np.linalg.norm(descriptors.vectors, axis=1), 1, atol=1e-5)
    for twin in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert twin.cfg.args["backbone"] is twin.backbone
        assert not torch.equal(twin.eval()(photos), torch.zeros(7, 4))
    with pytest.raises(ValueError, match="Cnn cannot do gradient checkpointing"):
        model.set_grad_checkpointing()


def test_compiles_and_exports(model):
    x = torch.randn(3, 3, 64, 64)
    model.eval()
    with torch.no_grad():
        compiled = torch.compile(model, backend="eager", fullgraph=True)
        torch.testing.assert_close(compiled(x), model(x))
        batch = torch.export.Dim("batch", min=1, max=64)
        program = torch.export.export(model, (x[:2],), dynamic_shapes=({0: batch},)).module()
        torch.testing.assert_close(program(x), model(x))


def test_what_has_no_name_is_not_saved_and_the_way_out_is_named(model, tmp_path):
    with pytest.raises(
        TypeError, match=r"backbone=Cnn\(\.\.\.\) and pool=MeanMax\(\.\.\.\).*register_architecture"
    ):
        model.save_pretrained(tmp_path / "model")
    with pytest.raises(TypeError, match=r"given a module, backbone=Cnn"):
        model.push_to_hub("org/repo")
    assert not (tmp_path / "model").exists()

    @lz.register_architecture
    class MyModel(lz.GlobalDescriptor):
        def __init__(self, channels=8, *, embedding_dim=4, normalize_pooled=False):
            args = {
                "channels": channels,
                "embedding_dim": embedding_dim,
                "normalize_pooled": normalize_pooled,
            }
            super().__init__(
                Cnn(channels), pool=MeanMax(), embedding_dim=embedding_dim, normalize_pooled=normalize_pooled
            )
            self.cfg = lz.ModelCfg("MyModel", args, input_size=(3, 64, 64), embedding_dim=embedding_dim)

    mine = MyModel(6)
    lz.whiten_neck(mine, torch.rand(9, 3, 64, 64), progress=False)
    mine.save_pretrained(tmp_path / "model")
    loaded = lz.create_model(tmp_path / "model").eval()
    x = torch.rand(2, 3, 64, 64)
    with torch.no_grad():
        assert torch.equal(loaded(x), mine.eval()(x))
    assert loaded.cfg == mine.cfg
    assert lz.parameter_groups(loaded, lr=1.0)[-1]["lr"] < 1.0


def test_modules_as_overrides():
    model = lz.create_model("efficientnet_lite0_gem", backbone=Cnn(), pool=MeanMax(), embedding_dim=4)
    assert model.cfg.mean == (0.485, 0.456, 0.406)  # no longer those of the lite0
    assert model(torch.rand(2, 3, 64, 64)).shape == (2, 4)
    with pytest.raises(
        TypeError, match="backbone is a module, Cnn, which all models of that name would share"
    ):
        lz.register_model("shared", model.cfg)


@pytest.mark.parametrize(
    ("backbone", "error", "message"),
    [
        (Cnn, TypeError, "the name of a timm model or an nn.Module, got <class"),
        (None, TypeError, "the name of a timm model or an nn.Module, got None"),
        (lambda x: x, TypeError, "the name of a timm model or an nn.Module, got <function"),
        (nn.Conv2d(3, 8, 3), TypeError, "Conv2d has no num_features: set it to the channels of its map"),
        (Give(lambda x: x, num_features=0), TypeError, "Give has num_features=0: set it to"),
        (Give(lambda x: x, num_features="3"), TypeError, "Give has num_features='3': set it to"),
    ],
)
def test_backbones_that_are_refused(backbone, error, message):
    with pytest.raises(error, match=message):
        lz.GlobalDescriptor(backbone)


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda x: x.mean((2, 3)), r"got \(2, 3\) for images \(2, 3, 64, 64\): it must give \(B, 8, H, W\)"),
        (lambda x: [x], r"neither a feature map nor tokens, got list"),
        (lambda x: x, r"a map \(2, 3, 64, 64\) .* but its num_features is 8: it must give \(B, 8, H, W\)"),
    ],
)
def test_backbones_that_give_something_else(function, message):
    model = lz.GlobalDescriptor(Give(function, num_features=8), pool="avg")
    with pytest.raises(ValueError, match=message):
        model(torch.zeros(2, 3, 64, 64))


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda x: x, r"pooling Give gives \(2, 8, 4, 4\) for a map \(2, 8, 4, 4\): .* here \(2, 8\)"),
        (lambda x: x.mean((2, 3))[:, :4], r"gives \(2, 4\)"),
        (lambda x: (x,), r"gives tuple"),
    ],
)
def test_poolings_that_give_something_else(function, message):
    model = lz.GlobalDescriptor(Cnn(), pool=Give(function))
    with pytest.raises(ValueError, match=message):
        model(torch.zeros(2, 3, 64, 64))


def test_wrong_poolings():
    for wrong in (MeanMax, torch.amax, 3):
        with pytest.raises(
            TypeError, match=r"pool must be one of .* or an nn\.Module, \(B, C, H, W\) -> \(B, C\)"
        ):
            lz.GlobalDescriptor("resnet18", pool=wrong)
    with pytest.raises(ValueError, match=r"or an nn\.Module, got 'max'"):
        lz.GlobalDescriptor("resnet18", pool="max")
    with pytest.raises(ValueError, match="Cnn has no class token"):
        lz.GlobalDescriptor(Cnn(), pool="cls")


@pytest.mark.parametrize("options", [{"pretrained_backbone": True}, {"backbone_args": {"drop_rate": 0.1}}])
def test_a_module_takes_no_options_of_timm(options):
    with pytest.raises(ValueError, match="the module Cnn comes with its weights and arguments"):
        lz.GlobalDescriptor(Cnn(), **options)


def test_dolg_takes_names_only():
    with pytest.raises(
        TypeError, match=r"given by its name, .* got Cnn; modules are taken by lz\.GlobalDescriptor"
    ):
        lz.DOLG(Cnn())


@pytest.mark.parametrize("name", ["resnet18", "test_vit", "test_convnext", "mobilenetv3_small_050"])
def test_the_head_of_a_timm_model_is_cut_off_as_for_its_name(name):
    model = lz.GlobalDescriptor(timm.create_model(name), embedding_dim=8)
    assert {*model.state_dict()} == {*lz.GlobalDescriptor(name, embedding_dim=8).state_dict()}
    model(torch.randn(2, 3, 160, 160)).sum().backward()
    # A ViT has a class token, which the mean of its patches still sees in its blocks.
    assert not [name for name, p in model.named_parameters() if p.grad is None]


def test_the_class_token_of_a_module():
    class Tokens(torch.nn.Module):
        num_features = 8

        def __init__(self):
            super().__init__()
            self.cls_token = torch.nn.Parameter(torch.ones(1, 1, 8))
            self.patches = torch.nn.Conv2d(3, 8, 16, 16)

        def forward(self, images):
            patches = self.patches(images).flatten(2).transpose(1, 2)
            return torch.cat([self.cls_token.expand(len(images), -1, -1), patches], dim=1)

    class Mapping(Tokens):
        def forward(self, images):
            return self.patches(images)

    images = torch.randn(2, 3, 64, 64)
    model = lz.GlobalDescriptor(Tokens(), pool="cls", neck="none").eval()
    assert torch.equal(model(images), torch.ones(2, 8))
    model = lz.GlobalDescriptor(Mapping(), pool="cls", neck="none").eval()
    with pytest.raises(ValueError, match=r"Mapping gives \(2, 8, 4, 4\) .* first of the tokens \(B, N, 8\)"):
        model(images)


def test_no_pooling_is_explained():
    with pytest.raises(TypeError, match="got None; the mean of the map is pool='avg'"):
        lz.GlobalDescriptor("test_efficientnet", pool=None)
