import copy
import dataclasses
import json
import pickle

import pytest

import landmarkzoo as lz
from landmarkzoo.hub.published_files import WeightsFile


def test_is_frozen_through_and_through():
    cfg = lz.get_model_cfg("dolg_efficientnet_b5")
    with pytest.raises(dataclasses.FrozenInstanceError):
        cfg.name = "other"
    with pytest.raises(TypeError):
        cfg.args["stem_stride"] = 1
    with pytest.raises(TypeError, match=r"dataclasses\.replace"):
        cfg.args.update(stem_stride=1)
    given = {"backbone": "resnet18"}
    cfg = lz.ModelCfg("DOLG", given)
    given["backbone"] = "resnet50"
    assert cfg.args["backbone"] == "resnet18"


def test_copies_pickles_and_compares():
    cfg = lz.get_model_cfg("dolg_efficientnet_b5")
    assert copy.deepcopy(cfg) == pickle.loads(pickle.dumps(cfg)) == cfg
    assert hash(cfg) == hash(lz.get_model_cfg("dolg_efficientnet_b5"))
    assert dataclasses.asdict(cfg)["args"]["dilations"] == (6, 12, 18)
    assert json.loads(json.dumps(dataclasses.asdict(cfg)))["name"] == "dolg_efficientnet_b5"
    assert cfg != lz.get_model_cfg("dolg_efficientnet_b6")


def through_a_file(cfg):
    return lz.ModelCfg.from_fields(json.loads(json.dumps(dataclasses.asdict(cfg))))


WEIGHTS = WeightsFile("cirtorch", url="http://host.org/net-a155e54.pth", sha256="a155e54", size=1000)


@pytest.mark.parametrize("weights", [None, "org/repo@v1", WEIGHTS])
def test_comes_back_from_json(weights):
    cfg = lz.ModelCfg(
        "DOLG",
        {"backbone": "resnet50", "dilations": (3, 6)},
        name="dolg.mine",
        input_size=(3, 512, 512),
        resize="longest",
        scales=(0.5, 1.0),
        flip=True,
        combine="max",
        scale_resize="bilinear",
        weights=weights,
        license="MIT",
        scores=(lz.Score("mAP", 0.5, "ROxford, medium"),),
    )
    back = through_a_file(cfg)
    assert back == cfg
    assert type(back.weights) is type(weights)
    assert hash(back) == hash(cfg)


def test_a_file_from_before_there_were_views():
    values = dataclasses.asdict(lz.get_model_cfg("dolg_efficientnet_b5"))
    new = ("scales", "flip", "combine", "scale_resize", "weights")
    cfg = lz.ModelCfg.from_fields({name: value for name, value in values.items() if name not in new})
    assert (cfg.scales, cfg.flip, cfg.combine, cfg.scale_resize) == ((1.0,), False, "mean", "bicubic")
    assert cfg == lz.get_model_cfg("dolg_efficientnet_b5")


def test_a_saved_model_keeps_its_views_and_its_weights(tmp_path):
    model = lz.GlobalDescriptor("test_efficientnet", embedding_dim=8)
    model.cfg = dataclasses.replace(model.cfg, resize="none", scales=[1, 0.5], combine="max", weights=WEIGHTS)
    model.save_pretrained(tmp_path)
    cfg = lz.create_model(tmp_path).cfg
    assert cfg == model.cfg
    assert (cfg.scales, cfg.weights) == ((1.0, 0.5), WEIGHTS)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"scales": ()}, r"scales must be positive numbers, such as \(0.5, 1.0\), got \(\)"),
        ({"scales": 0.5}, "scales must be positive numbers"),
        ({"scales": (1.0, -1.0)}, "scales must be positive numbers"),
        ({"scales": (True,)}, "scales must be positive numbers"),
        ({"scales": (float("inf"),)}, "scales must be positive numbers"),
        ({"flip": 1}, "flip must be True or False, got 1"),
        ({"combine": "sum"}, "combine must be one of mean, max, got 'sum'"),
        (
            {"scale_resize": "nearest"},
            "scale_resize must be one of bicubic, bilinear, .*, bilinear-cut, area, got 'nearest'",
        ),
        ({"resize": "crop"}, "resize must be one of squash, longest, shortest, none, got 'crop'"),
        ({"resize": "longest", "input_size": (3, 100, 50)}, r"must be \(3, N, N\) where resize is 'longest'"),
        ({"weights": 5}, "weights must be a repository, a folder of this package or a WeightsFile, got 5"),
        ({"weights": {"url": "http://host.org/x"}}, "layout of the weights unknown or missing"),
        ({"weights": {"layout": "places", "uri": "x"}}, "uri of the weights unknown or missing"),
        ({"weights": {"layout": "places", "url": 7}}, "url of the weights must be str, got 7"),
        ({"weights": {"layout": "places", "url": "x", "size": "7"}}, "size of the weights must be int"),
        ({"weights": {"layout": None, "url": "x"}}, "layout of the weights must be str"),
        ({"weights": {"layout": "places"}}, "give either url or repo"),
    ],
)
def test_values_that_cannot_be(values, message):
    fields = dataclasses.asdict(lz.ModelCfg("DOLG", {"backbone": "resnet50"}))
    with pytest.raises(ValueError, match=message):
        lz.ModelCfg.from_fields({**fields, **values})
