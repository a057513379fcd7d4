"""Photos of landmarks in WIT: against a slow loop over rows and categories, and what is odd one by one."""

import csv
import gzip
import tempfile
import unicodedata
from pathlib import Path
from urllib.parse import quote

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

import landmarkzoo as lz
from landmarkzoo.datasets.gldv2.wit_list import category_title, title_key

COLUMNS = [
    "language",
    "page_url",
    "image_url",
    "page_title",
    "section_title",
    "hierarchical_section_title",
    "caption_reference_description",
    "caption_attribution_description",
    "caption_alt_text_description",
    "mime_type",
    "original_height",
    "original_width",
    "is_main_image",
    "attribution_passes_lang_id",
    "page_changed_recently",
    "context_page_description",
    "context_section_description",
]
WIKI = "http://commons.wikimedia.org/wiki/"


def write_tsv(path, rows, columns=COLUMNS):
    """Rows are dictionaries; what they leave out is as in most rows."""
    usual = {"language": "en", "mime_type": "image/jpeg", "is_main_image": "true"}
    opened = gzip.open if path.suffix == ".gz" else open
    with opened(path, "wt", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, delimiter="\t", lineterminator="\n")
        writer.writerow(columns)
        writer.writerows([{**usual, **row}.get(column, "") for column in columns] for row in rows)
    return path


def write_root(root, categories, clean=None, train_urls=()):
    """``categories``: landmark id to category. All of them are clean unless told otherwise."""
    with (root / "train_label_to_category.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([["landmark_id", "category"], *categories.items()])
    clean = categories if clean is None else clean
    lines = [f"{landmark},clean{landmark}" for landmark in clean]
    (root / "train_clean.csv").write_text("\n".join(["landmark_id,images", *lines]) + "\n")
    if train_urls:
        with (root / "train.csv").open("w", encoding="utf-8", newline="") as file:
            rows = [[f"train{n}", url, 1] for n, url in enumerate(train_urls)]
            csv.writer(file).writerows([["id", "url", "landmark_id"], *rows])
    return root


def found(wit):
    return dict(zip(wit.urls, wit.landmark_ids.tolist()))


def row(title, url, **cells):
    return {"page_title": title, "image_url": url, **cells}


@pytest.mark.parametrize(
    ("category", "title"),
    [
        ("Category:Eiffel_Tower", "Eiffel Tower"),
        ("Category:Eiffel_Tower", "eiffel Tower"),
        ("Category:eiffel_Tower", "Eiffel_Tower"),
        ("Category:Eiffel__Tower_", " Eiffel  Tower"),
        ("Category:St._Mary%27s_Church_(Berlin)", "St. Mary's Church (Berlin)"),
        ("Category:St._Mary's_Church_%28Berlin%29", "St. Mary's Church (Berlin)"),
        ("Category:K%C3%B6lner_Dom", "Ko\u0308lner Dom"),
        ("Category:Ko%CC%88lner_Dom", "K\u00f6lner Dom"),
        ("Category:%C3%89glise", "\u00e9glise"),
        ("Category:AC/DC_Lane", "AC/DC Lane"),
        ("Category:100%25_Wolf", "100% Wolf"),
        ("Category:Was_ist_das%3F", "Was ist das?"),
        ("Category:Star_Trek:_The_Exhibition", "Star Trek: The Exhibition"),
        ("Category:Temple%E2%80%8E", "Temple"),  # a mark of direction
        ("Category:Dom\u00a0St._Peter", "Dom St. Peter"),
        ("Category:%E9%87%91%E9%96%A3%E5%AF%BA", "\u91d1\u95a3\u5bfa"),
        ('Category:"Alte"_Oper', '"Alte" Oper'),
        ("category:Dom", "Dom"),
    ],
)
def test_spellings_of_one_title(category, title):
    assert title_key(category_title(WIKI + category)) == title_key(title)
    assert title_key(category_title(category)) == title_key(title)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Dom (Riga)", "Dom"),
        ("Dom (Riga)", "Dom, Riga"),
        ("Eiffel Tower", "Eiffel tower"),
        ("Dom", "Dome"),
        ("Kirche St. Paul", "KircheSt. Paul"),
        ("\u00df", "SS"),
        ("Tour Eiffel", "Eiffel Tower"),
        ("Koln", "K\u00f6ln"),
    ],
)
def test_other_titles(one, other):
    assert title_key(one) != title_key(other)


