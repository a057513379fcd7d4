import numpy as np
import pytest
from PIL import Image

from landmarkzoo.cli import main
from landmarkzoo.demo import folder_split, rendered_split, run_steps


def test_demo_prints_each_step_and_writes_the_picture(capsys, tmp_path):
    out = tmp_path / "demo.png"
    assert main(["demo", "--landmarks", "5", "--views", "8", "--out", str(out), "--quiet"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("45 photos of 5 landmarks: 20 train, 13 index, 12 queries")
    printed = [[cell.strip() for cell in line.split("  ") if cell] for line in lines[3:6]]
    assert [row[0] for row in printed] == [
        "ImageNet lite0, GeM (1280-d)",
        "+ whitened neck (512-d)",
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


def test_demo_on_a_folder_of_ones_own(capsys, tmp_path):
    random = np.random.default_rng(0)
    for place in range(3):
        folder = tmp_path / "photos" / f"landmark_{place}"
        folder.mkdir(parents=True)
        for n in range(6):
            coarse = random.integers(60 * place, 60 * place + 80, (4, 5, 3), dtype=np.uint8)
            Image.fromarray(coarse).resize((80, 64)).save(folder / f"{n}.png")
    out = tmp_path / "demo.png"
    assert main(["demo", "--photos", str(tmp_path / "photos"), "--out", str(out), "--quiet"]) == 0
    assert "18 photos of 3 landmarks: 12 train, 3 index, 3 queries" in capsys.readouterr().out
    assert out.exists()


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
