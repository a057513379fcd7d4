"""What a model is, as data: everything needed to build it, feed it and cite it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, NoReturn

import numpy as np

from landmarkzoo.metrics import Score

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)

# What a model is built from and fed with: defaults in their place would be silently wrong.
_NEEDED = {"architecture", "args", "embedding_dim", "input_size", "mean", "std", "interpolation", "resize"}


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
        input_size: Channels, height and width in pixels that the model is meant for.
        mean: Mean of each channel, subtracted after scaling to [0, 1].
        std: Standard deviation of each channel.
        interpolation: Filter of the resize, always with antialias.
        resize: ``"squash"``: both sides to the input size, the aspect ratio is not kept.
        embedding_dim: Size of the descriptor.
        weights: Hub repository of the landmark weights, ``"org/repo"`` or ``"org/repo@revision"``; ``None``
            if no weights are published.
        training_data: What these weights were trained on.
        license: Licence of these weights.
        scores: Results, each with its protocol.
        paper: Where the model is described.

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
    resize: str = "squash"
    # descriptor out
    embedding_dim: int = 512
    # weights and where they come from
    weights: str | None = None
    training_data: str | None = None
    license: str | None = None
    scores: tuple[Score, ...] = ()
    paper: str | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.args, Mapping):
            raise ValueError(f"args must be a dictionary of arguments, got {self.args!r}")
        object.__setattr__(self, "args", _plain(self.args))
        object.__setattr__(self, "embedding_dim", _plain(self.embedding_dim))
        for name in ("input_size", "mean", "std"):
            values = tuple(_plain(value) for value in getattr(self, name))
            if len(values) != 3 or not all(isinstance(value, (int, float)) for value in values):
                raise ValueError(f"{name} must be 3 numbers, got {getattr(self, name)!r}")
            object.__setattr__(self, name, values)
        if min(self.input_size) < 1 or min(self.std) <= 0:
            raise ValueError(f"input_size and std must be positive, got {self.input_size} and {self.std}")
        if self.resize != "squash":
            raise ValueError(f"resize must be 'squash', got {self.resize!r}")

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
        try:
            scores = tuple(Score(**score) for score in values.get("scores", ()))
            return cls(**{**values, "scores": scores})
        except TypeError as error:
            raise ValueError(str(error)) from error


def _plain(value: Any) -> Any:
    """Numbers and arrays of numpy as those of Python, which compare, print and go to JSON alike."""
    if isinstance(value, Mapping):
        return FrozenDict({name: _plain(v) for name, v in value.items()})
    if isinstance(value, (np.ndarray, list, tuple)):
        return tuple(_plain(v) for v in value)
    return value.item() if isinstance(value, np.generic) else value
