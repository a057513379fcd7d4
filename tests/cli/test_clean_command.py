"""``landmarkzoo clean``: what the library finds, from the command line, and a page to look at it."""

import csv
import re
import shutil

import numpy as np
import pytest
import torch
from PIL import Image

import landmarkzoo as lz
from landmarkzoo.cli import main

PLACES = {"arch": "red", "bridge": "blue", "castle": "lime"}


def paint(path, color, seed):
    random = np.random.default_rng(seed)
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = Image.fromarray(random.integers(0, 255, (6, 8, 3), dtype=np.uint8)).resize((64, 48))
    Image.blend(Image.new("RGB", (64, 48), color), noise, 0.15).save(path)


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    """Photos of three colors, one of them in a wrong folder and one there twice, a model, descriptors."""
    folder = tmp_path_factory.mktemp("template")
    for place, (name, color) in enumerate(PLACES.items()):
        for n in range(8):
            paint(folder / f"photos/{name}/{n}.png", color, 10 * place + n)
    for n in range(4):
        paint(folder / f"nothing/{n}.png", "white", 100 + n)
    shutil.move(folder / "photos/arch/0.png", folder / "photos/castle/moved.png")
    shutil.copy(folder / "photos/bridge/1.png", folder / "photos/bridge/twin.png")
    torch.manual_seed(0)
    model = lz.GlobalDescriptor("test_efficientnet", neck="none")
    d = [lz.embed(model, folder / part, progress=False) for part in ("photos", "nothing")]
    whitening = lz.Whitening.fit(np.concatenate([part.vectors for part in d]), 8, shrinkage=0.1)
    for part, name in zip(d, ("d.st", "n.st")):
        whitening.apply(part).save(folder / name)
    model.save_pretrained(folder / "model")
    return folder


@pytest.fixture
def world(template, tmp_path, monkeypatch):
    """A copy of it, which is the working directory."""
    shutil.copytree(template, tmp_path / "world")
    monkeypatch.chdir(tmp_path / "world")
    return tmp_path / "world"


@pytest.fixture
def call(capsys):
    """Run ``landmarkzoo clean`` with arguments; what it prints, after it has answered with 0."""

    def call(*arguments, err=""):
        code = main(["clean", *map(str, arguments)])
        out, said = capsys.readouterr()
        assert (code, said) == (0, err)
        return out

    return call


@pytest.fixture
def refused(capsys):
    """The line of an error."""

    def refused(*arguments):
        code = main(["clean", *map(str, arguments)])
        out, err = capsys.readouterr()
        assert (code, out, err.count("\n")) == (2, "", 1)
        return err.removeprefix("landmarkzoo: error: ").strip()

    return refused


def rows_of(path):
    with path.open(encoding="utf-8", newline="") as file:
        return [tuple(row) for row in csv.reader(file)]


def test_descriptors_by_their_folders(world, call):
    out = call("d.st", "--out", "check.csv", "--report", "page.html", "--photos", "photos")
    d = lz.Descriptors.load("d.st")
    found = lz.finetuning.suspicious_photos((d, [id_.split("/")[0] for id_ in d.ids]), progress=False)
    assert rows_of(world / "check.csv") == [
        ("id", "reason", "label", "likelier", "score", "other"),
        *((*one[:4], f"{one.score:.4f}", one.other) for one in found),
    ]
    of_id = {one.id: one for one in found}
    assert of_id["castle/moved.png"][1:4] == ("wrong label", "castle", "arch")
    assert {"bridge/1.png", "bridge/twin.png"} & of_id.keys()
    lines = out.splitlines()
    assert lines[0] == "report: page.html"
    assert lines[-1] == f"{len(found)} photos to check: check.csv"
    assert lines[-2].startswith("25 photos of 3 landmarks: 0 duplicate elsewhere, ")
    page = (world / "page.html").read_text(encoding="utf-8")
    assert 'href="photos/castle/moved.png"' in page
    assert page.count('<figure class="wrong">') == len(found)
    assert "<h2>wrong label: " in page


def test_an_index_by_its_labels(world, call):
    index = lz.Index.create("index")
    d = lz.Descriptors.load("d.st")
    index.add(lz.Descriptors(d.ids, d.vectors), labels="folder")
    index.relabel({"castle/moved.png": "arch", "arch/5.png": "bridge"})
    call("index", "--out", "check.csv")
    assert "arch/5.png,wrong label,bridge,arch" in (world / "check.csv").read_text()
    (world / "labels.csv").write_text("id,label\n" + "".join(f"{id_},{id_.split('/')[0]}\n" for id_ in d.ids))
    call("index", "--labels", "labels.csv", "--out", "check.csv", "--overwrite")
    assert "castle/moved.png,wrong label,castle,arch" in (world / "check.csv").read_text()
    assert "arch/5.png" not in (world / "check.csv").read_text()


