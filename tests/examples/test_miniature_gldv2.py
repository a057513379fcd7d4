"""The miniature: all splits are read as those of Google Landmarks v2, of rendered and of real photos."""

import csv
from itertools import cycle

import miniature_gldv2
import numpy as np
import pytest

import landmarkzoo as lz


@pytest.fixture(scope="module")
def mini(tmp_path_factory):
    root = tmp_path_factory.mktemp("gldv2") / "mini"
    data = lz.rendered.RenderedLandmarks(4, 8, 9, image_size=48)
    return root, data, miniature_gldv2.write_gldv2(root, data)


def splits(root):
    return {split: lz.datasets.GLDv2(root, split) for split in ("clean", "x", "full", "index", "test")}


def check(root, data, wit):
    """No photo is missing or in two places, and the truth is that of the data set."""
    of = splits(root)
    assert [split for split, photos in of.items() if photos.missing()] == []
    images = lz.datasets.CsvPhotos(root / "wit" / "wit.csv", label_column="landmark_id")
    assert images.missing() == []
    assert len(images) == len(wit) > 0
    assert set(of["clean"].ids) < set(of["x"].ids) < set(of["full"].ids)
    assert {int(name) for name in images.classes} <= set(of["clean"].landmark_ids.tolist())
    assert len(of["clean"].landmark_ids) == len(data.classes) - 1  # one landmark is none of the clean ones
    ids = [*of["full"].ids, *of["index"].ids, *of["test"].ids]
    assert len(set(ids)) == len(ids)
    others = list((root / "non_landmark").iterdir()) if (data.targets < 0).any() else []
    dealt = [photo.part for photo in miniature_gldv2.dealt(data)]
    assert len(others) == dealt.count("non_landmark")
    wanted = dealt.count("wit") - len([a for a in wit.ambiguous if a.kind == "image"])
    assert len(ids) + len(others) + len(wit) == len(data) - dealt.count("wit") + wanted
    landmark_of = dict(zip(of["index"].ids, of["index"].landmarks_of(of["index"].targets).tolist()))
    truth = dict(zip(of["test"].ids, of["test"].truth))
    solution = of["test"].retrieval
    found = dict(zip(solution.ids, solution.truth))
    assert any(found.values())
    for id_, images_of in found.items():
        same = [one for one, landmark in landmark_of.items() if truth[id_] and landmark == truth[id_][0]]
        assert list(images_of) in ([], same)
    assert {"Public", "Private", "Ignored"} <= set(of["test"].usage) | set(solution.usage)


def test_splits(mini):
    check(*mini)
    of = splits(mini[0])
    assert repr(of["clean"]) == "GLDv2(split='clean': 9 photos of 3 landmarks)"
    assert repr(of["x"]) == "GLDv2(split='x': 12 photos of 3 landmarks)"
    assert [len(of[split]) for split in ("full", "index", "test")] == [17, 10, 7]


def test_photos_are_those_of_the_data_set(mini):
    root, data = mini[:2]
    of = {"train": splits(root)["full"], "index": splits(root)["index"], "test": splits(root)["test"]}
    for photo in miniature_gldv2.dealt(data):
        folder = miniature_gldv2.FOLDERS.get(photo.part)
        if folder is None:
            continue
        written = np.asarray(of[folder].photo(of[folder].ids.index(photo.id)), dtype=np.float64)
        drawn = np.asarray(data.photo(photo.row), dtype=np.float64)
        assert written.shape == drawn.shape
        assert np.abs(written - drawn).mean() < 12  # a JPEG


def test_wit_has_what_is_odd(mini):
    root, _, wit = mini
    assert wit.in_train == 1
    assert [a.kind for a in wit.ambiguous] == ["image"]
    assert lz.datasets.build_wit_list(root / "wit.tsv.gz", root).urls == wit.urls


def test_a_folder_that_is_not_empty_is_refused(mini):
    with pytest.raises(FileExistsError, match="is not empty"):
        miniature_gldv2.write_gldv2(*mini[:2])


def test_of_real_photos(real_photos, tmp_path, capsys):
    """Some of them, by a list of their own."""
    turns, rows = {}, []
    with (real_photos / "splits.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            turn = turns.setdefault(row["landmark"], cycle(range(4)))
            if next(turn) == 0 and len(turns) < 9:
                rows.append((real_photos / row["path"], row["landmark"]))
            elif not row["landmark"] and row["path"].endswith(("0.jpg", "5.jpg")):
                rows.append((real_photos / row["path"], ""))
    with (tmp_path / "photos.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("path", "landmark"), *rows])
    root = tmp_path / "mini"
    miniature_gldv2.main([str(root), "--photos", str(tmp_path / "photos.csv"), "--label", "landmark"])
    assert "GLDv2(split='test': " in capsys.readouterr().out
    data = lz.datasets.CsvPhotos(tmp_path / "photos.csv", label_column="landmark")
    check(root, data, lz.datasets.build_wit_list(root / "wit.tsv.gz", root))
