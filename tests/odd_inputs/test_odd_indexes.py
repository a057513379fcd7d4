"""Folders that are no index, damaged indexes, and odd arguments of ``landmarkzoo index``."""

from pathlib import Path

import pytest
from odd_cases import Command, params

import landmarkzoo as lz

NO_INDEX = "is no index: 'landmarkzoo index create' makes an index"


def make(manifest=None):
    """An index of six descriptors, in ``ix``; its manifest is replaced if another one is given."""

    def make():
        lz.Index.create("ix").add(lz.Descriptors.load("index.st"))
        if manifest is not None:
            Path("ix/manifest.json").write_bytes(manifest)

    return make


def cut(pattern):
    def make_and_cut():
        make()()
        (path,) = Path("ix").glob(pattern)
        path.write_bytes(path.read_bytes()[:-7])

    return make_and_cut


def lose_shard():
    make()()
    (path,) = Path("ix/shards").iterdir()
    path.unlink()


def other_manifest():
    Path("photos/manifest.json").write_text('{"name": "my web page"}')


ACTIONS = {
    "add": "photos",
    "update": "photos",
    "relabel": "--labels labels.csv",
    "remove": "a",
    "compact": "",
    "search": "query.st",
    "duplicates": "",
    "suspicious": "",
    "info": "",
}
OPTIONS = [
    ("create with options of no model", "create n --flip", "--flip is for --model, which is not"),
    ("create whitened by no model", "create n --whiten photos", "--whiten is for --model"),
    ("create shrunk", "create n --model local-dir:model --shrinkage 1", "--shrinkage is for --whiten"),
    ("create storage", "create n --storage float8", "argument --storage: invalid choice: 'float8'"),
    ("create batch 0", "create n --model local-dir:model --batch-size 0", "batch_size must be a"),
    ("create precision", "create n --model local-dir:model --precision f8", "precision must be one"),
    ("create no model", "create n --model local-dir:nope", "nope"),
    ("add nothing", "add ix nope.jpg photos", "no such folder or photo: nope.jpg"),
    ("add a whitening", "add ix white.st", "so it takes descriptors files and no"),
    ("add labels twice", "add ix index.st --labels labels.csv --folder-labels", "two ways"),
    ("add no labels", "add ix index.st --labels no.csv", "no such CSV file: no.csv"),
    ("update of a file", "update ix index.st", "update takes a folder of photos"),
    ("remove nothing", "remove ix", "no ids to remove: give them behind DIR"),
    ("remove unknown", "remove ix bridge/9.png", "Nothing is removed."),
    ("remove by no file", "remove ix --from no.txt", "--from: there is no file no.txt"),
    ("remove by a photo", "remove ix --from photos/bridge/0.png", "is not UTF-8"),
    ("remove an address", "remove ix http://a/b.jpg", "no id 'http://a/b.jpg'"),
    ("search nothing", "search ix nope", "no such folder or photo: nope"),
    ("search two files", "search ix query.st index.st", "query.st holds descriptors"),
    ("search k 0", "search ix query.st -k 0", "k must be a positive integer, got 0"),
    ("search device", "search ix query.st --device foo", "device 'foo'"),
    ("search photos", "search ix photos", "so it takes descriptors files and no"),
    ("threshold nan", "duplicates ix --threshold nan", "threshold"),
    ("threshold text", "duplicates ix --threshold high", "invalid float value: 'high'"),
    ("neighbors 0", "suspicious ix --neighbors 0", "have no labels"),
    ("out is read", "duplicates ix --out ix", "cannot write ix"),
    ("out is a photo", "duplicates ix --out x.png", "that is the name of a photo"),
    ("out is another kind", "duplicates ix --out labels.csv --overwrite", "another kind"),
]
CASES = [
    *(
        Command(f"{action} of a folder of photos", f"index {action} photos {more}", f"photos {NO_INDEX}")
        for action, more in ACTIONS.items()
    ),
    *(
        Command(
            f"{action} of nothing", f"index {action} none {more}", "none does not exist: 'landmarkzoo index"
        )
        for action, more in ACTIONS.items()
    ),
    Command("no action", "index", "the following arguments are required: ACTION (landmarkzoo index --help"),
    Command("action misspelt", "index serach ix", "argument ACTION: invalid choice: 'serach'"),
    Command("no folder", "index info", "the following arguments are required: DIR (landmarkzoo index info"),
    Command("folder empty", "index info ''", "index is empty: was a variable of the shell not set?"),
    Command("folder is a file", "index info index.st", f"index.st {NO_INDEX}"),
    Command("folder is an address", "index info s3://b/i", "s3://b/i is an address: download it first"),
    Command("manifest of others", "index info photos", f"photos {NO_INDEX}", make=other_manifest),
    Command("manifest of others in photos", "index create photos", "other files", make=other_manifest),
    Command("manifest empty", "index info ix", f"ix {NO_INDEX}", make=make(b"")),
    Command("manifest cut", "index info ix", "manifest.json is damaged", make=cut("manifest.json")),
    Command(
        "manifest of a newer one",
        "index info ix",
        "upgrade landmarkzoo",
        make=make(b'{"format": "landmarkzoo.index.v99"}'),
    ),
    Command("shard cut", "index search ix query.st", "it is damaged", make=cut("shards/*")),
    Command("shard lost", "index search ix query.st", "is damaged", make=lose_shard),
    Command("create over an index", "index create ix", "ix is an index already", make=make()),
    Command("create over photos", "index create photos", "photos is a folder with other files"),
    Command("create over a file", "index create index.st", "is a file"),
    Command("create below a file", "index create index.st/ix", "index.st is a file"),
    Command("create in an index", "index create ix/shards/x", "is an index, whose files", make=make()),
    *(Command(name, f"index {line}", error, make=make()) for name, line, error in OPTIONS),
]


@pytest.mark.parametrize("case", params(CASES))
def test_odd_index(case, world, capsys):
    case.check(world, capsys)
