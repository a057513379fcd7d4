"""Labels that a trained head contradicts: photos far from the centers of their class, and near to another."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from landmarkzoo._utils.unicode_names import nfc
from landmarkzoo.embedding.eval_copies import eval_copy
from landmarkzoo.hub.loading import LOCAL
from landmarkzoo.index.commits import Commit
from landmarkzoo.index.photo_embedder import MODEL, rebuilt_model
from landmarkzoo.layers.autocast import without_autocast
from landmarkzoo.losses import Head, read_head
from landmarkzoo.losses.arcface.label_noise import OUTLIER_ANGLE
from landmarkzoo.losses.base_head import top_classes
from landmarkzoo.losses.head_files import HEAD_FILE, checked_class_names
from landmarkzoo.losses.whole_head import check_whole_head
from landmarkzoo.retrieval.stored_vectors import StoredDescriptors

_COSINES = 2**24  # at a time


class Suspicion(NamedTuple):
    """Why a label is suspicious.

    Attributes:
        likelier: The label that is likelier.
        score: How much more cosine there is to that than to its own, from 0 to 1.
    """

    likelier: str
    score: float


@dataclass(frozen=True, eq=False)
class KnownHead:
    """A head and the label of each of its classes.

    Attributes:
        head: The head, in eval mode.
        class_names: Labels, in the order of the classes.
        needed: Whether it is an error if it knows none of the labels.
    """

    head: Head
    class_names: Sequence[str]
    needed: bool

    def contradicted(
        self, descriptors: StoredDescriptors, labels: NDArray[np.object_], progress: bool = False
    ) -> dict[int, Suspicion]:
        """Photos that are far from the centers of their class and nearer to another class, by their row.

        Far are those with more than 75 degrees to the nearest center of their class, as in Deng et al. 2020,
        "Sub-center ArcFace". The score is the cosine to the nearest center of the likelier class, less that
        to the nearest of their own; negative cosines count as 0. Labels that are no class are left out.

        Args:
            descriptors: Those of an index.
            labels: Labels (N,).
            progress: Show a progress bar on stderr, if it takes more than two seconds.

        Raises:
            ValueError: If sizes do not fit, or labels are needed and none is a class.
        """
        number_of = {name: number for number, name in enumerate(self._names)}
        own = np.array([-1 if label is None else number_of.get(label, -1) for label in labels], np.int64)
        rows = np.flatnonzero(own >= 0)
        if self.needed:
            self._check(descriptors, labels, rows)
        found = {}
        step = max(1, _COSINES // self.head.num_classes)
        with tqdm(total=len(rows), desc="head", unit=" photos", disable=not progress, delay=2) as bar:
            for start in range(0, len(rows) if len(self._names) > 1 else 0, step):
                some = rows[start : start + step]
                likelier, scores = self._better_names(descriptors.stored.take(some), own[some])
                for place in np.flatnonzero(scores > 0).tolist():
                    found[int(some[place])] = Suspicion(self._names[likelier[place]], float(scores[place]))
                bar.update(len(some))
        return found

    @cached_property
    def _names(self) -> list[str]:
        """Labels, each once: those of several classes, or in two Unicode forms, are one."""
        return list(dict.fromkeys(map(nfc, self.class_names)))

    @torch.no_grad()
    def _better_names(
        self, vectors: NDArray[np.float32], own: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """The nearest other name (n,) of vectors (n, D), and the score; 0 where the label may be right."""
        device = self.head.weight.device
        with without_autocast(device):
            cosines = self.head.cosine(torch.tensor(vectors, device=device)).float()  # (n, C)
        if len(self._names) < self.head.num_classes:
            number_of = {name: number for number, name in enumerate(self._names)}
            numbers = torch.tensor([number_of[nfc(name)] for name in self.class_names], device=device)
            of_names = cosines.new_full((len(cosines), len(self._names)), -torch.inf)
            cosines = of_names.scatter_reduce(1, numbers.expand_as(cosines), cosines, "amax")  # (n, names)
        column = torch.from_numpy(own).to(device)[:, None]
        of_own = cosines.gather(1, column)
        best = top_classes(cosines.scatter(1, column, -torch.inf), 1)
        far = of_own < math.cos(OUTLIER_ANGLE)
        scores = torch.where(far, best.cosines.clamp(min=0) - of_own.clamp(min=0), 0.0)
        return best.classes[:, 0].cpu().numpy(), scores[:, 0].cpu().numpy()

    def _check(
        self, descriptors: StoredDescriptors, labels: NDArray[np.object_], rows: NDArray[np.int64]
    ) -> None:
        dimensions = descriptors.stored.shape[1]
        if len(descriptors) and dimensions != self.head.embedding_dim:
            raise ValueError(
                f"the descriptors have {dimensions} dimensions, the head {self.head.embedding_dim}: take the "
                "head that was trained with their model"
            )
        label = next((label for label in labels if label is not None), None)
        if label is not None and not len(rows):
            raise ValueError(
                f"the head knows none of the labels, such as {label!r}: its {self.head.num_classes} classes "
                f"are such as {self.class_names[0]!r}; class_names= are the labels of its classes, in order"
            )


def known_head(
    head: Head | None, class_names: Sequence[str] | None, folder: Path, commit: Commit
) -> KnownHead | None:
    """The head that the user gave, or the one that lies beside the model of an index; ``None`` if none does.

    Args:
        head: What the user gave.
        class_names: The names of its classes; ``None``: their numbers.
        folder: That of the index.
        commit: Its last commit.

    Raises:
        TypeError: If it is no head.
        ValueError: If it cannot be used, there are not as many names as classes or names without a head, or
            the head beside the model is damaged.
    """
    needed = head is not None
    if head is None:
        if class_names is not None:
            raise ValueError("class_names are those of a head, which is not given: head=")
        beside = _folder_with_head(folder, commit)
        if beside is None:
            return None
        head, class_names = read_head(beside)
    check_whole_head(head, "index.suspicious_labels(head=head)")
    names = [*map(str, range(head.num_classes))] if class_names is None else class_names
    names = checked_class_names(names, head.num_classes)
    return KnownHead(eval_copy(head) if head.training else head, names, needed)  # type: ignore[arg-type]


def _folder_with_head(folder: Path, commit: Commit) -> Path | None:
    """The folder of the model, if a head is in it and the model still has the weights of the index."""
    options, weights = commit.manifest.options, commit.manifest.provenance.get("weights")
    name = options.get("model") or ""
    path = folder / MODEL if name == f"{LOCAL}{MODEL}" else Path(name.removeprefix(LOCAL))
    if not name.startswith(LOCAL) or not (path / HEAD_FILE).is_file():
        return None
    try:
        rebuilt_model(folder, options, weights)
    except (OSError, ValueError):  # trained on, or damaged
        return None
    return path
