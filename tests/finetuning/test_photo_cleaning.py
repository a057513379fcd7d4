"""Wrong labels, copies and photos of nothing among rendered landmarks are found, from any input."""

import shutil
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

import landmarkzoo as lz
from landmarkzoo.embedding.fingerprints import weights_fingerprint
from landmarkzoo.finetuning.landmark_labels import labelled_photos, without

LANDMARKS, VIEWS = 6, 10


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Rendered landmarks of 160 px, a folder for each, and beside them photos of none."""
    folder = tmp_path_factory.mktemp("rendered")
    rendered = lz.rendered.RenderedLandmarks(LANDMARKS, VIEWS, distractors=20, image_size=160)
    for row, target in enumerate(rendered.targets):
        name = "nothing" if target < 0 else f"photos/place{target}"
        (folder / name).mkdir(parents=True, exist_ok=True)
        rendered.photo(row).save(folder / name / f"{row}.png")
    return folder


@pytest.fixture(scope="module")
def model():
    """The default model without its neck, for smaller photos."""
    model = lz.create_model("efficientnet_lite0_gem", pretrained_backbone=True, neck="none")
    model.cfg = replace(model.cfg, input_size=(3, 160, 160))
    return model


@pytest.fixture(scope="module")
def descriptors(photos, model):
    """Those of the landmarks, and of the photos of none, whitened as by default."""
    d = lz.embed(model, photos, progress=False)
    d = lz.Whitening.fit(d, len(d) - 1, shrinkage=0.1).apply(d)
    parts = []
    for part in ("photos/", "nothing/"):
        of_part = d[[id_ for id_ in d.ids if id_.startswith(part)]]
        parts.append(lz.Descriptors([id_.removeprefix(part) for id_ in of_part.ids], of_part.vectors))
    return parts


def folders(ids):
    return [id_.split("/")[0] for id_ in ids]


def switched(labels, count, seed):
    """Labels of which some are those of other landmarks."""
    random, names = np.random.default_rng(seed), sorted(set(labels))
    rows = random.choice(len(labels), count, replace=False)
    labels = list(labels)
    for row in rows:
        labels[row] = random.choice([name for name in names if name != labels[row]])
    return labels, rows.tolist()


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_switched_labels_are_found(descriptors, seed):
    d, _ = descriptors
    labels, rows = switched(folders(d.ids), 5, seed)
    found = lz.finetuning.suspicious_photos((d, labels), progress=False)
    right = {d.ids[row]: folders(d.ids)[row] for row in rows}
    named = {one.id: one.likelier for one in found if one.reason == "wrong label"}
    hits = named.keys() & right.keys()
    assert len(hits) >= 4
    assert sum(named[id_] == right[id_] for id_ in hits) >= len(hits) - 1
    unswitched = lz.finetuning.suspicious_photos((d, folders(d.ids)), progress=False)
    assert not {one.id for one in unswitched if one.reason == "wrong label"} & right.keys()


def test_copies_are_found_and_the_better_one_is_kept(descriptors):
    d, _ = descriptors
    x = np.concatenate([d.vectors, d.vectors[[0, 30]] * 2])
    ids = [*d.ids, "place0/copy.png", "place1/copy.png"]
    found = lz.finetuning.suspicious_photos((lz.Descriptors(ids, x), folders(ids)), progress=False)
    of_copies = {one.id: one for one in found if one.reason.startswith("duplicate")}
    elsewhere = of_copies["place1/copy.png"]
    assert elsewhere[1:4] == ("duplicate elsewhere", "place1", d.ids[30].split("/")[0])
    assert (elsewhere.other, elsewhere.score) == (d.ids[30], pytest.approx(1))
    pair = {d.ids[0], "place0/copy.png"}
    listed = pair & of_copies.keys()
    assert len(listed) == 1
    assert of_copies[listed.pop()].other in pair
    assert found.ids == [one.id for one in found]
    assert len(set(found.ids)) == len(found)


@pytest.mark.parametrize("known", [False, True])
def test_photos_of_nothing_are_found(known):
    """Landmarks are six clusters; photos of nothing lie on their far side, or near each other."""
    random = np.random.default_rng(0)
    landmarks = np.eye(6, 32).repeat(12, axis=0) + 0.1 * random.normal(size=(72, 32))
    nothing = np.eye(32)[20] if known else -np.eye(6, 32).sum(axis=0)
    nothing = nothing + (0.1 if known else 0.3) * random.normal(size=(16, 32))
    names = [f"place{row // 12}" for row in range(72)] + ["place0", "place3", "place3", "place5"]
    ids = [f"{row}" for row in range(76)]
    photos = lz.Descriptors(ids, np.concatenate([landmarks, nothing[:4]]))
    others = lz.Descriptors([f"n{row}" for row in range(12)], nothing[4:])
    found = lz.finetuning.suspicious_photos(
        (photos, names), non_landmark=others if known else None, progress=False
    )
    named = [one for one in found if one.reason == "no landmark"]
    assert {one.id for one in named} == {"72", "73", "74", "75"}
    assert all(one.likelier == one.other == "" for one in named)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 40), st.integers(1, 6), st.booleans())
def test_what_holds_for_all_photos(seed, count, classes, with_strangers):
    random = np.random.default_rng(seed)
    x = np.eye(8)[random.integers(0, 8, count)] + random.choice([0.02, 0.3]) * random.normal(size=(count, 8))
    labels = [f"{label}" for label in random.integers(0, classes, count)]
    ids = [f"{row}.jpg" for row in range(count)]
    strangers = lz.Descriptors(["n"], random.normal(size=(1, 8))) if with_strangers else None
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("landmarkzoo.finetuning.suspicions.warn_user", lambda message: None)
        found = lz.finetuning.suspicious_photos(
            (lz.Descriptors(ids, x), labels), non_landmark=strangers, progress=False
        )
    assert (found.photos, found.landmarks) == (count, len(set(labels)))
    assert len(set(found.ids)) == len(found.ids)
    assert sum(found.counts.values()) == len(found)
    label_of = dict(zip(ids, labels))
    alone = {id_ for id_ in ids if labels.count(label_of[id_]) == 1}
    assert set(found.unjudged) == alone
    for one in found:
        assert one.label == label_of[one.id]
        assert one.label != one.likelier
        assert (one.other != "") == one.reason.startswith("duplicate")
        assert one.score > (0.5 if one.reason == "wrong label" else 0)
        if one.other:
            assert one.other != one.id
            assert (label_of[one.other] == one.label) == (one.reason == "duplicate")
        if one.reason in ("wrong label", "no landmark"):
            assert one.id not in alone
    for name, examples in found.examples.items():
        assert {label_of[id_] for id_ in examples} <= {name}
        assert not set(examples) & set(found.ids)
    order = [one.reason for one in found]
    assert order == sorted(order, key=list(found.counts).index)


def test_the_order_of_the_photos_does_not_matter(descriptors):
    d, _ = descriptors
    labels, _ = switched(folders(d.ids), 6, 5)
    order = np.random.default_rng(0).permutation(len(d))
    ours = lz.finetuning.suspicious_photos((d, labels), progress=False)
    shuffled = (d[order], [labels[row] for row in order])
    theirs = lz.finetuning.suspicious_photos(shuffled, progress=False)
    assert {one[:4] for one in ours} == {one[:4] for one in theirs}


def test_an_index_is_looked_at_as_its_descriptors_are(descriptors, tmp_path):
    d, nothing = descriptors
    labels, _ = switched(folders(d.ids), 4, 1)
    index = lz.Index.create(tmp_path / "index")
    index.add(d, labels=labels)
    found = lz.finetuning.suspicious_photos(index, non_landmark=nothing, progress=False)
    assert (
        found.rows == lz.finetuning.suspicious_photos((d, labels), non_landmark=nothing, progress=False).rows
    )
    index.relabel({d.ids[0]: None})
    assert lz.finetuning.suspicious_photos(index, progress=False).photos == len(d) - 1


def test_photos_in_folders(photos, model, tmp_path):
    shutil.copytree(photos / "photos", tmp_path / "photos")
    moved = sorted((tmp_path / "photos/place1").iterdir())[0]
    shutil.copy(moved, tmp_path / "photos/place2/twin.png")
    (tmp_path / "photos/place3/broken.png").write_bytes(b"no photo")
    before = weights_fingerprint(model)
    look = partial(lz.finetuning.suspicious_photos, tmp_path / "photos", model=model, progress=False)
    found = look(non_landmark=photos / "nothing")
    assert weights_fingerprint(model) == before
    assert found.skipped[0][0] == "place3/broken.png"
    assert found.photos == LANDMARKS * VIEWS + 1
    twin = next(one for one in found if one.reason == "duplicate elsewhere")
    assert (twin.id, twin.likelier, twin.other) == ("place2/twin.png", "place1", f"place1/{moved.name}")
    found.to_csv(tmp_path / "check.csv")
    left, excluded = without(labelled_photos(tmp_path / "photos"), tmp_path / "check.csv")
    assert set(excluded) == set(found.ids)
    assert len(left) == LANDMARKS * VIEWS + 2 - len(found)  # the broken one is the user's to remove
    with pytest.raises(lz.PhotoError, match="broken"):
        look(on_error="raise")


def test_by_default_pooled_features_are_whitened_together(photos, model, descriptors, tmp_path, monkeypatch):
    """The same as by hand, but for the size, which is set to that of the other tests."""
    monkeypatch.setattr("landmarkzoo.finetuning.photo_cleaning.fitting_size", lambda model, size: (160, 160))
    d, nothing = descriptors
    (tmp_path / "nothing").mkdir()
    for path in (photos / "nothing").iterdir():
        shutil.copy(path, tmp_path / "nothing")
    (tmp_path / "nothing/broken.png").write_bytes(b"no photo")
    look = partial(lz.finetuning.suspicious_photos, photos / "photos", progress=False)
    found = look(non_landmark=tmp_path / "nothing")
    wanted = lz.finetuning.suspicious_photos((d, folders(d.ids)), non_landmark=nothing, progress=False)
    assert found.ids == wanted.ids
    np.testing.assert_allclose([one.score for one in found], [one.score for one in wanted], atol=1e-3)
    assert [id_ for id_, _ in found.skipped] == ["broken.png"]
    assert look().ids != found.ids


def test_models_with_random_parts_are_refused(photos):
    with pytest.raises(ValueError, match="parts of a DOLG stay random: give a trained one"):
        lz.finetuning.suspicious_photos(photos / "photos", model="dolg_efficientnet_lite0", progress=False)


def test_a_model_that_cannot_tell_landmarks_apart_judges_nothing(recwarn):
    x = np.eye(20)
    labels = [f"{row % 4}" for row in range(20)]
    d = lz.Descriptors([*map(str, range(20))], x)
    found = lz.finetuning.suspicious_photos((d, labels), progress=False)
    assert found.rows == []
    assert "no label can be judged: take a model" in str(recwarn.pop().message)


def test_one_landmark_has_duplicates_only():
    x = np.array([[1, 0], [1, 0], [0, 1], [-1, 0.5]])
    found = lz.finetuning.suspicious_photos((lz.Descriptors([*"abcd"], x), ["x"] * 4), progress=False)
    assert [one.reason for one in found] == ["duplicate"]


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"threshold": -1}, ValueError, "threshold must be 0 or more, got -1"),
        ({"threshold": float("nan")}, ValueError, "threshold must be finite"),
        ({"duplicates": 0}, ValueError, "duplicates must be a cosine above 0 and at most 1, got 0"),
        ({"duplicates": 95}, ValueError, "duplicates must be a cosine"),
        ({"duplicates": "high"}, TypeError, "duplicates must be a number"),
        ({"on_error": "ignore"}, ValueError, "on_error must be one of"),
        ({"model": "efficientnet_lite0_gem"}, ValueError, "model= would be ignored"),
        ({"non_landmark": "photos"}, TypeError, "non_landmark must be descriptors too"),
        ({"non_landmark": lz.Descriptors(["n"], np.ones((1, 3)))}, ValueError, "non_landmark"),
    ],
)
def test_what_is_wrong_is_said(change, error, message):
    d = lz.Descriptors(["a", "b"], np.eye(2))
    with pytest.raises(error, match=message):
        lz.finetuning.suspicious_photos((d, ["x", "y"]), progress=False, **change)


def test_photos_without_labels_are_refused(tmp_path):
    d = lz.Descriptors(["a", "b"], np.eye(2))
    with pytest.raises(ValueError, match="none of the 2 photos has a label"):
        lz.finetuning.suspicious_photos((d, [None, None]))
    Image.new("RGB", (8, 8)).save(tmp_path / "loose.png")
    with pytest.raises((TypeError, ValueError)):
        lz.finetuning.suspicious_photos(tmp_path)
