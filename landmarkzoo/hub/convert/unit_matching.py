"""Units of a foreign graph beside those of a model of ours, by what feeds them and by their shapes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from landmarkzoo.hub.convert.dataflow import IMAGES, Flow, Unit
from landmarkzoo.hub.convert.onnx_files import Constant

# By our name in the state dict: the numbers, and the name of theirs that they come from.
Weights = dict[str, tuple[NDArray[Any], str]]


class Matching:
    """Finds their unit for each of ours.

    Args:
        where: What messages begin with.
        units: Theirs.
        shapes: Shape of each tensor in the state dict of our model.
    """

    def __init__(
        self, where: str, units: Sequence[Unit[Constant]], shapes: Mapping[str, tuple[int, ...]]
    ) -> None:
        self._where, self._units, self._shapes = where, units, shapes
        self._theirs = {IMAGES: IMAGES}  # {our bit: their bit}

    def match(self, ours: Unit[str]) -> Unit[Constant]:
        """Their unit for one of ours. Called for all of ours, in the order of execution.

        Raises:
            ValueError: If none is fed from the same weights, or it has another shape, stride or the like.
        """
        flow, taken = self.translated(ours.flow), set(self._theirs.values())
        found = [
            unit
            for unit in self._units
            if (unit.kind, unit.flow.sources) == (ours.kind, flow.sources) and unit.bit not in taken
        ]
        if not found:
            raise ValueError(
                f"{self._where} has nothing for {ours.name}: no {ours.kind} stands where it stands"
            )
        if ours.kind in ("conv", "linear"):
            shape = self._shapes[ours.weights["weight"]]
            found = self._only(found, ours, "a weight of shape", shape, lambda u: u.weights["weight"].shape)
        for what, value in ours.geometry.items():
            found = self._only(found, ours, what, tuple(value), partial(_geometry, what))
        found = self._only(found, ours, "activations", _activations(flow), lambda u: _activations(u.flow))
        found = self._only(found, ours, "padding", _padding(ours), _padding)
        if len(found) > 1:
            if any(unit.branch is None for unit in found):
                raise ValueError(f"{self._where}: {found[0].name} and {found[1].name} both fit {ours.name}")
            found.sort(key=lambda unit: unit.branch or 0)
        self._theirs[ours.bit] = found[0].bit
        return found[0]

    def translated(self, flow: Flow) -> Flow:
        """A flow among our units as one among theirs."""
        sources = sum(theirs for ours, theirs in self._theirs.items() if flow.sources & ours)
        return Flow(sources, flow.activations)

    def check_all_taken(self) -> None:
        """Raise if a unit of theirs fits none of ours."""
        left = [unit.name for unit in self._units if unit.bit not in self._theirs.values()]
        if left:
            raise ValueError(f"{self._where}: {left[0]} fits nothing in the model")

    def weights(self, ours: Unit[str], theirs: Unit[Constant]) -> Weights:
        """Tensors of our unit with the numbers of theirs.

        Raises:
            ValueError: If one of both has a tensor that the other has not, or of another shape, or if the eps
                of their batch norm is another one.
        """
        eps, other = ours.eps, theirs.eps
        if eps is not None and other is not None and abs(eps - other) > 0.01 * eps:
            raise ValueError(f"{self._where}: {theirs.name} has eps={other:g}, not {eps:g} as {ours.name}")
        given = {role: self._read(ours, theirs, role) for role in theirs.weights if role in ours.weights}
        used = set(given)
        if ours.has_norm and not theirs.has_norm:
            given |= self._folded(ours, theirs)
            used.add("bias")
        elif ours.has_norm and "bias" in theirs.weights and "bias" not in ours.weights:
            bias, name = self._read(ours, theirs, "bias", like="norm.mean")
            given["norm.mean"] = (given["norm.mean"][0] - bias, name)
            used.add("bias")
        lacking = [name for role, name in ours.weights.items() if role not in given]
        more = [constant.name for role, constant in theirs.weights.items() if role not in used]
        if lacking or more:
            wrong = f"has nothing for {lacking[0]}" if lacking else f"has {more[0]!r}, which fits nothing"
            raise ValueError(f"{self._where}: {theirs.name} {wrong}")
        return {ours.weights[role]: found for role, found in given.items()}

    def _folded(self, ours: Unit[str], theirs: Unit[Constant]) -> Weights:
        """Our batch norm for one that was folded: it adds the bias, and changes nothing else."""
        assert ours.eps is not None
        if "bias" not in theirs.weights:
            raise ValueError(f"{self._where}: {theirs.name} has nothing for {ours.weights['norm.bias']}")
        bias, name = self._read(ours, theirs, "bias", like="norm.bias")
        ones = np.ones(bias.shape, np.float32)
        weight = theirs.weights["weight"].name
        found = {
            "norm.weight": (ones, weight),
            "norm.bias": (bias, name),
            "norm.mean": (0 * ones, weight),
            "norm.var": (ones - ours.eps, weight),
        }
        return found | ({"bias": (0 * ones, name)} if "bias" in ours.weights else {})

    def _read(
        self, ours: Unit[str], theirs: Unit[Constant], role: str, like: str | None = None
    ) -> tuple[NDArray[Any], str]:
        constant, shape = theirs.weights[role], self._shapes[ours.weights[like or role]]
        one = ours.kind in ("gem", "prelu") and constant.number() is not None and shape == (1,)
        if constant.shape != shape and not one:
            raise ValueError(
                f"{self._where}: {constant.name!r} has shape {constant.shape}, not {shape} as "
                f"{ours.weights[like or role]}"
            )
        return constant.read().reshape(shape), constant.name

    def _only(
        self,
        found: list[Unit[Constant]],
        ours: Unit[str],
        what: str,
        right: object,
        value: Callable[[Unit[Constant]], object],
    ) -> list[Unit[Constant]]:
        fitting = [unit for unit in found if value(unit) == right]
        if not fitting:
            raise ValueError(
                f"{self._where}: {found[0].name} has {what} {value(found[0])}, not {right} as {ours.name}"
            )
        return fitting


def _geometry(what: str, unit: Unit[Any]) -> tuple[int, ...]:
    return tuple(unit.geometry[what])


def _activations(flow: Flow) -> str:
    return " and ".join(sorted(flow.activations)) or "none"


def _padding(unit: Unit[Any]) -> str:
    """Padding of a convolution, for comparison. With stride 1 padding by size is that by half the reach."""
    if unit.padding is None and unit.geometry.get("stride") == (1, 1):
        return "half of its reach"
    return "by size" if unit.padding is None else str(tuple(unit.padding))
