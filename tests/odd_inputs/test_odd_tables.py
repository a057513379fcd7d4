"""Tables and ground truths of every odd kind."""

import os
import pickle
from pathlib import Path

import pytest
from odd_cases import Command, params
from odd_files import IDS, ROWS, Evil, csv, write

LABELS = "recognize query.st index.st --labels odd.csv"

TABLES = [
    Command("no table", LABELS, "no such CSV file: odd.csv"),
    Command(
        "table of no bytes", LABELS, "odd.csv, line 1: the file is empty; id, label are needed,", make=csv("")
    ),
    Command(
        "table of a heading",
        LABELS,
        "odd.csv has no label for 6 photos, the first is 'bridge/0.png'",
        make=csv("id,label\n"),
    ),
    Command(
        "heading in capitals",
        LABELS,
        "odd.csv, line 1: the columns are ID, LABEL; id, label are",
        make=csv("ID,LABEL\n" + ROWS),
    ),
    Command(
        "heading with spaces",
        LABELS,
        "odd.csv, line 1: the columns are id,  label; id, label are",
        make=csv("id, label\n" + ROWS),
    ),
    Command(
        "heading twice",
        LABELS,
        "odd.csv, line 1: the column id occurs 2 times in the header",
        make=csv("id,label,id\n"),
    ),
    Command("table with BOM", LABELS, out="bridge", make=csv("\ufeffid,label\n" + ROWS)),
    Command(
        "table in UTF-16",
        LABELS,
        "odd.csv, line 1: at or after this line the file is not UTF-8:",
        make=csv(("id,label\n" + ROWS).encode("utf-16")),
    ),
    Command(
        "table of tabs",
        LABELS,
        "odd.csv, line 1: the columns are id\\tlabel; id, label are",
        make=csv("id\tlabel\n"),
    ),
    Command(
        "table of old Mac lines", LABELS, out="bridge", make=csv("id,label\r" + ROWS.replace("\n", "\r"))
    ),
    Command(
        "table with a null byte",
        LABELS,
        out="bri",
        make=csv("id,label\n" + ROWS.replace("tower/0", "x\0", 1) + "tower/0.png,a\n"),
    ),
    Command(
        "open quote",
        LABELS,
        "odd.csv, line 2: not CSV: unexpected end of data",
        make=csv('id,label\n"' + ROWS),
    ),
    Command(
        "quote behind a name",
        LABELS,
        "odd.csv, line 2: not CSV: ',' expected after '\"'",
        make=csv('id,label\nbridge/0.png,"a"b\n'),
    ),
    Command(
        "label of spaces",
        LABELS,
        out="bridge/1.png",
        make=csv("id,label\n" + "".join(f"{i},   \n" for i in IDS)),
    ),
    Command(
        "labels with spaces around",
        LABELS,
        out="bridge/0.png  x ",
        make=csv("id,label\n" + "".join(f"{i}, x{' ' * n}\n" for n, i in enumerate(IDS))),
    ),
    Command(
        "no label at all",
        LABELS,
        out="bridge/1.png",
        make=csv("id,label\n" + "".join(f"{i},\n" for i in IDS)),
    ),
    Command(
        "label of a line break",
        LABELS,
        out="a\\nb",
        make=csv("id,label\n" + "".join(f'{i},"a\nb"\n' for i in IDS)),
    ),
    Command(
        "label that moves the cursor",
        LABELS,
        out="\\x1b[2J",
        make=csv("id,label\n" + "".join(f"{i},\x1b[2J\n" for i in IDS)),
    ),
    Command(
        "label of 200,000 letters",
        LABELS + " --out a.csv",
        out="2 photos",
        writes=("a.csv",),
        make=csv("id,label\n" + "".join(f"{i},{'l' * 200_000}\n" for i in IDS)),
    ),
    Command(
        "quoted label of 200,000 letters",
        LABELS,
        "odd.csv, line 2: not CSV: field larger than field limit",
        make=csv("id,label\n" + "".join(f'{i},"{"l" * 200_000}"\n' for i in IDS)),
    ),
    Command(
        "a photo too few",
        LABELS,
        "odd.csv has no label for 1 photos, the first is 'tower/2.png'",
        make=csv("id,label\n" + ROWS[:-20]),
    ),
    Command(
        "a photo twice",
        LABELS,
        "odd.csv, line 8: the id 'bridge/0.png' is there twice",
        make=csv("id,label\n" + ROWS + ROWS),
    ),
    Command(
        "ids with backslashes",
        LABELS,
        "odd.csv has no label for 6 photos, the first is 'bridge/0.png'",
        make=csv("id,label\n" + ROWS.replace("/", "\\")),
    ),
    Command(
        "three cells",
        LABELS,
        "odd.csv, line 2: 3 cells, but the header has 2 columns",
        make=csv("id,label\nbridge/0.png,a,b\n"),
    ),
    Command("labels are a folder", LABELS, "no such CSV file: odd.csv", make=lambda: Path("odd.csv").mkdir()),
    Command("labels are a pipe", LABELS, "no such CSV file: odd.csv", make=lambda: os.mkfifo("odd.csv")),
    Command(
        "labels are descriptors",
        "recognize query.st index.st --labels index.st",
        "index.st, line 1: at or after this line the file is not",
    ),
    Command(
        "labels for the report",
        "search query.st index.st --report r.html --photos photos --labels odd.csv",
        "odd.csv has no label for 2 photos, the first is 'bridge/0.png'",
        make=csv("id,label\n"),
    ),
    Command(
        "gldv2 of rubbish",
        "gldv2 . --out .",
        "train.csv, line 1: the columns are a; id, landmark_id are",
        make=lambda: (Path("train.csv").write_text("a\n"), Path("train_clean.csv").write_text("b\n")),
    ),
    Command(
        "gldv2 with a letter",
        "gldv2 . --out .",
        "train_clean.csv, line 2: landmark_id must be a non-negative",
        make=lambda: (
            Path("train.csv").write_text("id,url,landmark_id\na,u,1\n"),
            Path("train_clean.csv").write_text("landmark_id,images\none,a\n"),
        ),
    ),
    Command(
        "gldv2 with a minus",
        "gldv2 . --out .",
        "train.csv, line 2: landmark_id must be a non-negative",
        make=lambda: (
            Path("train.csv").write_text("id,url,landmark_id\na,u,-1\n"),
            Path("train_clean.csv").write_text("landmark_id,images\n-1,a\n"),
        ),
    ),
    Command(
        "oxford of a bomb",
        "evaluate . index.st --dataset oxford",
        "gnd_roxford5k.pkl asks for posix.system: refused, only plain",
        make=lambda: Path("gnd_roxford5k.pkl").write_bytes(pickle.dumps(Evil())),
    ),
    Command(
        "oxford of no bytes",
        "evaluate . index.st --dataset oxford",
        "gnd_roxford5k.pkl is not a pickle, or is damaged: Ran out of",
        make=write("gnd_roxford5k.pkl", b""),
    ),
    Command(
        "oxford of a list",
        "evaluate . index.st --dataset oxford",
        "gnd_roxford5k.pkl must be a dict with imlist, qimlist and",
        make=lambda: Path("gnd_roxford5k.pkl").write_bytes(pickle.dumps([])),
    ),
    Command(
        "oxford of numbers",
        "evaluate . index.st --dataset oxford",
        "gnd_roxford5k.pkl: imlist must be a list of names, got int",
        make=lambda: Path("gnd_roxford5k.pkl").write_bytes(
            pickle.dumps({"imlist": 1, "qimlist": 2, "gnd": 3})
        ),
    ),
    Command(
        "paris of a box of text",
        "evaluate . index.st --dataset paris",
        "gnd_rparis6k.pkl: gnd[0]: bbx must be x1, y1, x2, y2 with x1",
        make=lambda: Path("gnd_rparis6k.pkl").write_bytes(
            pickle.dumps(
                {
                    "imlist": ["a"],
                    "qimlist": ["b"],
                    "gnd": [{"bbx": "abcd", "easy": [0], "hard": [], "junk": []}],
                }
            )
        ),
    ),
    Command(
        "paris of ragged rows",
        "evaluate . index.st --dataset paris",
        "gnd_rparis6k.pkl: gnd[0]: easy must be rows of imlist,",
        make=lambda: Path("gnd_rparis6k.pkl").write_bytes(
            pickle.dumps(
                {
                    "imlist": ["a"],
                    "qimlist": ["b"],
                    "gnd": [{"bbx": [0, 0, 9, 9], "easy": [[0], [0, 1]], "hard": [], "junk": []}],
                }
            )
        ),
    ),
]


@pytest.mark.parametrize("case", params(TABLES))
def test_odd_table(case, world, capsys):
    case.check(world, capsys)
