"""rerank, recognize, evaluate and search --report, on descriptors and photos as a user has them."""

import csv
import json

import numpy as np
import pytest
from PIL import Image

import landmarkzoo as lz
from landmarkzoo.cli import main
from landmarkzoo.cli.rerank_command import METHODS


@pytest.fixture
def album(tmp_path):
    """Photos of four landmarks in folders, and descriptors that tell them apart, more or less."""
    random = np.random.default_rng(0)
    places = random.standard_normal((4, 16))
    for part, count in (("train", 6), ("index", 5), ("query", 2)):
        ids, vectors = [], []
        for landmark in range(4):
            for n in range(count):
                id_ = f"place{landmark}/{n}.png"
                path = tmp_path / part / id_
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.new("RGB", (60, 40), (60 * landmark, 40 * n, 128)).save(path)
                ids.append(id_)
                vectors.append(places[landmark] + 0.8 * random.standard_normal(16))
        lz.Descriptors(ids, vectors).save(tmp_path / f"{part}.safetensors")
    empty = random.standard_normal((8, 16))
    lz.Descriptors([f"{n}.png" for n in range(8)], empty).save(tmp_path / "empty.safetensors")
    return tmp_path


def run(capsys, *arguments):
    code = main([str(a) for a in arguments])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def load(album, part):
    return lz.Descriptors.load(album / f"{part}.safetensors")


def rows_of(path):
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


RERANKED = {
    "soft": lambda q, x, t, y: lz.rerank.soft_discriminative(q, x, t, y, k=4, neighbors=2),
    "hard": lambda q, x, t, y: lz.rerank.hard_discriminative(q, x, t, y, k=4, neighbors=2),
    "diffusion": lambda q, x, *_: lz.rerank.diffusion(q, x, k=4, neighbors=2),
    "k-reciprocal": lambda q, x, *_: lz.rerank.k_reciprocal(q, x, k=4, k1=2),
    "augmentation": lambda q, x, *_: lz.search(q, lz.rerank.database_augmentation(x, k=2), 4),
    "superglobal": lambda q, x, *_: lz.rerank.superglobal(q, x, k=4, neighbors=2),
    "query-expansion": lambda q, x, *_: lz.search(lz.rerank.alpha_query_expansion(q, x, k=2), x, 4),
}


