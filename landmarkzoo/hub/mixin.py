"""``save_pretrained`` and ``push_to_hub`` for every module with a ``cfg``, a frozen dataclass."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import nn

from landmarkzoo._utils.atomic_writing import write_together
from landmarkzoo.hub import client
from landmarkzoo.hub.client import HUB, Target
from landmarkzoo.hub.model_cards import CARD_FILE, model_card
from landmarkzoo.hub.model_files import model_writers, write_cfg
from landmarkzoo.losses import Head
from landmarkzoo.losses.head_files import CLASSES_FILE, HEAD_FILE, save_head_beside
from landmarkzoo.metrics import Score


class HubMixin(nn.Module):
    """A module that can be saved into a folder and pushed to the Hugging Face Hub.

    Attributes:
        cfg: The model as data: a frozen dataclass, written to ``config.json``. Its ``embedding_dim`` is the
            size of the descriptors.

    Examples:
        >>> import tempfile
        >>> folder = tempfile.mkdtemp()
        >>> lz.create_model("efficientnet_lite0_gem", embedding_dim=8).save_pretrained(folder)
        >>> lz.create_model(f"local-dir:{folder}").embedding_dim
        8
    """

    cfg: Any

    def save_pretrained(
        self,
        folder: str | Path,
        head: Head | None = None,
        class_names: Sequence[str] | None = None,
    ) -> None:
        """Write ``config.json`` and ``model.safetensors``, and for a head ``head.safetensors``.

        Of a model inside ``DataParallel`` and the like, call that of the model, ``wrapper.module``. All files
        are written, or none; the head of an earlier model in that folder is removed. If the classes of the
        head are split over processes, all of them must call this; the first one writes.

        Args:
            folder: The folder to write; created if it does not exist.
            head: The head that the model was trained with.
            class_names: Name of each class of the head, for ``classes.json``.

        Raises:
            OSError: If the folder cannot be created or written.
            TypeError: If ``head`` is not a registered head.
            ValueError: If head, names and model do not fit each other, or one is on the meta device.
        """
        self.check_saveable()
        if head is None:
            if class_names is not None:
                raise ValueError("class_names are those of a head: give head=... as well")
            write_together(folder, model_writers(self, self.cfg), remove=(HEAD_FILE, CLASSES_FILE))
            return
        size = getattr(self, "embedding_dim", self.cfg.embedding_dim)
        if isinstance(head, Head) and head.embedding_dim != size:
            raise ValueError(f"the model gives vectors of size {size}, the head takes {head.embedding_dim}")
        save_head_beside(model_writers(self, self.cfg), head, folder, class_names)

    def check_saveable(self) -> None:
        """Raise if a saved copy would not come back as this model; ``save_pretrained`` asks first."""

    def push_to_hub(
        self,
        repo_id: str,
        head: Head | None = None,
        class_names: Sequence[str] | None = None,
        *,
        private: bool | None = None,
        token: str | bool | None = None,
        revision: str | None = None,
        commit_message: str | None = None,
        create_pr: bool = False,
        scores: Iterable[Score] | None = None,
        training_data: str | None = None,
        license: str | None = None,
        card: bool = True,
    ) -> str:
        """Push what ``save_pretrained`` writes, and a model card, to the Hugging Face Hub as one commit.

        The repository is created if it does not exist; the head of an earlier model in it is removed. The
        card states scores, training data and licence as ``cfg`` or the arguments give them, and assumes
        nothing.

        Args:
            repo_id: ``"org/repo"``.
            head: The head that the model was trained with.
            class_names: Name of each class of the head.
            private: Whether a new repository is private; ``None``: as its owner has set it.
            token: Access token that may write; ``None``: that of ``hf auth login`` or ``HF_TOKEN``.
            revision: Branch to push to, created if it does not exist; ``None``: ``main``.
            commit_message: First line of the commit.
            create_pr: Open a pull request instead.
            scores: Scores of these weights, instead of ``cfg.scores``.
            training_data: What they were trained on, instead of ``cfg.training_data``.
            license: Their licence, instead of ``cfg.license``.
            card: ``False`` leaves the ``README.md`` of the repository as it is.

        Returns:
            Address of the commit, or of the pull request. If the head is split over processes, the first one
            pushes, and the others get ``""``.

        Raises:
            OSError: ``ConnectionError`` if the Hub does not answer, ``PermissionError`` if the token may not
                write there, ``FileNotFoundError`` if there is no such repository and it cannot be created.
            TypeError: If ``head`` is not a registered head, or a score is not a ``Score``.
            ValueError: If head, names and model do not fit each other, or ``repo_id`` cannot be a repository.
        """
        target = Target(repo_id, revision, token, private, create_pr, commit_message)
        cfg_overrides = {"scores": scores, "training_data": training_data, "license": license}
        _check_target(target)
        cfg = _with_overrides(self.cfg, cfg_overrides)
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary)
            self.save_pretrained(folder, head, class_names)
            if head is not None and not head.writes_files:
                return ""
            write_cfg(cfg, folder)
            if card:
                text = model_card(
                    cfg,
                    repo_id,
                    parameters=sum(parameter.numel() for parameter in self.parameters()),
                    classes=None if head is None else head.num_classes,
                    revision=revision,
                    module=type(self).__module__,
                )
                (folder / CARD_FILE).write_text(text, encoding="utf-8")
            message = commit_message or f"Push {cfg.name or cfg.architecture} with landmarkzoo"
            return client.upload(
                folder, replace(target, commit_message=message), stale=(HEAD_FILE, CLASSES_FILE)
            )


def _check_target(target: Target) -> None:
    if target.repo.startswith(HUB) or "@" in target.repo:
        raise ValueError(f"{target.repo!r}: push_to_hub takes 'org/repo', and the branch as revision=...")
    if "/" not in target.repo:  # the Hub would create user/repo and then not find it as 'repo'
        raise ValueError(f"{target.repo!r} has no owner: push_to_hub takes 'org/repo' or 'user/repo'")


def _with_overrides(cfg: Any, cfg_overrides: Mapping[str, Any]) -> Any:
    """The cfg with the values that the caller gave."""
    given = {name: value for name, value in cfg_overrides.items() if value is not None and value != ""}
    if "scores" in given:
        given["scores"] = tuple(given["scores"])
        for score in given["scores"]:
            if not isinstance(score, Score):
                raise TypeError(f"scores are lz.Score(metric, value, protocol), got {score!r}")
    return replace(cfg, **given)
