import csv

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import landmarkzoo as lz
from landmarkzoo.cli import main

TRAIN = "id,url,landmark_id\na,,5\nb,,5\nc,,9\nd,,7\ne,,9\n"
CLEAN = "landmark_id,images\n5,a\n9,c e\n"


@pytest.fixture
def toy(tmp_path):
    (tmp_path / "train.csv").write_text(TRAIN)
    (tmp_path / "train_clean.csv").write_text(CLEAN)
    return tmp_path


def rows(path):
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.reader(file))


def test_golden_toy(toy):
    lists = lz.datasets.build_gldv2_lists(toy)
    assert lists.x.ids == ["a", "b", "c", "e"]
    assert lists.clean.ids == ["a", "c", "e"]
    assert dict(zip(lists.landmark_ids.tolist(), range(2))) == {5: 0, 9: 1}
    assert lists.x.labels.tolist() == [0, 0, 1, 1]
    assert lists.clean.labels.tolist() == [0, 1, 1]
    assert repr(lists) == "GLDv2Lists(clean: 3 images, x: 4 images, 2 classes)"


def test_command_writes_what_the_function_builds(toy, capsys):
    out = toy / "lists"
    out.mkdir()
    assert main(["gldv2", str(toy), "--out", str(out), "--quiet"]) == 0
    captured = capsys.readouterr()
    assert [line.split()[:3] for line in captured.out.splitlines()[2:]] == [
        ["GLDv2c", "3", "2"],
        ["GLDv2x", "4", "2"],
    ]
    assert captured.err == ""
    assert rows(out / "gldv2c.csv") == [
        ["id", "landmark_id", "class_id"],
        ["a", "5", "0"],
        ["c", "9", "1"],
        ["e", "9", "1"],
    ]
    assert rows(out / "gldv2x.csv")[1:] == [
        ["a", "5", "0"],
        ["b", "5", "0"],
        ["c", "9", "1"],
        ["e", "9", "1"],
    ]
    assert rows(out / "gldv2_classes.csv") == [
        ["class_id", "landmark_id", "clean_images", "x_images"], ["0", "5", "1", "2"], ["1", "9", "2", "2"]
    ]  # fmt: skip
    assert main(["gldv2", str(toy), "--out", str(out)]) == 2
    assert "gldv2c.csv exists: give --overwrite" in capsys.readouterr().err
    assert main(["gldv2", str(toy), "--out", str(out), "--overwrite"]) == 0


def test_command_with_wrong_input_is_one_line(toy, capsys):
    (toy / "train_clean.csv").write_text("landmark_id,images\n5,z\n")
    for arguments, message in (
        ([toy, "--out", toy / "no"], "cannot write to"),
        ([toy / "no", "--out", toy], "no such folder"),
        (
            [toy, "--out", toy, "--quiet"],
            "train_clean.csv, line 2: the image z of landmark 5 is not in train.csv",
        ),
    ):
        assert main(["gldv2", *map(str, arguments)]) == 2
        err = capsys.readouterr().err
        assert message in err
        assert err.count("\n") == 1


IMAGES = st.dictionaries(
    st.text("0123456789abcdef", min_size=1, max_size=5), st.integers(0, 6), min_size=1, max_size=30
)


@settings(max_examples=50)
@given(IMAGES, st.randoms())
def test_lists_against_a_plain_formulation(tmp_path_factory, train, random):
    root = tmp_path_factory.mktemp("gldv2")
    lines = "".join(f"{id_},url,{landmark}\n" for id_, landmark in train.items())
    (root / "train.csv").write_text("id,url,landmark_id\n" + lines)
    chosen = [id_ for id_ in train if random.random() < 0.5] or [next(iter(train))]
    clean_landmarks = sorted({train[id_] for id_ in chosen})
    order = random.sample(clean_landmarks, len(clean_landmarks))
    cells = {landmark: [id_ for id_ in chosen if train[id_] == landmark] for landmark in order}
    text = "".join(f"{landmark},{' '.join(ids)}\n" for landmark, ids in cells.items())
    (root / "train_clean.csv").write_text("landmark_id,images\n" + text)

    lists = lz.datasets.build_gldv2_lists(root)
    assert lists.landmark_ids.tolist() == clean_landmarks
    assert lists.x.ids == [id_ for id_, landmark in train.items() if landmark in clean_landmarks]
    assert lists.clean.ids == [id_ for ids in cells.values() for id_ in ids]
    assert set(lists.clean.ids) <= set(lists.x.ids)
    for images in (lists.clean, lists.x):
        assert [train[id_] for id_ in images.ids] == lists.landmark_ids[images.labels].tolist()
        assert (
            np.bincount(images.labels, minlength=len(clean_landmarks)).min() >= 1
        )  # no class without images
