import copy
import dataclasses
import json
import pickle

import pytest

import landmarkzoo as lz


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
