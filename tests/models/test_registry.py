from dataclasses import replace

import pytest
import torch

import landmarkzoo as lz
from landmarkzoo import cli
from landmarkzoo.hub.published_files import WeightsFile


def test_listing():
    names = lz.list_models()
    assert names == sorted(names)
    assert {"dolg_efficientnet_b5", "dolg_efficientnet_b6", "dolg_efficientnet_b7"} <= set(names)
    assert {"dolg_efficientnet_b0", "dolg_efficientnet_lite0", "efficientnet_lite0_gem"} <= set(names)
    assert lz.list_models("*_gem") == ["efficientnet_b5_gem", "efficientnet_lite0_gem"]
    assert lz.list_models(["dolg*b5", "dolg*b6"]) == ["dolg_efficientnet_b5", "dolg_efficientnet_b6"]
    assert lz.list_models("nothing*") == []
    assert lz.is_model("dolg_efficientnet_b7")
    assert not lz.is_model("dolg_efficientnet_b8")


def test_table_1():
    sizes = {"b5": (768, 2, (6, 12, 18)), "b6": (768, 2, (3, 6, 9)), "b7": (448, 1, (3, 6, 9))}
    for level, (size, stride, dilations) in sizes.items():
        cfg = lz.get_model_cfg(f"dolg_efficientnet_{level}")
        assert cfg.input_size == (3, size, size)
        assert (cfg.args["stem_stride"], cfg.args["dilations"]) == (stride, dilations)
        assert cfg.args["backbone"] == f"tf_efficientnet_{level}.ns_jft_in1k"
        assert (cfg.mean[0], cfg.std[0], cfg.interpolation) == (0.485, 0.229, "bicubic")
        assert cfg.weights is None
    scores = {(s.metric, s.value) for s in lz.get_model_cfg("dolg_efficientnet_b5").scores}
    assert scores == {("GAP", 0.476), ("GAP", 0.497), ("mAP@100", 0.478), ("mAP@100", 0.464)}
    assert all(s.protocol for s in lz.get_model_cfg("dolg_efficientnet_b5").scores)


def test_table_1_hybrids_and_pure_efficientnets():
    for name, size, level, stride, gap in (
        ("b3_swin_base_224", 896, 16, 2, 0.462),
        ("b5_swin_base_224", 448, 16, 1, 0.462),
        ("b6_swin_base_384", 384, 8, 1, 0.467),
    ):
        cfg = lz.get_model_cfg(f"hybrid_efficientnet_{name}")
        assert cfg.input_size == (3, size, size)
        assert (cfg.args["image_size"], cfg.args["cnn_level"], cfg.args["stem_stride"]) == (
            size,
            level,
            stride,
        )
        assert cfg.scores[0].value == gap
        assert len(cfg.scores) == 4
    for name, size, pool, neck, metrics in (
        ("efficientnet_b3", 768, "avg", "fc-silu", {"GAP"}),
        ("efficientnet_b6", 512, "avg", "fc-silu", {"GAP", "mAP@100"}),
        ("efficientnet_b5_gem", 704, "gem", "fc-bn", {"mAP@100"}),
    ):
        cfg = lz.get_model_cfg(name)
        assert cfg.input_size == (3, size, size)
        assert (cfg.args["pool"], cfg.args["neck"]) == (pool, neck)
        assert {score.metric for score in cfg.scores} == metrics
    assert lz.get_model_cfg("efficientnet_b5_gem").args["pool_trainable"] is False


def test_overrides_of_a_hybrid_change_its_input():
    model = lz.create_model("hybrid_efficientnet_b0_swin_tiny_224", image_size=222, cnn_level=4)
    assert model.cfg.input_size == (3, 222, 222)
    assert model.cfg.name == "hybrid_efficientnet_b0_swin_tiny_224"
    lite = lz.create_model("hybrid_efficientnet_b0_swin_tiny_224", cnn="tf_efficientnet_lite0")
    assert lite.cfg.mean == (0.5, 0.5, 0.5)


