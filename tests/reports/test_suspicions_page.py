"""The page of suspicious photos: each beside photos of its landmark and of the likelier one."""

import re

import pytest
from PIL import Image

import landmarkzoo as lz
from landmarkzoo.reports import write_suspicions_page

ROWS = [
    ("a/1.png", "duplicate elsewhere", "a", "b", 0.97, "b/1.png"),
    ('a/"2".png', "wrong label", "a", "<b>", 1.25, ""),
    ("b/2.png", "wrong label", "<b>", "a", 0.75, ""),
    ("a/3.png", "duplicate", "a", "", 0.99, "a/4.png"),
]
EXAMPLES = {"a": ["a/4.png", "a/5.png", "a/6.png"], "<b>": ["b/1.png"]}


@pytest.fixture
def photos(tmp_path):
    ids = [id_ for row in ROWS for id_ in (row[0], row[5]) if id_]
    for id_ in [*ids, *(id_ for of_landmark in EXAMPLES.values() for id_ in of_landmark)]:
        (tmp_path / id_).parent.mkdir(exist_ok=True)
        Image.new("RGB", (30, 20), "teal").save(tmp_path / id_)
    return tmp_path


def figures(section):
    return re.findall(r'<figure class="(\w*)">.*?<figcaption>(.*?)</figcaption>', section, re.DOTALL)


def test_each_photo_stands_beside_what_it_could_show(photos):
    missing = write_suspicions_page(
        photos / "page.html", ROWS, photos, examples=EXAMPLES, lines=["4 of 9 & more"], title="Look"
    )
    assert missing == []
    page = (photos / "page.html").read_text(encoding="utf-8")
    assert "<h1>Look</h1>" in page
    assert "<li>4 of 9 &amp; more</li>" in page
    assert re.findall(r"<h2>(.*?)</h2>", page) == ["duplicate elsewhere: 1", "wrong label: 2", "duplicate: 1"]
    assert "http" not in re.sub(r"data:[^\"]*", "", page)
    sections = re.findall(r"<section>(.*?)</section>", page, re.DOTALL)
    kinds = [[kind for kind, _ in figures(section)] for section in sections]
    assert kinds == [
        ["wrong", "", "", "right"],
        ["wrong", "", "", "right"],
        ["wrong", "", "right", "right"],
        ["wrong", "right"],
    ]
    texts = [text for _, text in figures(sections[1])]
    assert texts[0].startswith("a? 1.25 ")
    assert texts[0].endswith("a/&quot;2&quot;.png")
    assert texts[-1].startswith("&lt;b&gt; ")
    assert "<b>" not in page


def test_long_lists_are_cut_and_missing_photos_are_gaps(photos):
    rows = [*ROWS, ("../secret.png", "duplicate", "a", "", 0.9, "a/4.png")]
    with pytest.warns(UserWarning, match="1 of 8 photos were not found"):
        missing = write_suspicions_page(photos / "page.html", rows, photos, examples=EXAMPLES)
    assert missing == ["../secret.png"]
    write_suspicions_page(photos / "page.html", ROWS, photos, examples={}, max_photos=1)
    page = (photos / "page.html").read_text(encoding="utf-8")
    assert "<h2>wrong label: 2, the first 1</h2>" in page
    assert page.count('<figure class="wrong">') == 3


def test_what_is_wrong_is_said(photos):
    with pytest.raises(ValueError, match="max_photos must be a positive integer, got 0"):
        write_suspicions_page(photos / "page.html", ROWS, photos, examples={}, max_photos=0)
    with pytest.raises(FileNotFoundError, match="none of the 6 photos of the report"):
        write_suspicions_page(photos / "page.html", ROWS, photos / "a", examples={})
    with pytest.raises(FileNotFoundError):
        write_suspicions_page(photos / "no/page.html", ROWS, photos, examples={})
    assert not (photos / "page.html").exists()


def test_a_page_of_nothing(photos):
    found = lz.finetuning.Suspicions([], 3, 1)
    assert write_suspicions_page(photos / "page.html", found.rows, photos, examples=found.examples) == []
    assert "<h1>0 photos to check</h1>" in (photos / "page.html").read_text(encoding="utf-8")
