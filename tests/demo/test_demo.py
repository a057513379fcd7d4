import numpy as np
import pytest
import torch
from PIL import Image

import landmarkzoo as lz
from landmarkzoo.cli import main
from landmarkzoo.demo import folder_split, rendered_split, run_steps
from landmarkzoo.demo.steps import MODEL, SHRINKAGE


def test_demo_prints_each_step_and_writes_the_picture(capsys, tmp_path):
    out = tmp_path / "demo.png"
    assert main(["demo", "--landmarks", "5", "--views", "8", "--out", str(out), "--quiet"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("45 photos of 5 landmarks: 20 train, 13 index, 12 queries")
    printed = [[cell.strip() for cell in line.split("  ") if cell] for line in lines[3:7]]
    assert [row[0] for row in printed] == [
        "ImageNet lite0, GeM (1280-d)",
        "+ whitened neck (512-d)",
        "weights from rendered landmarks (512-d)",
        "+ soft discriminative re-ranking",
    ]
    with Image.open(out) as picture:
        assert picture.format == "PNG"
        assert picture.width > 900
    assert [p.name for p in tmp_path.iterdir()] == ["demo.png"]

    _, steps = run_steps(rendered_split(5, 8, progress=False), progress=False)
    for step, row in zip(steps, printed, strict=True):
        assert row[:3] == [step.name, f"{step.mean_average_precision:.3f}", f"{step.gap:.3f}"]
        assert step.mean_average_precision > 0.4  # by chance about 0.3
        assert step.gap > 0.4


@pytest.fixture
def own_photos(tmp_path):
    random = np.random.default_rng(0)
    for place in range(3):
        folder = tmp_path / "photos" / f"landmark_{place}"
        folder.mkdir(parents=True)
        for n in range(6):
            coarse = random.integers(60 * place, 60 * place + 80, (4, 5, 3), dtype=np.uint8)
            Image.fromarray(coarse).resize((80, 64)).save(folder / f"{n}.png")
    return tmp_path / "photos"


def test_demo_on_a_folder_of_ones_own(capsys, own_photos, tmp_path):
    out = tmp_path / "demo.png"
    assert main(["demo", "--photos", str(own_photos), "--out", str(out), "--quiet"]) == 0
    assert "18 photos of 3 landmarks: 12 train, 3 index, 3 queries" in capsys.readouterr().out
    assert out.exists()


def test_photos_that_cannot_be_read(capsys, own_photos, tmp_path):
    split = folder_split(str(own_photos))
    for row in (split.train[0], split.index[1], split.query[2]):
        (own_photos / split.photos.ids[row]).write_bytes(b"")
    arguments = ["demo", "--photos", str(own_photos), "--out", str(tmp_path / "demo.png"), "--quiet"]
    assert main(arguments) == 2
    err = capsys.readouterr().err
    assert "the file is empty" in err
    assert err.count("\n") == 1
    assert main([*arguments, "--skip-errors"]) == 0
    assert capsys.readouterr().err.count("the file is empty") == 3
    left, steps = run_steps(split, progress=False, skip_errors=True)
    assert [len(part) for part in (left.train, left.index, left.query)] == [11, 2, 2]
    assert {len(step.ranking) for step in steps} == {2}
    for row in split.query:
        (own_photos / split.photos.ids[row]).write_bytes(b"")
    assert main([*arguments, "--skip-errors", "--overwrite"]) == 2
    assert "none of the query photos could be read" in capsys.readouterr().err


def test_a_model_reads_each_photo_once_and_the_whitening_is_that_of_the_neck(own_photos, monkeypatch):
    split = folder_split(str(own_photos))
    _, steps = run_steps(split, progress=False)
    model = lz.create_model(MODEL, pretrained_backbone=True)
    train = torch.utils.data.Subset(split.photos, split.train.tolist())
    with pytest.warns(UserWarning, match="whitening from 12 photos"):
        lz.whiten_neck(model, train, shrinkage=SHRINKAGE, progress=False)
    d = lz.embed(model, split.photos, progress=False)
    expected = lz.search(d[split.query], d[split.index])
    np.testing.assert_array_equal(steps[1].ranking.indices, expected.indices)
    np.testing.assert_allclose(steps[1].ranking.scores, expected.scores, atol=1e-5)

    read, photo = [], type(split.photos).photo
    monkeypatch.setattr(type(split.photos), "photo", lambda self, i: read.append(i) or photo(self, i))
    run_steps(split, progress=False)
    assert set(read) == set(range(len(split.targets)))
    assert len(read) <= 2 * (len(split.targets) + 1)  # the first is looked at before


def test_parts_do_not_overlap(tmp_path):
    for name, count in (("a", 9), ("b", 3), ("c", 2), ("d", 1)):
        for n in range(count):
            (tmp_path / name).mkdir(exist_ok=True)
            Image.new("RGB", (4, 4), (n, 0, 0)).save(tmp_path / name / f"{n}.png")
    for split in (folder_split(str(tmp_path)), rendered_split(3, 4, progress=False)):
        rows = np.concatenate([split.train, split.index, split.query])
        assert sorted(rows.tolist()) == list(range(len(split.targets)))
    split = folder_split(str(tmp_path))
    counts = [
        np.bincount(split.targets[part], minlength=4).tolist()
        for part in (split.query, split.index, split.train)
    ]
    assert counts == [[2, 1, 0, 0], [2, 1, 0, 0], [5, 1, 2, 1]]
    for name in ("a", "b"):
        for path in (tmp_path / name).iterdir():
            path.unlink()
    with pytest.raises(ValueError, match="no landmark has 3 photos"):
        folder_split(str(tmp_path))
