"""``landmarkzoo index``: what the library does, from the command line, for photos and for descriptors."""

import csv
import json
import shutil
from dataclasses import asdict

import numpy as np
import pytest
import torch
from PIL import Image

import landmarkzoo as lz
from landmarkzoo._utils.file_locks import single_writer
from landmarkzoo.cli import main

IDS = [f"{place}/{n}.png" for place in ("bridge", "tower") for n in range(4)]
CREATE = ["create", "index", "--model", "local-dir:model", "--image-size", 48]


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    """A saved model, and photos in folders of two landmarks."""
    folder = tmp_path_factory.mktemp("template")
    random = np.random.default_rng(0)
    for id_ in IDS:
        path = folder / "photos" / id_
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(random.integers(0, 255, (3, 4, 3), dtype=np.uint8)).resize((40, 30)).save(path)
    lz.GlobalDescriptor("test_efficientnet", neck="fc-bn", embedding_dim=8).save_pretrained(folder / "model")
    return folder


@pytest.fixture
def world(template, tmp_path, monkeypatch):
    """A copy of it, which is the working directory."""
    shutil.copytree(template, tmp_path / "world")
    monkeypatch.chdir(tmp_path / "world")
    return tmp_path / "world"


@pytest.fixture
def call(capsys):
    """Run ``landmarkzoo index`` with arguments; what it prints, after it has answered with 0."""

    def call(*arguments):
        code = main(["index", *map(str, arguments)])
        out, err = capsys.readouterr()
        assert (code, err) == (0, "")
        return out

    return call


@pytest.fixture
def refused(capsys):
    """The line of an error."""

    def refused(*arguments):
        code = main(["index", *map(str, arguments)])
        out, err = capsys.readouterr()
        assert (code, out, err.count("\n")) == (2, "", 1)
        return err.removeprefix("landmarkzoo: error: ").strip()

    return refused


def rows_of(path):
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def of_library(folder, **options):
    """The index that the commands should make."""
    model = lz.create_model("local-dir:model")
    index = lz.Index.create(folder, model, transform=lz.create_transform(model, image_size=48), **options)
    index.add("photos", labels="folder", progress=False)
    return index


