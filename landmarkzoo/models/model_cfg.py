"""What a model is, as data: everything needed to build it, feed it and cite it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal, NoReturn, get_args

import numpy as np

from landmarkzoo.hub.published_files import WeightsFile
from landmarkzoo.metrics import Score

Resize = Literal["squash", "longest", "shortest", "none"]
Combine = Literal["mean", "max"]
ScaleResize = Literal["bicubic", "bilinear", "bilinear-rounded", "bilinear-cut", "area"]

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)

# What a model is built from and fed with: defaults in their place would be silently wrong.
_NEEDED = {"architecture", "args", "embedding_dim", "input_size", "mean", "std", "interpolation", "resize"}

# Of the resize of photos, as torchvision calls its filters.
INTERPOLATIONS = ("nearest", "nearest-exact", "bilinear", "bicubic", "box", "hamming", "lanczos")
_LARGEST_SIDE = 2**14  # pixels: one image then takes 3 GB
_LARGEST_DIM = 2**20


class FrozenDict(dict[str, Any]):
    """A dictionary that cannot be changed; unlike a mappingproxy it pickles, copies and goes to JSON."""

    def _refuse(self, *args: object, **kwargs: object) -> NoReturn:
        raise TypeError(
            "the arguments of a ModelCfg cannot be changed: use dataclasses.replace(cfg, args=...)"
        )

    __setitem__ = __delitem__ = update = pop = popitem = clear = setdefault = __ior__ = _refuse

    def __reduce__(self) -> tuple[Any, ...]:
        return FrozenDict, (dict(self),)


@dataclass(frozen=True)
class ModelCfg:
    """A model as data. ``None`` means unknown or absent.

    Attributes:
        architecture: Name of the class, such as ``"DOLG"``.
        args: Arguments of that class (read-only), all but ``pretrained_backbone``.
        name: Name in the registry; ``None`` for a model built by hand.
        input_size: Channels (3), height and width in pixels that the model is meant for.
        mean: Mean of each channel, subtracted after scaling to [0, 1].
        std: Standard deviation of each channel.
        interpolation: Filter of the resize, always with antialias, such as ``"bicubic"``.
        resize: How a photo is brought to the input size. ``"squash"``: both sides, the aspect ratio is not
            kept. ``"longest"``: the longer side to at most that of the input size, never enlarged.
            ``"shortest"``: the shorter side to it. ``"none"``: a photo keeps its size, the input size is
            nominal.
        scales: Sizes of each photo, relative to what ``resize`` gives, that a descriptor is made of.
        flip: Whether the mirrored photo is a view too.
        combine: How the unit vectors of the views become one: their mean, or the element-wise maximum.
        scale_resize: How the tensor is resized for a scale. ``"bicubic"``: with antialias, sides rounded; the
            others have none. ``"bilinear"``: sides rounded down, positions by the factor, as PyTorch does for
            a ``scale_factor``; ``"bilinear-rounded"`` and ``"bilinear-cut"``: sides rounded, or rounded down,
            and positions by the sides. ``"area"``: sides rounded, positions by the factor, and a smaller
            photo has the means of the pixels that one of its own covers, as OpenCV's ``INTER_AREA``.
        embedding_dim: Size of the descriptor.
        weights: Where the landmark weights are: a Hub repository in our own format, ``"org/repo"`` or
            ``"org/repo@revision"``; a folder of this package, ``"package:name.tag"``; or a file in a
            layout of its authors. ``None`` if none can be loaded by name.
        training_data: What these weights were trained on.
        license: Licence of these weights.
        scores: Results, each with its protocol.
        paper: Where the model is described.

    Raises:
        ValueError: If a field has a value that it cannot have; the message names the field.

    Examples:
        >>> lz.ModelCfg("DOLG", {"backbone": "tf_efficientnet_b5"}).args["backbone"]
        'tf_efficientnet_b5'
    """

    # what to build
    architecture: str
    args: Mapping[str, Any] = field(hash=False)
    name: str | None = None
    # photos in
    input_size: tuple[int, int, int] = (3, 224, 224)
    mean: tuple[float, float, float] = IMAGENET_MEAN
    std: tuple[float, float, float] = IMAGENET_STD
    interpolation: str = "bicubic"
    resize: Resize = "squash"
    scales: tuple[float, ...] = (1.0,)
    flip: bool = False
    combine: Combine = "mean"
    scale_resize: ScaleResize = "bicubic"
    # descriptor out
    embedding_dim: int = 512
    # weights and where they come from
    weights: str | WeightsFile | None = None
    training_data: str | None = None
    license: str | None = None
    scores: tuple[Score, ...] = ()
    paper: str | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.args, Mapping) or not all(isinstance(name, str) for name in self.args):
            raise ValueError(f"args must be a dictionary of arguments, got {_shown(self.args)}")
        object.__setattr__(self, "args", _plain(self.args))
        object.__setattr__(self, "embedding_dim", _plain(self.embedding_dim))
        for name in ("input_size", "mean", "std"):
            object.__setattr__(self, name, _three_numbers(name, getattr(self, name)))
        object.__setattr__(self, "scales", _positive_numbers("scales", self.scales))
        _check_texts(self)
        _check_sizes(self)
        _check_choices(self)

    @classmethod
    def from_fields(cls, values: Mapping[str, Any]) -> ModelCfg:
        """A cfg from the values of its fields, as a file holds them.

        Raises:
            ValueError: If a field is unknown, wrong, or needed and missing.
        """
        known = {field.name for field in fields(cls)}
        wrong = sorted(values.keys() - known) or sorted(_NEEDED - values.keys())
        if wrong:
            raise ValueError(f"{', '.join(wrong)} unknown or missing")
        scores, weights = _scores(values.get("scores", ())), _weights(values.get("weights"))
        return cls(**{**values, "scores": scores, "weights": weights})


def _three_numbers(name: str, given: Any) -> tuple[Any, ...]:
    values = _plain(given)
    if (
        not isinstance(values, tuple)
        or len(values) != 3
        or not all(type(value) in (int, float) and math.isfinite(value) for value in values)
    ):
        raise ValueError(f"{name} must be 3 numbers, got {_shown(given)}")
    return values


def _positive_numbers(name: str, given: Any) -> tuple[float, ...]:
    values = _plain(given)
    if (
        not isinstance(values, tuple)
        or not values
        or not all(type(value) in (int, float) and 0 < value < math.inf for value in values)
    ):
        raise ValueError(f"{name} must be positive numbers, such as (0.5, 1.0), got {_shown(given)}")
    return tuple(float(value) for value in values)


def _check_texts(cfg: ModelCfg) -> None:
    for name in ("architecture", "name", "training_data", "license", "paper"):
        value = getattr(cfg, name)
        if not isinstance(value, str) and (value is not None or name == "architecture"):
            raise ValueError(f"{name} must be a string, got {_shown(value)}")
    if not isinstance(cfg.weights, str | WeightsFile | None):
        raise ValueError(
            "weights must be a repository, a folder of this package or a WeightsFile, got "
            f"{_shown(cfg.weights)}"
        )


def _check_choices(cfg: ModelCfg) -> None:
    choices = {
        "interpolation": INTERPOLATIONS,
        "resize": get_args(Resize),
        "combine": get_args(Combine),
        "scale_resize": get_args(ScaleResize),
    }
    for name, known in choices.items():
        if getattr(cfg, name) not in known:
            raise ValueError(f"{name} must be one of {', '.join(known)}, got {_shown(getattr(cfg, name))}")
    if type(cfg.flip) is not bool:
        raise ValueError(f"flip must be True or False, got {_shown(cfg.flip)}")


def _check_sizes(cfg: ModelCfg) -> None:
    channels, height, width = cfg.input_size
    if type(height) is not int or type(width) is not int or channels != 3:
        raise ValueError(f"input_size must be (3, height, width) in whole pixels, got {cfg.input_size}")
    if not 1 <= min(height, width) <= max(height, width) <= _LARGEST_SIDE:
        raise ValueError(f"input_size must be of 1 to {_LARGEST_SIDE} pixels a side, got {cfg.input_size}")
    if cfg.resize in ("longest", "shortest") and height != width:
        raise ValueError(
            f"input_size must be (3, N, N) where resize is {cfg.resize!r}: N is that side, got "
            f"{cfg.input_size}"
        )
    if min(cfg.std) <= 0:
        raise ValueError(f"std must be positive, got {cfg.std}")
    if type(cfg.embedding_dim) is not int or not 1 <= cfg.embedding_dim <= _LARGEST_DIM:
        raise ValueError(
            f"embedding_dim must be a whole number from 1 to {_LARGEST_DIM}, got {_shown(cfg.embedding_dim)}"
        )


def _scores(values: Any) -> tuple[Score, ...]:
    """Scores from their fields, as a file holds them."""
    if not isinstance(values, (list, tuple)):
        raise ValueError(f"scores must be a list, got {_shown(values)}")
    kinds: dict[str, Any] = {"metric": str, "value": (int, float), "protocol": str, "of_paper": bool}
    for fields_ in values:
        if (
            not isinstance(fields_, Mapping)
            or not {"metric", "value", "protocol"} <= fields_.keys() <= kinds.keys()
            or not all(isinstance(value, kinds[name]) for name, value in fields_.items())
        ):
            raise ValueError(f"a score has a metric, a value and a protocol, got {_shown(fields_)}")
    return tuple(Score(**fields_) for fields_ in values)


def _weights(value: Any) -> Any:
    """Where weights are, from what a file holds: a repository, or the fields of a ``WeightsFile``."""
    if not isinstance(value, Mapping):
        return value
    known = {field.name for field in fields(WeightsFile)}
    wrong = sorted(value.keys() - known) or ([] if "layout" in value else ["layout"])
    if wrong:
        raise ValueError(f"{', '.join(wrong)} of the weights unknown or missing")
    kinds = {name: int if name == "size" else str for name in known}
    for name, given in value.items():
        if type(given) is not kinds[name] and (given is not None or name == "layout"):
            raise ValueError(f"{name} of the weights must be {kinds[name].__name__}, got {_shown(given)}")
    return WeightsFile(**value)


def _shown(value: object) -> str:
    """A value in an error message, cut where it is long."""
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def _plain(value: Any) -> Any:
    """Numbers and arrays of numpy as those of Python, which compare, print and go to JSON alike."""
    if isinstance(value, Mapping):
        return FrozenDict({name: _plain(v) for name, v in value.items()})
    if isinstance(value, (np.ndarray, list, tuple)):
        return tuple(_plain(v) for v in value)
    return value.item() if isinstance(value, np.generic) else value
