"""Recipes: plain, checked, and told apart from wrong arguments."""

import dataclasses
import json

import pytest

import landmarkzoo as lz
from landmarkzoo.finetuning.recipes import recipe_with


def test_recipes_go_through_json():
    for recipe in lz.finetuning.RECIPES.values():
        assert lz.finetuning.Recipe(**json.loads(json.dumps(recipe.to_dict()))) == recipe
        hash(recipe)


def test_the_recipe_that_was_measured_is_the_default():
    assert lz.finetuning.RECIPES["gem"] == lz.finetuning.Recipe()
    assert lz.finetuning.RECIPES["dolg"].model == "dolg_efficientnet_lite0"


def test_settings_are_replaced_and_unknown_ones_named():
    assert recipe_with(lz.finetuning.Recipe(epochs=2), {"lr": 1.0}).lr == 1.0
    with pytest.raises(
        TypeError, match=r"no argument 'epoch', nor a recipe such a setting. Did you mean epochs"
    ):
        recipe_with("gem", {"epoch": 3})
    with pytest.raises(ValueError, match=r"there is no recipe 'gemm'. Did you mean gem"):
        recipe_with("gemm", {})


@pytest.mark.parametrize(
    ("name", "value", "error"),
    [
        ("epochs", 0, "epochs must be an integer from 1 on, got 0"),
        ("epochs", 1.5, "epochs must be an integer from 1 on, got 1.5"),
        ("batch_size", True, "batch_size must be an integer from 1 on, got True"),
        ("trainable", "last", "trainable must be 'auto', 'all' or an integer from 0 on, got 'last'"),
        ("trainable", -1, "trainable must be 'auto', 'all' or an integer from 0 on"),
        ("seed", -1, "seed must be an integer from 0 on"),
        ("lr", -1e-3, "lr must be a number from 0 on"),
        ("lr", float("nan"), "lr must be a number from 0 on"),
        ("lr", float("inf"), "lr must be a number from 0 on"),
        ("average", 1.0, "average must be from 0 to below 1"),
        ("layer_decay", 0, "layer_decay must be above 0 and at most 1"),
        ("smallest_crop", 0, "smallest_crop must be from 0.01 to 1"),
        ("erase", "often", "erase must be from 0 to 1, got 'often'"),
        ("precision", "int8", "precision must be one of"),
        ("class_parallel", "yes", "class_parallel must be True, False or 'auto', got 'yes'"),
    ],
)
def test_settings_out_of_range_are_refused(name, value, error):
    with pytest.raises(ValueError, match=error.replace(".", r"\.")):
        dataclasses.replace(lz.finetuning.Recipe(), **{name: value})
