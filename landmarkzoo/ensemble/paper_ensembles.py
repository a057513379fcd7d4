"""The two ensembles that won Google Landmark 2021, as data, and how they were used (Henkel 2021, 2.4)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from landmarkzoo._utils.checks import Labels
from landmarkzoo.ensemble.descriptor_fusion import concat_families
from landmarkzoo.ensemble.score_fusion import sum_scores
from landmarkzoo.recognition import Recognition, recognize
from landmarkzoo.rerank import soft_discriminative
from landmarkzoo.retrieval.descriptors import Descriptors, Vectors
from landmarkzoo.retrieval.ranking import Ranking


@dataclass(frozen=True)
class Member:
    """One model of an ensemble.

    Attributes:
        model: Name in the registry.
        family: ``"dolg"``, ``"hybrid"`` or ``"efficientnet"``.
        image_size: Side of its square images in pixels.
    """

    model: str
    family: str
    image_size: int


_DOLG_AND_HYBRIDS = (
    Member("dolg_efficientnet_b5", "dolg", 768),
    Member("dolg_efficientnet_b6", "dolg", 768),
    Member("dolg_efficientnet_b7", "dolg", 448),
    Member("hybrid_efficientnet_b3_swin_base_224", "hybrid", 896),
    Member("hybrid_efficientnet_b5_swin_base_224", "hybrid", 448),
    Member("hybrid_efficientnet_b6_swin_base_384", "hybrid", 384),
)
PAPER_RETRIEVAL = (
    *_DOLG_AND_HYBRIDS,
    Member("efficientnet_b6", "efficientnet", 512),
    Member("efficientnet_b5_gem", "efficientnet", 704),
)
"""Table 1's models with a retrieval score."""
PAPER_RECOGNITION = (
    *_DOLG_AND_HYBRIDS,
    Member("efficientnet_b3", "efficientnet", 768),
    Member("efficientnet_b6", "efficientnet", 512),
)
"""Table 1's models with a recognition score."""


@dataclass(frozen=True, eq=False)
class DescriptorSet:
    """What one model gives for the photos of a task; the photos are the same for every model.

    Attributes:
        family: Models of one family are averaged for recognition.
        query: Descriptors of the queries.
        train: Of the labelled photos.
        index: Of the photos to retrieve.
        non_landmark: Of photos without landmark.
    """

    family: str
    query: Descriptors
    train: Descriptors
    index: Descriptors | None = None
    non_landmark: Descriptors | None = None


def paper_retrieval(
    sets: Sequence[DescriptorSet],
    train_labels: Labels,
    *,
    k: int = 100,
    per_model: int = 750,
    **options: Any,
) -> Ranking:
    """The paper's retrieval from descriptors to the final list (section 2.4.1).

    Each model's index is re-ranked by :func:`landmarkzoo.rerank.soft_discriminative`; the scores of its first
    750 are added up over the models.

    Args:
        sets: One for each model, with an index.
        train_labels: Labels of the train photos, -1 for no landmark.
        k: How many come back.
        per_model: Results of each model that count.
        **options: Of ``soft_discriminative``, such as ``down`` or ``confidence``.

    Raises:
        ValueError: If a set has no index, or the photos differ between models.

    Examples:
        >>> q, x = lz.Descriptors(["q"], [[0.8, 0.6]]), lz.Descriptors(["a", "b"], [[0.6, 0.8], [0.8, -0.6]])
        >>> train = lz.Descriptors(["s", "t"], np.eye(2))
        >>> model = lz.ensemble.DescriptorSet("dolg", q, train, index=x)
        >>> lz.ensemble.paper_retrieval([model, model], [7, 9], neighbors=1).ids
        array([['b', 'a']], dtype=object)
    """
    if not sets or any(s.index is None for s in sets):
        raise ValueError("retrieval needs at least one model, and of each the descriptors of an index")
    rankings = [
        soft_discriminative(s.query, s.index, s.train, train_labels, k=per_model, **options)
        for s in sets
        if s.index is not None
    ]
    return sum_scores(rankings, per_model=per_model, k=k)


def paper_recognition(sets: Sequence[DescriptorSet], train_labels: Labels, **options: Any) -> Recognition:
    """The paper's recognition from descriptors to labels and scores (section 2.4.2).

    Descriptors are averaged in each family and concatenated by :func:`concat_families`; labels, scores and
    the rejection of photos without landmark are those of :func:`landmarkzoo.recognize`.

    Args:
        sets: One for each model.
        train_labels: Labels of the train photos.
        **options: Of ``recognize``, such as ``neighbors``.

    Raises:
        ValueError: If some sets have photos without landmark and others not, or the photos differ.
    """
    rejecting = [s.non_landmark is not None for s in sets]
    if not sets or (any(rejecting) and not all(rejecting)):
        raise ValueError("recognition needs at least one model, and non_landmark descriptors of all or none")

    def together(part: str) -> Vectors:
        families: dict[str, list[Vectors]] = {}
        for s in sets:
            families.setdefault(s.family, []).append(getattr(s, part))
        return concat_families(list(families.values()))

    non_landmark = together("non_landmark") if all(rejecting) else None
    return recognize(together("query"), together("train"), train_labels, non_landmark=non_landmark, **options)
