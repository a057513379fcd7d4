"""A model, its head and its card to the Hub."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from landmarkzoo.losses import SubCenterArcFaceDynamic
from landmarkzoo.losses.head_files import CLASSES_FILE, HEAD_FILE
from landmarkzoo.models import DescriptorModel, ModelCfg, Score
from landmarkzoo.models.model_files import write_cfg
from landmarkzoo.weights import hub
from landmarkzoo.weights.hub_options import HUB, Target
from landmarkzoo.weights.model_card import CARD_FILE, model_card


def publish(
    model: DescriptorModel,
    target: Target,
    head: SubCenterArcFaceDynamic | None,
    class_names: Sequence[str] | None,
    stated: Mapping[str, Any],
    *,
    card: bool,
) -> str:
    """What ``DescriptorModel.push_to_hub`` does; its arguments are described there.

    Args:
        model: The model.
        target: Where to.
        head: Its head.
        class_names: The names of its classes.
        stated: Fields of the cfg to replace; ``None`` for those that stay.
        card: Whether to write a model card.
    """
    if target.repo.startswith(HUB) or "@" in target.repo:
        raise ValueError(f"{target.repo!r}: push_to_hub takes 'org/repo', and the branch as revision=...")
    if "/" not in target.repo:  # the Hub would make one below the user, and then not find it by this name
        raise ValueError(f"{target.repo!r} has no owner: push_to_hub takes 'org/repo' or 'user/repo'")
    cfg = _stated(model.cfg, stated)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        model.save_pretrained(folder, head, class_names)
        if head is not None and head.ranks.rank > 0:
            return ""
        write_cfg(cfg, folder)
        if card:
            parameters = sum(parameter.numel() for parameter in model.parameters())
            classes = None if head is None else head.num_classes
            text = model_card(
                cfg, target.repo, parameters=parameters, classes=classes, revision=target.revision
            )
            (folder / CARD_FILE).write_text(text, encoding="utf-8")
        message = target.commit_message or f"Push {cfg.name or cfg.architecture} with landmarkzoo"
        return hub.upload(folder, replace(target, commit_message=message), stale=(HEAD_FILE, CLASSES_FILE))


def _stated(cfg: ModelCfg, stated: Mapping[str, Any]) -> ModelCfg:
    """The cfg with what was stated of the weights."""
    given = {name: value for name, value in stated.items() if value is not None and value != ""}
    if "scores" in given:
        given["scores"] = tuple(given["scores"])
        for score in given["scores"]:
            if not isinstance(score, Score):
                raise TypeError(f"scores are lz.Score(metric, value, protocol), got {score!r}")
    return replace(cfg, **given)
