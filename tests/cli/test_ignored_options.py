"""Options that would be ignored are refused, and what the user did not ask for is said."""

import numpy as np
import pytest
from PIL import Image

import landmarkzoo as lz
from landmarkzoo.cli import main


def run(capsys, *arguments):
    code = main([str(a) for a in arguments])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


@pytest.fixture
def files(tmp_path, monkeypatch):
    """Photos of two landmarks, 12 queries, an index of 6, and the photos of the index."""
    monkeypatch.chdir(tmp_path)
    random = np.random.default_rng(0)
    ids = [f"place{n % 2}/{n}.png" for n in range(12)]
    for id_ in ids[:6]:
        path = tmp_path / "photos" / id_
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (20, 20), (20 * len(id_), 9, 9)).save(path)
    lz.Descriptors(ids, random.standard_normal((12, 8))).save("query")
    lz.Descriptors(ids[:6], random.standard_normal((6, 8))).save("index")
    (tmp_path / "elsewhere").mkdir()
    return tmp_path


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["search", "query", "index", "--labels", "nope.csv"],
            "--labels is for --report, which is not given",
        ),
        (["search", "query", "index", "--folder-labels"], "--folder-labels is for --report"),
        (["search", "query", "index", "--photos", "photos"], "--photos is for --report"),
        (["search", "query", "index", "--query-photos", "photos"], "--query-photos is for --report"),
        (
            [
                "search",
                "query",
                "index",
                "--report",
                "r",
                "--photos",
                "photos",
                "--folder-labels",
                "--labels",
                "l",
            ],
            "--labels and --folder-labels are two ways",
        ),
        (
            ["search", "query", "index", "--report", "r", "--photos", "elsewhere"],
            "photos of the report is in elsewhere",
        ),
        (["embed", "photos", "--out", "x", "--shrinkage", "1"], "--shrinkage is for --whiten"),
        (["embed", "photos", "--out", "x", "--image-size", "100000"], "16,384"),
        (["evaluate", "photos", "index", "--worst", "-2"], "--worst must be 0 or more, got -2"),
        (["demo", "--photos", "photos", "--landmarks", "3"], "--landmarks is for rendered landmarks"),
        (["demo", "--photos", "photos", "--seed", "0"], "--seed is for rendered landmarks"),
        (["demo", "--skip-errors"], "--skip-errors is for --photos"),
        (["search", "query", "index", "--device", "gpu"], "cannot compute on the device 'gpu'"),
    ],
    ids=lambda x: " ".join(x[:1] + x[3:]) if isinstance(x, list) else "",
)
def test_refused(capsys, files, arguments, message):
    code, out, err = run(capsys, *arguments)
    assert (code, out) == (2, "")
    assert message in err
    assert err.count("\n") == 1
    assert not (files / "r").exists()
    assert not (files / "x").exists()


def test_fewer_results_than_asked_for(capsys, files):
    code, out, err = run(capsys, "search", "index", "index", "-k", 1000, "--out", "k.csv")
    assert (code, err) == (0, "")
    assert "6 queries, 5 results each: k.csv" in out
    assert (files / "k.csv").read_text().count("\n") == 1 + 6 * 5


def test_more_neighbors_than_photos(capsys, files):
    for command in (["rerank", "query", "index"], ["recognize", "query", "index"]):
        code, _, err = run(capsys, *command, "--neighbors", 99)
        assert code == 0
        assert err.startswith("landmarkzoo: warning: --neighbors 99: there are 6 ")
        assert err.count("\n") == 1


def test_thirty_rows_are_printed_at_most(capsys, files):
    for command in ("search", "rerank"):
        _, out, _ = run(capsys, command, "query", "index", "-k", 5)
        lines = out.splitlines()
        assert len(lines) == 2 + 30 + 1
        assert lines[-1] == "... 2 more results of each query, 2 more queries: --out FILE writes all"


def test_photos_of_a_report_that_are_not_there(capsys, files):
    report = ["search", "query", "index", "--report", "r.html", "--photos", "photos"]
    code, _, err = run(capsys, *report)
    assert code == 0
    assert err == ("landmarkzoo: warning: 6 of 12 photos were not found in photos, such as 'place0/6.png'\n")


def test_both_unicode_forms_of_a_name_are_one_name(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    composed, decomposed = "M\u00fcnster", "Mu\u0308nster"
    lz.Descriptors([f"{decomposed}/1.jpg", "dom/2.jpg"], np.eye(2)).save("train")  # as macOS names files
    lz.Descriptors([f"q/{composed}/9.jpg"], np.eye(2)[:1]).save("query")
    (tmp_path / "labels.csv").write_text(f"id,label\n{composed}/1.jpg,{composed}\ndom/2.jpg,Dom\n", "utf-8")
    for options in (["--labels", "labels.csv"], []):
        code, out, err = run(capsys, "recognize", "train", "train", "--neighbors", 1, *options)
        assert "queries and train are the same, so each photo votes for itself" in err
        assert code == 0
        assert composed in out.splitlines()[2]
    for folder, id_ in (
        ("train", f"{decomposed}/1.jpg"),
        ("train", "dom/2.jpg"),
        ("q", f"q/{composed}/9.jpg"),
    ):
        path = tmp_path / f"{folder}_photos" / id_
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (20, 20)).save(path)
    photos = ["--photos", "train_photos", "--query-photos", "q_photos", "--folder-labels"]
    assert run(capsys, "search", "query", "train", "-k", 1, "--report", "r.html", *photos)[0] == 0
    assert 'class="right"' in (tmp_path / "r.html").read_text("utf-8")
