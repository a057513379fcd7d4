"""The page of a training: curves, scores and confusions, and nothing that a name could break."""

import math
import re
import shutil
import subprocess
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

import landmarkzoo as lz
from landmarkzoo.reports import write_training_page
from landmarkzoo.reports.line_chart import chart_svg, ticks

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
HISTORY = [
    {"epoch": 1, "loss": 3.0, "lr": 2.5e-4, "mAP@100": 0.55},
    {"epoch": 2, "loss": 1.5, "lr": 1e-4, "mAP@100": 0.65},
    {"epoch": 3, "loss": 1.0, "lr": 0.0, "mAP@100": 0.6},
]
NASTY = '<script>alert("1")</script>'


def evaluation(value, metric="mAP@100", protocol="9 photos held out"):
    interval = lz.metrics.Interval(value, value - 0.1, value + 0.1)
    score = lz.metrics.Score(metric, value, protocol)
    return lz.Evaluation((score,), {metric: interval}, {metric: np.array([value])}, ["q"])


class Page(HTMLParser):
    """The page as a browser sees it: elements with their attributes, and the texts within each tag."""

    empty = ("img", "meta", "br", "line", "polyline")

    def __init__(self, text):
        super().__init__()
        self.elements, self.texts, self.open = [], {}, []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in self.empty:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if data.strip() and self.open:
            self.texts.setdefault(self.open[-1], []).append(data.strip())

    def all(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]


@pytest.fixture
def photos(tmp_path):
    folder = tmp_path / "photos"
    for id_, color in {"tower/1.png": "red", "tower/2.png": "blue", "gate/3.png": "green"}.items():
        (folder / id_).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (300, 200), color).save(folder / id_)
    return folder


def written(tmp_path, **parts):
    path = tmp_path / "page.html"
    missing = write_training_page(path, **{"title": "t", "history": HISTORY, **parts})
    text = path.read_text(encoding="utf-8")
    page = Page(text)
    assert page.open == []
    assert "http" not in text  # nothing is asked of a network
    return page, text, missing


def test_curves_scores_and_confusions(tmp_path, photos):
    confusions = [("tower", "gate", 2, ["tower/1.png", "tower/2.png"]), ("gate", "tower", 1, ["gate/3.png"])]
    page, text, missing = written(
        tmp_path, before=evaluation(0.5), after=evaluation(0.6), confusions=confusions, photos=photos
    )
    assert missing == []
    assert len(page.all("svg")) == 3
    assert len(page.all("circle")) == 9
    assert {"epoch 2: 0.65", "epoch 1: 3", "epoch 1: 0.00025"} <= set(page.texts["title"])
    assert page.texts["h3"][:3] == ["loss", "learning rate", "mAP@100"]
    assert "0.6 in the end; highest 0.65, epoch 2" in page.texts["p"]
    assert "1 in the end; lowest 1, epoch 3" in page.texts["p"]
    assert "0 in the end" in page.texts["p"]  # no learning rate is the best
    cells = re.findall(r"<tr><td>mAP@100</td>.*?</tr>", text)
    assert cells == [
        "<tr><td>mAP@100</td><td>0.500<small>[0.400, 0.600]</small></td>"
        '<td>0.600<small>[0.500, 0.700]</small></td><td class="up">+0.100</td></tr>'
    ]
    assert "mAP@100: 9 photos held out." in page.texts["p"]
    assert page.texts["h3"][3:] == ["tower taken for gate: 2 photos", "gate taken for tower: 1 photo"]
    links = [attributes["href"] for attributes in page.all("a")]
    assert links == ["photos/tower/1.png", "photos/tower/2.png", "photos/gate/3.png"]
    assert all(image["src"].startswith("data:image/jpeg;base64,") for image in page.all("img"))


def test_names_are_text_and_never_tags(tmp_path, photos):
    history = [{"epoch": 1, "loss": 1.0, NASTY: 0.5}, {"epoch": 2, "loss": 0.5, NASTY: 0.6}]
    scores = evaluation(0.5, NASTY, NASTY)
    confusions = [(NASTY, "<b>&", 1, [f"{NASTY}.png", "../<i>.png"])]
    page, text, missing = written(
        tmp_path, title=NASTY, history=history, before=scores, after=scores, confusions=confusions,
        photos=photos, lines=[NASTY],
    )  # fmt: skip
    assert not {tag for tag, _ in page.elements} & {"script", "b", "i"}
    assert page.texts["h1"] == page.texts["li"] == [NASTY]
    assert NASTY in page.texts["h3"]
    assert f"{NASTY} taken for <b>&: 1 photo" in page.texts["h3"]
    assert missing == [f"{NASTY}.png", "../<i>.png"]
    assert page.texts["div"] == ["no such file in the folder", "not in the folder of the photos"]
    assert text.count("class=none") == 2


