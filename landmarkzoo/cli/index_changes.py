"""``landmarkzoo index create | add | update | relabel | remove | compact``: what changes an index."""

from __future__ import annotations

import argparse
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

from landmarkzoo._utils.user_paths import user_path
from landmarkzoo.cli.descriptor_inputs import (
    check_takes_photos,
    holds_descriptors,
    load_descriptors,
    open_index,
)
from landmarkzoo.cli.model_options import chosen_model
from landmarkzoo.cli.outputs import check_new_index
from landmarkzoo.cli.photo_labels import labels_of_file
from landmarkzoo.cli.shared_options import refuse_without, shows_progress
from landmarkzoo.cli.stderr_lines import printable, say

if TYPE_CHECKING:
    from landmarkzoo.index import Index

_OF_MODEL = ("whiten", "image-size", "scales", "flip", "precision", "batch-size", "device")


def run_create(arguments: argparse.Namespace) -> None:
    """Make an empty index.

    Raises:
        OSError: If it cannot be made there.
        ValueError: If an option is wrong, or would be ignored.
    """
    from landmarkzoo.index import Index
    from landmarkzoo.photos import create_transform

    refuse_without("--model", arguments, *(f"--{name}" for name in _OF_MODEL))
    refuse_without("--whiten", arguments, "--shrinkage", "--workers", "--skip-errors")
    folder = user_path(arguments.index)
    check_new_index(folder)
    options: dict[str, Any] = {}
    if arguments.model is not None:
        arguments.batch_size = 32 if arguments.batch_size is None else arguments.batch_size
        model = chosen_model(arguments)
        options = {
            "model": model,
            "transform": create_transform(model, image_size=arguments.image_size),
            "scales": arguments.scales,
            "flip": arguments.flip,
            "precision": arguments.precision or "auto",
            "batch_size": arguments.batch_size,
            "device": arguments.device,
        }
    index = Index.create(folder, storage=arguments.storage, **options)
    what = f"photos, by {index.info.model}" if options else "descriptors"
    print(f"an empty index of {what}: {printable(arguments.index)}")


def run_add(arguments: argparse.Namespace) -> None:
    """Add photos and descriptors.

    Raises:
        OSError: If a file is missing, or the index cannot be written.
        ValueError: If something does not fit the index.
    """
    from landmarkzoo.index import Ranks, add_by_ranks

    ranks = Ranks.of_environment()
    index = open_index(arguments.index, arguments.device or ranks.device)
    for path in arguments.photos:
        if not user_path(path).exists():
            raise FileNotFoundError(f"no such folder or photo: {path}")
    if not all(map(holds_descriptors, arguments.photos)):
        check_takes_photos(index, arguments.index)
    options, before = _adding_options(arguments), _State(index)
    add = index.add if ranks.count == 1 else partial(add_by_ranks, index)
    for alone, group in groupby(arguments.photos, _stands_alone):
        paths = list(group)
        if not alone:
            add(paths, **options)
            continue
        for path in paths:
            if holds_descriptors(path):
                if ranks.rank == 0:
                    index.add(load_descriptors(path), labels=options["labels"])
            else:
                add(path, **options)
    if ranks.rank == 0:
        before.show_changes(index, arguments)


def run_update(arguments: argparse.Namespace) -> None:
    """Make the index what a folder is.

    Raises:
        OSError: If there is no such folder, or the index cannot be written.
        ValueError: If the index takes no photos.
    """
    from landmarkzoo.index import Ranks, add_by_ranks

    ranks = Ranks.of_environment()
    index = open_index(arguments.index, arguments.device or ranks.device)
    if not user_path(arguments.photos).is_dir():
        raise NotADirectoryError(f"update takes a folder of photos, and {arguments.photos} is none: see add")
    check_takes_photos(index, arguments.index)
    options, before = _adding_options(arguments), _State(index)
    if ranks.count == 1:
        index.update(arguments.photos, **options)
    else:
        add_by_ranks(index, arguments.photos, mirror=True, **options)
    if ranks.rank == 0:
        before.show_changes(index, arguments)