def test_overrides_reach_the_model_and_its_cfg():
    model = lz.create_model("dolg_efficientnet_lite0", embedding_dim=64, dilations=[2], hidden_dim=8)
    assert model.embedding_dim == model.cfg.embedding_dim == 64
    assert model.cfg.args["dilations"] == (2,)
    assert model.cfg.name == "dolg_efficientnet_lite0"
    assert model.eval()(torch.zeros(1, 3, 64, 64)).shape == (1, 64)


def test_another_backbone_brings_its_own_input_statistics_and_no_scores():
    model = lz.create_model("efficientnet_lite0_gem", backbone="resnet18")
    assert model.cfg.mean == (0.485, 0.456, 0.406)
    assert lz.create_model("efficientnet_lite0_gem").cfg.mean == (0.5, 0.5, 0.5)
    assert lz.create_model("dolg_efficientnet_b5", backbone="resnet18").cfg.scores == ()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("dolg_eficientnet_b5",), "Did you mean dolg_efficientnet_b5"),
        (("zzz",), "landmarkzoo has no model 'zzz'. See lz.list_models"),
        (
            ("dolg_efficientnet_b5.gldv2",),
            "no weights with the tag 'gldv2', it has gldv2x. Did you mean gld",
        ),
        (
            ("gem_resnet50.gl81",),
            r"tag 'gl81', it has sfm120k, gl18\. Did you mean gl18\?",
        ),
        (("gem_resnet50.",), "with the tag '', it has sfm120k, gl18"),
        (("megaloc.",), "with the tag '', nor with any other; the model itself is 'megaloc'"),
        (("efficientnet_b3.gl18",), "'gl18', nor with any other; the model itself is 'efficientnet_b3'"),
        (("gem_resnet51.gl18",), "no model 'gem_resnet51.gl18'. Did you mean gem_resnet50"),
        (("hf-hub:",), "a name on the Hub is 'hf-hub:org/repo'"),
        (("dolg_efficientnet_b5", True), "pretrained_backbone=True"),
    ],
)
def test_wrong_names(arguments, message):
    with pytest.raises(ValueError, match=message):
        lz.create_model(*arguments)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"num_classes": 10}, "classes belong to the head"),
        ({"dilation": (3, 6)}, "Did you mean dilations"),
        ({"drop_path_rate": 0.1}, "It takes: backbone, embedding_dim.* a timm model go into backbone_args"),
        ({"backbone": "resnet5O"}, "Did you mean resnet50"),
        ({"projection": "other"}, "projection must be one of"),
        ({"backbone": "resnet18.bogus"}, "timm has no weights 'resnet18.bogus'"),
        ({"embedding_dim": 0}, "embedding_dim must be a positive integer"),
    ],
)
def test_wrong_overrides(overrides, message):
    with pytest.raises(ValueError, match=message):
        lz.create_model("dolg_efficientnet_lite0", **overrides)


def test_a_name_of_ones_own():
    model = lz.DOLG("resnet10t", hidden_dim=8, dilations=(1,), embedding_dim=16)
    lz.register_model("my-model_1", model.cfg)
    assert lz.is_model("my-model_1")
    assert lz.list_models("my*") == ["my-model_1"]
    assert lz.list_models("my*", pretrained=True) == []
    assert lz.get_model_cfg("my-model_1") == replace(model.cfg, name="my-model_1")
    created = lz.create_model("my-model_1", embedding_dim=4)
    assert (type(created), created.embedding_dim, created.cfg.name) == (lz.DOLG, 4, "my-model_1")
    with pytest.raises(ValueError, match="Did you mean my-model_1"):
        lz.create_model("my-model_2")


