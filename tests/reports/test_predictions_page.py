"""The page of predictions: photos, names and bars, and nothing that an id or a name could break."""

import shutil
import subprocess
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

import landmarkzoo as lz
from landmarkzoo.reports import write_predictions_page

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
IDS = ['q "<1>".png', "b.png"]


@pytest.fixture
def photos(tmp_path):
    for id_, color in zip(IDS, [(250, 120, 0), (0, 200, 220)]):
        Image.new("RGB", (300, 200), color).save(tmp_path / id_)
    return tmp_path


class Sections(HTMLParser):
    """The texts, pictures and bars of each section, as a browser would see them."""

    def __init__(self, page):
        super().__init__()
        self.sections, self.tags = [], []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        if tag == "section":
            self.sections.append({"texts": [], "bars": [], "images": [], "links": []})
        for name, found, key in (
            ("img", "images", "src"),
            ("meter", "bars", "value"),
            ("a", "links", "href"),
        ):
            if tag == name and self.sections:
                self.sections[-1][found].append(dict(attrs)[key])

    def handle_data(self, data):
        if self.sections and data.strip():
            self.sections[-1]["texts"].append(data.strip())


def test_photos_names_and_bars(photos):
    names = [["Big Ben", "<script>alert(1)</script>"], ["a & b", "Big Ben"]]
    p = lz.Predictions(IDS, [[3, 0], [1, 3]], [[0.75, -0.5], [1, 0.25]], names, [("x.png", "empty")])
    assert write_predictions_page(photos / "page.html", p, photos, title="Towers & gates") == []
    text = (photos / "page.html").read_text(encoding="utf-8")
    page = Sections(text)
    one, other = page.sections
    assert one["texts"] == [IDS[0], "0.750", "Big Ben", "-0.500", "<script>alert(1)</script>"]
    assert one["bars"] == ["0.7500", "0.0000"]
    assert one["links"] == ["q%20%22%3C1%3E%22.png"]
    assert other["texts"] == ["b.png", "1.000", "a & b", "0.250", "Big Ben"]
    assert one["images"][0].startswith("data:image/jpeg;base64,")
    assert "script" not in page.tags
    assert "<h1>Towers &amp; gates</h1>" in text
    assert "1 photos were skipped" in text
    assert "http" not in text  # nothing is asked of a network


def test_numbers_where_no_names_are_known_and_the_first_photos(photos):
    p = lz.Predictions(IDS, [[3], [1]], [[0.75], [1]])
    write_predictions_page(photos / "page.html", p, photos, max_photos=1)
    text = (photos / "page.html").read_text(encoding="utf-8")
    assert [section["texts"] for section in Sections(text).sections] == [[IDS[0], "0.750", "3"]]
    assert "The first 1 of 2 photos" in text
    assert "<h1>Landmarks in 2 photos</h1>" in text


def test_photos_that_are_not_there(photos):
    p = lz.Predictions(["b.png", "../b.png", "gone.png"], [[0]] * 3, [[0.5]] * 3)
    with pytest.warns(UserWarning, match="2 of 3 photos were not found"):
        missing = write_predictions_page(photos / "page.html", p, photos)
    assert missing == ["../b.png", "gone.png"]
    page = (photos / "page.html").read_text(encoding="utf-8")
    assert "not in the folder of the photos" in page
    with pytest.raises(FileNotFoundError, match="none of the 2 photos"):
        write_predictions_page(photos / "other.html", p[1:], photos)
    assert not (photos / "other.html").exists()
    with pytest.raises(ValueError, match="max_photos"):
        write_predictions_page(photos / "other.html", p, photos, max_photos=0)


@pytest.mark.skipif(BROWSER is None, reason="no Chromium or Chrome on this machine")
def test_a_browser_shows_bars_of_the_right_length(photos):
    p = lz.Predictions(["b.png"], [[0, 1]], [[0.9, 0.3]])
    write_predictions_page(photos / "page.html", p, photos)
    picture = photos / "picture.png"
    command = [
        BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--hide-scrollbars",
        "--disable-background-networking", "--disable-component-update", "--disable-sync",
        "--proxy-server=127.0.0.1:9", f"--user-data-dir={photos / 'profile'}", "--window-size=900,600",
        f"--screenshot={picture}", (photos / "page.html").as_uri(),
    ]  # fmt: skip
    subprocess.run(command, check=True, capture_output=True, timeout=600)
    pixels = np.asarray(Image.open(picture).convert("RGB")).astype(int)
    green = (pixels[..., 1] - pixels[..., [0, 2]].max(axis=2) > 60) & (np.arange(900) > 200)
    lengths = [row.sum() for row in green if row.sum() > 20]
    assert len(lengths) > 5
    assert max(lengths) == pytest.approx(3 * min(lengths), rel=0.1)
