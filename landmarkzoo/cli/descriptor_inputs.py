"""Descriptors that commands read: from a descriptors file, or from the folder of an index."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from landmarkzoo._utils.user_paths import user_path
from landmarkzoo.cli.outputs import DESCRIPTORS, is_index
from landmarkzoo.cli.photo_labels import label_names

if TYPE_CHECKING:
    from landmarkzoo.index import Index
    from landmarkzoo.retrieval import Descriptors


def open_index(folder: str | Path, device: str | None = None) -> Index:
    """An index of ``landmarkzoo index``.

    Args:
        folder: Its folder.
        device: Where model and search compute.

    Raises:
        FileNotFoundError: If there is no such folder, or it is no index.
        ValueError: If the index is damaged.
    """
    from landmarkzoo.index import Index

    path = user_path(folder)
    if not is_index(path):
        what = "is no index" if path.exists() else "does not exist"
        raise FileNotFoundError(f"{folder} {what}: 'landmarkzoo index create' makes an index")
    return Index.open(path, device=device)


def check_takes_photos(index: Index, folder: str) -> None:
    """Raise ValueError if an index was made without a model."""
    if "weights" not in index.provenance:
        raise ValueError(f"{folder} was made without --model, so it takes descriptors files and no photos")


def holds_descriptors(path: str | Path) -> bool:
    """Whether it is a descriptors file or an index, and not a photo or a folder of photos."""
    where = user_path(path)
    if not where.is_file():
        return is_index(where)
    return DESCRIPTORS.is_kind_of(where)


def load_descriptors(path: str | Path) -> Descriptors:
    """Descriptors of a file or of an index.

    Raises:
        FileNotFoundError: If there is no such file, or the folder is no index.
        ValueError: If it is damaged or something else.
    """
    from landmarkzoo.retrieval import Descriptors

    folder = user_path(path)
    if not folder.is_dir():
        return Descriptors.load(path)
    if not is_index(folder):
        raise FileNotFoundError(
            f"{path} is a folder and not a descriptors file, nor an index of 'landmarkzoo index create'"
        )
    return open_index(path).descriptors


def load_labelled(path: str, labels: str | None) -> tuple[Descriptors, list[str | None]]:
    """Descriptors and the landmark of each photo.

    Args:
        path: A descriptors file or an index.
        labels: A CSV file with columns ``id`` and ``label``; ``None``: the labels of the index, where it has
            some, or else the folders of the photos.

    Raises:
        OSError: If there is no such file.
        ValueError: If a file is wrong, or a photo has no label.
    """
    if labels is None and is_index(user_path(path)):
        snapshot = open_index(path).snapshot()
        if any(name is not None for name in snapshot.labels):
            return snapshot.descriptors, snapshot.labels.tolist()
        return snapshot.descriptors, label_names(snapshot.ids, None)
    descriptors = load_descriptors(path)
    return descriptors, label_names(descriptors.ids, labels)


def model_within(path: str | Path) -> str | None:
    """Name of the model that is saved in an index; ``None`` if there is none, or it is no index."""
    folder = user_path(path) / "model"
    return f"local-dir:{folder.absolute()}" if is_index(folder.parent) and folder.is_dir() else None
