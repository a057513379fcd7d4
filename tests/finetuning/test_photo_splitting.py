"""What is trained on, what measures, and what is said about it."""

import warnings

import numpy as np
import pytest
from whole_trainings import QUICK

import landmarkzoo as lz
from landmarkzoo.finetuning.landmark_labels import labelled_photos
from landmarkzoo.finetuning.splitting import held_out, split_photos


def photos(*counts):
    ids = [f"place{label}/{row}.jpg" for label, count in enumerate(counts) for row in range(count)]
    return labelled_photos((ids, [id_.split("/")[0] for id_ in ids]))


@pytest.mark.parametrize(("counts", "held"), [([8, 4, 2, 1], [2, 1, 1, 0]), ([1, 40], [0, 10])])
def test_a_share_of_each_landmark_is_held_out(counts, held):
    labels = np.repeat(np.arange(len(counts)), counts)
    rows = held_out(labels, 0.25, seed=0)
    assert np.bincount(labels[rows], minlength=len(counts)).tolist() == held
    assert not np.array_equal(rows, held_out(labels, 0.25, seed=1))
    shuffled = np.random.default_rng(0).permutation(labels)
    assert np.bincount(shuffled[held_out(shuffled, 0.25, 0)], minlength=len(counts)).tolist() == held


def test_single_photos_are_trained_on_and_it_is_said_once():
    with pytest.warns(
        UserWarning, match="2 landmarks have one photo, .* not measured, such as 'place1'"
    ) as caught:
        split = split_photos(photos(4, 1, 1), 0.25, 0)
    assert len(caught) == 1
    assert len(split.train) == 5
    assert split.validation.names == ["place0"]
    assert split.not_measured == ["place1", "place2"]
    with pytest.warns(UserWarning, match="each landmark has one photo: all are trained on"):
        split = split_photos(photos(1, 1), 0.25, 0)
    assert (len(split.train), split.validation) == (2, None)


@pytest.mark.parametrize("nothing", [None, 0, 0.0])
def test_without_validation_all_is_trained_on(nothing):
    split = split_photos(photos(4, 1), nothing, 0)
    assert (len(split.train), split.validation, split.not_measured) == (5, None, [])


def test_one_landmark_and_odd_shares_are_refused(noise):
    with pytest.raises(ValueError, match=r"one landmark only, 'place0': .* Give each a folder of its own"):
        split_photos(photos(9), 0.25, 0)
    for share in (1.5, -0.1, 1.0):
        with pytest.raises(ValueError, match="validation is a share of the photos, between 0 and 1"):
            split_photos(photos(4, 4), share, 0)


def test_photos_that_measure_are_not_among_those_trained_on(noise):
    everything = labelled_photos(noise)
    with pytest.raises(ValueError, match=r"16 validation photos are among .* such as 'place0/00\.png'"):
        split_photos(everything, noise, 0)
    with pytest.raises(TypeError, match="validation photos are a folder"):
        split_photos(everything, ["a.jpg"], 0)


def test_landmarks_of_their_own_measure(noise, drawn, tiny, tmp_path):
    """Photos of other landmarks are searched among each other and the photos that are trained on."""
    result = lz.finetune(noise, tmp_path / "out", model=tiny, validation=drawn, **QUICK)
    assert "validation photos among those trained on and each other" in result.after.scores[0].protocol
    assert len(result.after.query_ids) == 36
    assert set(result.history[0]) == {"epoch", "loss", "lr", "mAP@100"}
    assert result.training["photos"] == 16
    assert result.training["confusions"] == []
    paths = [*(noise / id_ for id_ in lz.datasets.ImageFolder(noise).ids),
             *(drawn / id_ for id_ in lz.datasets.ImageFolder(drawn).ids)]  # fmt: skip
    vectors = lz.embed(result.model, paths, flip=True, progress=False)
    labels = [path.parent.name for path in paths]
    mean = lz.evaluation.evaluate_leave_one_out(vectors, labels).per_query["mAP@100"][16:].mean()
    assert result.after["mAP@100"] == pytest.approx(mean, abs=1e-6)


def test_thirty_photos_and_a_photo_a_landmark_train(tmp_path):
    """Fewer photos than a batch: a smaller batch; one photo of each: nothing is measured."""
    data = lz.rendered.RenderedLandmarks(10, 4, 0, image_size=48)
    images = [np.asarray(data.photo(4 * label)) for label in range(10)]
    less = {**QUICK, "batch_size": 32, "epochs": 2}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model = lz.GlobalDescriptor("test_efficientnet", embedding_dim=8)
        result = lz.finetune((images, list(range(10))), tmp_path / "out", model=model, **less)
    said = [str(warning.message) for warning in caught if "one photo" in str(warning.message)]
    assert len(said) == 1
    assert result.before is result.after is None
    assert result.training["recipe"]["batch_size"] == 10
    assert result.training["not_measured"] == [str(label) for label in range(10)]
    assert result.class_names == [str(label) for label in range(10)]
    assert str(result) == "2 epochs, nothing is measured"
