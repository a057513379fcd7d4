"""Descriptors files, tables, model folders and checkpoints of every odd kind."""

import json
import os
import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest
from odd_cases import Command, params
from safetensors.numpy import load_file, save_file

import landmarkzoo as lz

SEARCH = "search query.st odd.st"
LABELS = "recognize query.st index.st --labels odd.csv"
MODEL = "embed photos --model local-dir:odd --out x.st"
CONVERT = "convert odd.pth dolg_efficientnet_b5 --out new"
IDS = [f"{place}/{n}.png" for place in ("bridge", "tower") for n in range(3)]
ROWS = "".join(f"{id_},{id_.split('/')[0]}\n" for id_ in IDS)


def write(name, content):
    """Makes a file."""

    def make():
        data = content() if callable(content) else content
        Path(name).write_bytes(data if isinstance(data, bytes) else data.encode())

    return make


def as_bytes(value):
    return np.frombuffer(json.dumps(value).encode(), np.uint8)


def stored(metadata=None, name="odd.st", **tensors):
    """Makes a descriptors file, in which some tensors and fields are others."""

    def make():
        right = {"vectors": np.eye(6, 8, dtype=np.float32), "ids": as_bytes(IDS), "skipped": as_bytes([])}
        fields = {"format": "landmarkzoo.descriptors.v1", "provenance": "{}", **(metadata or {})}
        arrays = {key: value for key, value in {**right, **tensors}.items() if value is not None}
        save_file(arrays, name, {key: value for key, value in fields.items() if value is not None})

    return make


def header(text, behind=b""):
    data = text if isinstance(text, bytes) else text.encode()
    return write("odd.st", len(data).to_bytes(8, "little") + data + behind)


def csv(text):
    return write("odd.csv", text)


def tampered(change):
    """Makes a copy of the model, in which something is other."""

    def make():
        shutil.copytree(Path("model").resolve(), "odd")
        change(Path("odd"))

    return make


def config(**values):
    def change(folder):
        path = folder / "config.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), **values}))

    return tampered(change)


def weights(change):
    def rewrite(folder):
        tensors = load_file(folder / "model.safetensors")
        change(tensors)
        save_file(tensors, folder / "model.safetensors", {"format": "pt"})

    return tampered(rewrite)


def text(name, content):
    data = content if isinstance(content, bytes) else content.encode()
    return tampered(lambda folder: (folder / name).write_bytes(data))


def instead(name, make_it):
    """Makes a copy of the model with something else where a file was."""

    def change(folder):
        (folder / name).unlink()
        make_it(folder / name)

    return tampered(change)


def every(tensors, value):
    for name, tensor in tensors.items():
        if tensor.dtype.kind == "f":
            tensors[name] = np.full_like(tensor, value)


class Evil:
    def __reduce__(self):
        return os.system, ("touch evil",)


