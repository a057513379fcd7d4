"""What a fine-tuning leaves behind: the result, ``training.json`` and the model card."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from landmarkzoo._utils.atomic_writing import atomic_write
from landmarkzoo.evaluation import Evaluation
from landmarkzoo.hub import model_card
from landmarkzoo.hub.model_cards import CARD_FILE
from landmarkzoo.losses import Head
from landmarkzoo.metrics import Interval, Score
from landmarkzoo.models import DescriptorModel, create_model, load_head

TRAINING_FILE = "training.json"
_FORMAT = "landmarkzoo.training.v1"


@dataclass(frozen=True, eq=False)
class FinetuneResult:
    """A model that was fine-tuned, and how it went.

    Attributes:
        model: The model, on the CPU in eval mode.
        head: Its head, of which ``class_names`` are the landmarks.
        class_names: Name of each class of the head.
        before: Scores of the validation photos before the first step; ``None`` without any.
        after: Scores of the validation photos with the result; ``None`` without any.
        history: One row for each epoch: ``epoch``, ``loss``, ``lr`` (of the neck, at the end of the epoch),
            and the scores of the validation photos, ``accuracy`` and ``mAP@100`` as far as there are any.
        training: All that ``training.json`` holds.
        out: The folder.
    """

    model: DescriptorModel
    head: Head
    class_names: list[str]
    before: Evaluation | None
    after: Evaluation | None
    history: tuple[dict[str, Any], ...]
    training: dict[str, Any] = field(repr=False)
    out: Path

    def __str__(self) -> str:
        parts = [f"before\n{self.before}"] if self.before is not None else []
        parts += [f"fine-tuned\n{self.after}"] if self.after is not None else []
        return "\n\n".join(parts) or f"{len(self.history)} epochs, nothing is measured"


def write_training(out: Path, training: Mapping[str, Any]) -> None:
    """Write ``training.json``: with it a training is finished.

    Raises:
        OSError: If it cannot be written.
    """
    text = json.dumps({"format": _FORMAT, **training}, ensure_ascii=False, indent=1)
    with atomic_write(out / TRAINING_FILE) as temporary:
        temporary.write_text(text, encoding="utf-8")


def read_training(out: Path) -> dict[str, Any]:
    """What ``write_training`` wrote.

    Raises:
        ValueError: If the file is damaged, or something else.
    """
    path = out / TRAINING_FILE
    try:
        training = json.loads(path.read_text(encoding="utf-8"))
        if training.pop("format") == _FORMAT:
            return dict(training)
    except (ValueError, KeyError, AttributeError) as error:
        raise ValueError(f"{path} is damaged: {error}") from error
    raise ValueError(f"{path} is of a newer landmarkzoo: upgrade")


def finished_result(out: Path) -> FinetuneResult:
    """The result of a training that is finished, from its folder."""
    training = read_training(out)
    head, names = load_head(out)
    return FinetuneResult(
        create_model(out).eval(),
        head.eval(),
        names or [],
        evaluation_of(training["before"]),
        evaluation_of(training["after"]),
        tuple(training["history"]),
        training,
        out,
    )


def evaluation_of(values: Mapping[str, Any] | None) -> Evaluation | None:
    """An evaluation from what its ``to_dict`` gave.

    Examples:
        >>> from landmarkzoo.finetuning.results import evaluation_of
        >>> result = lz.evaluation.evaluate_leave_one_out(np.eye(3), [0, 0, 1])
        >>> str(evaluation_of(result.to_dict())) == str(result)
        True
    """
    if values is None:
        return None
    scores = values["scores"]
    return Evaluation(
        tuple(Score(score["metric"], score["value"], score["protocol"]) for score in scores),
        {s["metric"]: Interval(s["value"], s["low"], s["high"], s["level"]) for s in scores},
        {
            metric: np.array([np.nan if value is None else value for value in row])
            for metric, row in values["per_query"].items()
        },
        list(values["query_ids"]),
        dict(values["provenance"]),
    )


def write_card(out: Path, model: DescriptorModel, summary: Mapping[str, Any]) -> None:
    """Write the model card, with how the model was trained.

    Raises:
        OSError: If it cannot be written.
    """
    parameters = sum(parameter.numel() for parameter in model.parameters())
    card = model_card(model.cfg, f"org/{out.name}", parameters=parameters, classes=summary["landmarks"])
    before, after = evaluation_of(summary["before"]), evaluation_of(summary["after"])
    lines = [
        "## How it was trained",
        "",
        f"By `landmarkzoo.finetune` from `{summary['recipe']['model']}`, {summary['best_epoch']} epochs, on "
        f"the {summary['device']} in {summary['precision']}. `training.html` shows how it went; "
        "`training.json` has all settings and the history.",
    ]
    if before is not None and after is not None:
        lines += ["", "| validation photos | before | after |", "|---|---|---|"]
        lines += [f"| {metric} | {before[metric]:.3f} | {after[metric]:.3f} |" for metric in after.metrics]
    with atomic_write(out / CARD_FILE) as temporary:
        temporary.write_text(f"{card}\n{chr(10).join(lines)}\n", encoding="utf-8")


def confusions_of(
    names: Sequence[str],
    ids: Sequence[str],
    guesses: Sequence[str],
    classes: Collection[str],
    most: int = 200,
) -> list[dict[str, Any]]:
    """Which landmarks are taken for which others, the most frequent first.

    Args:
        names: The landmark of each photo.
        ids: Its id.
        guesses: What it is taken for.
        classes: Landmarks that it can be taken for: a photo of another one is left out.
        most: How many pairs at most.

    Examples:
        >>> from landmarkzoo.finetuning.results import confusions_of
        >>> confusions_of(["a", "a", "b"], ["1", "2", "3"], ["b", "b", "b"], ["a", "b"])
        [{'landmark': 'a', 'taken_for': 'b', 'number': 2, 'ids': ['1', '2']}]
    """
    known = set(classes)
    pairs: dict[tuple[str, str], list[str]] = {}
    for name, id_, guess in zip(names, ids, guesses):
        if guess != name and name in known:
            pairs.setdefault((name, guess), []).append(id_)
    ordered = sorted(pairs.items(), key=lambda pair: (-len(pair[1]), pair[0]))
    return [
        {"landmark": name, "taken_for": guess, "number": len(of_pair), "ids": of_pair}
        for (name, guess), of_pair in ordered[:most]
    ]
