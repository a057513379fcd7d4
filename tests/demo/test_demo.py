import numpy as np
import pytest
from PIL import Image

from landmarkzoo.cli import main
from landmarkzoo.demo import folder_album, rendered_album, run_steps
from landmarkzoo.reports import draw_rankings
from landmarkzoo.reports.ranking_picture import RankedPhotos


def test_demo_prints_each_step_and_writes_the_picture(capsys, tmp_path):
    out = tmp_path / "demo.png"
    assert main(["demo", "--landmarks", "6", "--views", "8", "--out", str(out), "--quiet"]) == 0
    captured = capsys.readouterr()
    lines = captured.out.splitlines()
    assert lines[0].startswith("54 photos of 6 landmarks: 24 train, 15 index, 15 queries")
    assert [line.split("  ")[0] for line in lines[3:6]] == [
        "ImageNet lite0, GeM (1280-d)",
        "+ whitened neck (512-d)",
        "+ soft discriminative re-ranking",
    ]
    with Image.open(out) as picture:
        assert picture.format == "PNG"
        assert picture.width > 900
    assert [p.name for p in tmp_path.iterdir()] == ["demo.png"]


def test_demo_on_a_folder_of_ones_own(capsys, tmp_path):
    album = rendered_album(3, 6, progress=False)
    for row in range(len(album.labels)):
        if album.labels[row] >= 0:
            folder = tmp_path / "photos" / f"landmark_{album.labels[row]}"
            folder.mkdir(parents=True, exist_ok=True)
            album.photos[row][0].save(folder / f"{row}.png")
    out = tmp_path / "demo.png"
    assert main(["demo", "--photos", str(tmp_path / "photos"), "--out", str(out), "--quiet"]) == 0
    assert "18 photos of 3 landmarks: 12 train, 3 index, 3 queries" in capsys.readouterr().out
    assert out.exists()


def test_steps_are_deterministic_and_better_than_chance():
    album = rendered_album(5, 8, progress=False)
    first, second = (run_steps(album, progress=False) for _ in range(2))
    for a, b in zip(first, second):
        assert (a.mean_average_precision, a.gap) == (b.mean_average_precision, b.gap)
        assert a.mean_average_precision > 0.4
        assert a.gap > 0.4


def test_parts_of_albums_do_not_overlap(tmp_path):
    for name, count in (("a", 9), ("b", 3), ("c", 2), ("d", 1)):
        for n in range(count):
            (tmp_path / name).mkdir(exist_ok=True)
            Image.new("RGB", (4, 4), (n, 0, 0)).save(tmp_path / name / f"{n}.png")
    for album in (folder_album(str(tmp_path)), rendered_album(3, 4, progress=False)):
        rows = np.concatenate([album.train, album.index, album.query])
        assert sorted(rows.tolist()) == list(range(len(album.labels)))
    album = folder_album(str(tmp_path))
    counts = [
        np.bincount(album.labels[part], minlength=4).tolist()
        for part in (album.query, album.index, album.train)
    ]
    assert counts == [[2, 1, 0, 0], [2, 1, 0, 0], [5, 1, 2, 1]]
    for name in ("a", "b"):
        for path in (tmp_path / name).iterdir():
            path.unlink()
    with pytest.raises(ValueError, match="no landmark has 3 photos"):
        folder_album(str(tmp_path))


def test_picture_frames_right_green_wrong_red_and_the_query_blue():
    white = Image.new("RGB", (50, 30), (255, 255, 255))
    rows = [RankedPhotos(white, "q", [(white, "right", True), (white, "x" * 90, False)])]
    colors = {color for _, color in draw_rankings(rows, "heading").getcolors(10**6)}
    assert {(34, 150, 72), (205, 48, 48), (52, 100, 190)} <= colors
    with pytest.raises(ValueError, match="no rankings"):
        draw_rankings([], "heading")
