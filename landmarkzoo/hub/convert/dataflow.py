"""Which weights feed which: what a foreign graph and a model of ours have in common, whatever their names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Generic, NamedTuple, TypeVar

WeightT = TypeVar("WeightT")

IMAGES = 1  # the bit of the images among the sources


class Flow(NamedTuple):
    """What a value is computed from, since the last weights on its way.

    Attributes:
        sources: A bit for each unit whose result it is computed from with no other unit between; the lowest
            bit for the images. Zero: a constant, or numbers about shapes.
        activations: Nonlinear functions on the way.
    """

    sources: int
    activations: frozenset[str] = frozenset()

    def __or__(self, other: Flow) -> Flow:
        """What is computed from both."""
        return Flow(self.sources | other.sources, self.activations | other.activations)


NOTHING = Flow(0)


@dataclass
class Unit(Generic[WeightT]):
    """Weights that belong together: a convolution or a linear layer with its batch norm, or another layer.

    Attributes:
        kind: ``"conv"``, ``"linear"``, ``"norm"`` (a batch norm behind neither), ``"gem"`` or ``"prelu"``.
        name: For messages.
        bit: Its bit among the sources of others.
        flow: What its input is computed from.
        weights: By role: ``weight``, ``bias``, ``norm.weight``, ``norm.bias``, ``norm.mean``, ``norm.var``,
            and ``p`` of GeM.
        geometry: Stride, dilation and groups of a convolution.
        eps: Of the batch norm, or of GeM.
        padding: Around the map, of a convolution; ``None`` if it depends on the size, as in TensorFlow.
        branch: Which input of a concatenation its result is, where it is one.
        kernel: Of the mean inside GeM, where it says one; for our GeM its whole map.
    """

    kind: str
    name: str
    bit: int
    flow: Flow
    weights: dict[str, WeightT]
    geometry: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    eps: float | None = None
    padding: tuple[int, ...] | None = ()
    branch: int | None = None
    kernel: tuple[int, ...] | None = None

    @property
    def has_norm(self) -> bool:
        """Whether a batch norm belongs to it."""
        return "norm.weight" in self.weights

    @property
    def lacks_bias(self) -> bool:
        """Whether it is a linear layer to which a bias could still be added."""
        return self.kind == "linear" and "bias" not in self.weights and not self.has_norm
