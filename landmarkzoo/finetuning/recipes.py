"""The recipes as data: all settings that make a training."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, Literal, get_args

from landmarkzoo._utils.suggestions import did_you_mean

TrainingPrecision = Literal["auto", "float32", "bfloat16", "float16"]


@dataclass(frozen=True)
class Recipe:
    """Settings of a fine-tuning: plain numbers and strings, which go to ``training.json``.

    The defaults are for some hundred photos; ``benchmarks/finetune_photos.py`` measures them.

    Args:
        model: What is trained where ``finetune`` is given no ``model``.
        model_args: Arguments of the architecture that replace those of a registered model, such as
            ``{"embedding_dim": 256}``.
        trainable: ``"all"``, or how many of the last layers of the backbone are trained, with all that stands
            behind it; 0 for none of it. ``"auto"``: the last 4 blocks of a plain vision transformer, all of
            any other backbone. Batch norms stay as they are in any case.
        shrinkage: Of the whitening that the neck starts as, see ``whiten_neck``.
        image_size: Side of the training crops in pixels; the nearest one that the model takes.
        test_size: Side of the photos when they are embedded, from the first score on. Objects in random crops
            look larger than in whole photos, so a larger size than that of the crops fits.
        smallest_crop: Smallest share of a photo's area that a crop shows.
        erase: How often a part of a crop is blotted out.
        epochs: Passes over the photos.
        batch_size: Photos of a step, over all processes; fewer where there are fewer photos.
        lr: Learning rate of neck and branches at its peak: a tenth of warm-up, then a cosine to 0.
        head_lr: The same for the centers of the head.
        layer_decay: Factor of the learning rate from layer to layer of the backbone, see
            ``parameter_groups``.
        margin: Of ArcFace, in radians.
        scale: Of the cosines.
        sub_centers: Centers of each landmark.
        class_parallel: Whether processes split the landmarks among them; ``"auto"``: from 5,000 landmarks on.
        average: Decay of an exponential moving average of the weights, from step to step, which is what is
            measured and saved; 0: the weights themselves.
        patience: Epochs without a better score on the validation photos until the training stops; the best
            weights are then the result. 0: all epochs are trained, and the last weights are the result.
        precision: ``"auto"``: bfloat16 where the device has it in hardware, float16 on other GPUs, or else
            float32.
        seed: Of the split, new weights, the order of the photos, and their augmentation.

    Raises:
        ValueError: If a setting is out of its range; the message names it.

    Examples:
        >>> lz.finetuning.RECIPES["gem"].epochs
        12
        >>> lz.finetuning.Recipe(epochs=3, patience=1).lr
        0.00025
    """

    model: str = "efficientnet_lite0_gem"
    model_args: Mapping[str, Any] = field(default_factory=dict, hash=False)
    trainable: int | Literal["auto", "all"] = "auto"
    shrinkage: float = 0.03
    image_size: int = 256
    test_size: int = 384
    smallest_crop: float = 0.3
    erase: float = 0.3
    epochs: int = 12
    batch_size: int = 32
    lr: float = 2.5e-4
    head_lr: float = 1e-3
    layer_decay: float = 0.85
    margin: float = 0.2
    scale: float = 20.0
    sub_centers: int = 1
    class_parallel: bool | Literal["auto"] = "auto"
    average: float = 0.0
    patience: int = 0
    precision: TrainingPrecision = "auto"
    seed: int = 0

    def __post_init__(self) -> None:
        for name, least in _COUNTS.items():
            value = getattr(self, name)
            if name == "trainable" and value in ("auto", "all"):
                continue
            if isinstance(value, bool) or not isinstance(value, int) or value < least:
                raise ValueError(
                    f"{name} must be {_CHOICES.get(name, '')}an integer from {least} on, got {value!r}"
                )
        for name, (low, high, what) in _RANGES.items():
            value = getattr(self, name)
            number = isinstance(value, (int, float)) and not isinstance(value, bool)
            if not number or not low <= value <= high or math.isinf(value):
                raise ValueError(f"{name} must be {what}, got {value!r}")
        if self.precision not in get_args(TrainingPrecision):
            raise ValueError(
                f"precision must be one of {get_args(TrainingPrecision)}, got {self.precision!r}"
            )
        if not (isinstance(self.class_parallel, bool) or self.class_parallel == "auto"):
            raise ValueError(f"class_parallel must be True, False or 'auto', got {self.class_parallel!r}")

    def to_dict(self) -> dict[str, Any]:
        """All settings by name, ready for JSON.

        Examples:
            >>> lz.finetuning.Recipe(**lz.finetuning.Recipe(seed=3).to_dict()).seed
            3
        """
        return asdict(self)


_TINY = 1e-12
_CHOICES = {"trainable": "'auto', 'all' or "}
_COUNTS = {
    "trainable": 0,
    "image_size": 1,
    "test_size": 1,
    "epochs": 1,
    "batch_size": 1,
    "sub_centers": 1,
    "patience": 0,
    "seed": 0,
}
_RANGES = {
    "shrinkage": (0.0, 1.0, "from 0 to 1"),
    "smallest_crop": (0.01, 1.0, "from 0.01 to 1"),
    "erase": (0.0, 1.0, "from 0 to 1"),
    "lr": (0.0, math.inf, "a number from 0 on"),
    "head_lr": (0.0, math.inf, "a number from 0 on"),
    "layer_decay": (_TINY, 1.0, "above 0 and at most 1"),
    "margin": (0.0, math.pi, "an angle in radians, from 0 to pi"),
    "scale": (_TINY, math.inf, "above 0"),
    "average": (0.0, 1 - _TINY, "from 0 to below 1"),
}

_GEM = Recipe()

# A DOLG starts with the whole backbone's descriptor as its global branch: see `starting_models.py`.
RECIPES: dict[str, Recipe] = {"gem": _GEM, "dolg": replace(_GEM, model="dolg_efficientnet_lite0")}


def recipe_with(recipe: str | Recipe, overrides: Mapping[str, Any]) -> Recipe:
    """A recipe by its name, or one that was made, with some settings replaced.

    Raises:
        TypeError: If there is no such setting; the nearest is named.
        ValueError: If there is no such recipe, or a setting is out of its range.

    Examples:
        >>> from landmarkzoo.finetuning.recipes import recipe_with
        >>> recipe_with("gem", {"epochs": 3}).epochs
        3
    """
    if not isinstance(recipe, Recipe):
        if recipe not in RECIPES:
            raise ValueError(
                f"there is no recipe {recipe!r}.{did_you_mean(str(recipe), RECIPES)} There are "
                f"{', '.join(RECIPES)}; one of your own is lz.finetuning.Recipe(...)"
            )
        recipe = RECIPES[recipe]
    known = [setting.name for setting in fields(Recipe)]
    for name in overrides:
        if name not in known:
            raise TypeError(
                f"finetune has no argument {name!r}, nor a recipe such a setting.{did_you_mean(name, known)} "
                f"The settings are {', '.join(known)}"
            )
    return replace(recipe, **overrides)
