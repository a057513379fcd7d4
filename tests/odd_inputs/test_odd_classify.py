"""The command classify with values that its options cannot have, and photos and heads that are not there."""

from pathlib import Path

import pytest
from odd_cases import Command, params

CLASSIFY = "classify photos --model local-dir:model"


def without_head():
    Path("bare").mkdir()
    for name in ("config.json", "model.safetensors"):
        Path("bare", name).write_bytes(Path("model", name).read_bytes())


def with_names(text):
    def make():
        without_head()
        Path("bare", "head.safetensors").write_bytes(Path("model", "head.safetensors").read_bytes())
        Path("bare", "classes.json").write_text(text)

    return make


CASES = [
    Command("plain", CLASSIFY, out="bridge/0.png"),
    Command("k 0", f"{CLASSIFY} -k 0", "k must be a positive integer, got 0"),
    Command("k -1", f"{CLASSIFY} -k=-1", "k must be a positive integer, got -1"),
    Command("k 1.5", f"{CLASSIFY} -k 1.5", "argument -k: invalid int value: '1.5' (landmarkzoo classify"),
    Command("k huge", f"{CLASSIFY} -k {10**18} --out x.csv", out="2 classes each", writes=("x.csv",)),
    Command("k beyond", f"{CLASSIFY} -k {10**30}", "k must be a positive integer that fits into 64 bits"),
    Command("no model", "classify photos", "the following arguments are required: --model"),
    Command("unknown model", "classify photos --model dolg_lite0", "landmarkzoo has no model 'dolg_lite0'"),
    Command("model is a folder", "classify photos --model model/", "'model/' does not name a saved model"),
    Command(
        "no head",
        "classify photos --model local-dir:bare",
        "the folder bare holds a model but no head; save_pretrained(..., head=head) saves one. classify",
        make=without_head,
    ),
    Command(
        "head elsewhere",
        "classify photos --model local-dir:bare --head local-dir:model",
        out="tower",
        make=without_head,
    ),
    Command("head nowhere", f"{CLASSIFY} --head local-dir:nope", "there is no folder nope"),
    Command("head empty", f"{CLASSIFY} --head ''", "head is empty: was a variable of the shell not set?"),
    Command("head is no name", f"{CLASSIFY} --head model/head", "'model/head' does not name a saved model"),
    Command(
        "other number of names",
        "classify photos --model local-dir:bare",
        "classes.json must be a list of 2 names",
        make=with_names('["one"]'),
    ),
    Command(
        "names of many lines",
        "classify photos/tower --model local-dir:bare -k 1",
        out="\\n",
        make=with_names('["a\\nb", "c\\nd"]'),
    ),
    Command(
        "empty folder",
        "classify empty --model local-dir:model",
        "no photos in empty",
        make=lambda: Path("empty").mkdir(),
    ),
    Command("no folder", "classify nowhere --model local-dir:model", "no such folder or photo: nowhere"),
    Command("not a photo", "classify labels.csv --model local-dir:model", "labels.csv"),
    Command("descriptors", "classify index.st --model local-dir:model", "index.st"),
    Command("out is a photo", f"{CLASSIFY} --out photos/tower/0.png", "that is the name of a photo"),
    Command("out is the photos", f"{CLASSIFY} --out photos", "cannot write photos: it is photos, which is"),
    Command("out is labels", f"{CLASSIFY} --out labels.csv --overwrite", "it is a file of another kind"),
    Command(
        "out is answers",
        f"{CLASSIFY} --out a.csv --overwrite",
        "cannot write a table of classes to a.csv: it is a table of landmarks already",
        make=lambda: Path("a.csv").write_text("id,label,score,support1\na,b,1,c\n"),
    ),
    Command(
        "out is an old one",
        f"{CLASSIFY} --out a.csv",
        "a.csv exists: give --overwrite",
        make=lambda: Path("a.csv").write_text("id,rank,label,name,score\n"),
    ),
    Command(
        "out is an old one, overwritten",
        f"{CLASSIFY} --out a.csv --overwrite",
        out="6 photos, 2 classes each: a.csv",
        make=lambda: Path("a.csv").write_text("id,rank,label,name,score\n"),
        writes=("a.csv",),
    ),
    Command("out twice", f"{CLASSIFY} --out x --report x", "--out and --report are both x: give each a name"),
    Command("report is a photo", f"{CLASSIFY} --report x.jpg", "that is the name of a photo"),
    Command("no folder for out", f"{CLASSIFY} --out no/x.csv", "the folder no does not exist"),
    Command("scales comma", f"{CLASSIFY} --scales 1,,2", "argument --scales: numbers with commas between"),
    Command("scales zero", f"{CLASSIFY} --scales 0", "scales must be positive numbers"),
    Command("device", f"{CLASSIFY} --device foo", "cannot compute on the device 'foo'"),
    Command("precision", f"{CLASSIFY} --precision float8", "precision must be one of"),
    Command("batch size 0", f"{CLASSIFY} --batch-size 0", "batch_size must be a positive integer, got 0"),
    Command("photos url", "classify https://a/b.jpg --model local-dir:model", "is an address: download it"),
]


@pytest.mark.usefixtures("world")
@pytest.mark.parametrize("case", params(CASES))
def test_odd_classify(case, world, capsys):
    case.check(world, capsys)
