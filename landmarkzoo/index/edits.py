"""What has changed about rows that are written: those that do not count any more, and corrected labels."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from landmarkzoo._utils.checks import IntArray
from landmarkzoo.retrieval.tensor_files import load_tensors, save_tensors

_KIND = "index-edits"


@dataclass(frozen=True)
class Edits:
    """Changes by name of a shard; each commit has all of them in one small file.

    Attributes:
        removed: Rows that do not count, ascending.
        forgotten: Skipped photos that do not count, by their place in the shard's list, ascending.
        labels: Label of a row in place of the one that was written.
    """

    removed: Mapping[str, IntArray] = field(default_factory=dict)
    forgotten: Mapping[str, IntArray] = field(default_factory=dict)
    labels: Mapping[str, Mapping[int, str | None]] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.removed or self.forgotten or self.labels)

    def joined(self, others: Edits) -> Edits:
        """These and others."""
        labels = {name: {**self.labels.get(name, {}), **other} for name, other in others.labels.items()}
        return Edits(
            _joined_rows(self.removed, others.removed),
            _joined_rows(self.forgotten, others.forgotten),
            {**self.labels, **labels},
        )

    def save(self, path: Path) -> None:
        """Write them, whole or not at all.

        Raises:
            OSError: If they cannot be written.
        """
        tensors: dict[str, NDArray[Any]] = {}
        for kind, rows_of in (("removed", self.removed), ("forgotten", self.forgotten)):
            tensors |= {f"{kind}/{shard}": rows for shard, rows in rows_of.items()}
        named = {shard: list(label_of.items()) for shard, label_of in self.labels.items()}
        tensors["labels"] = np.frombuffer(json.dumps(named).encode(), np.uint8)
        save_tensors(path, _KIND, tensors)

    @staticmethod
    def load(path: Path) -> Edits:
        """Read what ``save`` wrote.

        Raises:
            FileNotFoundError: If it is gone.
            ValueError: If it is damaged.
        """
        tensors, _ = load_tensors(path, _KIND)
        of_kind: dict[str, dict[str, IntArray]] = {"removed": {}, "forgotten": {}}
        try:
            labels = json.loads(tensors.pop("labels").tobytes())
            for name, rows in tensors.items():
                kind, _, shard = name.partition("/")
                of_kind[kind][shard] = rows
            return Edits(**of_kind, labels={shard: dict(pairs) for shard, pairs in labels.items()})
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"{path} is damaged: {type(error).__name__} {error}") from error


def _joined_rows(a: Mapping[str, IntArray], b: Mapping[str, IntArray]) -> dict[str, IntArray]:
    both = {shard: np.union1d(a[shard], b[shard]) for shard in a.keys() & b.keys()}
    return {**a, **b, **both}
