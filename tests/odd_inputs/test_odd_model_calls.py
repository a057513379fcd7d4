"""Models, heads, transforms and data sets with odd arguments."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from odd_cases import Call, params

import landmarkzoo as lz

IDS = [f"{place}/{n}.png" for place in ("bridge", "tower") for n in range(3)]
EYE = np.eye(6, 8, dtype=np.float32)
CFG = lz.ModelCfg("GlobalDescriptor", {"backbone": "test_efficientnet"})


def index():
    return lz.Descriptors.load("index.st")


def _head_folder(**files):
    folder = Path("h")
    folder.mkdir()
    try:
        for name, content in files.items():
            (folder / name.replace("_", ".")).write_bytes(content)
        return lz.load_head("local-dir:h")
    finally:
        for path in folder.iterdir():
            path.unlink()
        folder.rmdir()


def _head_with_names(names):
    folder = Path("h")
    folder.mkdir()
    try:
        (folder / "head.safetensors").symlink_to(Path("model/head.safetensors").resolve())
        (folder / "classes.json").write_text(names if isinstance(names, str) else json.dumps(names))
        return lz.load_head(folder)
    finally:
        for path in folder.iterdir():
            path.unlink()
        folder.rmdir()


def _with_pipe(open_it):
    os.mkfifo("p")
    try:
        return open_it("p")
    finally:
        Path("p").unlink()


MODELS = [
    Call(
        "model name None",
        lambda: lz.create_model(None),
        TypeError,
        "create_model takes a name, such as 'dolg_efficientnet_b5' or",
    ),
    Call(
        "model name empty",
        lambda: lz.create_model(""),
        ValueError,
        "landmarkzoo has no model ''. See lz.list_models() or landmarkzoo models.",
    ),
    Call(
        "model name number",
        lambda: lz.create_model(5),
        TypeError,
        "create_model takes a name, such as 'dolg_efficientnet_b5' or",
    ),
    Call(
        "model name bytes",
        lambda: lz.create_model(b"dolg"),
        TypeError,
        "create_model takes a name, such as 'dolg_efficientnet_b5' or",
    ),
    Call(
        "model name with null",
        lambda: lz.create_model("local-dir:a\0b"),
        FileNotFoundError,
        "'local-dir:a\\x00b': there is no folder a",
    ),
    Call(
        "model device empty",
        lambda: lz.create_model("local-dir:model", device=""),
        ValueError,
        "cannot compute on the device '': Device string must not be",
    ),
    Call(
        "model device of another computer",
        lambda: lz.create_model("local-dir:model", device="hpu"),
        ValueError,
        "cannot compute on the device 'hpu': No module named",
    ),
    Call(
        "model dtype text",
        lambda: lz.create_model("local-dir:model", dtype="float32"),
        TypeError,
        "dtype must be a floating point type, such as torch.bfloat16,",
    ),
    Call(
        "model dtype int",
        lambda: lz.create_model("local-dir:model", dtype=torch.int64),
        TypeError,
        "dtype must be a floating point type, such as torch.bfloat16,",
    ),
    Call(
        "model revision for a folder",
        lambda: lz.create_model("local-dir:model", revision="main"),
        ValueError,
        "revision is for the Hub, 'hf-hub:org/repo', not for",
    ),
    Call(
        "model argument unknown",
        lambda: lz.create_model("efficientnet_lite0_gem", embeding_dim=8),
        ValueError,
        "GlobalDescriptor has no argument 'embeding_dim'. Did you mean",
    ),
    Call(
        "model argument text",
        lambda: lz.create_model("efficientnet_lite0_gem", embedding_dim="8"),
        ValueError,
        "embedding_dim must be a positive integer, got '8'",
    ),
    Call(
        "model of no dimensions",
        lambda: lz.create_model("efficientnet_lite0_gem", embedding_dim=0),
        ValueError,
        "embedding_dim must be a positive integer, got 0",
    ),
    Call(
        "pretrained text",
        lambda: lz.create_model("efficientnet_b5_gem", pretrained="yes"),
        ValueError,
        "no landmark weights of 'efficientnet_b5_gem' can be loaded by name",
    ),
    Call(
        "list_models number",
        lambda: lz.list_models(5),
        TypeError,
        "filter must be a wildcard, such as 'dolg*', or several, got 5",
    ),
    Call(
        "get_model_cfg None",
        lambda: lz.get_model_cfg(None),
        TypeError,
        "a model is named by a string, such as 'dolg_efficientnet_b5',",
    ),
    Call("is_model None", lambda: lz.is_model(None), right=lambda found: found is False),
    Call(
        "register empty name",
        lambda: lz.register_model("", CFG),
        ValueError,
        "'' cannot be the name of a model: it is made of letters,",
    ),
    Call(
        "register name of a folder",
        lambda: lz.register_model("local-dir:x", CFG),
        ValueError,
        "'local-dir:x' cannot be the name of a model: it is made of",
    ),
    Call(
        "register no cfg",
        lambda: lz.register_model("mine", {"architecture": "DOLG"}),
        TypeError,
        "register_model takes a name and a lz.ModelCfg, got str and",
    ),
    Call(
        "register taken",
        lambda: lz.register_model("dolg_efficientnet_b5", CFG),
        ValueError,
        "there is a model 'dolg_efficientnet_b5' already: use another",
    ),
    Call(
        "register an instance",
        lambda: lz.register_architecture(torch.nn.Flatten()),
        TypeError,
        "register_architecture takes a class, a subclass of",
    ),
    Call(
        "transform of a name",
        lambda: lz.create_transform("dolg_efficientnet_b5"),
        TypeError,
        "create_transform takes a landmarkzoo model or a ModelCfg, got",
    ),
    Call(
        "transform of text size",
        lambda: lz.create_transform(CFG, image_size="224"),
        ValueError,
        "image_size must be a side or (height, width) in pixels, got",
    ),
    Call(
        "transform of three sizes",
        lambda: lz.create_transform(CFG, image_size=(3, 224, 224)),
        ValueError,
        "image_size must be a side or (height, width) in pixels, got",
    ),
    Call(
        "transform of half a pixel",
        lambda: lz.create_transform(CFG, image_size=224.5),
        ValueError,
        "image_size must be a side or (height, width) in pixels, got",
    ),
    Call(
        "transform of true",
        lambda: lz.create_transform(CFG, image_size=True),
        ValueError,
        "image_size must be a side or (height, width) in pixels, got",
    ),
    Call(
        "head of nothing",
        lambda: lz.load_head(""),
        ValueError,
        "'' does not name a saved model: a folder is 'local-dir:path',",
    ),
    Call(
        "head of a number",
        lambda: lz.load_head(5),
        TypeError,
        "a saved model is named by a string or a Path, got int",
    ),
    Call(
        "head of photos",
        lambda: lz.load_head(Path("photos")),
        FileNotFoundError,
        "no head.safetensors: the folder photos does not hold one; save_pretrained(..., head=head) saves one",
    ),
    Call(
        "head of zeros",
        lambda: _head_folder(head_safetensors=bytes(99)),
        ValueError,
        "h/head.safetensors is damaged or not a safetensors file:",
    ),
    Call(
        "head that is descriptors",
        lambda: _head_folder(head_safetensors=Path("index.st").read_bytes()),
        ValueError,
        "h/head.safetensors was not written by this version of",
    ),
    Call(
        "head whose names are a dict",
        lambda: _head_with_names({"0": "a", "1": "b"}),
        ValueError,
        "h/classes.json must be a list of 2 names, one a class of the",
    ),
    Call(
        "head whose names are numbers",
        lambda: _head_with_names([0, 1]),
        ValueError,
        "h/classes.json must be a list of 2 names, one a class of the",
    ),
    Call(
        "head with a name too many",
        lambda: _head_with_names(["a", "b", "c"]),
        ValueError,
        "h/classes.json must be a list of 2 names, one a class of the",
    ),
    Call(
        "head whose names never end",
        lambda: _head_with_names("[" * 99_999),
        ValueError,
        "h/classes.json is damaged: maximum recursion depth exceeded",
    ),
    Call(
        "head with names in an order",
        lambda: _head_with_names(["b", "a"]),
        right=lambda found: found[1] == ["b", "a"],
    ),
    Call(
        "checkpoint None",
        lambda: lz.convert_checkpoint(None, "dolg_efficientnet_b5"),
        TypeError,
        "expected str, bytes or os.PathLike object, not NoneType",
    ),
    Call(
        "checkpoint of a folder",
        lambda: lz.convert_checkpoint("photos", "dolg_efficientnet_b5"),
        IsADirectoryError,
        "photos is a folder: give the checkpoint file in it",
    ),
    Call(
        "gem of a list",
        lambda: lz.GeM()([[1.0]]),
        TypeError,
        "GeM takes torch tensors, got list: torch.as_tensor(x) makes",
    ),
    Call(
        "gem p text", lambda: lz.GeM(p="3"), TypeError, "GeM needs numbers p and eps, got p='3' and eps=1e-06"
    ),
    Call(
        "margins of nothing",
        lambda: lz.dynamic_margins([]),
        ValueError,
        "class_counts must have shape (C,), one number a class, got",
    ),
    Call(
        "margins of minus",
        lambda: lz.dynamic_margins([5, -1]),
        ValueError,
        "class 1 has no image (its count is -1): every class needs a",
    ),
    Call(
        "folder of loose photos",
        lambda: lz.datasets.ImageFolder("photos/tower"),
        ValueError,
        "photos/tower has 3 photos outside of any landmark's folder,",
    ),
    Call(
        "folder of empty text",
        lambda: lz.datasets.ImageFolder(""),
        ValueError,
        "photos are read from a folder or a file, got an empty path",
    ),
    Call(
        "folder of a pipe",
        lambda: _with_pipe(lz.datasets.ImageFolder),
        FileNotFoundError,
        "neither a folder nor a file, nor a link to one: p",
    ),
    Call(
        "photo 10**30",
        lambda: lz.datasets.ImageFolder("photos")[10**30],
        IndexError,
        "there is no photo 1000000000000000000000000000000, the data",
    ),
    Call(
        "photo true",
        lambda: lz.datasets.ImageFolder("photos")[True],
        TypeError,
        "a photo is chosen by its position, an integer, got True: some",
    ),
    Call(
        "photo by its name",
        lambda: lz.datasets.ImageFolder("photos")["tower/0.png"],
        TypeError,
        "a photo is chosen by its position, an integer, got",
    ),
    Call(
        "photos of a table without paths",
        lambda: lz.datasets.CsvPhotos("labels.csv"),
        ValueError,
        "labels.csv, line 1: no column 'path', the columns are id,",
    ),
    Call(
        "photos of a table by another name",
        lambda: lz.datasets.CsvPhotos("labels.csv", "photos", path_column="ID"),
        right=lambda d: d.ids == IDS and not d.missing(),
    ),
    Call(
        "gldv2 of another split",
        lambda: lz.datasets.GLDv2("photos", "all"),
        ValueError,
        "split must be one of ('clean', 'x', 'full', 'index', 'test'),",
    ),
    Call(
        "evaluate on nothing",
        lambda: lz.evaluate(index(), None),
        TypeError,
        "no protocol for NoneType; there are protocols for GLDv2,",
    ),
    Call(
        "evaluate an array",
        lambda: lz.evaluate(EYE, lz.datasets.ImageFolder("photos")),
        TypeError,
        "evaluate takes a model or Descriptors, got ndarray;",
    ),
    Call(
        "rendered beyond sense",
        lambda: lz.rendered.RenderedLandmarks(10**9, 10**9),
        ValueError,
        "1000000000 landmarks x 1000000000 views and 40 distractors",
    ),
    Call(
        "rendered in 10**9 pixels",
        lambda: lz.rendered.RenderedLandmarks(1, 4, image_size=10**9),
        ValueError,
        "image_size must be at most 16,384 pixels a side, got",
    ),
    Call(
        "onnx of a name",
        lambda: lz.export_onnx("model", "x.onnx"),
        TypeError,
        "export_onnx takes a landmarkzoo model, got str; in a wrapper",
    ),
]


@pytest.mark.parametrize("case", params(MODELS))
def test_odd_model_call(case, world):
    case.check(world)
