"""Odd arguments of the library: the right answer, or one line that names what came."""

import json
import os
from io import BytesIO, StringIO
from pathlib import Path, PurePosixPath

import numpy as np
import pytest
import torch
from odd_cases import Call, params
from PIL import Image

import landmarkzoo as lz

IDS = [f"{place}/{n}.png" for place in ("bridge", "tower") for n in range(3)]


def tiny():
    return lz.create_model("local-dir:model")


def embed(photos, **options):
    """Embeds and tells how many, a photo each."""
    return lambda: lz.embed(tiny(), photos() if callable(photos) else photos, progress=False, **options)


def rows(count):
    return lambda found: len(found) == count and bool(np.isfinite(found.vectors).all())


def index():
    return lz.Descriptors.load("index.st")


EYE = np.eye(6, 8, dtype=np.float32)
RGB = np.full((20, 30, 3), 99, np.uint8)


class Lying:
    """A data set that is shorter than it says."""

    def __len__(self):
        return 4

    def __getitem__(self, position):
        if position > 1:
            raise IndexError(position)
        return Image.fromarray(RGB)


def endless():
    yield "photos/tower/0.png"
    raise OSError("the list broke off")


PHOTOS = [
    Call("photos empty text", embed(""), ValueError, "??"),
    Call("photos here", embed("."), right=rows(6)),
    Call("photos None", embed(None), TypeError, "??"),
    Call("photos number", embed(7), TypeError, "??"),
    Call("photos dict", embed({"a": RGB}), TypeError, "??"),
    Call("photos set of paths", embed({"photos/tower/0.png"}), right=rows(1)),
    Call("photos generator of paths", embed(lambda: (f"photos/{i}" for i in IDS)), right=rows(6)),
    Call("photos generator that breaks off", embed(endless), OSError, "??"),
    Call("photos path with a null byte", embed("a\0b.jpg"), (ValueError, OSError), "??"),
    Call("photos list with a null byte", embed(["a\0b.jpg"]), lz.PhotoError, "??"),
    Call("photos list with an empty text", embed(["photos/tower/0.png", ""]), lz.PhotoError, "??"),
    Call("photos path twice", embed(["photos/tower/0.png"] * 2), ValueError, "??"),
    Call("photos pure path", embed([PurePosixPath("photos/tower/0.png")]), (TypeError, ValueError), "??"),
    Call("photos bytes path", embed(b"photos/tower/0.png"), lz.PhotoError, "??"),
    Call("photos text file", embed(lambda: StringIO("x")), TypeError, "??"),
    Call("photos closed file", embed(lambda: _closed()), ValueError, "??"),
    Call("photos empty file", embed(lambda: BytesIO()), lz.PhotoError, "??"),
    Call("photos file at its end", embed(lambda: _at_end()), right=rows(1)),
    Call("photos memoryview", embed(lambda: memoryview(Path("photos/tower/0.png").read_bytes())), right=rows(1)),
    Call("photos float array", embed(np.zeros((4, 4, 3))), TypeError, "??"),
    Call("photos bool array", embed(np.zeros((4, 4, 3), bool)), TypeError, "??"),
    Call("photos int64 tensor", embed(torch.zeros(3, 4, 4, dtype=torch.int64)), TypeError, "??"),
    Call("photos array of no pixels", embed(np.zeros((0, 0, 3), np.uint8)), ValueError, "??"),
    Call("photos array of no height", embed(np.zeros((1, 0, 9, 3), np.uint8)), ValueError, "??"),
    Call("photos array of 5 dimensions", embed(np.zeros((1, 1, 4, 4, 3), np.uint8)), (TypeError, ValueError), "??"),
    Call("photos array of one dimension", embed(np.zeros(9, np.uint8)), (TypeError, ValueError), "??"),
    Call("photos array of two channels", embed(np.zeros((9, 9, 2), np.uint8)), ValueError, "??"),
    Call("photos array that steps back", embed(RGB[::-1, ::-2]), right=rows(1)),
    Call("photos masked array", embed(np.ma.masked_array(RGB, RGB > 9)), right=rows(1)),
    Call("photos array of paths", embed(np.array([f"photos/{i}" for i in IDS])), right=rows(6)),
    Call("photos array of objects", embed(np.array([None, 5], dtype=object)), TypeError, "??"),
    Call("photos float tensor of NaN", embed(torch.full((1, 3, 32, 32), torch.nan)), ValueError, "??"),
    Call("photos float tensor of 4 channels", embed(torch.zeros(1, 4, 32, 32)), ValueError, "??"),
    Call("photos float tensor of zero size", embed(torch.zeros(1, 3, 0, 32)), ValueError, "??"),
    Call("photos image of no pixels", embed(lambda: Image.new("RGB", (0, 5))), lz.PhotoError, "??"),
    Call("photos closed image", embed(lambda: _closed_image()), lz.PhotoError, "??"),
    Call("photos mixed", embed(["photos/tower/0.png", RGB]), TypeError, "??"),
    Call("photos nested", embed([["photos/tower/0.png"]]), TypeError, "??"),
    Call("photos data set that lies", embed(Lying()), IndexError, "??"),
    Call("photos tuple of image and label", embed((RGB, 5)), TypeError, "??"),
    Call("boxes outside", embed([RGB], boxes=[(900, 900, 990, 990)]), lz.PhotoError, "??"),
    Call("boxes upside down", embed([RGB], boxes=[(9, 9, 1, 1)]), ValueError, "??"),
    Call("boxes of NaN", embed([RGB], boxes=[(0, 0, float("nan"), 5)]), ValueError, "??"),
    Call("boxes of text", embed([RGB], boxes=["0,0,1,1"]), (TypeError, ValueError), "??"),
    Call("boxes too few", embed([RGB, RGB], boxes=[None]), ValueError, "??"),
    Call("batch_size text", embed([RGB], batch_size="8"), ValueError, "??"),
    Call("batch_size true", embed([RGB], batch_size=True), ValueError, "??"),
    Call("num_workers None", embed([RGB], num_workers=None), (TypeError, ValueError), "??"),
    Call("num_workers -1", embed([RGB], num_workers=-1), ValueError, "??"),
    Call("num_workers of a million", embed([RGB], num_workers=1_000_000), right=rows(1)),
    Call("on_error ignore", embed([RGB], on_error="ignore"), ValueError, "??"),
    Call("scales a number", embed([RGB], scales=1.0), (TypeError, ValueError), "??"),
    Call("scales text", embed([RGB], scales="12"), (TypeError, ValueError), "??"),
    Call("scales None", embed([RGB], scales=None), (TypeError, ValueError), "??"),
    Call("transform None of a picture", embed([RGB], transform=lambda image: None), TypeError, "??"),
    Call("transform that fails", embed([RGB], transform=lambda image: 1 / 0), ZeroDivisionError, "??"),
    Call("transform is a name", embed([RGB], transform="bicubic"), TypeError, "??"),
    Call("device None type", embed([RGB], device=3.5), (TypeError, ValueError), "??"),
    Call("precision a dtype", embed([RGB], precision=torch.float32), (TypeError, ValueError), "??"),
    Call("out empty text", embed([RGB], out=""), OSError, "??"),
    Call("out folder", embed([RGB], out="photos"), OSError, "??"),
    Call("out a photo", embed("photos", out="photos/tower/0.png"), OSError, "??"),
    Call("out of bytes", embed([RGB], out=b"x.st"), TypeError, "??"),
    Call("like is a path", embed([RGB], like="index.st"), TypeError, "??"),
    Call("like is an array", embed([RGB], like=EYE), TypeError, "??"),
    Call("model is a name", lambda: lz.embed("efficientnet_lite0_gem", [RGB], progress=False), TypeError, "??"),
    Call("model without transform", lambda: lz.embed(torch.nn.Flatten(), [RGB], progress=False), TypeError, "??"),
    Call("model of tuples", lambda: lz.embed(torch.nn.MaxPool2d(2, return_indices=True), torch.zeros(1, 3, 8, 8), progress=False), (TypeError, ValueError), "??"),
]


