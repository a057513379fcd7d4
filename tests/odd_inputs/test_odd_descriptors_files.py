"""Descriptors files of every odd kind."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
from odd_cases import Command, params
from odd_files import (
    IDS,
    as_bytes,
    header,
    stored,
    write,
)

SEARCH = "search query.st odd.st"

DESCRIPTORS = [
    Command("no such file", SEARCH, "no descriptors file odd.st"),
    Command(
        "a folder",
        SEARCH,
        "odd.st is a folder and not a descriptors file",
        make=lambda: Path("odd.st").mkdir(),
    ),
    Command("a pipe", SEARCH, "no descriptors file odd.st", make=lambda: os.mkfifo("odd.st")),
    Command("a device", "search query.st /dev/zero", "no descriptors file /dev/zero"),
    Command(
        "a link to itself",
        SEARCH,
        "no descriptors file odd.st",
        make=lambda: Path("odd.st").symlink_to("odd.st"),
    ),
    Command(
        "descriptors of no bytes",
        SEARCH,
        "odd.st is not a descriptors file, or it is damaged: photos are embedded first",
        make=write("odd.st", b""),
    ),
    Command(
        "seven bytes",
        SEARCH,
        "odd.st is not a descriptors file, or it is damaged: photos are embedded first",
        make=write("odd.st", b"1234567"),
    ),
    Command(
        "a length only",
        SEARCH,
        "odd.st is not a descriptors file, or it is damaged: photos are embedded first",
        make=write("odd.st", (2**63).to_bytes(8, "little")),
    ),
    Command(
        "a header that is a list",
        SEARCH,
        "odd.st is not a descriptors file, or it is damaged: photos are embedded first",
        make=header("[]"),
    ),
    Command(
        "a header that is a number",
        SEARCH,
        "odd.st is not a descriptors file, or it is damaged: photos are embedded first",
        make=header("5"),
    ),
    Command(
        "a header of half a character",
        SEARCH,
        "odd.st is not a descriptors file, or it is damaged: photos are embedded first",
        make=header(b'{"\xff":1}'),
    ),
    Command(
        "a header that never ends",
        SEARCH,
        "odd.st is not a descriptors file, or it is damaged: photos are embedded first",
        make=header("[" * 99_999),
    ),
    Command(
        "tensors beyond the end",
        SEARCH,
        "odd.st is not a descriptors file, or it is damaged: photos are embedded first",
        make=header('{"vectors":{"dtype":"F32","shape":[9,9],"data_offsets":[0,324]}}'),
    ),
    Command(
        "tensors over each other",
        SEARCH,
        "odd.st is not a descriptors file, or it is damaged: photos are embedded first",
        make=header(
            '{"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},"b":{"dtype":"U8","shape":[4],"data_offsets":[2,6]}}',
            bytes(6),
        ),
    ),
    Command(
        "a shape of 2**63",
        SEARCH,
        "odd.st is not a descriptors file, or it is damaged: photos are embedded first",
        make=header('{"a":{"dtype":"U8","shape":[9223372036854775807,8],"data_offsets":[0,4]}}', bytes(4)),
    ),
    Command(
        "bytes behind the end",
        SEARCH,
        "odd.st is not a descriptors file, or it is damaged: photos are embedded first",
        make=lambda: (stored()(), Path("odd.st").write_bytes(Path("odd.st").read_bytes() + b"more")),
    ),
    Command(
        "last byte missing",
        SEARCH,
        "odd.st is not a descriptors file, or it is damaged: photos are embedded first",
        make=lambda: (stored()(), Path("odd.st").write_bytes(Path("odd.st").read_bytes()[:-1])),
    ),
    Command(
        "no format",
        SEARCH,
        "odd.st does not hold descriptors of this version: its format",
        make=stored({"format": None}),
    ),
    Command(
        "of the next version",
        SEARCH,
        "odd.st does not hold descriptors of this version: its format",
        make=stored({"format": "landmarkzoo.descriptors.v2"}),
    ),
    Command(
        "a whitening", "search query.st white.st", "white.st does not hold descriptors of this version: its"
    ),
    Command("no ids", SEARCH, "odd.st is a damaged descriptors file: it has no ids", make=stored(ids=None)),
    Command(
        "ids that are no bytes",
        SEARCH,
        "odd.st is a damaged descriptors file: 'utf-8' codec can't",
        make=stored(ids=np.arange(6.0)),
    ),
    Command("ids of two dimensions", SEARCH, out="bridge/0.png", make=stored(ids=as_bytes(IDS)[None])),
    Command(
        "ids in latin-1",
        SEARCH,
        "odd.st is a damaged descriptors file: 'utf-8' codec can't",
        make=stored(ids=np.frombuffer('["\xfc"]'.encode("latin-1"), np.uint8)),
    ),
    Command(
        "ids that are a dict",
        SEARCH,
        "odd.st is a damaged descriptors file: its ids are not a list",
        make=stored(ids=as_bytes({"a": 1})),
    ),
    Command(
        "an id that is null",
        SEARCH,
        "odd.st is a damaged descriptors file: its ids are not a list",
        make=stored(ids=as_bytes([*IDS[1:], None])),
    ),
    Command(
        "an id too few",
        SEARCH,
        "odd.st is a damaged descriptors file: got 5 ids for 6 vectors",
        make=stored(ids=as_bytes(IDS[1:])),
    ),
    Command(
        "ids nested without end",
        SEARCH,
        "odd.st is a damaged descriptors file: maximum recursion depth",
        make=stored(ids=np.frombuffer(b"[" * 99_999, np.uint8)),
    ),
    Command("ids all the same", SEARCH, out="bridge/1.png", make=stored(ids=as_bytes(["a"] * 6))),
    Command("ids that are empty", SEARCH, out="bridge/1.png", make=stored(ids=as_bytes(["", *IDS[1:]]))),
    Command(
        "ids with escapes",
        SEARCH,
        out="\\x1b[2J",
        make=stored(ids=as_bytes(["\x1b[2J", *IDS[1:]]), vectors=-np.eye(6, 8, dtype=np.float32)),
    ),
    Command(
        "skipped that is a string",
        SEARCH,
        "odd.st is a damaged descriptors file: its skipped photos are",
        make=stored(skipped=as_bytes("none")),
    ),
    Command(
        "skipped of three",
        SEARCH,
        "odd.st is a damaged descriptors file: its skipped photos are",
        make=stored(skipped=as_bytes([["a", "b", "c"]])),
    ),
    Command(
        "provenance that is no JSON",
        SEARCH,
        "odd.st is a damaged descriptors file: Expecting property name",
        make=stored({"provenance": "{"}),
    ),
    Command(
        "provenance of numbers",
        SEARCH,
        "odd.st is a damaged descriptors file: its provenance is not a",
        make=stored({"provenance": '{"weights": 5}'}),
    ),
    Command(
        "provenance that is a list",
        SEARCH,
        "odd.st is a damaged descriptors file: its provenance is not a",
        make=stored({"provenance": "[]"}),
    ),
    Command(
        "vectors of NaN",
        SEARCH,
        "odd.st is a damaged descriptors file: vectors must be finite,",
        make=stored(vectors=np.full((6, 8), np.nan, np.float32)),
    ),
    Command(
        "vectors that float32 cannot hold",
        SEARCH,
        "odd.st is a damaged descriptors file: vectors must be finite,",
        make=stored(vectors=np.full((6, 8), 1e300)),
    ),
    Command("vectors of integers", SEARCH, out="tower", make=stored(vectors=np.eye(6, 8, dtype=np.int64))),
    Command(
        "vectors of booleans",
        SEARCH,
        "odd.st is a damaged descriptors file: vectors must be",
        make=stored(vectors=np.eye(6, 8, dtype=bool)),
    ),
    Command(
        "vectors of half floats", SEARCH, out="tower", make=stored(vectors=np.eye(6, 8, dtype=np.float16))
    ),
    Command(
        "vectors of one dimension",
        SEARCH,
        "odd.st is a damaged descriptors file: vectors must have shape",
        make=stored(vectors=np.ones(6, np.float32)),
    ),
    Command(
        "vectors without dimensions",
        SEARCH,
        "odd.st is a damaged descriptors file: vectors must have shape",
        make=stored(vectors=np.empty((6, 0), np.float32)),
    ),
    Command("vectors of zeros", SEARCH, out="0.0000", make=stored(vectors=np.zeros((6, 8), np.float32))),
    Command(
        "nothing in it",
        SEARCH,
        "the index is empty: there is nothing to search in",
        make=stored(ids=as_bytes([]), vectors=np.empty((0, 8), np.float32)),
    ),
    Command(
        "no queries",
        "search odd.st index.st --out r.csv",
        out="0 queries, 0 results each: r.csv",
        writes=("r.csv",),
        make=stored(ids=as_bytes([]), vectors=np.empty((0, 8), np.float32)),
    ),
    Command(
        "no queries to recognize",
        "recognize odd.st index.st",
        out="--",
        make=stored(ids=as_bytes([]), vectors=np.empty((0, 8), np.float32)),
    ),
    Command(
        "nothing to rerank",
        "rerank query.st odd.st",
        "the index is empty: there is nothing to search in",
        make=stored(ids=as_bytes([]), vectors=np.empty((0, 8), np.float32)),
    ),
    Command(
        "a nan in like",
        "embed photos --model local-dir:model --like odd.st --out x.st",
        "like= needs Descriptors that lz.embed made: these do not say",
        make=stored({"provenance": '{"views": "scales (__import__(1),), flip True"}'}),
    ),
    Command(
        "like of a model that is gone",
        "embed photos --like odd.st --out x.st",
        "'local-dir:gone': there is no folder gone",
        make=stored({"provenance": '{"command": "{\\"model\\": \\"local-dir:gone\\"}"}'}),
    ),
    Command(
        "like of a model that is a number",
        "embed photos --like odd.st --out x.st",
        "odd.st does not say which model made it: give --model as well",
        make=stored({"provenance": '{"command": "{\\"model\\": 5}"}'}),
    ),
    Command(
        "like of a command that is a list",
        "embed photos --like odd.st --out x.st",
        "odd.st: its provenance is damaged: give --model as well",
        make=stored({"provenance": '{"command": "[]"}'}),
    ),
    Command(
        "like of a command without end",
        "embed photos --like odd.st --out x.st",
        "odd.st: its provenance is damaged: give --model as well",
        make=stored({"provenance": json.dumps({"command": "[" * 99_999})}),
    ),
    Command(
        "like whitened on a number",
        "embed photos --like odd.st --out x.st",
        "the neck was whitened on the photos of 5, and there is no",
        make=stored(
            {"provenance": '{"command": "{\\"model\\": \\"efficientnet_lite0_gem\\", \\"whiten\\": 5}"}'}
        ),
    ),
    Command(
        "like of 9 x 99999 pixels",
        "embed photos --model local-dir:model --like odd.st --out x.st",
        "like= needs Descriptors that lz.embed made: these do not say",
        make=stored({"provenance": '{"image_size": "9 x 99999", "transform": "x"}'}),
    ),
    Command(
        "evaluated with an unknown photo",
        "evaluate photos odd.st",
        "1 of 6 photos of the data set have no descriptor, the first",
        make=stored(ids=as_bytes([*IDS[1:], "x"])),
    ),
    Command(
        "evaluated with a photo twice",
        "evaluate photos odd.st",
        "1 of 6 photos of the data set have no descriptor, the first",
        make=stored(ids=as_bytes([*IDS[1:], IDS[1]])),
    ),
]


@pytest.mark.parametrize("case", params(DESCRIPTORS))
def test_odd_file(case, world, capsys):
    case.check(world, capsys)