DESCRIPTORS = [
    Command("no such file", SEARCH, "??"),
    Command("a folder", SEARCH, "??", make=lambda: Path("odd.st").mkdir()),
    Command("a pipe", SEARCH, "??", make=lambda: os.mkfifo("odd.st")),
    Command("a device", "search query.st /dev/zero", "??"),
    Command("a link to itself", SEARCH, "??", make=lambda: Path("odd.st").symlink_to("odd.st")),
    Command("no bytes", SEARCH, "??", make=write("odd.st", b"")),
    Command("seven bytes", SEARCH, "??", make=write("odd.st", b"1234567")),
    Command("a length only", SEARCH, "??", make=write("odd.st", (2**63).to_bytes(8, "little"))),
    Command("a header that is a list", SEARCH, "??", make=header("[]")),
    Command("a header that is a number", SEARCH, "??", make=header("5")),
    Command("a header of half a character", SEARCH, "??", make=header(b'{"\xff":1}')),
    Command("a header that never ends", SEARCH, "??", make=header("[" * 99_999)),
    Command(
        "tensors beyond the end",
        SEARCH,
        "??",
        make=header('{"vectors":{"dtype":"F32","shape":[9,9],"data_offsets":[0,324]}}'),
    ),
    Command(
        "tensors over each other",
        SEARCH,
        "??",
        make=header(
            '{"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},"b":{"dtype":"U8","shape":[4],"data_offsets":[2,6]}}',
            bytes(6),
        ),
    ),
    Command(
        "a shape of 2**63",
        SEARCH,
        "??",
        make=header('{"a":{"dtype":"U8","shape":[9223372036854775807,8],"data_offsets":[0,4]}}', bytes(4)),
    ),
    Command(
        "bytes behind the end",
        SEARCH,
        "??",
        make=lambda: (stored()(), Path("odd.st").write_bytes(Path("odd.st").read_bytes() + b"more")),
    ),
    Command(
        "last byte missing",
        SEARCH,
        "??",
        make=lambda: (stored()(), Path("odd.st").write_bytes(Path("odd.st").read_bytes()[:-1])),
    ),
    Command("no format", SEARCH, "??", make=stored({"format": None})),
    Command("of the next version", SEARCH, "??", make=stored({"format": "landmarkzoo.descriptors.v2"})),
    Command("a whitening", "search query.st white.st", "??"),
    Command("no ids", SEARCH, "??", make=stored(ids=None)),
    Command("ids that are no bytes", SEARCH, "??", make=stored(ids=np.arange(6.0))),
    Command("ids of two dimensions", SEARCH, out="bridge/0.png", make=stored(ids=as_bytes(IDS)[None])),
    Command(
        "ids in latin-1", SEARCH, "??", make=stored(ids=np.frombuffer('["\xfc"]'.encode("latin-1"), np.uint8))
    ),
    Command("ids that are a dict", SEARCH, "??", make=stored(ids=as_bytes({"a": 1}))),
    Command("an id that is null", SEARCH, "??", make=stored(ids=as_bytes([*IDS[1:], None]))),
    Command("an id too few", SEARCH, "??", make=stored(ids=as_bytes(IDS[1:]))),
    Command("ids nested without end", SEARCH, "??", make=stored(ids=np.frombuffer(b"[" * 99_999, np.uint8))),
    Command("ids all the same", SEARCH, "??", make=stored(ids=as_bytes(["a"] * 6))),
    Command("ids that are empty", SEARCH, "??", make=stored(ids=as_bytes(["", *IDS[1:]]))),
    Command(
        "ids with escapes",
        SEARCH,
        out="\\x1b[2J",
        make=stored(ids=as_bytes(["\x1b[2J", *IDS[1:]]), vectors=-np.eye(6, 8, dtype=np.float32)),
    ),
    Command("skipped that is a string", SEARCH, "??", make=stored(skipped=as_bytes("none"))),
    Command("skipped of three", SEARCH, "??", make=stored(skipped=as_bytes([["a", "b", "c"]]))),
    Command("provenance that is no JSON", SEARCH, "??", make=stored({"provenance": "{"})),
    Command("provenance of numbers", SEARCH, "??", make=stored({"provenance": '{"weights": 5}'})),
    Command("provenance that is a list", SEARCH, "??", make=stored({"provenance": "[]"})),
    Command("vectors of NaN", SEARCH, "??", make=stored(vectors=np.full((6, 8), np.nan, np.float32))),
    Command("vectors that float32 cannot hold", SEARCH, "??", make=stored(vectors=np.full((6, 8), 1e300))),
    Command("vectors of integers", SEARCH, out="tower", make=stored(vectors=np.eye(6, 8, dtype=np.int64))),
    Command("vectors of booleans", SEARCH, "??", make=stored(vectors=np.eye(6, 8, dtype=bool))),
    Command(
        "vectors of half floats", SEARCH, out="tower", make=stored(vectors=np.eye(6, 8, dtype=np.float16))
    ),
    Command("vectors of one dimension", SEARCH, "??", make=stored(vectors=np.ones(6, np.float32))),
    Command("vectors without dimensions", SEARCH, "??", make=stored(vectors=np.empty((6, 0), np.float32))),
    Command("vectors of zeros", SEARCH, out="0.0000", make=stored(vectors=np.zeros((6, 8), np.float32))),
    Command(
        "nothing in it", SEARCH, "??", make=stored(ids=as_bytes([]), vectors=np.empty((0, 8), np.float32))
    ),
    Command(
        "no queries",
        "search odd.st index.st --out r.csv",
        "??",
        make=stored(ids=as_bytes([]), vectors=np.empty((0, 8), np.float32)),
    ),
    Command(
        "no queries to recognize",
        "recognize odd.st index.st",
        "??",
        make=stored(ids=as_bytes([]), vectors=np.empty((0, 8), np.float32)),
    ),
    Command(
        "nothing to rerank",
        "rerank query.st odd.st",
        "??",
        make=stored(ids=as_bytes([]), vectors=np.empty((0, 8), np.float32)),
    ),
    Command(
        "a nan in like",
        f"embed photos --model local-dir:model --like odd.st --out x.st",
        "??",
        make=stored({"provenance": '{"views": "scales (__import__(1),), flip True"}'}),
    ),
    Command(
        "like of a model that is gone",
        "embed photos --like odd.st --out x.st",
        "??",
        make=stored({"provenance": '{"command": "{\\"model\\": \\"local-dir:gone\\"}"}'}),
    ),
    Command(
        "like of a model that is a number",
        "embed photos --like odd.st --out x.st",
        "??",
        make=stored({"provenance": '{"command": "{\\"model\\": 5}"}'}),
    ),
    Command(
        "like of a command that is a list",
        "embed photos --like odd.st --out x.st",
        "??",
        make=stored({"provenance": '{"command": "[]"}'}),
    ),
    Command(
        "like of a command without end",
        "embed photos --like odd.st --out x.st",
        "??",
        make=stored({"provenance": json.dumps({"command": "[" * 99_999})}),
    ),
    Command(
        "like whitened on a number",
        "embed photos --like odd.st --out x.st",
        "??",
        make=stored(
            {"provenance": '{"command": "{\\"model\\": \\"efficientnet_lite0_gem\\", \\"whiten\\": 5}"}'}
        ),
    ),
    Command(
        "like of 9 x 99999 pixels",
        "embed photos --model local-dir:model --like odd.st --out x.st",
        "??",
        make=stored({"provenance": '{"image_size": "9 x 99999", "transform": "x"}'}),
    ),
    Command(
        "evaluated with an unknown photo",
        "evaluate photos odd.st",
        "??",
        make=stored(ids=as_bytes([*IDS[1:], "x"])),
    ),
    Command(
        "evaluated with a photo twice",
        "evaluate photos odd.st",
        "??",
        make=stored(ids=as_bytes([*IDS[1:], IDS[1]])),
    ),
]