def _closed():
    file = Path("photos/tower/0.png").open("rb")
    file.close()
    return file


def _at_end():
    file = BytesIO(Path("photos/tower/0.png").read_bytes())
    file.read()
    return file


def _closed_image():
    image = Image.open("photos/tower/0.png")
    image.close()
    return image


ARRAYS = [
    Call("ids are a text", lambda: lz.Descriptors("abcdef", EYE), TypeError, "??"),
    Call("ids are None", lambda: lz.Descriptors(None, EYE), TypeError, "??"),
    Call("ids are floats", lambda: lz.Descriptors([0.5] * 6, EYE), TypeError, "??"),
    Call("ids are true", lambda: lz.Descriptors([True] * 6, EYE), TypeError, "??"),
    Call("ids are a dict", lambda: lz.Descriptors(dict.fromkeys("abcdef"), EYE), right=lambda d: d.ids == list("abcdef")),
    Call("ids with half a character", lambda: _round_trip(lz.Descriptors(["\ud800", *"bcdef"], EYE)), right=lambda d: d.ids[0] == "\ud800"),
    Call("vectors text", lambda: lz.Descriptors(["a"], [["x"]]), TypeError, "??"),
    Call("vectors complex", lambda: lz.Descriptors(["a"], np.ones((1, 2), complex)), TypeError, "??"),
    Call("vectors ragged", lambda: lz.Descriptors(["a", "b"], [[1, 2], [3]]), TypeError, "??"),
    Call("vectors dates", lambda: lz.Descriptors(["a"], np.array([["2020-01-01"]], "M8[D]")), TypeError, "??"),
    Call("vectors sparse", lambda: lz.Descriptors(["a"], torch.eye(1).to_sparse()), TypeError, "??"),
    Call("vectors on meta", lambda: lz.Descriptors(["a"], torch.ones(1, 2, device="meta")), TypeError, "??"),
    Call("vectors that need gradients", lambda: lz.Descriptors(["a"], torch.ones(1, 2, requires_grad=True)), right=rows(1)),
    Call("vectors big endian", lambda: lz.Descriptors(["a"], np.ones((1, 2), ">f4")), right=lambda d: d.vectors.tolist() == [[1, 1]]),
    Call("vectors read only", lambda: lz.search(np.broadcast_to(EYE[0], (2, 8)), EYE, 1), right=lambda r: r.indices.tolist() == [[0], [0]]),
    Call("row float", lambda: index()[1.0], TypeError, "??"),
    Call("row None", lambda: index()[None], (TypeError, IndexError), "??"),
    Call("row beyond", lambda: index()[6], IndexError, "??"),
    Call("row of 10**30", lambda: index()[10**30], (IndexError, TypeError), "??"),
    Call("row unknown id", lambda: index()["tower/9.png"], KeyError, "??"),
    Call("row ids and numbers", lambda: index()[["tower/0.png", 1]], (TypeError, KeyError), "??"),
    Call("row mask too short", lambda: index()[[True, False]], IndexError, "??"),
    Call("row two axes", lambda: index()[0, 0], TypeError, "??"),
    Call("row nothing", lambda: index()[[]], right=lambda d: len(d) == 0),
    Call("save with a null byte", lambda: index().save("a\0b"), OSError, "??"),
    Call("save to a folder by its slash", lambda: index().save("new/"), OSError, "??"),
    Call("save to a number", lambda: index().save(5), TypeError, "??"),
    Call("load nothing", lambda: lz.Descriptors.load(""), (ValueError, OSError), "??"),
    Call("load a null byte", lambda: lz.Descriptors.load("a\0b"), (ValueError, OSError), "??"),
    Call("concat one that is no list", lambda: lz.Descriptors.concat(index()), right=rows(6)),
    Call("concat arrays", lambda: lz.Descriptors.concat([EYE, EYE]), TypeError, "??"),
    Call("concat with itself", lambda: lz.Descriptors.concat([index(), index()]), ValueError, "??"),
    Call("concat dimensions", lambda: lz.Descriptors.concat([index(), lz.Descriptors(["x"], np.ones((1, 9)))]), ValueError, "??"),
    Call("search k 0", lambda: lz.search(EYE, EYE, 0), ValueError, "??"),
    Call("search k numpy", lambda: lz.search(EYE, EYE, np.int32(2)), right=lambda r: r.indices.shape == (6, 2)),
    Call("search k 2.0", lambda: lz.search(EYE, EYE, 2.0), ValueError, "??"),
    Call("search k 2**64", lambda: lz.search(EYE, EYE, 2**64), ValueError, "??"),
    Call("search with swapped axes", lambda: lz.search(EYE, EYE.T, 2), ValueError, "??"),
    Call("search one vector", lambda: lz.search(EYE[0], EYE, 2), ValueError, "??"),
    Call("search a ranking", lambda: lz.search(lz.search(EYE, EYE, 2), EYE, 2), TypeError, "??"),
    Call("search infinity", lambda: lz.search(np.full((6, 8), np.inf), EYE, 2), ValueError, "??"),
    Call("search tiny vectors", lambda: lz.search(EYE * np.float32(1e-30), EYE, 1), right=lambda r: r.indices.ravel().tolist() == list(range(6)) and np.allclose(r.scores, 1)),
    Call("search huge vectors", lambda: lz.search(EYE * np.float32(1e30), EYE, 1), right=lambda r: np.allclose(r.scores, 1)),
    Call("search subnormal vectors", lambda: lz.search(EYE * np.float32(1e-44), EYE, 1), right=lambda r: np.allclose(r.scores, 1)),
    Call("search itself without ids", lambda: lz.search(EYE, EYE, 1, exclude_same_id=True), (TypeError, ValueError), "??"),
    Call("ranking rows beyond", lambda: lz.Ranking(np.array([[9]]), np.ones((1, 1)), ["q"], ["a"]), ValueError, "??"),
    Call("ranking of floats", lambda: lz.Ranking(np.array([[0.5]]), np.ones((1, 1))), TypeError, "??"),
    Call("ranking of NaN", lambda: lz.Ranking(np.array([[0]]), np.full((1, 1), np.nan)), ValueError, "??"),
    Call("whiten one photo", lambda: lz.Whitening.fit(EYE[:1]), ValueError, "??"),
    Call("whiten equal photos", lambda: lz.Whitening.fit(np.ones((5, 3))), ValueError, "??"),
    Call("whiten to 0", lambda: lz.Whitening.fit(EYE, dim=0), ValueError, "??"),
    Call("whiten to more", lambda: lz.Whitening.fit(EYE, dim=9), ValueError, "??"),
    Call("whiten shrinkage text", lambda: lz.Whitening.fit(EYE, dim=2, shrinkage="0.1"), (TypeError, ValueError), "??"),
    Call("whiten shrinkage NaN", lambda: lz.Whitening.fit(EYE, dim=2, shrinkage=float("nan")), ValueError, "??"),
    Call("whiten labels of one each", lambda: lz.Whitening.fit(EYE, dim=2, labels=list(range(6))), ValueError, "??"),
    Call("whiten labels too few", lambda: lz.Whitening.fit(EYE, dim=2, labels=[1]), ValueError, "??"),
    Call("whitening of other size", lambda: lz.Whitening.load("white.st").apply(np.ones((2, 9))), ValueError, "??"),
    Call("whitening of descriptors", lambda: lz.Whitening.load("index.st"), ValueError, "??"),
    Call("vote with half labels", lambda: lz.rerank.vote(EYE, EYE, ["a", 1, "a", 1, "a", 1]), TypeError, "??"),
    Call("vote with an empty name", lambda: lz.rerank.vote(EYE, EYE, [""] * 6), ValueError, "??"),
    Call("vote with label 2**63", lambda: lz.rerank.vote(EYE, EYE, [2**63] * 6), (TypeError, ValueError), "??"),
    Call("recognize neighbors 10**30", lambda: lz.recognize(EYE, EYE, ["a"] * 6, neighbors=10**30), ValueError, "??"),
    Call("recognize threshold None", lambda: lz.recognize(EYE, EYE, ["a"] * 6).above(None), ValueError, "??"),
    Call("recognize nothing", lambda: lz.recognize(EYE[:0], EYE, ["a"] * 6), right=lambda r: len(r) == 0),
    Call("recognize by nothing", lambda: lz.recognize(EYE, EYE[:0], []), ValueError, "??"),
    Call("hard threshold NaN", lambda: lz.rerank.hard_discriminative(EYE, EYE, EYE, list("aabbcc"), threshold=float("nan")), ValueError, "??"),
    Call("soft up NaN", lambda: lz.rerank.soft_discriminative(EYE, EYE, EYE, list("aabbcc"), up=float("nan")), ValueError, "??"),
    Call("expansion alpha infinite", lambda: lz.rerank.alpha_query_expansion(EYE, EYE, alpha=float("inf")), ValueError, "??"),
    Call("sum of nothing", lambda: lz.ensemble.sum_scores([]), ValueError, "??"),
    Call("sum of one ranking, bare", lambda: lz.ensemble.sum_scores(lz.search(EYE, EYE, 2)), (TypeError, ValueError), "??"),
    Call("gap of two lengths", lambda: lz.metrics.gap([1, 2], [0.5], [[1], [2]]), ValueError, "??"),
    Call("gap of NaN", lambda: lz.metrics.gap([1], [float("nan")], [[1]]), ValueError, "??"),
    Call("gap of nothing", lambda: lz.metrics.gap([], [], []), ValueError, "??"),
    Call("map of rows twice", lambda: lz.metrics.mean_average_precision(np.array([[1, 0, 0]]), [[0, 2]]), right=lambda ap: ap == 0.25),
    Call("map of nothing relevant", lambda: lz.metrics.mean_average_precision(np.array([[0]]), [[]]), ValueError, "??"),
]


