"""Only photos in the folders that were given get into a page, and what is not there is said."""

import os
import urllib.parse
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from test_ranking_page import Figures

import landmarkzoo as lz
from landmarkzoo.reports import write_ranking_page

INSIDE, OUTSIDE = (250, 120, 0), (0, 200, 220)


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A folder of photos with one in it, and one beside it, which is the working directory."""
    (tmp_path / "photos" / "sub").mkdir(parents=True)
    Image.new("RGB", (30, 20), INSIDE).save(tmp_path / "photos" / "a.png")
    Image.new("RGB", (30, 20), INSIDE).save(tmp_path / "photos" / "sub" / "b c#?%.png")
    Image.new("RGB", (30, 20), OUTSIDE).save(tmp_path / "secret.png")
    os.mkfifo(tmp_path / "photos" / "pipe.png")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def page_of(place, *ids, **options):
    path = place / "page.html"
    ranking = lz.Ranking([np.arange(len(ids))], [np.ones(len(ids))], ["a.png"], list(ids))
    missing = write_ranking_page(path, ranking, place / "photos", place / "photos", **options)
    return missing, Figures(path)


@pytest.mark.filterwarnings("ignore:.*not found in")
@pytest.mark.parametrize(
    "id_",
    [
        "{place}/secret.png",
        "../secret.png",
        "sub/../../secret.png",
        "secret.png",
        "pipe.png",
        "sub",
        "a\0.png",
        "x" * 300 + ".png",
        "",
        ".",
    ],
)
def test_nothing_from_outside_gets_in(place, id_):
    id_ = id_.format(place=place)
    missing, page = page_of(place, id_)
    assert missing == [id_]
    query, result = page.figures
    assert query["alt"] == "a.png"
    assert result["alt"] is None
    assert "no such file in the folder" in result["text"] or "not " in result["text"]
    assert np.abs(np.subtract(query["color"], INSIDE)).max() < 12


def test_links_in_the_folder_are_followed_as_when_photos_are_embedded(place):
    photos = place / "photos"
    (photos / "link.png").symlink_to(place / "secret.png")
    (photos / "up").symlink_to(place)
    (place / "same").symlink_to(photos)
    assert "link.png" in lz.photos.photo_files(photos)
    missing, page = page_of(place, "link.png", "up/secret.png", str(photos / "a.png"))
    assert missing == []
    assert np.abs(np.subtract(page.figures[1]["color"], OUTSIDE)).max() < 12
    ranking = lz.Ranking([[0]], [[1.0]], ["a.png"], ["link.png"])
    for folder in ("same", "./same/", "photos/up/photos", "same/sub/../../photos", f"../{place.name}/photos"):
        assert write_ranking_page("page.html", ranking, folder, folder) == []


def test_what_is_missing_is_counted(place):
    with pytest.warns(UserWarning, match=r"^2 of 3 photos were not found in .*photos, such as 'no\.png'$"):
        missing, _ = page_of(place, "a.png", "no.png", "secret.png")
    assert missing == ["no.png", "secret.png"]


def test_all_missing_is_an_error_and_no_page(place):
    ranking = lz.Ranking([[0]], [[1.0]], ["no.png"], ["secret.png"])
    with pytest.raises(
        FileNotFoundError, match=r"none of the 2 photos of the report is in .*photos, such as"
    ):
        write_ranking_page(place / "page.html", ranking, place / "photos", place / "photos")
    assert not list(place.glob("*.html"))


def test_a_photo_is_a_link_to_its_file(place):
    missing, page = page_of(place, "sub/b c#?%.png")
    assert missing == []
    links = [attributes["href"] for tag, attributes in page.all if tag == "a"]
    assert [(place / urllib.parse.unquote(link)).resolve() for link in links] == [
        place / "photos" / "a.png",
        place / "photos" / "sub" / "b c#?%.png",
    ]
    assert not any(set("#? ") & set(link) for link in links)
    (place / "pages").mkdir()
    ranking = lz.Ranking([[0]], [[1.0]], ["a.png"], ["a.png"])
    write_ranking_page("pages/x.html", ranking, Path("photos"), "photos")
    assert "../photos/a.png" in Path("pages/x.html").read_text()


def test_pages_are_bounded_and_say_so(place):
    ranking = lz.Ranking(np.zeros((7, 30), int), np.ones((7, 30)), ["a.png"] * 7, ["a.png"])
    path = place / "page.html"
    write_ranking_page(path, ranking, "photos", "photos", max_queries=3, max_results=4)
    page = Figures(path)
    assert len(page.figures) == 3 * 5
    assert "The first 3 of 7 queries, with their first 4 of 30 results" in page.text
    write_ranking_page(path, ranking, "photos", "photos")
    assert len(Figures(path).figures) == 7 * 21
    for wrong in ({"max_queries": 0}, {"max_results": -1}):
        with pytest.raises(ValueError, match=f"{next(iter(wrong))} must be a positive integer"):
            write_ranking_page(path, ranking, "photos", "photos", **wrong)


def test_a_summary_stands_on_top_and_wrong_ones_can_be_seen_alone(place):
    ids = ["a.png", "sub/b c#?%.png"]
    ranking = lz.Ranking([[0, 1], [0, 1], [1, 0]], np.ones((3, 2)), ["a.png", "a.png", "sub/b c#?%.png"], ids)
    path = place / "page.html"
    labels = (["tower", "gate", None], ["tower", "gate"])
    write_ranking_page(path, ranking, "photos", "photos", labels=labels)
    page = Figures(path)
    assert page.heading == "3 queries in 2 photos"
    assert "1 of 2 queries with a landmark: the first result is right (50%)" in page.text
    assert "mAP@2 0.750" in page.text  # (1 + 1/2) / 2
    assert [figure["class"] for figure in page.figures[1::3]] == ["right", "wrong", ""]
    assert ("main", {"id": "wrong"}) in page.all
    assert ("a", {"href": "#wrong"}) in page.all
    assert "main:target section:not(:has(figure.query + figure.wrong)) { display: none; }" in path.read_text()
    write_ranking_page(path, ranking, "photos", "photos")
    assert "#wrong" not in [attributes.get("href") for _, attributes in Figures(path).all]
    with pytest.raises(ValueError, match="labels must be of the 3 queries and of the 2 photos"):
        write_ranking_page(path, ranking, "photos", "photos", labels=(["tower"], ["tower", "gate"]))


def test_a_query_that_a_search_left_out_is_not_missed(place):
    d = lz.Descriptors(["a.png", "sub/b c#?%.png"], np.eye(2, dtype=np.float32))
    ranking = lz.search(d, d, exclude_same_id=True)
    write_ranking_page("page.html", ranking, "photos", "photos", labels=(["tower"] * 2, ["tower"] * 2))
    assert "mAP@2 1.000" in Figures(Path("page.html")).text


def test_the_page_says_who_made_it(place):
    _, page = page_of(place, "a.png")
    assert ("meta", {"name": "generator", "content": f"landmarkzoo {lz.__version__}"}) in page.all
