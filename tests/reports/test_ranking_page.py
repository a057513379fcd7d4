"""The page of a ranking in a real browser, without network: photos and marks are seen."""

import shutil
import subprocess

import numpy as np
import pytest
from PIL import Image

import landmarkzoo as lz
from landmarkzoo.reports.ranking_page import write_ranking_page

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
BLUE, GREEN, RED = (0x34, 0x64, 0xBE), (0x22, 0x96, 0x4A), (0xCD, 0x30, 0x30)
PHOTOS = {"q <1>.png": (250, 120, 0), "a.png": (0, 200, 220), "b.png": (150, 0, 200)}


@pytest.fixture
def page(tmp_path):
    for name, color in PHOTOS.items():
        Image.new("RGB", (300, 200), color).save(tmp_path / name)
    ranking = lz.Ranking([[1, 0]], [[0.9, 0.4]], ["q <1>.png"], ["a.png", "b.png"])
    path = tmp_path / "page.html"
    labels = (["tower"], ["gate", "tower"])
    write_ranking_page(path, ranking, tmp_path, tmp_path, labels=labels, title="Towers & gates")
    return path


def close(pixels, color):
    """Where a color is, but for what JPEG does to it."""
    return np.abs(pixels.astype(int) - color).max(axis=2) < 12


@pytest.mark.skipif(BROWSER is None, reason="no Chromium or Chrome on this machine")
def test_a_browser_shows_photos_and_marks(page, tmp_path):
    picture = tmp_path / "picture.png"
    command = [
        BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--hide-scrollbars",
        "--disable-background-networking", "--disable-component-update", "--disable-sync",
        "--proxy-server=127.0.0.1:9",  # whatever asked the network would get nothing
        f"--user-data-dir={tmp_path / 'profile'}", "--window-size=900,500", f"--screenshot={picture}",
        page.as_uri(),
    ]  # fmt: skip
    subprocess.run(command, check=True, capture_output=True, timeout=120)
    pixels = np.asarray(Image.open(picture).convert("RGB"))
    for color in PHOTOS.values():
        assert close(pixels, color).sum() > 15_000, color  # of a photo of 140 x 140
    for color in (BLUE, GREEN, RED):
        assert close(pixels, color).sum() > 2_000, color  # of a frame of 5 pixels around it
    columns = [
        int(np.argwhere(np.abs(pixels.astype(int) - c).max(axis=2) < 12)[:, 1].min())
        for c in (BLUE, GREEN, RED)
    ]
    assert columns == sorted(columns)  # the query, then the right result, then the wrong one


def test_text_is_escaped(page):
    text = page.read_text(encoding="utf-8")
    assert "q &lt;1&gt;.png" in text
    assert "<1>" not in text
    assert "Towers &amp; gates" in text


def test_ids_are_needed(tmp_path):
    with pytest.raises(ValueError, match="search with Descriptors, not arrays"):
        write_ranking_page(tmp_path / "p.html", lz.Ranking([[0]], [[1.0]]), tmp_path, tmp_path)