def run_relabel(arguments: argparse.Namespace) -> None:
    """Correct labels.

    Raises:
        OSError: If the file of labels is missing, or the index cannot be written.
        ValueError: If there is no such id, or the file is wrong; nothing is changed.
    """
    index = open_index(arguments.index)
    labels = labels_of_file(arguments.labels)
    try:
        index.relabel(labels)
    except KeyError as error:
        raise ValueError(f"{error.args[0]} No label is changed.") from error
    print(
        f"{len(labels)} photos have the labels of {printable(arguments.labels)}: {printable(arguments.index)}"
    )


def run_remove(arguments: argparse.Namespace) -> None:
    """Take photos out.

    Raises:
        OSError: If the file of ids is missing, or the index cannot be written.
        ValueError: If there is no such id; nothing is removed.
    """
    index = open_index(arguments.index)
    ids = [*arguments.ids, *_ids_in(arguments.from_file)]
    if not ids:
        raise ValueError("no ids to remove: give them behind DIR, or --from FILE with one a line")
    before = len(index)
    try:
        index.remove(ids, missing_ok=arguments.missing_ok)
    except KeyError as error:
        raise ValueError(f"{error.args[0]} Nothing is removed. --missing-ok takes out the rest") from error
    print(f"{len(index)} photos, {before} before: {printable(arguments.index)}")


def run_compact(arguments: argparse.Namespace) -> None:
    """Rewrite the index without what was removed.

    Raises:
        OSError: If it cannot be written.
    """
    index = open_index(arguments.index)
    before = index.info
    index.compact()
    after = index.info
    print(
        f"{after.rows} photos, {after.shards} shards and {after.bytes / 1e6:.1f} MB, {before.shards} and "
        f"{before.bytes / 1e6:.1f} MB before: {printable(arguments.index)}"
    )


class _State:
    """What an index has before photos are added.

    Args:
        index: The index.
    """

    def __init__(self, index: Index) -> None:
        self.photos, self.skipped = len(index), set(index.skipped)

    def show_changes(self, index: Index, arguments: argparse.Namespace) -> None:
        """Print what has become of it."""
        skipped = index.skipped
        for photo, reason in skipped:
            if (photo, reason) not in self.skipped:
                say(f"skipped {printable(photo)}: {printable(reason)}")
        labels = ""
        if arguments.labels is not None or arguments.folder_labels:
            labels = f", {sum(label is not None for label in index.labels)} with a label"
        print(
            f"{len(index)} photos, {self.photos} before{labels}, {len(skipped)} skipped: "
            f"{printable(arguments.index)}"
        )


def _adding_options(arguments: argparse.Namespace) -> dict[str, Any]:
    if arguments.labels is not None and arguments.folder_labels:
        raise ValueError("--labels and --folder-labels are two ways to say the same: give one")
    labels: Any = "folder" if arguments.folder_labels else None
    return {
        "labels": labels if arguments.labels is None else labels_of_file(arguments.labels),
        "on_error": "skip" if arguments.skip_errors else "raise",
        "num_workers": arguments.workers,
        "progress": shows_progress(arguments),
    }


def _stands_alone(path: str) -> bool:
    """Whether it is more than a photo; photos are added together."""
    return user_path(path).is_dir() or holds_descriptors(path)


def _ids_in(path: str | None) -> list[str]:
    if path is None:
        return []
    if not Path(path).is_file():
        raise FileNotFoundError(f"--from: there is no file {path}")
    try:
        lines = Path(path).read_text(encoding="utf-8-sig").split("\n")
    except UnicodeDecodeError as error:
        raise ValueError(f"--from: {path} is not UTF-8: {error}") from error
    return [line for line in lines if line]