class TestOfPhotos:
    def test_equals_the_library(self, world, call):
        options = ["--scales", "1,0.7", "--flip", "--storage", "float16", "--batch-size", 3]
        assert call(*CREATE, *options) == "an empty index of photos, by GlobalDescriptor: index\n"
        shutil.rmtree("model")  # it is in the index
        out = call("add", "index", "photos", "--folder-labels")
        assert out == "8 photos, 0 before, 8 with a label, 0 skipped: index\n"
        shutil.copytree("index/model", "model")
        expected = of_library("other", scales=(1, 0.7), flip=True, storage="float16", batch_size=3)
        index = lz.Index.open("index")
        assert index.ids == expected.ids == IDS
        np.testing.assert_array_equal(index.vectors, expected.vectors)
        assert index.labels.tolist() == expected.labels.tolist()
        assert index.provenance == expected.provenance
        assert index.info.storage == "float16"

    def test_add_update_and_remove(self, world, call, capsys):
        call(*CREATE)
        call("add", "index", "photos/bridge/0.png", "photos/bridge/1.png")
        assert lz.Index.open("index").ids == ["photos/bridge/0.png", "photos/bridge/1.png"]
        call("remove", "index", "photos/bridge/0.png", "photos/bridge/1.png")
        (world / "photos" / "bad.png").write_bytes(b"no photo")
        assert main(["index", "add", "index", "photos"]) == 0
        out, err = capsys.readouterr()
        assert out == "8 photos, 0 before, 1 skipped: index\n"
        assert err.startswith("skipped bad.png: ")
        assert "8 photos, 8 before, 1 skipped" in call("add", "index", "photos")  # and says nothing again
        (world / "photos" / "bad.png").unlink()
        (world / "photos" / IDS[0]).unlink()
        assert "7 photos, 8 before, 0 skipped" in call("update", "index", "photos")
        (world / "gone.txt").write_text(f"\ufeff{IDS[1]}\r\n\r\n{IDS[2]}\n", encoding="utf-8")
        assert "4 photos, 7 before" in call("remove", "index", IDS[3], "--from", "gone.txt")
        assert "4 photos, 4 before" in call("remove", "index", IDS[3], "--from", "gone.txt", "--missing-ok")
        assert "4 photos, 1 shards" in call("compact", "index")
        assert lz.Index.open("index").ids == IDS[4:]

    def test_photos_that_cannot_be_read_may_stop_it(self, world, call, refused):
        call(*CREATE)
        (world / "photos" / "bad.png").write_bytes(b"no photo")
        assert "cannot read the photo bad.png" in refused("add", "index", "photos", "--no-skip-errors")

    def test_labels_of_a_file_are_corrected(self, world, call):
        call(*CREATE)
        call("add", "index", "photos", "--folder-labels")
        (world / "labels.csv").write_text(f"id,label\n{IDS[0]},Old Tower\n{IDS[1]},\n")
        assert "7 with a label" in call("add", "index", "photos", "--labels", "labels.csv")
        labels = dict(zip(IDS, lz.Index.open("index").labels))
        assert (labels[IDS[0]], labels[IDS[1]], labels[IDS[2]]) == ("Old Tower", None, "bridge")

    def test_search(self, world, call):
        call(*CREATE)
        call("add", "index", "photos", "--folder-labels")
        expected = lz.Index.open("index").search("photos", 3)
        out = call("search", "index", "photos", "-k", 3, "--out", "all.csv")
        assert [row["id"] for row in rows_of(world / "all.csv")] == expected.ids.ravel().tolist()
        scores = [float(row["score"]) for row in rows_of(world / "all.csv")]
        np.testing.assert_allclose(scores, expected.scores.ravel(), atol=1e-6)
        assert out.splitlines()[2].split() == [IDS[0], "1", IDS[0], "1.0000", "bridge"]
        call("search", "index", f"photos/{IDS[5]}", "photos/bridge", "-k", 1, "--out", "some.csv")
        found = [(row["query"], row["id"]) for row in rows_of(world / "some.csv")]
        assert found == [(f"photos/{id_}", id_) for id_ in [IDS[5], *IDS[:4]]]
        assert main(["embed", f"photos/{IDS[6]}", "--like", "index", "--out", "query.st"]) == 0
        assert IDS[6] in call("search", "index", "query.st", "-k", 1)

    def test_report(self, world, call, refused):
        call(*CREATE)
        call("add", "index", "photos")
        (world / "elsewhere").mkdir()
        shutil.copy(f"photos/{IDS[0]}", "elsewhere/q.png")
        report = ["--report", "r.html", "--photos", "photos"]
        queries = [world / "elsewhere" / "q.png", f"elsewhere/../photos/{IDS[2]}"]
        assert "report: r.html" in call("search", "index", *queries, "-k", 2, *report)
        text = (world / "r.html").read_text(encoding="utf-8")
        assert text.count("data:image/jpeg;base64,") == 2 * 3
        assert str(world) not in text
        assert "--photos is for --report" in refused("search", "index", *queries, "--photos", "photos")
        assert "--report needs the photos" in refused("search", "index", *queries, "--report", "x.html")
        assert "queries that are photos" in refused("search", "index", "index", *report, "--overwrite")


