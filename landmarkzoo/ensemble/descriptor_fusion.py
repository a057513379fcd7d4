"""One descriptor out of those of several models, and the families of models that won Google Landmark 2021."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np

from landmarkzoo._utils.checks import FloatArray, unit
from landmarkzoo._utils.unicode_names import nfc
from landmarkzoo.retrieval.comparability import COMPARED, common_provenance
from landmarkzoo.retrieval.descriptors import Descriptors, Vectors, as_vectors, descriptors_of
from landmarkzoo.retrieval.ranking import Ranking

_BLOCK_VALUES = 2**20  # float64 values in flight: 8 MiB for each member

_DOLG_AND_HYBRIDS = {
    "dolg": ("dolg_efficientnet_b5", "dolg_efficientnet_b6", "dolg_efficientnet_b7"),
    "hybrid": (
        "hybrid_efficientnet_b3_swin_base_224",
        "hybrid_efficientnet_b5_swin_base_224",
        "hybrid_efficientnet_b6_swin_base_384",
    ),
}

PAPER_RETRIEVAL: dict[str, tuple[str, ...]] = {
    **_DOLG_AND_HYBRIDS,
    "efficientnet": ("efficientnet_b6", "efficientnet_b5_gem"),
}
"""Names of the models with a retrieval score in Table 1 of [Henkel 2021](https://arxiv.org/abs/2110.03786),
by family. Each re-ranks the index by ``lz.rerank.soft_discriminative``; ``sum_scores`` adds these up."""

PAPER_RECOGNITION: dict[str, tuple[str, ...]] = {
    **_DOLG_AND_HYBRIDS,
    "efficientnet": ("efficientnet_b3", "efficientnet_b6"),
}
"""Names of the models with a recognition score in Table 1 of [Henkel 2021](https://arxiv.org/abs/2110.03786),
by family. Their descriptors go to ``concat_families``, and what it gives to ``lz.recognize``."""


def concat_families(families: Sequence[Sequence[Vectors]]) -> Vectors:
    """Concatenate families of models, each as the mean of its models.

    Section 2.4.2 of [Henkel 2021](https://arxiv.org/abs/2110.03786): each model's vectors get length 1, those
    of a family are averaged, the means are concatenated, and the result gets length 1. So every family counts
    the same, whatever its number of models.

    Args:
        families: Descriptors, or arrays (N, D), of the same N photos in the same order; the models of a
            family have one D.

    Returns:
        The vectors (N, sum of D), float32: Descriptors for Descriptors, an array for arrays.

    Raises:
        TypeError: If a family is not a list of descriptors, or a member is a ranking.
        ValueError: If a family is empty, or the photos differ.

    Examples:
        >>> dolg, hybrid = [np.array([[3.0, 4.0]]), np.array([[4.0, 3.0]])], [np.array([[0.0, 2.0]])]
        >>> lz.ensemble.concat_families([dolg, hybrid]).round(4)
        array([[0.4975, 0.4975, 0.    , 0.7107]], dtype=float32)
    """
    families = list(families)
    if any(isinstance(descriptors_of(family), (Descriptors, Ranking)) for family in families):
        raise TypeError("families are lists of models' descriptors: [[a, b], [c]], not [a, b, c]")
    families = [[descriptors_of(member) for member in family] for family in families]
    members = [member for family in families for member in family]
    if not members or not all(families):
        raise ValueError("concat_families needs at least one family, and each of them at least one model")
    _check_photos(members)
    arrays = [_arrays(family) for family in families]
    size = sum(family[0].shape[1] for family in arrays)
    vectors = np.empty((len(members[0]), size), dtype=np.float32)
    step = max(1, _BLOCK_VALUES // size)
    for start in range(0, len(vectors), step):
        block = slice(start, start + step)
        means = [np.mean([unit(array[block]) for array in family], axis=0) for family in arrays]
        vectors[block] = unit(np.concatenate(means, axis=1))
    first = members[0]
    if not isinstance(first, Descriptors):
        return vectors
    return Descriptors(first.ids, vectors, provenance=_provenance(families))


def _arrays(family: Sequence[Vectors]) -> list[FloatArray]:
    arrays = [as_vectors(member, "a member") for member in family]
    sizes = {array.shape[1] for array in arrays}
    if len(sizes) > 1:
        raise ValueError(f"the models of a family must give vectors of one size, got {sorted(sizes)}")
    return arrays


def _check_photos(members: Sequence[Vectors]) -> None:
    sizes = {len(member) for member in members}
    if len(sizes) > 1:
        raise ValueError(f"all models must have embedded the same photos, got {sorted(sizes)} vectors")
    named = [member for member in members if isinstance(member, Descriptors)]
    if named and len(named) < len(members):
        raise ValueError("give Descriptors or arrays, not both: whether the photos are the same is not known")
    for member in named[1:]:
        row = next((i for i, (a, b) in enumerate(zip(named[0].ids, member.ids)) if nfc(a) != nfc(b)), None)
        if row is not None:
            raise ValueError(
                f"the models have embedded different photos: row {row} is {named[0].ids[row]!r} and "
                f"{member.ids[row]!r}"
            )


def _provenance(families: Sequence[Sequence[Vectors]]) -> dict[str, str]:
    """Provenance of an ensemble, so that ensembles whose members differ in anything are not compared.

    What is compared and differs among the members is listed by families.
    """
    known = [[m.provenance for m in family if isinstance(m, Descriptors)] for family in families]
    members = [p for family in known for p in family]
    provenance = common_provenance(members)
    for key in COMPARED:
        missing = "" if key in ("weights", "transform") else "none"
        stated = [[p.get(key, missing) for p in family] for family in known]
        values = {value for family in stated for value in family}
        if key == "weights" and "" not in values:
            provenance[key] = hashlib.sha256(repr(stated).encode()).hexdigest()[:12]
        elif len(values) > 1 and "" not in values:
            provenance[key] = "; ".join(map(" | ".join, stated))
    if "weights" in provenance:
        names = dict.fromkeys(p.get("model", "?") for p in members)
        provenance["model"] = f"ensemble of {' + '.join(names)}"
    return provenance
