"""What a data set says of its photos: items, ids and files, also through Subset and ConcatDataset."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from torch.utils.data import ConcatDataset, Subset


def item_of(dataset: Any, position: int) -> Any:
    """An item of a data set; if the data set has a method ``photo``, what that gives."""
    dataset, position = _innermost(dataset, position)
    photo = getattr(dataset, "photo", None)
    return photo(position) if callable(photo) else dataset[position]


def file_of(dataset: Any, position: int) -> Path | None:
    """The file of an item, there or not; ``None`` if the data set does not say.

    It says so by a method ``path``, as the data sets of landmarkzoo, or a list ``samples`` or ``imgs`` of
    (path, label), as ``torchvision.datasets.ImageFolder``.
    """
    dataset, position = _innermost(dataset, position)
    path = getattr(dataset, "path", None)
    if callable(path):
        path = path(position)
        return Path(path) if isinstance(path, (str, Path)) else None
    samples = _samples(dataset)
    return None if samples is None else Path(samples[position][0])


def ids_of(dataset: Any) -> list[str]:
    """Ids of a data set.

    Its attribute ``ids``; or the paths in its ``samples`` or ``imgs``; or the ids of the data sets in a
    Subset or ConcatDataset; or running numbers.
    """
    if hasattr(dataset, "ids"):
        return [str(id_) for id_ in dataset.ids]
    if isinstance(dataset, Subset):
        ids = ids_of(dataset.dataset)
        return [ids[row] for row in dataset.indices]
    if isinstance(dataset, ConcatDataset) and _has_ids(dataset):
        return [id_ for part in dataset.datasets for id_ in ids_of(part)]
    samples = _samples(dataset)
    if samples is not None:
        return [str(sample[0]) for sample in samples]
    return [str(i) for i in range(len(dataset))]


def is_named(dataset: Any) -> bool:
    """Whether all ids of a data set are names, not running numbers."""
    if hasattr(dataset, "ids"):
        return True
    if isinstance(dataset, Subset):
        return is_named(dataset.dataset)
    if isinstance(dataset, ConcatDataset):
        return all(is_named(part) for part in dataset.datasets)
    return _samples(dataset) is not None


def _has_ids(dataset: Any) -> bool:
    if isinstance(dataset, ConcatDataset) and not hasattr(dataset, "ids"):
        return any(_has_ids(part) for part in dataset.datasets)
    inside_subset = isinstance(dataset, Subset) and not hasattr(dataset, "ids")
    return _has_ids(dataset.dataset) if inside_subset else is_named(dataset)


def _innermost(dataset: Any, position: int) -> tuple[Any, int]:
    """The data set that holds an item, and the item's place in it.

    A class derived from Subset or ConcatDataset may do anything in its ``__getitem__``, so it holds its items
    itself.
    """
    if type(dataset) is Subset:
        return _innermost(dataset.dataset, int(dataset.indices[position]))
    if type(dataset) is ConcatDataset:
        part = bisect_right(dataset.cumulative_sizes, position)
        start = dataset.cumulative_sizes[part - 1] if part > 0 else 0
        return _innermost(dataset.datasets[part], position - start)
    return dataset, position


def _samples(dataset: Any) -> Sequence[Any] | None:
    """The (path, label) of each item, if the data set has such a list."""
    for name in ("samples", "imgs"):
        samples = getattr(dataset, name, None)
        if isinstance(samples, list) and samples and len(samples) == len(dataset):
            first = samples[0]
            if isinstance(first, (tuple, list)) and first and isinstance(first[0], (str, Path)):
                return samples
    return None
