"""Descriptors that were not made alike are not compared, whoever compares them."""

import warnings

import numpy as np
import pytest

import landmarkzoo as lz

PLAIN = {
    "model": "m",
    "weights": "w1",
    "transform": "Resize(224) Normalize(mean=[0.5])",
    "image_size": "224 x 224",
    "precision": "float32",
}


def described(ids="ab", *, without=(), **changes):
    provenance = {key: value for key, value in {**PLAIN, **changes}.items() if key not in without}
    return lz.Descriptors(list(ids), np.eye(4)[: len(ids)], provenance=provenance)


def each_comparison(a, b):
    """Everything of the package that compares descriptors."""
    yield lambda: lz.search(a, b)
    yield lambda: lz.search(b, a)
    yield lambda: lz.Descriptors.concat([a, b])
    yield lambda: lz.rerank.vote(a, b, [0, 1])
    yield lambda: lz.rerank.soft_discriminative(a, b, b, [0, 1])
    yield lambda: lz.rerank.soft_discriminative(a, a, b, [0, 1])
    yield lambda: lz.rerank.hard_discriminative(a, a, b, [0, 1])
    yield lambda: lz.rerank.alpha_query_expansion(a, b)
    yield lambda: lz.rerank.k_reciprocal(a, b)
    yield lambda: lz.rerank.diffusion(a, b)
    yield lambda: lz.rerank.superglobal(a, b)
    yield lambda: lz.recognize(a, b, [0, 1])
    yield lambda: lz.recognize(a, a, [0, 1], non_landmark=b)


UNLIKE = [
    ({"weights": "w2"}, r"weights w[12]\).*weights w[12]\): embed both with one model"),
    (
        {"transform": "Resize(96) Normalize(mean=[0.5])", "image_size": "96 x 96"},
        "(224 x 224|96 x 96) pixels, .* (224 x 224|96 x 96) pixels: embed both alike, .*like=index.*vectors",
    ),
    (
        {"transform": "Resize(224) Normalize(mean=[0.1])"},
        r"Normalize\(mean=\[0\.[15]\].*Normalize\(mean=\[0\.[15]\].*like=index",
    ),
    ({"views": "scales (1.0,), flip True"}, "as (plain photos|scales .*True), .* as .*like=index"),
]


@pytest.mark.parametrize(("changes", "message"), UNLIKE)
def test_unlike_descriptors_are_refused_and_the_message_names_the_difference(changes, message):
    a, b = described("ab"), described("cd", **changes)
    for compare in each_comparison(a, b):
        with pytest.raises(ValueError, match=message) as error:
            compare()
        assert "\n" not in str(error.value)
        assert len(str(error.value)) < 330
    lz.search(a.vectors, b)  # the way out, where it is meant
    lz.search(a.vectors, b.vectors)
    lz.search(a, described("cd"))


@pytest.mark.parametrize("key", ["weights", "transform", "image_size", "precision", "model"])
def test_what_one_side_does_not_know_is_not_compared(key):
    old = described("cd", without=[key])
    for compare in each_comparison(described("ab"), old):
        compare()
    for compare in each_comparison(lz.Descriptors(["c", "d"], np.eye(4)[:2]), described("ab", views="flip")):
        compare()  # vectors of one's own say nothing


def test_boxes_and_the_name_of_a_model_are_not_compared():
    for compare in each_comparison(described("ab"), described("cd", boxes="2 of 2 photos", model="n")):
        compare()


def test_a_foreign_precision_is_told_where_it_matters():
    half = described("cd", precision="bfloat16")
    for compare in each_comparison(described("ab"), half):
        with pytest.warns(UserWarning, match="float32.*bfloat16|bfloat16.*float32"):
            compare()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        lz.search(half, half)
        lz.search(described("ab"), described("cd", precision="float16"))


def test_whitened_beside_otherwise_whitened_or_plain():
    random = np.random.default_rng(0)
    one, other = (lz.Whitening.fit(random.standard_normal((50, 4))) for _ in range(2))
    for plain in (described("ab"), lz.Descriptors(["a", "b"], np.eye(4)[:2])):
        apart = lz.Descriptors(["c", "d"], plain.vectors, provenance=plain.provenance)
        for unlike in (other.apply(apart), apart, one.apply(one.apply(apart))):
            for compare in each_comparison(one.apply(plain), unlike):
                with pytest.raises(ValueError, match=r"whitened by .*: apply one Whitening to both"):
                    compare()
        for compare in each_comparison(one.apply(plain), one.apply(apart)):
            compare()
        white = one.apply(plain)
        assert {key: white.provenance[key] for key in plain.provenance} == plain.provenance
    with pytest.raises(ValueError, match="embed both with one model"):
        lz.search(one.apply(described("ab")), one.apply(described("cd", weights="w2")))


def test_expanded_and_augmented_descriptors_keep_their_provenance():
    d = described("abcd", views="flip", boxes="1 of 4 photos")
    for changed in (lz.rerank.alpha_query_expansion(d, d, k=2), lz.rerank.database_augmentation(d, k=2)):
        assert changed.provenance == d.provenance
        lz.search(changed, d)


@pytest.mark.parametrize(
    "changes",
    [{"weights": "w2"}, {"transform": "x"}, {"views": "flip"}, {"whitening": "0"}],
    ids=lambda changes: next(iter(changes)),
)
def test_ensembles_of_unlike_members_are_not_compared(changes):
    def together(member):
        return lz.ensemble.concat_families([[described("ab"), member], [described("ab", weights="w3")]])

    with pytest.raises(ValueError, match=r"embed both|apply one Whitening"):
        lz.search(together(described("ab")), together(described("ab", **changes)))
    assert together(described("ab")).provenance["precision"] == "float32"
    lz.search(together(described("ab")), together(described("ab", boxes="1 of 2 photos")))


def test_concat_keeps_what_is_common_and_marks_what_is_not():
    parts = [
        described("a", boxes="1 of 1 photos"),
        described("b", precision="float16"),
        described("c", without=["image_size", "transform"]),
    ]
    assert lz.Descriptors.concat(parts).provenance == {
        "model": "m",
        "weights": "w1",
        "transform": parts[0].provenance["transform"],
        "image_size": "224 x 224 | unknown",
        "precision": "float32 | float16",
        "boxes": "1 of 1 photos | no boxes",
    }
    assert lz.Descriptors.concat(parts[:1]).provenance == parts[0].provenance


@pytest.mark.parametrize("changes", [{"weights": "w2"}, {"transform": "x"}, {"views": "flip"}], ids=str)
def test_vectors_of_ones_own_do_not_hide_what_they_are_joined_with(changes):
    own = lz.Descriptors(["x"], np.eye(4)[:1])
    for parts in ([described("a"), own], [own, described("a")]):
        index = lz.Descriptors.concat(parts)
        for compare in each_comparison(index, described("cd", **changes)):
            with pytest.raises(ValueError, match="embed both"):
                compare()
        for compare in each_comparison(index, described("cd")):
            compare()
    turned = lz.Descriptors.concat([described("a", views="flip"), own])
    lz.search(described("cd", views="flip"), turned)
    with pytest.raises(ValueError, match="embed both alike"):
        lz.search(described("cd"), turned)
