"""The page that a training leaves beside its model."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from landmarkzoo.finetuning.results import evaluation_of
from landmarkzoo.finetuning.splitting import Split
from landmarkzoo.reports import write_training_page

PAGE_FILE = "training.html"


def write_report(out: Path, training: Mapping[str, Any], split: Split) -> None:
    """Write ``training.html``.

    Args:
        out: The folder.
        training: What ``training.json`` gets.
        split: The photos.

    Raises:
        OSError: If it cannot be written.
    """
    source = None if split.validation is None else split.validation.source
    confusions = [
        (pair["landmark"], pair["taken_for"], pair["number"], pair["ids"])
        for pair in training.get("confusions", [])
    ]
    files: dict[str, Path] = {}
    if source is not None:
        row_of = {id_: row for row, id_ in enumerate(source.ids)}
        asked = {id_: source.file(row_of[id_]) for *_, ids in confusions for id_ in ids}
        files = {id_: path for id_, path in asked.items() if path is not None}
    write_training_page(
        out / PAGE_FILE,
        title=f"Fine-tuned on {split.train.name}",
        lines=_lines(training, split),
        history=training["history"],
        before=evaluation_of(training["before"]),
        after=evaluation_of(training["after"]),
        confusions=confusions,
        photos=files or None,
    )


def _lines(training: Mapping[str, Any], split: Split) -> list[str]:
    measured = len(training["validation_ids"])
    held_out = f", {measured:,} other photos measure" if measured else ""
    lines = [
        f"starts from {training['recipe']['model']}; the result is epoch {training['best_epoch']}",
        f"{training['photos']:,} photos of {len(split.train.classes):,} landmarks are trained on{held_out}",
    ]
    if training["left_out"]:
        lines.append(f"left out: {len(training['left_out']):,} photos")
    if measured and training["history"]:
        lines.append("the curves of scores are of one view of each validation photo, among the others")
    return lines