def test_without_photos_and_without_validation(tmp_path):
    page, text, missing = written(tmp_path, after=evaluation(0.6), confusions=[("a", "b", 1, ["a/1.png"])])
    assert missing == []
    assert "a taken for b: 1 photo" in page.texts["h3"]
    assert not page.all("img")
    assert not page.all("figure")
    page, text, _ = written(tmp_path, after=evaluation(0.6))
    assert "No validation photo is taken for another landmark" in text
    page, text, _ = written(tmp_path)
    assert "There were no validation photos" in text
    assert "Confusions" not in text
    page, text, _ = written(tmp_path, history=[])
    assert not page.all("svg")
    assert "0 epochs" in text


def test_photos_whose_files_are_known(tmp_path, photos):
    files = {"a": photos / "tower" / "1.png", "gone": photos / "tower" / "9.png"}
    confusions = [("tower", "gate", 3, ["a", "gone", "in memory"])]
    page, _, missing = written(tmp_path, after=evaluation(0.6), confusions=confusions, photos=files)
    assert [attributes["href"] for attributes in page.all("a")] == ["photos/tower/1.png"]
    assert page.texts["div"] == ["no such file", "no file is known"]
    assert missing == ["gone", "in memory"]


def test_the_first_of_many(tmp_path, photos):
    confusions = [(f"a{n}", "b", 9, ["tower/1.png"] * 9) for n in range(5)]
    page, text, _ = written(
        tmp_path, after=evaluation(0.6), confusions=confusions, photos=photos, max_confusions=2, max_photos=3
    )
    assert "The 2 most frequent of 5 pairs" in text
    assert len(page.all("img")) == 6
    for wrong in ({"max_confusions": 0}, {"max_photos": -1}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            written(tmp_path, **wrong)


def test_gaps_and_single_points():
    svg = chart_svg("x", [1, 2, 3, 4, 5], [1.0, 2.0, None, math.nan, 3.0])
    assert svg.count("<circle") == 3
    assert svg.count("<polyline") == 1  # between the first two
    assert "nan" not in svg
    assert chart_svg("x", [7], [2.0]).count("<circle") == 1
    assert "<circle" not in chart_svg("x", [1, 2], [None, math.inf])


@pytest.mark.parametrize(("low", "high"), [(0.548, 0.642), (0, 0), (-3, 1e-7), (1e-5, 2.5e-4), (7, 7.001)])
def test_ticks_are_few_and_enclose(low, high):
    found = ticks(low, high)
    assert found[0] <= low <= high <= found[-1]
    assert 2 <= len(found) <= 8
    np.testing.assert_allclose(np.diff(found), found[1] - found[0], rtol=1e-6)


def test_higher_is_higher_and_later_is_to_the_right():
    svg = chart_svg("x", [1, 2, 3], [1.0, 3.0, 2.0])
    places = np.array(re.findall(r'cx="([\d.]+)" cy="([\d.]+)"', svg), float)
    assert np.all(np.diff(places[:, 0]) > 0)
    assert places[1, 1] < places[2, 1] < places[0, 1]


@pytest.mark.skipif(BROWSER is None, reason="no Chromium or Chrome on this machine")
@pytest.mark.parametrize("width", [1200, 500])
def test_a_browser_needs_no_more_than_its_width(tmp_path, photos, width):
    confusions = [("a" * 200, "gate", 9, ["tower/1.png"] * 9)]
    scores = evaluation(0.5)
    written(tmp_path, before=scores, after=scores, confusions=confusions, photos=photos)
    page = tmp_path / "page.html"
    script = "<script>document.title = document.documentElement.scrollWidth</script></body>"
    page.write_text(page.read_text(encoding="utf-8").replace("</body>", script), encoding="utf-8")
    command = [
        BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--hide-scrollbars",
        "--disable-background-networking", "--disable-component-update", "--disable-sync", "--dump-dom",
        "--proxy-server=127.0.0.1:9", f"--user-data-dir={tmp_path / 'profile'}",
        f"--window-size={width},900", page.as_uri(),
    ]  # fmt: skip
    dom = subprocess.run(command, check=True, capture_output=True, text=True, timeout=600).stdout
    assert int(re.search(r"<title>(\d+)</title>", dom)[1]) <= width