def _round_trip(descriptors):
    descriptors.save("d.st")
    try:
        return lz.Descriptors.load("d.st")
    finally:
        Path("d.st").unlink()


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


CFG = lz.ModelCfg("GlobalDescriptor", {"backbone": "test_efficientnet"})

MODELS = [
    Call("model name None", lambda: lz.create_model(None), TypeError, "??"),
    Call("model name empty", lambda: lz.create_model(""), ValueError, "??"),
    Call("model name number", lambda: lz.create_model(5), TypeError, "??"),
    Call("model name bytes", lambda: lz.create_model(b"dolg"), TypeError, "??"),
    Call("model name with null", lambda: lz.create_model("local-dir:a\0b"), (ValueError, OSError), "??"),
    Call("model device empty", lambda: lz.create_model("local-dir:model", device=""), ValueError, "??"),
    Call("model device of another computer", lambda: lz.create_model("local-dir:model", device="hpu"), ValueError, "??"),
    Call("model dtype text", lambda: lz.create_model("local-dir:model", dtype="float32"), (TypeError, ValueError), "??"),
    Call("model dtype int", lambda: lz.create_model("local-dir:model", dtype=torch.int64), (TypeError, ValueError), "??"),
    Call("model revision for a folder", lambda: lz.create_model("local-dir:model", revision="main"), ValueError, "??"),
    Call("model argument unknown", lambda: lz.create_model("efficientnet_lite0_gem", embeding_dim=8), TypeError, "??"),
    Call("model argument text", lambda: lz.create_model("efficientnet_lite0_gem", embedding_dim="8"), (TypeError, ValueError), "??"),
    Call("model of no dimensions", lambda: lz.create_model("efficientnet_lite0_gem", embedding_dim=0), ValueError, "??"),
    Call("pretrained text", lambda: lz.create_model("efficientnet_lite0_gem", pretrained="yes"), (TypeError, ValueError, lz.WeightsNotFoundError), "??"),
    Call("list_models number", lambda: lz.list_models(5), TypeError, "??"),
    Call("get_model_cfg None", lambda: lz.get_model_cfg(None), TypeError, "??"),
    Call("is_model None", lambda: lz.is_model(None), right=lambda found: found is False),
    Call("register empty name", lambda: lz.register_model("", CFG), ValueError, "??"),
    Call("register name of a folder", lambda: lz.register_model("local-dir:x", CFG), ValueError, "??"),
    Call("register no cfg", lambda: lz.register_model("mine", {"architecture": "DOLG"}), TypeError, "??"),
    Call("register taken", lambda: lz.register_model("dolg_efficientnet_b5", CFG), ValueError, "??"),
    Call("register an instance", lambda: lz.register_architecture(torch.nn.Flatten()), TypeError, "??"),
    Call("transform of a name", lambda: lz.create_transform("dolg_efficientnet_b5"), TypeError, "??"),
    Call("transform of text size", lambda: lz.create_transform(CFG, image_size="224"), (TypeError, ValueError), "??"),
    Call("transform of three sizes", lambda: lz.create_transform(CFG, image_size=(3, 224, 224)), ValueError, "??"),
    Call("transform of half a pixel", lambda: lz.create_transform(CFG, image_size=224.5), ValueError, "??"),
    Call("transform of true", lambda: lz.create_transform(CFG, image_size=True), ValueError, "??"),
    Call("head of nothing", lambda: lz.load_head(""), ValueError, "??"),
    Call("head of a number", lambda: lz.load_head(5), TypeError, "??"),
    Call("head of photos", lambda: lz.load_head(Path("photos")), FileNotFoundError, "??"),
    Call("head of zeros", lambda: _head_folder(head_safetensors=bytes(99)), ValueError, "??"),
    Call("head that is descriptors", lambda: _head_folder(head_safetensors=Path("index.st").read_bytes()), ValueError, "??"),
    Call("head whose names are a dict", lambda: _head_with_names({"0": "a", "1": "b"}), ValueError, "??"),
    Call("head whose names are numbers", lambda: _head_with_names([0, 1]), ValueError, "??"),
    Call("head with a name too many", lambda: _head_with_names(["a", "b", "c"]), ValueError, "??"),
    Call("head whose names never end", lambda: _head_with_names("[" * 99_999), ValueError, "??"),
    Call("head with names in an order", lambda: _head_with_names(["b", "a"]), right=lambda found: found[1] == ["b", "a"]),
    Call("checkpoint None", lambda: lz.convert_checkpoint(None, "dolg_efficientnet_b5"), TypeError, "??"),
    Call("checkpoint of a folder", lambda: lz.convert_checkpoint("photos", "dolg_efficientnet_b5"), (ValueError, OSError), "??"),
    Call("gem of a list", lambda: lz.GeM()([[1.0]]), (TypeError, ValueError), "??"),
    Call("gem p text", lambda: lz.GeM(p="3"), (TypeError, ValueError), "??"),
    Call("margins of nothing", lambda: lz.dynamic_margins([]), ValueError, "??"),
    Call("margins of minus", lambda: lz.dynamic_margins([5, -1]), ValueError, "??"),
    Call("folder of loose photos", lambda: lz.datasets.ImageFolder("photos/tower"), ValueError, "??"),
    Call("folder of empty text", lambda: lz.datasets.ImageFolder(""), ValueError, "??"),
    Call("folder of a pipe", lambda: _with_pipe(lz.datasets.ImageFolder), FileNotFoundError, "??"),
    Call("photo 10**30", lambda: lz.datasets.ImageFolder("photos")[10**30], IndexError, "??"),
    Call("photo true", lambda: lz.datasets.ImageFolder("photos")[True], TypeError, "??"),
    Call("photo by its name", lambda: lz.datasets.ImageFolder("photos")["tower/0.png"], TypeError, "??"),
    Call("photos of a table without paths", lambda: lz.datasets.CsvPhotos("labels.csv"), ValueError, "??"),
    Call("photos of a table by another name", lambda: lz.datasets.CsvPhotos("labels.csv", "photos", path_column="ID"), right=lambda d: d.ids == IDS and not d.missing()),
    Call("gldv2 of another split", lambda: lz.datasets.GLDv2("photos", "all"), ValueError, "??"),
    Call("evaluate on nothing", lambda: lz.evaluate(index(), None), TypeError, "??"),
    Call("evaluate an array", lambda: lz.evaluate(EYE, lz.datasets.ImageFolder("photos")), TypeError, "??"),
    Call("rendered beyond sense", lambda: lz.rendered.RenderedLandmarks(10**9, 10**9), ValueError, "??"),
    Call("rendered in 10**9 pixels", lambda: lz.rendered.RenderedLandmarks(1, 4, image_size=10**9), ValueError, "??"),
    Call("onnx of a name", lambda: lz.export_onnx("model", "x.onnx"), TypeError, "??"),
]


def _with_pipe(open_it):
    os.mkfifo("p")
    try:
        return open_it("p")
    finally:
        Path("p").unlink()


@pytest.mark.parametrize("case", params([*PHOTOS, *ARRAYS, *MODELS]))
def test_odd_call(case, world):
    case.check(world)
