"""Ground truth at the border of the metrics."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
from torch import Tensor


def as_label_sets(truth: Sequence[Collection[int]], name: str) -> list[set[int]]:
    """One set of integers an image or query.

    Args:
        truth: A collection of integers for each.
        name: What it is called in error messages.

    Raises:
        TypeError: If an entry is no collection of integers.
    """
    sets = []
    for row, entry in enumerate(truth):
        if isinstance(entry, (np.ndarray, Tensor)):
            entry = entry.tolist()
        if isinstance(entry, (str, bytes)) or not isinstance(entry, Collection):
            raise TypeError(
                f"{name}[{row}] must be a collection of integers, got {entry!r}; one label is [label]"
            )
        if not all(isinstance(label, (int, np.integer)) for label in entry):
            raise TypeError(f"{name}[{row}] must hold integers only, got {entry!r}")
        sets.append({int(label) for label in entry})
    return sets
