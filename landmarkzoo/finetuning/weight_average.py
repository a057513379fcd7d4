"""An exponential moving average of weights: steadier than the weights of any one step."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn


class WeightAverage:
    """The moving average of some parameters.

    After step n the decay is ``min(decay, (1 + n) / (10 + n))``, so that the first weights are soon
    forgotten.

    Args:
        parameters: What is averaged.
        decay: Share of the average that stays from step to step; 0 for the weights themselves.

    Examples:
        >>> from landmarkzoo.finetuning.weight_average import WeightAverage
        >>> weight = torch.nn.Parameter(torch.zeros(1))
        >>> average = WeightAverage([weight], decay=0.5)
        >>> weight.data += 1
        >>> average.update()
        >>> with average.in_place():
        ...     round(weight.item(), 3)
        0.818
    """

    def __init__(self, parameters: Sequence[nn.Parameter], decay: float) -> None:
        self.parameters = [p for p in parameters if p.requires_grad] if decay else []
        self.decay = decay
        self.steps = 0
        self.values = [p.detach().clone() for p in self.parameters]

    @torch.no_grad()
    def update(self) -> None:
        """Take the weights of a step in."""
        self.steps += 1
        if self.values:
            kept = min(self.decay, (1 + self.steps) / (10 + self.steps))
            torch._foreach_lerp_(self.values, [p.detach() for p in self.parameters], 1 - kept)

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """Let the parameters have their average, until the block ends."""
        before = [p.detach().clone() for p in self.parameters]
        try:
            self._write(self.values)
            yield
        finally:
            self._write(before)

    def state(self) -> dict[str, list[Tensor] | int]:
        """What ``load`` takes."""
        return {"steps": self.steps, "values": self.values}

    def load(self, state: dict[str, list[Tensor] | int]) -> None:
        """Become what ``state`` was of."""
        steps, values = state["steps"], state["values"]
        assert isinstance(steps, int)
        assert isinstance(values, list)
        self.steps = steps
        for mine, value in zip(self.values, values, strict=True):
            mine.copy_(value)

    @torch.no_grad()
    def _write(self, values: Sequence[Tensor]) -> None:
        for parameter, value in zip(self.parameters, values, strict=True):
            parameter.copy_(value)