@pytest.mark.parametrize(
    "url",
    [
        "https://commons.wikimedia.org/wiki/Category:Big_Ben",
        "//commons.wikimedia.org/wiki/Category:Big_Ben".replace("//", "https://", 1),
        "https://commons.wikimedia.org/wiki/Category:Big_Ben#Inside",
        "https://commons.wikimedia.org/w/index.php?title=Category:Big_Ben&oldid=1",
        "http://commons.wikimedia.org/wiki/category:Big_Ben",
    ],
)
def test_addresses_of_a_category(url):
    assert title_key(category_title(url)) == "Big Ben"


# Names with all that is odd but not what MediaWiki forbids in titles.
NAMES = st.text(st.sampled_from("aAb\u00e9\u00dfi\u0130 ()'\",./&?+:1\u5bfa-"), min_size=1, max_size=6)
NAMES = NAMES.map(lambda name: " ".join(name.split())).filter(bool)


@st.composite
def spelled(draw, name, address=False):
    """Another way to write a title that means the same."""
    text = unicodedata.normalize(draw(st.sampled_from(["NFC", "NFD"])), name)
    first = draw(st.sampled_from([text[0], text[0].upper(), text[0].lower()]))
    if len(first) == 1 and first.upper() == text[0].upper():
        text = first + text[1:]
    spaces = st.sampled_from(["_"] if address else [" ", "_", "  ", "_ ", "\u00a0"])
    text = "".join(draw(spaces) if c == " " else c for c in text)
    text = draw(st.sampled_from(["", "_"])) + text + draw(st.sampled_from(["", "_", "\u200e"]))
    return quote(text, safe="_()'/,") if address or draw(st.booleans()) else text


def slow_title(text):
    """A title as MediaWiki keeps it, letter by letter."""
    data, out = text.encode(), bytearray()
    while data:
        if data[:1] == b"%" and len(data) > 2 and all(c in b"0123456789abcdefABCDEF" for c in data[1:3]):
            out.append(int(data[1:3], 16))
            data = data[3:]
        else:
            out.append(data[0])
            data = data[1:]
    letters = []
    for letter in unicodedata.normalize("NFC", out.decode()):
        if letter in "\u200e\u200f":
            continue
        letter = " " if letter in "_\u00a0" else letter
        if letter != " " or (letters and letters[-1] != " "):
            letters.append(letter)
    while letters and letters[-1] == " ":
        letters.pop()
    if letters and len(letters[0].upper()) == 1:
        letters[0] = letters[0].upper()
    return "".join(letters)


def slow_list(rows, categories, wanted, train_urls):
    """Landmarks of the images that are taken, and the ambiguous titles and images."""
    groups, titles = {}, {}
    for one in rows:
        landmarks = tuple(
            landmark
            for landmark in sorted(categories)
            if slow_title(categories[landmark].removeprefix(WIKI + "Category:"))
            == slow_title(one["page_title"])
        )
        if landmarks and one["mime_type"] == "image/jpeg":
            groups.setdefault(one["image_url"], []).append(landmarks)
            if len(landmarks) > 1 and set(landmarks) & wanted:
                titles.setdefault(slow_title(one["page_title"]), landmarks)
    taken, images = {}, {}
    for url, found in groups.items():
        landmarks = sorted({landmark for group in found for landmark in group})
        if url in train_urls or not set(landmarks) & wanted:
            continue
        if len(landmarks) == 1:
            taken[url] = landmarks[0]
        elif len(set(found)) > 1:
            images[url] = tuple(landmarks)
    return taken, titles, images


