import os
import pickle

import numpy as np
import pytest
from PIL import Image

import landmarkzoo as lz

ENTRIES = [
    {
        "bbx": [10.4, 5.0, 29.6, 25.0],
        "easy": np.array([0, 2]),
        "hard": [1],
        "junk": np.array([], dtype=float),
    },
    {"bbx": np.array([0, 0, 40, 30]), "easy": [], "hard": [], "junk": [np.int64(2)]},
]
SETS = [("roxford5k", lz.datasets.RevisitedOxford), ("rparis6k", lz.datasets.RevisitedParis)]


def content(**changes):
    return {"imlist": ["a_1", "a_2", "b_1"], "qimlist": ["a_0", "b_0"], "gnd": ENTRIES} | changes


def entry(**changes):
    return content(gnd=[ENTRIES[0], ENTRIES[1] | changes])


def write(root, name, what):
    root.mkdir(parents=True, exist_ok=True)
    (root / f"gnd_{name}.pkl").write_bytes(pickle.dumps(what))


@pytest.mark.parametrize(("name", "data_set"), SETS)
def test_queries_index_and_truth(tmp_path, name, data_set):
    write(tmp_path, name, content())
    data = data_set(tmp_path)
    assert data.queries.ids == ["a_0", "b_0"]
    assert data.index.ids == ["a_1", "a_2", "b_1"]
    assert data.queries.targets.tolist() == [-1, -1]
    assert data.index.targets.dtype == np.int64
    assert data.gnd == [
        {"bbx": [10.4, 5.0, 29.6, 25.0], "easy": [0, 2], "hard": [1], "junk": []},
        {"bbx": [0.0, 0.0, 40.0, 30.0], "easy": [], "hard": [], "junk": [2]},
    ]
    assert all(
        type(row) is int for truth in data.gnd for key in ("easy", "hard", "junk") for row in truth[key]
    )
    assert data.queries.boxes.tolist() == [truth["bbx"] for truth in data.gnd]
    assert data.index.boxes is None
    assert repr(data) == f"{data_set.__name__}(2 queries, 3 index photos)"
    assert repr(data.queries) == "RevisitedPhotos(2 query crops)"


@pytest.mark.parametrize(("name", "data_set"), SETS)
def test_root_may_be_the_folder_above(tmp_path, name, data_set):
    write(tmp_path / name, name, content())
    assert data_set(tmp_path).queries.path(0) == tmp_path / name / "jpg" / "a_0.jpg"
    with pytest.raises(FileNotFoundError, match=rf"no gnd_{name}\.pkl: looked for .* and .*nowhere.{name}"):
        data_set(tmp_path / "nowhere")


def photo(path, size=(40, 30)):
    """Red tells the column, green the row."""
    x, y = np.meshgrid(np.arange(size[0]), np.arange(size[1]))
    path.parent.mkdir(exist_ok=True)
    Image.fromarray(np.stack([x * 4, y * 4, x * 0], axis=2).astype(np.uint8)).save(path, format="PNG")


def test_queries_are_cut_to_their_boxes_and_index_photos_are_whole(tmp_path):
    write(tmp_path, "roxford5k", content())
    for name in ("a_0", "b_0", "a_1"):
        photo(tmp_path / "jpg" / f"{name}.jpg")
    data = lz.datasets.RevisitedOxford(tmp_path)
    assert data.queries[0][0].size == (20, 20)  # 10.4 to 29.6 are rounded to 10 and 30
    assert data.queries[0][0].getpixel((0, 0)) == (40, 20, 0)
    assert data.queries[0][0].getpixel((19, 19)) == (116, 96, 0)
    assert data.queries[-1][0].size == data.index[0][0].size == (40, 30)
    assert data.queries.missing() == []
    assert data.index.missing() == ["a_2", "b_1"]
    with pytest.raises(FileNotFoundError, match=r"the photo a_2 is missing: .*jpg.a_2\.jpg"):
        data.index[1]


def test_box_that_does_not_fit_the_photo(tmp_path):
    write(tmp_path, "roxford5k", entry(bbx=[0, 0, 45.5, 30]))
    photo(tmp_path / "jpg" / "b_0.jpg")
    data = lz.datasets.RevisitedOxford(tmp_path)
    assert data.queries[1][0].size == (46, 30)  # a little beyond is black, as in the authors' code
    assert data.queries[1][0].getpixel((45, 0)) == (0, 0, 0)
    photo(tmp_path / "jpg" / "b_0.jpg", size=(20, 15))
    with pytest.raises(
        lz.PhotoError, match=r"b_0\.jpg: its box .* reaches 26 pixels beyond the photo of 20 x 15"
    ):
        data.queries[1]


@pytest.mark.parametrize(
    ("what", "message"),
    [
        ([1, 2], "must be a dict with imlist, qimlist and gnd, got list"),
        ({"imlist": [], "gnd": []}, r"must be a dict with .* got \['imlist', 'gnd'\]"),
        (content(imlist="names"), "imlist must be a list of names, got str"),
        (content(imlist=["a", "b", "a"]), "imlist: a occurs twice"),
        (content(imlist=["a", "../../b", "c"]), r"imlist: '\.\./\.\./b' is not the name of a file in jpg/"),
        (content(imlist=["a", "b", "/etc/c"]), r"imlist: '/etc/c' is not the name of a file in jpg/"),
        (content(qimlist=["..", "b"]), r"qimlist: '\.\.' is not the name of a file in jpg/"),
        (content(gnd=ENTRIES[:1]), "gnd must be a list with an entry for each of 2 queries"),
        (
            content(gnd=[ENTRIES[0], {"bbx": [0, 0, 1, 1], "ok": [1], "junk": []}]),
            r"gnd\[1\] has no easy, hard: .* with ok and",
        ),
        (content(gnd=[ENTRIES[0], 5]), r"gnd\[1\] has no bbx"),
        (entry(bbx=[0, 0, 5]), r"gnd\[1\]: bbx must be x1, y1, x2, y2"),
        (entry(bbx=[5, 0, 5, 9]), r"gnd\[1\]: bbx must be .* x1 < x2"),
        (entry(bbx=[0, 0, 5, float("nan")]), r"gnd\[1\]: bbx must be"),
        (entry(easy=[0, 3]), r"gnd\[1\]: easy must be rows of imlist, integers from 0 to 2"),
        (entry(hard=[-1]), r"gnd\[1\]: hard must be rows"),
        (entry(junk=[0.5]), r"gnd\[1\]: junk must be rows"),
    ],
)
def test_other_contents_are_refused(tmp_path, what, message):
    write(tmp_path, "roxford5k", what)
    with pytest.raises(ValueError, match=r"gnd_roxford5k\.pkl.*" + message):
        lz.datasets.RevisitedOxford(tmp_path)


class Harmful:
    def __reduce__(self):
        return os.mkdir, ("made_by_the_pickle",)


def test_malicious_ground_truth_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write(tmp_path, "roxford5k", content(imlist=["a_1", Harmful()]))
    with pytest.raises(ValueError, match=r"gnd_roxford5k\.pkl asks for .*mkdir: refused"):
        lz.datasets.RevisitedOxford(tmp_path)
    assert not (tmp_path / "made_by_the_pickle").exists()
