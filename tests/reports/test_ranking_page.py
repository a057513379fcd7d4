"""The page of a ranking in a real browser, without network: photos and marks are seen."""

import shutil
import subprocess
from base64 import b64decode
from html.parser import HTMLParser
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

import landmarkzoo as lz
from landmarkzoo.reports import write_ranking_page

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
BLUE, GREEN, RED = (0x34, 0x64, 0xBE), (0x22, 0x96, 0x4A), (0xCD, 0x30, 0x30)
PHOTOS = {'q "<1>".png': (250, 120, 0), "a.png": (0, 200, 220), "b.png": (150, 0, 200)}


@pytest.fixture
def page(tmp_path):
    for name, color in PHOTOS.items():
        Image.new("RGB", (300, 200), color).save(tmp_path / name)
    ranking = lz.Ranking([[1, 0]], [[0.9, 0.4]], ['q "<1>".png'], ["a.png", "b.png"])
    path = tmp_path / "page.html"
    labels = (["tower"], ["gate", "tower"])
    write_ranking_page(path, ranking, tmp_path, tmp_path, labels=labels, title="Towers & gates")
    return path


def close(pixels, color):
    """Where a color is, but for what JPEG does to it."""
    return np.abs(pixels.astype(int) - color).max(axis=2) < 12


def screenshot(address, folder):
    picture = folder / "picture.png"
    command = [
        BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--hide-scrollbars",
        "--disable-background-networking", "--disable-component-update", "--disable-sync",
        "--proxy-server=127.0.0.1:9",  # whatever asked the network would get nothing
        f"--user-data-dir={folder / 'profile'}", "--window-size=900,1000", f"--screenshot={picture}",
        address,
    ]  # fmt: skip
    subprocess.run(command, check=True, capture_output=True, timeout=600)
    return np.asarray(Image.open(picture).convert("RGB"))


@pytest.mark.skipif(BROWSER is None, reason="no Chromium or Chrome on this machine")
def test_a_browser_shows_photos_and_marks(page, tmp_path):
    pixels = screenshot(page.as_uri(), tmp_path)
    for color in PHOTOS.values():
        assert close(pixels, color).sum() > 15_000, color  # of a photo of 140 x 140
    for color in (BLUE, GREEN, RED):
        assert close(pixels, color).sum() > 2_000, color  # of a frame of 5 pixels around it
    columns = [
        int(np.argwhere(np.abs(pixels.astype(int) - c).max(axis=2) < 12)[:, 1].min())
        for c in (BLUE, GREEN, RED)
    ]
    assert columns == sorted(columns)  # the query, then the right result, then the wrong one


@pytest.mark.skipif(BROWSER is None, reason="no Chromium or Chrome on this machine")
def test_a_browser_shows_wrong_queries_only(tmp_path):
    ids = ["right.png", "wrong.png"]
    for id_, color in zip(ids, [(250, 120, 0), (0, 200, 220)]):
        Image.new("RGB", (300, 200), color).save(tmp_path / id_)
    path = tmp_path / "page.html"
    ranking = lz.Ranking([[0], [1], [1]], [[0.9]] * 3, ["right.png", "right.png", "wrong.png"], ids)
    labels = (["tower", "gate", None], ["tower", "tower"])
    write_ranking_page(path, ranking, tmp_path, tmp_path, labels=labels)
    for part, photos in (("", 3), ("#wrong", 1)):
        pixels = screenshot(path.as_uri() + part, tmp_path)[:, :200]
        assert close(pixels, BLUE).any(axis=1).sum() == pytest.approx(150 * photos, abs=12)
        assert close(pixels, (0, 200, 220)).any() == (photos == 3)  # the query without a landmark


class Figures(HTMLParser):
    """What a browser would make of the page: each figure with its class, its photo, and all of its text."""

    def __init__(self, page):
        super().__init__()
        self.open, self.figures, self.tags, self.all, self.text = [], [], set(), [], ""
        self.feed(page.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attrs):
        attributes = dict(attrs)
        self.tags.add(tag)
        self.all.append((tag, attributes))
        if tag == "figure":
            self.figures.append({"class": attributes["class"], "alt": None, "text": ""})
        if tag == "img":
            self.figures[-1]["alt"] = attributes["alt"]
            kind, _, data = attributes["src"].partition(";base64,")
            assert kind == "data:image/jpeg"
            self.figures[-1]["color"] = Image.open(BytesIO(b64decode(data))).getpixel((100, 100))
        if tag not in ("img", "meta", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += "" if "style" in self.open else data
        if "figure" in self.open:
            self.figures[-1]["text"] += data
        if "h1" in self.open:
            self.heading = data


def test_a_parser_reads_photos_marks_and_text(page):
    parsed = Figures(page)
    assert parsed.open == []
    assert parsed.heading == "Towers & gates"
    assert [(f["class"], f["alt"]) for f in parsed.figures] == [
        ("query", 'q "<1>".png'),
        ("right", "b.png"),
        ("wrong", "a.png"),
    ]
    texts = ['tower q "<1>".png', "1. 0.900 rightb.png", "2. 0.400 wronga.png"]
    assert [f["text"].replace("  ", " ") for f in parsed.figures] == texts
    for figure in parsed.figures:
        assert np.abs(np.subtract(figure["color"], PHOTOS[figure["alt"]])).max() < 12


def test_names_and_errors_are_text_and_never_tags(tmp_path):
    name = '<b onclick="x">&.ppm'
    (tmp_path / name).write_text("P3 1 1 255\n<s> 0 0\n")  # Pillow's message quotes the number that is none
    ranking = lz.Ranking([[0]], [[0.5]], [name], [name])
    path = tmp_path / "page.html"
    write_ranking_page(path, ranking, tmp_path, tmp_path, labels=(["<i>"], ["<i>"]), title="<u>")
    parsed = Figures(path)
    assert not parsed.tags & {"b", "i", "s", "u"}
    assert parsed.heading == "<u>"
    assert len(parsed.figures) == 2
    for figure in parsed.figures:
        assert figure["alt"] is None
        assert name in figure["text"]
        assert "<s>" in figure["text"]
    assert "<i>" in parsed.figures[0]["text"]


def test_a_name_cannot_leave_an_attribute(tmp_path):
    name = "a' onerror='x\" onload=\"y.png"
    Image.new("RGB", (8, 8)).save(tmp_path / name)
    path = tmp_path / "page.html"
    ranking = lz.Ranking([[0]], [[0.5]], [name], [name])
    write_ranking_page(path, ranking, tmp_path, tmp_path, title="</title><script>")
    parsed = Figures(path)
    assert [figure["alt"] for figure in parsed.figures] == [name, name]
    assert "script" not in parsed.tags
    assert all(set(attributes) <= {"alt", "src"} for tag, attributes in parsed.all if tag == "img")
    assert all(set(attributes) <= {"href"} for tag, attributes in parsed.all if tag == "a")


def test_ids_are_needed(tmp_path):
    with pytest.raises(ValueError, match="search with Descriptors, not arrays"):
        write_ranking_page(tmp_path / "p.html", lz.Ranking([[0]], [[1.0]]), tmp_path, tmp_path)