class TestRerank:
    def test_all_methods_are_tested(self):
        assert set(RERANKED) == set(METHODS)

    @pytest.mark.parametrize("method", METHODS)
    def test_equals_the_library(self, capsys, album, method):
        out = album / "out.csv"
        files = [album / "query.safetensors", album / "index.safetensors"]
        options = ["--method", method, "-k", 4, "--neighbors", 2, "--out", out]
        if METHODS[method].needs_train:
            options += ["--train", album / "train.safetensors"]
        code, printed, err = run(capsys, "rerank", *files, *options)
        assert (code, err) == (0, "")
        q, x, t = (load(album, part) for part in ("query", "index", "train"))
        expected = RERANKED[method](q, x, t, np.arange(24) // 6)
        assert [row["id"] for row in rows_of(out)] == expected.ids.ravel().tolist()
        scores = [float(row["score"]) for row in rows_of(out)]
        np.testing.assert_allclose(scores, expected.scores.ravel(), rtol=1e-6, atol=1e-6)
        assert "8 queries, 4 results each" in printed

    def test_shortlist(self, capsys, album):
        out = album / "out.csv"
        files = [album / "query.safetensors", album / "index.safetensors"]
        options = ["--method", "superglobal", "-k", 7, "--shortlist", 3, "--out", out]
        assert run(capsys, "rerank", *files, *options)[0] == 0
        expected = lz.rerank.superglobal(load(album, "query"), load(album, "index"), k=7, shortlist=3)
        assert [row["id"] for row in rows_of(out)] == expected.ids.ravel().tolist()

    @pytest.mark.parametrize("method", METHODS)
    def test_computes_on_the_device(self, capsys, album, method):
        options = ["--method", method, "--device", "foo"]
        if METHODS[method].needs_train:
            options += ["--train", album / "train.safetensors"]
        code, _, err = run(
            capsys, "rerank", album / "query.safetensors", album / "index.safetensors", *options
        )
        assert code == 2
        assert "cannot compute on the device 'foo'" in err

    def test_wrong_options(self, capsys, album):
        files = [album / "query.safetensors", album / "index.safetensors"]
        code, out, err = run(capsys, "rerank", *files, "--method", "soft")
        assert (code, out) == (2, "")
        assert "--method soft needs --train" in err
        code, _, err = run(capsys, "rerank", *files, "--train", album / "train.safetensors")
        assert code == 2
        assert "--train and --labels are for soft and hard, not for diffusion" in err
        code, _, err = run(capsys, "rerank", *files, "--shortlist", 3)
        assert code == 2
        assert "--shortlist is for superglobal, not for diffusion" in err
        empty = album / "empty.safetensors"
        code, _, err = run(capsys, "rerank", *files, "--method", "hard", "--train", empty)
        assert code == 2
        assert "8 photos are not in a folder that names their landmark, the first is 0.png" in err


class TestRecognize:
    def test_names_scores_and_support(self, capsys, album):
        out = album / "answers.csv"
        files = [album / "query.safetensors", album / "train.safetensors"]
        options = ["--non-landmark", album / "empty.safetensors", "--out", out]
        code, printed, _ = run(capsys, "recognize", *files, *options)
        assert code == 0
        q, t, empty = (load(album, part) for part in ("query", "train", "empty"))
        expected = lz.recognize(q, t, np.arange(24) // 6, non_landmark=empty)
        rows = rows_of(out)
        assert [row["label"] for row in rows] == [f"place{label}" for label in expected.labels]
        np.testing.assert_allclose([float(row["score"]) for row in rows], expected.scores, atol=1e-4)
        support = [rows[0][f"support{n}"] for n in (1, 2, 3)]
        assert support == [t.ids[row] for row in expected.support[0]]
        assert "8 photos, 8 with a landmark" in printed
        middle = float(np.median(expected.scores))
        assert run(capsys, "recognize", *files, *options, "--threshold", middle, "--overwrite")[0] == 0
        assert [bool(row["label"]) for row in rows_of(out)] == (expected.scores >= middle).tolist()

    def test_neighbors_and_device(self, capsys, album):
        out = album / "answers.csv"
        files = [album / "query.safetensors", album / "train.safetensors"]
        assert run(capsys, "recognize", *files, "--neighbors", 5, "--out", out)[0] == 0
        expected = lz.recognize(load(album, "query"), load(album, "train"), np.arange(24) // 6, neighbors=5)
        np.testing.assert_allclose([float(row["score"]) for row in rows_of(out)], expected.scores, atol=1e-4)
        assert [key for key in rows_of(out)[0] if key.startswith("support")] == [
            f"support{n}" for n in range(1, 6)
        ]
        code, _, err = run(capsys, "recognize", *files, "--device", "foo")
        assert code == 2
        assert "cannot compute on the device 'foo'" in err

    def test_labels_of_a_file(self, capsys, album):
        labels = album / "labels.csv"
        ids = load(album, "train").ids
        labels.write_text(
            "id,label\n" + "".join(f"{id_},{'Old Town' if n < 6 else ''}\n" for n, id_ in enumerate(ids))
        )
        files = [album / "query.safetensors", album / "train.safetensors"]
        out = album / "answers.csv"
        assert run(capsys, "recognize", *files, "--labels", labels, "--out", out)[0] == 0
        assert {row["label"] for row in rows_of(out)} == {"Old Town", ""}  # others vote for no landmark
        labels.write_text("id,label\nplace0/0.png,a\nplace0/0.png,b\n")
        code, _, err = run(capsys, "recognize", *files, "--labels", labels)
        assert code == 2
        assert "labels.csv, line 3: the id 'place0/0.png' is there twice" in err
        labels.write_text("id,label\nplace0/0.png,a\n")
        assert "no label for 23 photos" in run(capsys, "recognize", *files, "--labels", labels)[2]


class TestEvaluate:
    def test_a_folder(self, capsys, album):
        out = album / "scores.json"
        files = [album / "index", album / "index.safetensors"]
        code, printed, _ = run(capsys, "evaluate", *files, "--out", out, "--worst", 2)
        assert code == 0
        expected = lz.evaluate(load(album, "index"), lz.datasets.ImageFolder(album / "index"))
        assert str(expected) in printed
        assert expected.worst("mAP@100", 1)[0][0] in printed.partition("Lowest mAP@100")[2]
        assert json.loads(out.read_text()) == expected.to_dict()

    def test_descriptors_of_other_photos(self, capsys, album):
        code, out, err = run(capsys, "evaluate", album / "index", album / "query.safetensors")
        assert (code, out) == (2, "")
        assert "12 of 20 photos of the data set have no descriptor" in err
        code, _, err = run(capsys, "evaluate", album, album / "query.safetensors", "--dataset", "oxford")
        assert code == 2
        assert "gnd_roxford5k.pkl" in err


def test_search_computes_on_the_device(capsys, album):
    files = [album / "query.safetensors", album / "index.safetensors"]
    code, _, err = run(capsys, "search", *files, "--device", "foo")
    assert code == 2
    assert "cannot compute on the device 'foo'" in err


class TestReport:
    def test_one_page_without_references(self, capsys, album):
        page = album / "report.html"
        files = [album / "query.safetensors", album / "index.safetensors"]
        photos = ["--photos", album / "index", "--query-photos", album / "query"]
        code, out, _ = run(capsys, "search", *files, "-k", 4, "--report", page, *photos, "--folder-labels")
        assert code == 0
        assert f"report: {page}" in out
        text = page.read_text(encoding="utf-8")
        assert text.count("<section>") == 8
        assert text.count("data:image/jpeg;base64,") == 8 * 5
        assert "http" not in text
        ranking = lz.search(load(album, "query"), load(album, "index"), 4)
        right = sum(
            query.split("/")[0] == id_.split("/")[0]
            for query, ids in zip(ranking.query_ids, ranking.ids)
            for id_ in ids
        )
        assert text.count('class="right"') == right
        assert text.count('class="wrong"') == 32 - right
        unmarked = run(capsys, "search", *files, "--report", page, *photos, "--overwrite")
        assert unmarked[0] == 0
        assert 'class="right"' not in page.read_text(encoding="utf-8")

    @pytest.mark.filterwarnings("ignore:1 of 8 photos were not found")
    def test_missing_photos_and_options(self, capsys, album):
        page = album / "report.html"
        files = [album / "query.safetensors", album / "index.safetensors"]
        code, _, err = run(capsys, "search", *files, "--report", page)
        assert code == 2
        assert "--report needs the photos" in err
        (album / "query" / "place0" / "0.png").unlink()
        photos = ["--photos", album / "index", "--query-photos", album / "query"]
        assert run(capsys, "search", *files, "--report", page, *photos)[0] == 0
        assert page.read_text(encoding="utf-8").count("<div class=none>") == 1