@st.composite
def worlds(draw):
    names = draw(st.lists(NAMES, min_size=1, max_size=5))
    categories = {
        3 * n + 1: WIKI + "Category:" + draw(spelled(name, address=True)) for n, name in enumerate(names)
    }
    wanted = {landmark for landmark in categories if draw(st.booleans())}
    pages = st.sampled_from(names).flatmap(spelled) | NAMES
    urls = st.sampled_from([f"https://upload.wikimedia.org/{n}/{c}.jpg" for n, c in enumerate("abcdef")])
    mime = st.sampled_from(["image/jpeg", "image/jpeg", "image/png"])
    long = st.sampled_from(["", 'a "quoted"\tcell', "two\nlines", "'", '"'])
    rows = st.fixed_dictionaries(
        {"page_title": pages, "image_url": urls, "mime_type": mime, "context_page_description": long}
    )
    return categories, wanted, draw(st.lists(rows, max_size=12)), draw(st.sets(urls, max_size=2))


@settings(max_examples=100)
@given(worlds(), st.sampled_from(["wit.tsv", "wit.tsv.gz"]))
def test_equals_a_slow_loop(world, name):
    categories, wanted, rows, train_urls = world
    with tempfile.TemporaryDirectory() as folder:
        root = write_root(Path(folder), categories, train_urls=sorted(train_urls))
        wit = lz.datasets.build_wit_list(write_tsv(root / name, rows), root, landmarks=wanted)
        wit.save(root)
        if wit.ids:
            photos = lz.datasets.CsvPhotos(root / "wit.csv", label_column="landmark_id")
            labels = [int(photos.classes[label]) for label in photos.targets]
            assert (photos.ids, labels) == (wit.paths, wit.landmark_ids.tolist())
    taken, titles, images = slow_list(rows, categories, wanted, train_urls)
    assert found(wit) == taken
    assert {title_key(a.name): a.landmark_ids for a in wit.ambiguous if a.kind == "title"} == titles
    assert {a.name: a.landmark_ids for a in wit.ambiguous if a.kind == "image"} == images
    assert wit.unreadable == []
    assert len(set(wit.ids)) == len(wit.ids)


def test_one_file_by_hand(tmp_path):
    categories = {5: "Category:Dom", 7: "Category:Burg", 9: "Category:dom", 11: "Category:Turm", 13: "See"}
    train = ["http://upload.wikimedia.org/a/Gr%C3%BCn.jpg"]
    root = write_root(tmp_path, categories, clean=[5, 7, 11], train_urls=train)
    rows = [
        row("Burg", "u/1.jpg"),
        row("Dom", "u/2.jpg"),  # 5 or 9
        row("Burg", "u/3.jpg"),
        row("turm", "u/3.jpg", language="de"),  # on the pages of two
        row("Burg", "u/1.jpg", language="de"),  # a second time
        row("Burg", "https://upload.wikimedia.org/a/Gr\u00fcn.jpg"),  # in train.csv
        row("See", "u/4.jpg"),  # not a clean landmark
        row("Turm", "u/5.png", mime_type="image/png"),
        row("Turm", "u/6.jpg", is_main_image="false"),
        row("Wald", "u/7.jpg"),
    ]
    wit = lz.datasets.build_wit_list(write_tsv(tmp_path / "wit.tsv", rows), root)
    assert found(wit) == {"u/1.jpg": 7, "u/6.jpg": 11}
    assert [(a.kind, a.name, a.landmark_ids) for a in wit.ambiguous] == [
        ("title", "Dom", (5, 9)),
        ("image", "u/3.jpg", (7, 11)),
    ]
    assert wit.in_train == 1
    assert repr(wit) == ("WitList(2 images of 2 landmarks, 2 ambiguities, 1 in train.csv, 0 unreadable rows)")
    main = lz.datasets.build_wit_list(tmp_path / "wit.tsv", root, main_images_only=True)
    assert found(main) == {"u/1.jpg": 7}
    png = lz.datasets.build_wit_list(tmp_path / "wit.tsv", root, mime_types=["image/png"])
    assert found(png) == {"u/5.png": 11}
    wit.save(tmp_path)
    with (tmp_path / "wit_ambiguous.csv").open(newline="") as file:
        assert list(csv.reader(file)) == [
            ["kind", "name", "landmark_ids"],
            ["title", "Dom", "5 9"],
            ["image", "u/3.jpg", "7 11"],
        ]