def test_a_registered_model_is_saved_and_pushed_under_its_name(tmp_path):
    lz.register_model("mine", lz.GlobalDescriptor("test_efficientnet", embedding_dim=8).cfg)
    lz.create_model("mine").save_pretrained(tmp_path)
    assert lz.create_model(tmp_path).cfg.name == "mine"
    lz.register_model("theirs", replace(lz.get_model_cfg("mine"), weights="org/repo"))
    assert lz.list_models("the*", pretrained=True) == ["theirs"]
    with pytest.raises((OSError, ValueError), match="org/repo"):  # the Hub is asked
        lz.create_model("theirs", pretrained=True, local_files_only=True, cache_dir=tmp_path / "empty")


def test_names_are_taken_once():
    cfg = lz.get_model_cfg("efficientnet_b3")
    lz.register_model("mine", cfg)
    lz.register_model(
        "mine", lz.get_model_cfg("mine")
    )  # the same again, as when a notebook's cell runs again
    other = lz.get_model_cfg("efficientnet_b6")
    for name in ("mine", "dolg_efficientnet_b5"):
        with pytest.raises(
            ValueError, match=f"there is a model '{name}' already: use another name, or exist_ok"
        ):
            lz.register_model(name, other)
        lz.register_model(name, other, exist_ok=True)
        assert lz.get_model_cfg(name) == replace(other, name=name)


@pytest.mark.parametrize("name", ["", "a.b", "hf-hub:a", "org/repo", "a b", "ü", "a\n", "*"])
def test_names_that_cannot_be(name):
    with pytest.raises(ValueError, match="made of letters, digits, _ and -; a dot is for the tag"):
        lz.register_model(name, lz.get_model_cfg("efficientnet_b3"))


def test_what_cannot_be_registered():
    cfg = lz.get_model_cfg("efficientnet_b3")
    with pytest.raises(TypeError, match=r"takes a name and a lz\.ModelCfg, got str and dict"):
        lz.register_model("mine", {"architecture": "DOLG"})
    with pytest.raises(TypeError, match=r"got NoneType and ModelCfg; the cfg of a model is model\.cfg"):
        lz.register_model(None, cfg)
    with pytest.raises(ValueError, match=r"'HybridSwan' is not registered; .* Did you mean HybridSwin\?"):
        lz.register_model("mine", replace(cfg, architecture="HybridSwan"))
    with pytest.raises(ValueError, match=r"GlobalDescriptor has no argument 'poling'\. Did you mean pool"):
        lz.register_model("mine", replace(cfg, args={"backbone": "resnet18", "poling": "avg"}))
    assert not lz.is_model("mine")


def test_the_command_line_lists_it(capsys):
    lz.register_model("mine", replace(lz.get_model_cfg("efficientnet_b3"), weights="org/repo"))
    assert cli.main(["models", "mine"]) == 0
    row = capsys.readouterr().out.splitlines()[2]
    assert row.split() == [
        "mine",
        "GlobalDescriptor",
        "tf_efficientnet_b3.ns_jft_in1k",
        "768",
        "px",
        "512",
        "org/repo",
    ]


def test_the_size_of_the_descriptor_comes_from_the_model():
    args = {"backbone": "test_efficientnet", "embedding_dim": 32}
    for _ in range(2):  # the same again
        lz.register_model("mine", lz.ModelCfg("GlobalDescriptor", args))
    assert lz.get_model_cfg("mine").embedding_dim == 32
    with pytest.raises(
        ValueError, match=r"cfg\.embedding_dim is 64, but the model gives descriptors of size 32"
    ):
        lz.register_model("other", lz.ModelCfg("GlobalDescriptor", args, embedding_dim=64))


def test_the_command_line_lists_arguments_of_all_kinds(capsys):
    @lz.register_architecture
    class Pair(lz.GlobalDescriptor):
        def __init__(self, backbone=("test_efficientnet", "x"), cnn=None):
            super().__init__(backbone[0], embedding_dim=8)
            self.cfg = replace(self.cfg, args={"backbone": backbone, "cnn": cnn})

    lz.register_model("pair", Pair(cnn={"width": 2}).cfg)
    assert cli.main(["models", "pair"]) == 0
    assert "('test_efficientnet', 'x') + {'width': 2}" in capsys.readouterr().out