def test_photos_and_what_finetune_takes(world, call, capsys):
    (world / "photos/arch/broken.png").write_bytes(b"no photo")
    model = ("--model", "local-dir:model")
    assert main(["clean", "photos", *model, "--non-landmark", "nothing", "--out", "check.csv"]) == 0
    assert capsys.readouterr().err.startswith("skipped arch/broken.png: ")
    found = lz.finetuning.suspicious_photos(
        world / "photos", model="local-dir:model", non_landmark=world / "nothing", progress=False
    )
    assert [row[0] for row in rows_of(world / "check.csv")[1:]] == found.ids
    (world / "photos.csv").write_text(
        "path,label\n" + "".join(f"photos/{id_},{id_[0]}\n" for id_ in lz.Descriptors.load("d.st").ids)
    )
    (world / "labels.csv").write_text(
        "id,label\narch/1.png,x\narch/2.png,x\nbridge/1.png,y\nbridge/2.png,y\n"
    )
    assert "25 photos of 3 landmarks" in call("photos.csv", *model, "--report", "page.html")
    assert 'href="photos/castle/moved.png"' in (world / "page.html").read_text()
    assert "4 photos of 2 landmarks" in call("photos", *model, "--labels", "labels.csv")


def test_options_change_what_is_found(world, call):
    def counts(*options):
        line = call("d.st", *options).splitlines()[-1]
        return {reason: int(number) for number, reason in re.findall(r"(\d+) ([a-z ]+?)(?:,|$)", line)}

    assert counts("--threshold", 0)["wrong label"] >= counts("--threshold", 3)["wrong label"]
    assert counts("--threshold", 1e6)["wrong label"] == 0
    assert counts("--duplicates", 1)["duplicate"] <= counts("--duplicates", 0.9)["duplicate"]
    assert counts("--non-landmark", "n.st").keys() == counts().keys()


def test_the_only_photo_of_a_landmark_is_counted(world, call):
    lz.Descriptors(["a/1", "a/2", "b/1"], [[1, 0], [0.8, 0.6], [0, 1]]).save("few.st")
    assert call("few.st").splitlines() == [
        "3 photos of 2 landmarks: 0 duplicate elsewhere, 0 no landmark, 0 wrong label, 0 duplicate",
        "1 are the only photo of their landmark: not judged",
    ]


@pytest.mark.parametrize(
    ("line", "error"),
    [
        ("nope", "no such folder or file: nope"),
        ("photos --labels no.csv", "no such CSV file: no.csv"),
        ("photos --photos photos --report r.html", "--photos is for an index or a descriptors file"),
        ("d.st --photos photos", "--photos is for --report, which is not given"),
        ("d.st --report r.html", "--report needs the photos: --photos DIR"),
        ("d.st --report r.html --photos nope", "--photos: no such folder of photos: nope"),
        ("d.st --model local-dir:model", "--model would be ignored: d.st holds descriptors"),
        ("d.st --non-landmark nothing", "--non-landmark must be a descriptors file or an index"),
        ("photos --non-landmark n.st", "--non-landmark must be a folder of photos"),
        ("photos --non-landmark nope", "--non-landmark: no such folder: nope"),
        ("photos --non-landmark photos/arch", "lies in photos, where it would be a landmark"),
        ("photos --non-landmark photos", "lies in photos, where it would be a landmark"),
        ("photos --model dolg_efficientnet_lite0", "parts of a DOLG stay random"),
        ("photos --model nope", "nope"),
        ("d.st --threshold -1", "threshold must be 0 or more, got -1"),
        ("d.st --threshold nan", "threshold must be finite"),
        ("d.st --duplicates 95", "duplicates must be a cosine above 0 and at most 1, got 95"),
        ("d.st --out d.st", "which is read"),
        ("d.st --out x.png", "that is the name of a photo"),
        ("n.st", "4 photos are not in a folder that names their landmark"),
        ("photos/arch/1.png", "1.png"),
        ("model", "model"),
    ],
)
def test_odd_inputs_are_one_line(world, refused, line, error):
    assert error in refused(*line.split())