def test_csv_photos_read_the_images(tmp_path):
    root = write_root(tmp_path, {5: "Category:Dom", 70: "Category:Burg"})
    rows = [row("Burg", "u/1.JPG"), row("Dom", "u/2.jpg")]
    wit = lz.datasets.build_wit_list(write_tsv(tmp_path / "wit.tsv", rows), root)
    wit.save(tmp_path)
    first = tmp_path / wit.paths[0]
    first.parent.mkdir(parents=True)
    Image.new("RGB", (8, 6)).save(first)
    photos = lz.datasets.CsvPhotos(tmp_path / "wit.csv", label_column="landmark_id")
    assert photos.classes == ["5", "70"]
    assert photos[0][0].size == (8, 6)
    assert photos[0][1] == 1
    assert photos.missing() == [wit.paths[1]]


def test_files_of_a_folder_are_one_list(tmp_path):
    root = write_root(tmp_path, {5: "Category:Dom"})
    write_tsv(tmp_path / "b.tsv.gz", [row("Dom", "u/2.jpg")])
    write_tsv(tmp_path / "a.tsv", [row("Dom", "u/1.jpg")], COLUMNS[::-1])  # columns by name
    wit = lz.datasets.build_wit_list(tmp_path, root)
    assert wit.urls == ["u/1.jpg", "u/2.jpg"]
    chosen = lz.datasets.build_wit_list([tmp_path / "b.tsv.gz", tmp_path / "a.tsv"], root)
    assert chosen.urls == ["u/2.jpg", "u/1.jpg"]
    assert sorted(chosen.ids) == sorted(wit.ids)


def test_cells_of_any_length(tmp_path):
    root = write_root(tmp_path, {5: "Category:Dom"})
    text = 'a "long" section\n' * 20_000
    limit = csv.field_size_limit()
    assert limit < len(text)
    path = write_tsv(tmp_path / "wit.tsv", [row("Dom", "u/1.jpg", context_section_description=text)])
    assert lz.datasets.build_wit_list(path, root).urls == ["u/1.jpg"]
    assert csv.field_size_limit() == limit


def test_rows_that_are_cut_are_listed(tmp_path):
    root = write_root(tmp_path, {5: "Category:Dom"})
    path = write_tsv(tmp_path / "wit.tsv", [row("Dom", "u/1.jpg"), row("Dom", "u/2.jpg")])
    lines = path.read_text().splitlines()
    path.write_text("\n".join([*lines[:2], "en\tcut", "", *lines[2:]]) + "\n")
    wit = lz.datasets.build_wit_list(path, root)
    assert wit.urls == ["u/1.jpg", "u/2.jpg"]
    assert wit.unreadable == [(str(path), 3)]


def test_what_is_wrong_is_said(tmp_path):
    root = write_root(tmp_path, {5: "Category:Dom"})
    build = lz.datasets.build_wit_list
    with pytest.raises(FileNotFoundError, match=r"no such file: .*gone\.tsv"):
        build(tmp_path / "gone.tsv", root)
    with pytest.raises(FileNotFoundError, match=r"no \.tsv or \.tsv\.gz files in the folder"):
        build(tmp_path, root)
    with pytest.raises(FileNotFoundError, match="no files of WIT"):
        build([], root)
    path = write_tsv(tmp_path / "wit.tsv", [], [name for name in COLUMNS if name != "mime_type"])
    with pytest.raises(ValueError, match=r"wit\.tsv, line 1: no column mime_type"):
        build(path, root)
    path = write_tsv(tmp_path / "wit.tsv.gz", [row("Dom", f"u/{n}.jpg") for n in range(99)])
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(ValueError, match=r"wit\.tsv\.gz, line \d+: damaged, or not all of it is there"):
        build(path, root)
    (root / "train_clean.csv").unlink()
    with pytest.raises(FileNotFoundError, match=r"no train_clean\.csv"):
        build(write_tsv(tmp_path / "wit.tsv", []), root)
    empty = build(tmp_path / "wit.tsv", root, landmarks=[5])
    assert (len(empty), empty.landmark_ids.dtype) == (0, np.int64)