def test_a_cfg_is_registered_as_it_is():
    args = {"backbone": "tf_efficientnet_lite0.in1k", "neck": "none"}
    by_hand = lz.GlobalDescriptor(**args).cfg
    assert by_hand.mean == (0.5, 0.5, 0.5)
    lz.register_model("my_lite0", by_hand)
    assert lz.create_model("my_lite0").cfg.mean == by_hand.mean
    lz.register_model("my_lite0_96", replace(by_hand, input_size=(3, 96, 96), mean=(0.4, 0.4, 0.4)))
    cfg = lz.create_model("my_lite0_96").cfg
    assert (cfg.input_size, cfg.mean) == ((3, 96, 96), (0.4, 0.4, 0.4))


def test_tags():
    assert lz.list_models("gem_resnet50", pretrained=True) == ["gem_resnet50.gl18", "gem_resnet50.sfm120k"]
    assert lz.list_models("*.gl18", pretrained=True) == [f"gem_resnet{d}.gl18" for d in (101, 152, 50)]
    assert lz.list_models("*.gl18") == []  # names have no tags
    assert lz.list_models("efficientnet_b3", pretrained=True) == []
    assert lz.get_model_cfg("gem_resnet50") == lz.get_model_cfg("gem_resnet50.sfm120k")
    assert lz.get_model_cfg("gem_resnet50.gl18").name == "gem_resnet50.gl18"
    for name, there in (("gem_resnet50", True), ("gem_resnet50.gl18", True), ("gem_resnet50.", False)):
        assert lz.is_model(name) == there


def test_an_entry_with_tags_can_be_replaced_by_one_without():
    lz.register_model("gem_resnet50", lz.get_model_cfg("gem_resnet50"))  # the same again
    assert lz.is_model("gem_resnet50.gl18")
    cfg = lz.get_model_cfg("efficientnet_b3")
    with pytest.raises(ValueError, match="there is a model 'gem_resnet50' already"):
        lz.register_model("gem_resnet50", cfg)
    lz.register_model("gem_resnet50", cfg, exist_ok=True)
    assert lz.get_model_cfg("gem_resnet50") == replace(cfg, name="gem_resnet50")
    assert not lz.is_model("gem_resnet50.gl18")


def test_weights_of_an_entry_may_be_a_file_of_others():
    weights = WeightsFile("places", url="http://host.org/net.pth")
    cfg = lz.GlobalDescriptor("resnet18", neck="fc", normalize_map=True, embedding_dim=8).cfg
    lz.register_model("mine", replace(cfg, weights=weights))
    assert lz.list_models("mine", pretrained=True) == ["mine"]
    assert lz.create_model("mine").cfg.weights is None


def test_the_command_line_lists_tags_and_weights(capsys):
    assert cli.main(["models", "[cm]*"]) == 0
    rows = capsys.readouterr().out.splitlines()[2:]
    assert next(row for row in rows if row.startswith("cosplace_resnet18")).endswith(
        "512         sf_xl_512, sf_xl_128, sf_xl_256, sf_xl_32, sf_xl_64"  # that of the name alone first
    )
    assert next(row for row in rows if row.startswith("megaloc")).endswith("322 px  8448        yes")
    assert cli.main(["models", "--pretrained", "dolg_*"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split("  ")[0] for line in lines[2:4]] == ["dolg_resnet101.gldv2", "dolg_resnet50.gldv2"]
    assert "354 MB    unstated  Google Landmarks v2" in lines[2]
    assert "mAP 0.824 ROxford5k medium; " in lines[2]
    assert lines[2].endswith("RParis6k hard [1]")
    assert lines[4] == ("[1] photos at their own size, queries cropped, 5 scales, as published (not re-run)")