class TestOfDescriptors:
    @pytest.fixture
    def index(self, world, call):
        """Six photos of two landmarks, one of which has the wrong label, and one that is there twice."""
        random = np.random.default_rng(0)
        vectors = np.repeat(np.eye(2, 8), 3, axis=0) + 0.1 * random.standard_normal((6, 8))
        vectors[2] = vectors[1]
        lz.Descriptors(IDS[1:7], vectors).save("d.st")
        labels = ["bridge"] * 3 + ["tower", "tower", "bridge"]
        table = "".join(f"{id_},{label}\n" for id_, label in zip(IDS[1:7], labels))
        (world / "labels.csv").write_text(f"id,label\n{table}")
        assert "of descriptors" in call("create", "index")
        call("add", "index", "d.st", "--labels", "labels.csv")
        return lz.Index.open("index")

    def test_duplicates(self, world, call, index):
        assert "1 pairs: d.csv" in call("duplicates", "index", "--threshold", 0.9999, "--out", "d.csv")
        assert [(r["id"], r["duplicate"]) for r in rows_of(world / "d.csv")] == [(IDS[2], IDS[3])]
        out = call("duplicates", "index", "--threshold", -1)
        assert out.endswith("15 pairs\n")
        assert len(out.splitlines()) == 15 + 3

    def test_percents_are_no_cosine(self, index, refused):
        assert refused("duplicates", "index", "--threshold", 98).endswith("at most 1, got 98.0")

    def test_suspicious(self, world, call, index, refused):
        call("suspicious", "index", "--neighbors", 2, "--out", "s.csv")
        rows = [tuple(row.values()) for row in rows_of(world / "s.csv")]
        assert rows == [(*texts, f"{score:.7g}") for *texts, score in index.suspicious_labels(2)]
        assert rows[0][:3] == (IDS[6], "bridge", "tower")
        call("create", "bare")
        call("add", "bare", "d.st")
        assert "the photos of bare have no labels" in refused("suspicious", "bare")

    def test_suspicious_by_a_head(self, world, call, index, refused):
        head = lz.SubCenterArcFaceDynamic(8, 2, sub_centers=1)
        head.load_state_dict({"weight": torch.from_numpy(index.vectors[[0, 5]])})
        lz.losses.save_head(head, "head", ["bridge", "tower"])
        call("suspicious", "index", "--neighbors", 2, "--head", "local-dir:head", "--out", "s.csv")
        names = {"head": head, "class_names": ["bridge", "tower"]}
        rows = [tuple(row.values()) for row in rows_of(world / "s.csv")]
        assert rows == [(*texts, f"{score:.7g}") for *texts, score in index.suspicious_labels(2, **names)]
        lz.losses.save_head(head, "head", ["a", "b"])
        assert "knows none of the labels" in refused("suspicious", "index", "--head", "local-dir:head")
        assert "no head.safetensors" in refused("suspicious", "index", "--head", "local-dir:model")

    def test_findings_that_were_corrected_are_new_labels(self, world, call, index, refused):
        call("suspicious", "index", "--neighbors", 2, "--out", "s.csv")
        text = (world / "s.csv").read_text()
        (world / "s.csv").write_text(text.replace(f"{IDS[6]},bridge", f"{IDS[6]},tower"))
        assert "have the labels of s.csv: index" in call("relabel", "index", "--labels", "s.csv")
        assert index.labels.tolist() == ["bridge"] * 3 + ["tower"] * 3
        (world / "typo.csv").write_text(f"id,label\n{IDS[1]},x\nbridge/9.png,x\n")
        assert "No label is changed" in refused("relabel", "index", "--labels", "typo.csv")
        assert "x" not in index.labels

    def test_info(self, world, call, index):
        assert json.loads(call("info", "index", "--json")) == asdict(index.info)
        index.remove(IDS[1])
        lines = dict(line.split(maxsplit=1) for line in call("info", "index").splitlines())
        assert lines["photos"] == "5"
        assert lines["vectors"] == "8 dimensions, float32"
        assert call("info", "index").count("'landmarkzoo index compact' drops 1 removed rows") == 1

    def test_indexes_are_joined(self, world, call, index):
        call("create", "both", "--storage", "float16")
        call("add", "both", "index")
        np.testing.assert_array_equal(lz.Index.open("both").vectors, index.vectors.astype(np.float16))

    def test_each_photo_among_the_others(self, world, call, index):
        out = call("search", "index", "d.st", "-k", 1)
        assert out.splitlines()[2].split()[2] == IDS[1]

    def test_photos_need_a_model(self, world, refused, index):
        for arguments in (["add", "index", "photos"], ["search", "index", f"photos/{IDS[0]}"]):
            assert "index was made without --model, so it takes descriptors files and no photos" in refused(
                *arguments
            )


def test_a_second_writer_is_told_who_writes(world, call, refused):
    call("create", "index")
    lz.Descriptors(["a"], np.eye(1)).save("d.st")
    with single_writer((world / "index" / "manifest.json").resolve()):
        assert "another job writes it since" in refused("add", "index", "d.st")
    call("add", "index", "d.st")