TABLES = [
    Command("no table", LABELS, "??"),
    Command("table of no bytes", LABELS, "??", make=csv("")),
    Command("table of a heading", LABELS, "??", make=csv("id,label\n")),
    Command("heading in capitals", LABELS, "??", make=csv("ID,LABEL\n" + ROWS)),
    Command("heading with spaces", LABELS, "??", make=csv("id, label\n" + ROWS)),
    Command("heading twice", LABELS, "??", make=csv("id,label,id\n")),
    Command("table with BOM", LABELS, out="bridge", make=csv("\ufeffid,label\n" + ROWS)),
    Command("table in UTF-16", LABELS, "??", make=csv(("id,label\n" + ROWS).encode("utf-16"))),
    Command("table of tabs", LABELS, "??", make=csv("id\tlabel\n")),
    Command(
        "table of old Mac lines", LABELS, out="bridge", make=csv("id,label\r" + ROWS.replace("\n", "\r"))
    ),
    Command(
        "table with a null byte",
        LABELS,
        out="bri",
        make=csv("id,label\n" + ROWS.replace("tower/0", "x\0", 1) + "tower/0.png,a\n"),
    ),
    Command("open quote", LABELS, "??", make=csv('id,label\n"' + ROWS)),
    Command("quote behind a name", LABELS, "??", make=csv('id,label\nbridge/0.png,"a"b\n')),
    Command("label of spaces", LABELS, "??", make=csv("id,label\n" + "".join(f"{i},   \n" for i in IDS))),
    Command(
        "labels with spaces around",
        LABELS,
        out="bridge/0.png  x ",
        make=csv("id,label\n" + "".join(f"{i}, x{' ' * n}\n" for n, i in enumerate(IDS))),
    ),
    Command("no label at all", LABELS, "??", make=csv("id,label\n" + "".join(f"{i},\n" for i in IDS))),
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
        "??",
        make=csv("id,label\n" + "".join(f'{i},"{"l" * 200_000}"\n' for i in IDS)),
    ),
    Command("a photo too few", LABELS, "??", make=csv("id,label\n" + ROWS[:-20])),
    Command("a photo twice", LABELS, "??", make=csv("id,label\n" + ROWS + ROWS)),
    Command("ids with backslashes", LABELS, "??", make=csv("id,label\n" + ROWS.replace("/", "\\"))),
    Command("three cells", LABELS, "??", make=csv("id,label\nbridge/0.png,a,b\n")),
    Command("labels are a folder", LABELS, "??", make=lambda: Path("odd.csv").mkdir()),
    Command("labels are a pipe", LABELS, "??", make=lambda: os.mkfifo("odd.csv")),
    Command("labels are descriptors", "recognize query.st index.st --labels index.st", "??"),
    Command(
        "labels for the report",
        "search query.st index.st --report r.html --photos photos --labels odd.csv",
        "??",
        make=csv("id,label\n"),
    ),
    Command(
        "gldv2 of rubbish",
        "gldv2 . --out .",
        "??",
        make=lambda: (Path("train.csv").write_text("a\n"), Path("train_clean.csv").write_text("b\n")),
    ),
    Command(
        "gldv2 with a letter",
        "gldv2 . --out .",
        "??",
        make=lambda: (
            Path("train.csv").write_text("id,url,landmark_id\na,u,1\n"),
            Path("train_clean.csv").write_text("landmark_id,images\none,a\n"),
        ),
    ),
    Command(
        "gldv2 with a minus",
        "gldv2 . --out .",
        "??",
        make=lambda: (
            Path("train.csv").write_text("id,url,landmark_id\na,u,-1\n"),
            Path("train_clean.csv").write_text("landmark_id,images\n-1,a\n"),
        ),
    ),
    Command(
        "oxford of a bomb",
        "evaluate . index.st --dataset oxford",
        "??",
        make=lambda: Path("gnd_roxford5k.pkl").write_bytes(pickle.dumps(Evil())),
    ),
    Command(
        "oxford of no bytes",
        "evaluate . index.st --dataset oxford",
        "??",
        make=write("gnd_roxford5k.pkl", b""),
    ),
    Command(
        "oxford of a list",
        "evaluate . index.st --dataset oxford",
        "??",
        make=lambda: Path("gnd_roxford5k.pkl").write_bytes(pickle.dumps([])),
    ),
    Command(
        "oxford of numbers",
        "evaluate . index.st --dataset oxford",
        "??",
        make=lambda: Path("gnd_roxford5k.pkl").write_bytes(
            pickle.dumps({"imlist": 1, "qimlist": 2, "gnd": 3})
        ),
    ),
    Command(
        "paris of a box of text",
        "evaluate . index.st --dataset paris",
        "??",
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
        "??",
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

FOLDERS = [
    Command("model is a file", "embed photos --model local-dir:index.st --out x.st", "??"),
    Command("model is a photo folder", "embed photos --model local-dir:photos --out x.st", "??"),
    Command("config of no bytes", MODEL, "??", make=text("config.json", "")),
    Command(
        "config with BOM",
        MODEL,
        "??",
        make=tampered(lambda f: (f / "config.json").write_text("\ufeff" + (f / "config.json").read_text())),
    ),
    Command(
        "config in UTF-16",
        MODEL,
        "??",
        make=tampered(
            lambda f: (f / "config.json").write_bytes((f / "config.json").read_text().encode("utf-16"))
        ),
    ),
    Command("config that is null", MODEL, "??", make=text("config.json", "null")),
    Command("config nested without end", MODEL, "??", make=text("config.json", '{"a":' * 99_999)),
    Command("config of megabytes", MODEL, "??", make=text("config.json", " " * 2_000_000)),
    Command("config is a folder", MODEL, "??", make=instead("config.json", Path.mkdir)),
    Command("config is a pipe", MODEL, "??", make=instead("config.json", os.mkfifo)),
    Command(
        "config leads to itself", MODEL, "??", make=instead("config.json", lambda p: p.symlink_to(p.name))
    ),
    Command("weights are a pipe", MODEL, "??", make=instead("model.safetensors", os.mkfifo)),
    Command("weights are a folder", MODEL, "??", make=instead("model.safetensors", Path.mkdir)),
    Command(
        "weights are descriptors",
        MODEL,
        "??",
        make=instead("model.safetensors", lambda p: shutil.copy("index.st", p)),
    ),
    Command("weights of NaN", MODEL, "??", make=weights(lambda t: every(t, np.nan))),
    Command("weights of infinity", MODEL, "??", make=weights(lambda t: every(t, np.inf))),
    Command("weights of zeros", MODEL, "??", make=weights(lambda t: every(t, 0))),
    Command("weights too large", MODEL, "??", make=weights(lambda t: every(t, 1e30))),
    Command(
        "weights in float64",
        MODEL,
        out="6 photos",
        writes=("x.st",),
        make=weights(
            lambda t: t.update({k: v.astype(np.float64) for k, v in t.items() if v.dtype.kind == "f"})
        ),
    ),
    Command(
        "weights of integers",
        MODEL,
        "??",
        make=weights(lambda t: t.update({k: v.astype(np.int8) for k, v in t.items()})),
    ),
    Command("one weight more", MODEL, "??", make=weights(lambda t: t.update(more=np.ones(3)))),
    Command("one weight less", MODEL, "??", make=weights(lambda t: t.pop(next(iter(t))))),
    Command(
        "weights transposed",
        MODEL,
        "??",
        make=weights(lambda t: t.update({k: np.ascontiguousarray(v.T) for k, v in t.items()})),
    ),
    Command("architecture unknown", MODEL, "??", make=config(architecture="os.system")),
    Command("architecture in lower case", MODEL, "??", make=config(architecture="globaldescriptor")),
    Command("architecture that is a list", MODEL, "??", make=config(architecture=["GlobalDescriptor"])),
    Command("args that are a list", MODEL, "??", make=config(args=[1])),
    Command("args that are empty", MODEL, "??", make=config(args={})),
    Command(
        "args that build it",
        MODEL,
        "??",
        make=config(args={"backbone": "test_efficientnet", "pretrained_backbone": True}),
    ),
    Command("backbone of the hub", MODEL, "??", make=config(args={"backbone": "hf-hub:evil/model"})),
    Command("backbone of a folder", MODEL, "??", make=config(args={"backbone": "local-dir:/etc"})),
    Command("backbone that is empty", MODEL, "??", make=config(args={"backbone": ""})),
    Command("backbone that is a number", MODEL, "??", make=config(args={"backbone": 5})),
    Command(
        "backbone with arguments",
        MODEL,
        "??",
        make=config(args={"backbone": "test_efficientnet", "backbone_args": {"checkpoint_path": "evil.pth"}}),
    ),
    Command(
        "pool that is a list",
        MODEL,
        "??",
        make=config(args={"backbone": "test_efficientnet", "pool": ["gem"]}),
    ),
    Command("embedding_dim of true", MODEL, "??", make=config(embedding_dim=True)),
    Command("embedding_dim of another size", MODEL, "??", make=config(embedding_dim=9)),
    Command("embedding_dim of 8.0", MODEL, "??", make=config(embedding_dim=8.0)),
    Command("input_size of one channel", MODEL, "??", make=config(input_size=[1, 32, 32])),
    Command("input_size of two", MODEL, "??", make=config(input_size=[3, 32])),
    Command("input_size of text", MODEL, "??", make=config(input_size=["3", "32", "32"])),
    Command("input_size of one pixel", MODEL, "??", make=config(input_size=[3, 1, 1])),
    Command("std of zero", MODEL, "??", make=config(std=[1, 1, 0])),
    Command("std that overflows", MODEL, "??", make=config(std=[1e-300] * 3)),
    Command(
        "mean of NaN",
        MODEL,
        "??",
        make=tampered(
            lambda f: (f / "config.json").write_text((f / "config.json").read_text().replace("0.485", "NaN"))
        ),
    ),
    Command(
        "mean of 1e999",
        MODEL,
        "??",
        make=tampered(
            lambda f: (f / "config.json").write_text(
                (f / "config.json").read_text().replace("0.485", "1e999")
            )
        ),
    ),
    Command(
        "mean of 5000 digits",
        MODEL,
        "??",
        make=tampered(
            lambda f: (f / "config.json").write_text(
                (f / "config.json").read_text().replace("0.485", "9" * 5000)
            )
        ),
    ),
    Command("interpolation in capitals", MODEL, "??", make=config(interpolation="BICUBIC")),
    Command("resize by crop", MODEL, "??", make=config(resize="crop")),
    Command("a field more", MODEL, "??", make=config(surprise=1)),
    Command("scores of text", MODEL, "??", make=config(scores="good")),
    Command("format of the next version", MODEL, "??", make=config(format="landmarkzoo.model.v2")),
    Command("format that is a list", MODEL, "??", make=config(format=["landmarkzoo.model.v1"])),
    Command("name with a line break", MODEL, out="6 photos", writes=("x.st",), make=config(name="a\nb")),
    Command(
        "two keys of one name",
        MODEL,
        "??",
        make=tampered(
            lambda f: (f / "config.json").write_text(
                (f / "config.json").read_text().rstrip()[:-1] + ', "embedding_dim": 9}'
            )
        ),
    ),
]

CHECKPOINTS = [
    Command("no checkpoint", CONVERT, "??"),
    Command("checkpoint of no bytes", CONVERT, "??", make=write("odd.pth", b"")),
    Command("checkpoint that is a photo", "convert photos/tower/0.png dolg_efficientnet_b5 --out new", "??"),
    Command("checkpoint that is a folder", "convert photos dolg_efficientnet_b5 --out new", "??"),
    Command("checkpoint that is a pipe", CONVERT, "??", make=lambda: os.mkfifo("odd.pth")),
    Command("checkpoint that is a device", "convert /dev/zero dolg_efficientnet_b5 --out new", "??"),
    Command(
        "checkpoint of a pickled bomb",
        CONVERT,
        "??",
        make=lambda: Path("odd.pth").write_bytes(pickle.dumps(Evil())),
    ),
    Command("checkpoint that is descriptors", "convert index.st dolg_efficientnet_b5 --out new", "??"),
    Command(
        "class names that are no list",
        f"{CONVERT} --class-names c.json",
        "??",
        make=write("c.json", '{"a": 1}'),
    ),
    Command(
        "class names that are numbers",
        f"{CONVERT} --class-names c.json",
        "??",
        make=write("c.json", "[1, null]"),
    ),
    Command(
        "class names in latin-1",
        f"{CONVERT} --class-names c.txt",
        "??",
        make=write("c.txt", "M\xfcnster".encode("latin-1")),
    ),
    Command(
        "class names nested without end",
        f"{CONVERT} --class-names c.json",
        "??",
        make=write("c.json", "[" * 99_999),
    ),
    Command("class names that are a folder", f"{CONVERT} --class-names photos", "??"),
    Command("out is a file", "convert index.st dolg_efficientnet_b5 --out labels.csv", "??"),
    Command("out is below a file", "convert index.st dolg_efficientnet_b5 --out labels.csv/x", "??"),
    Command(
        "out is a link to itself",
        "convert index.st dolg_efficientnet_b5 --out l",
        "??",
        make=lambda: Path("l").symlink_to("l"),
    ),
    Command("sub-centers of 0", "convert index.st dolg_efficientnet_b5 --out new --sub-centers 0", "??"),
    Command("a setting twice", "convert index.st dolg_efficientnet_b5 --out new --set a=1 --set a=2", "??"),
]


@pytest.mark.parametrize("case", params([*DESCRIPTORS, *TABLES, *FOLDERS, *CHECKPOINTS]))
def test_odd_file(case, world, capsys):
    case.check(world, capsys)
