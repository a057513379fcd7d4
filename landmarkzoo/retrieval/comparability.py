"""Which descriptors may be compared: what their provenance must have in common.

``lz.embed`` writes the provenance. A key that one side does not have is not compared: its file is older, or
it was not embedded here. Views and whitening are different: where there are none, there is no key.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from landmarkzoo._utils.user_warnings import warn_user

RUNNING_NUMBERS = "running numbers"  # provenance["ids"] of images in memory

COMPARED = ("weights", "transform", "views", "whitening")
_IF_MISSING = {"ids": "names", "boxes": "no boxes"}
_WAY_OUT = (
    "lz.embed(model, photos, like=index) or landmarkzoo embed PHOTOS --like INDEX, or, if it is meant, pass "
    "their .vectors"
)


def refuse_unlike(a: Mapping[str, str], b: Mapping[str, str], name_a: str, name_b: str) -> None:
    """Refuse two provenances of descriptors that cannot be compared; warn where cosines are only less exact.

    Args:
        a: Provenance of the one.
        b: Provenance of the other.
        name_a: What the one is called in the message.
        name_b: What the other is called in the message.

    Raises:
        ValueError: If weights, transform, views or whitening differ.
    """
    if _differ(a, b, "weights"):
        raise ValueError(
            f"{name_a} comes from {a.get('model')} (weights {a['weights']}), {name_b} from {b.get('model')} "
            f"(weights {b['weights']}): embed both with one model"
        )
    for key, what in (("transform", "with"), ("views", "as")):
        if _differ(a, b, key):
            one, other = _shown(a, b, key)
            raise ValueError(
                f"{name_a} was embedded {what} {one}, {name_b} {what} {other}: embed both alike, {_WAY_OUT}"
            )
    if a.get("whitening") != b.get("whitening"):
        one, other = (f"is whitened by {p['whitening']}" if "whitening" in p else "is not" for p in (a, b))
        raise ValueError(
            f"{name_a} {one}, {name_b} {other}: apply one Whitening to both, or, if it is meant, pass their "
            ".vectors"
        )
    if _differ(a, b, "precision") and any(_is_coarse(provenance) for provenance in (a, b)):
        warn_user(
            f"{name_a} was embedded in {a['precision']}, {name_b} in {b['precision']}: bfloat16 has 3 digits "
            "only, so cosines are less exact; embed both in one precision"
        )


def joined_provenance(provenances: Sequence[Mapping[str, str]]) -> dict[str, str]:
    """Provenance of descriptors one below the other; all of them can be compared.

    As ``common_provenance``; but what is compared stays where only some parts have it. So what could not be
    searched with these parts cannot be searched with the whole.

    Examples:
        >>> joined_provenance([{"weights": "1", "precision": "float32"}, {"precision": "float16"}])
        {'precision': 'float32 | float16', 'weights': '1'}
    """
    joined = common_provenance(provenances)
    embedded = [provenance for provenance in provenances if "weights" in provenance]
    return joined | {key: provenance[key] for provenance in embedded for key in COMPARED if key in provenance}


def common_provenance(provenances: Sequence[Mapping[str, str]]) -> dict[str, str]:
    """What several descriptors have in common.

    What is compared stays where all have it. Of the rest, differing values stand beside each other.

    Examples:
        >>> common_provenance([{"weights": "1", "precision": "float32"}, {"precision": "float16"}])
        {'precision': 'float32 | float16'}
    """
    common = {}
    for key in dict.fromkeys(key for provenance in provenances for key in provenance):
        missing = _IF_MISSING.get(key, "unknown")
        values = dict.fromkeys(provenance.get(key, missing) for provenance in provenances)
        if len(values) == 1:
            common[key] = next(iter(values))
        elif key not in COMPARED:  # each of them once, however often parts are joined
            common[key] = " | ".join(dict.fromkeys(one for value in values for one in value.split(" | ")))
    return common


def _differ(a: Mapping[str, str], b: Mapping[str, str], key: str) -> bool:
    if key == "views" and "weights" in a and "weights" in b:
        return a.get(key) != b.get(key)
    return key in a and key in b and a[key] != b[key]


def _is_coarse(provenance: Mapping[str, str]) -> bool:
    """Whether it is bfloat16 that nobody has compared with float32."""
    return "bfloat16" in provenance["precision"] and "precision_cosine" not in provenance


def _shown(a: Mapping[str, str], b: Mapping[str, str], key: str) -> tuple[str, str]:
    """Two values in a few words: where they differ."""
    if key == "views":
        return a.get(key, "plain photos"), b.get(key, "plain photos")
    if _differ(a, b, "image_size"):
        return f"{a['image_size']} pixels", f"{b['image_size']} pixels"
    one, other = a[key], b[key]
    same = next((i for i, (x, y) in enumerate(zip(one, other)) if x != y), min(len(one), len(other)))
    start = max(same - 20, 0)
    return _excerpt(one, start), _excerpt(other, start)


def _excerpt(text: str, start: int, length: int = 60) -> str:
    end = start + length
    return f"{'...' if start else ''}{text[start:end]}{'...' if end < len(text) else ''}"
