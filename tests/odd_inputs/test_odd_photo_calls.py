"""Photos of every kind that embed is given, and its options."""

from io import BytesIO, StringIO
from pathlib import Path, PurePosixPath

import numpy as np
import pytest
import torch
from odd_cases import Call, params
from PIL import Image

import landmarkzoo as lz

IDS = [f"{place}/{n}.png" for place in ("bridge", "tower") for n in range(3)]
EYE = np.eye(6, 8, dtype=np.float32)
RGB = np.full((20, 30, 3), 99, np.uint8)


def tiny():
    return lz.create_model("local-dir:model")


def embed(photos, **options):
    """Embeds and tells how many, a photo each."""
    return lambda: lz.embed(tiny(), photos() if callable(photos) else photos, progress=False, **options)


def rows(count):
    return lambda found: len(found) == count and bool(np.isfinite(found.vectors).all())


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


def _closed():
    with Path("photos/tower/0.png").open("rb") as file:
        return file


def _at_end():
    file = BytesIO(Path("photos/tower/0.png").read_bytes())
    file.read()
    return file


def _closed_image():
    image = Image.open("photos/tower/0.png")
    image.close()
    return image


PHOTOS = [
    Call(
        "photos empty text",
        embed(""),
        ValueError,
        "photos are read from a folder or a file, got an empty path",
    ),
    Call("photos here", embed("."), right=rows(6)),
    Call(
        "photos None", embed(None), TypeError, "photos must be a folder, paths, PIL images, uint8 arrays or a"
    ),
    Call(
        "photos number", embed(7), TypeError, "photos must be a folder, paths, PIL images, uint8 arrays or a"
    ),
    Call(
        "photos dict",
        embed({"a": RGB}),
        TypeError,
        "photos must not be a dict: pass one of its values, by one of",
    ),
    Call("photos set of paths", embed({"photos/tower/0.png"}), right=rows(1)),
    Call("photos generator of paths", embed(lambda: (f"photos/{i}" for i in IDS)), right=rows(6)),
    Call("photos generator that breaks off", embed(endless), OSError, "the list broke off"),
    Call("photos path with a null byte", embed("a\0b.jpg"), FileNotFoundError, "no such folder or file: a"),
    Call("photos list with a null byte", embed(["a\0b.jpg"]), lz.PhotoError, "cannot read the photo a"),
    Call(
        "photos list with an empty text",
        embed(["photos/tower/0.png", ""]),
        lz.PhotoError,
        "cannot read the photo : it is a folder",
    ),
    Call(
        "photos path twice",
        embed(["photos/tower/0.png"] * 2),
        ValueError,
        "two photos have the id 'photos/tower/0.png', at 0 and 1: an",
    ),
    Call(
        "photos pure path",
        embed([PurePosixPath("photos/tower/0.png")]),
        TypeError,
        "a photo must be a path, bytes, a PIL image, a uint8 array (H,",
    ),
    Call(
        "photos bytes path",
        embed(b"photos/tower/0.png"),
        lz.PhotoError,
        "cannot read the photo 0: not an image, or of a format that",
    ),
    Call(
        "photos text file",
        embed(lambda: StringIO("x")),
        TypeError,
        "a file must be open in binary mode, as open(path, 'rb'): got",
    ),
    Call("photos closed file", embed(lambda: _closed()), ValueError, "I/O operation on closed file"),
    Call(
        "photos empty file",
        embed(lambda: BytesIO()),
        lz.PhotoError,
        "cannot read the photo 0: it has no bytes",
    ),
    Call("photos file at its end", embed(lambda: _at_end()), right=rows(1)),
    Call(
        "photos memoryview", embed(lambda: memoryview(Path("photos/tower/0.png").read_bytes())), right=rows(1)
    ),
    Call(
        "photos float array",
        embed(np.zeros((4, 4, 3))),
        TypeError,
        "images in memory must be uint8 arrays, got float64; floats in",
    ),
    Call(
        "photos bool array",
        embed(np.zeros((4, 4, 3), bool)),
        TypeError,
        "images in memory must be uint8 arrays, got bool; floats in",
    ),
    Call(
        "photos int64 tensor",
        embed(torch.zeros(3, 4, 4, dtype=torch.int64)),
        TypeError,
        "images in memory must be uint8 arrays, got int64; floats in",
    ),
    Call(
        "photos array of no pixels",
        embed(np.zeros((0, 0, 3), np.uint8)),
        ValueError,
        "an image in memory has no pixels: its shape is (0, 0, 3)",
    ),
    Call(
        "photos array of no height",
        embed(np.zeros((1, 0, 9, 3), np.uint8)),
        ValueError,
        "an image in memory has no pixels: its shape is (0, 9, 3)",
    ),
    Call(
        "photos array of 5 dimensions",
        embed(np.zeros((1, 1, 4, 4, 3), np.uint8)),
        ValueError,
        "images in memory must have shape (H, W, 3), (H, W, 4) or (H,",
    ),
    Call(
        "photos array of one dimension",
        embed(np.zeros(9, np.uint8)),
        TypeError,
        "a photo must be a path, bytes, a PIL image, a uint8 array (H,",
    ),
    Call(
        "photos array of two channels",
        embed(np.zeros((9, 9, 2), np.uint8)),
        ValueError,
        "images in memory must have shape (H, W, 3), (H, W, 4) or (H,",
    ),
    Call("photos array that steps back", embed(RGB[::-1, ::-2]), right=rows(1)),
    Call("photos masked array", embed(np.ma.masked_array(RGB, RGB > 9)), right=rows(1)),
    Call("photos array of paths", embed(np.array([f"photos/{i}" for i in IDS])), right=rows(6)),
    Call(
        "photos array of objects",
        embed(np.array([None, 5], dtype=object)),
        TypeError,
        "a photo must be a path, bytes, a PIL image, a uint8 array (H,",
    ),
    Call(
        "photos float tensor of NaN",
        embed(torch.full((1, 3, 32, 32), torch.nan)),
        ValueError,
        "the model gives NaN or infinite values for the photo 0",
    ),
    Call(
        "photos float tensor of 4 channels",
        embed(torch.zeros(1, 4, 32, 32)),
        ValueError,
        "a model takes a batch of RGB images (B, 3, H, W), got (1, 4,",
    ),
    Call(
        "photos float tensor of zero size",
        embed(torch.zeros(1, 3, 0, 32)),
        ValueError,
        "images are 0x32 px; this backbone needs at least 32x32 px:",
    ),
    Call(
        "photos image of no pixels",
        embed(lambda: Image.new("RGB", (0, 5))),
        lz.PhotoError,
        "cannot read the photo 0: it has no pixels: 0 x 5 (ValueError)",
    ),
    Call(
        "photos closed image",
        embed(lambda: _closed_image()),
        lz.PhotoError,
        "cannot read the photo 0: Operation on closed image",
    ),
    Call(
        "photos mixed",
        embed(["photos/tower/0.png", RGB]),
        TypeError,
        "a list of photos must hold paths only, or images in memory",
    ),
    Call(
        "photos nested",
        embed([["photos/tower/0.png"]]),
        TypeError,
        "there is a list inside the list of photos: give one flat list",
    ),
    Call("photos data set that lies", embed(Lying()), IndexError, "2"),
    Call(
        "photos tuple of image and label",
        embed((RGB, 5)),
        TypeError,
        "a photo must be a path, bytes, a PIL image, a uint8 array (H,",
    ),
    Call(
        "boxes outside",
        embed([RGB], boxes=[(900, 900, 990, 990)]),
        lz.PhotoError,
        "cannot read the photo 0: the box (900.0, 900.0, 990.0, 990.0)",
    ),
    Call(
        "boxes upside down",
        embed([RGB], boxes=[(9, 9, 1, 1)]),
        ValueError,
        "box 0 is empty: (x1, y1, x2, y2) must have x1 < x2 and y1 <",
    ),
    Call(
        "boxes of NaN",
        embed([RGB], boxes=[(0, 0, float("nan"), 5)]),
        ValueError,
        "box 0 must be (x1, y1, x2, y2) in pixels, got (0, 0, nan, 5)",
    ),
    Call(
        "boxes of text",
        embed([RGB], boxes=["0,0,1,1"]),
        ValueError,
        "box 0 must be (x1, y1, x2, y2) in pixels, got '0,0,1,1'",
    ),
    Call(
        "boxes too few",
        embed([RGB, RGB], boxes=[None]),
        ValueError,
        "got 1 boxes for 2 photos: give one for each, None for a whole",
    ),
    Call(
        "batch_size text",
        embed([RGB], batch_size="8"),
        ValueError,
        "batch_size must be a positive integer, got '8'",
    ),
    Call(
        "batch_size true",
        embed([RGB], batch_size=True),
        ValueError,
        "batch_size must be a positive integer, got True",
    ),
    Call(
        "num_workers text",
        embed([RGB], num_workers="2"),
        ValueError,
        "num_workers must be 0 or a positive integer, got '2'",
    ),
    Call(
        "num_workers -1",
        embed([RGB], num_workers=-1),
        ValueError,
        "num_workers must be 0 or a positive integer, got -1",
    ),
    Call("num_workers of a million", embed([RGB], num_workers=1_000_000), right=rows(1)),
    Call(
        "on_error ignore",
        embed([RGB], on_error="ignore"),
        ValueError,
        "on_error must be one of ('raise', 'skip'), got 'ignore'",
    ),
    Call(
        "scales a number",
        embed([RGB], scales=1.0),
        TypeError,
        "scales must be a list of numbers, such as (0.7071, 1.0), got",
    ),
    Call(
        "scales text",
        embed([RGB], scales="12"),
        TypeError,
        "scales must be a list of numbers, such as (0.7071, 1.0), got",
    ),
    Call(
        "scales of None",
        embed([RGB], scales=(None,)),
        TypeError,
        "scales must be numbers, such as (0.7071, 1.0), got",
    ),
    Call(
        "transform None of a picture",
        embed([RGB], transform=lambda image: None),
        TypeError,
        "the transform must give a tensor, got NoneType",
    ),
    Call(
        "transform that fails",
        embed([RGB], transform=lambda image: 1 / 0),
        ZeroDivisionError,
        "division by zero",
    ),
    Call(
        "transform is a name",
        embed([RGB], transform="bicubic"),
        TypeError,
        "transform must be a function from an image to a tensor, got",
    ),
    Call(
        "device None type",
        embed([RGB], device=3.5),
        ValueError,
        "cannot compute on the device 3.5: device() received an",
    ),
    Call(
        "precision a dtype",
        embed([RGB], precision=torch.float32),
        ValueError,
        "precision must be one of ('auto', 'float32', 'bfloat16',",
    ),
    Call("out empty text", embed([RGB], out=""), OSError, "cannot write : it is a folder"),
    Call("out folder", embed([RGB], out="photos"), OSError, "cannot write photos: it is a folder"),
    Call(
        "out a photo",
        embed("photos", out="photos/tower/0.png"),
        OSError,
        "photos/tower/0.png: it is there already and does not hold",
    ),
    Call(
        "out of bytes",
        embed([RGB], out=b"x.st"),
        TypeError,
        "argument should be a str object or an os.PathLike object",
    ),
    Call(
        "like is a path",
        embed([RGB], like="index.st"),
        TypeError,
        "like= takes Descriptors, got str; lz.Descriptors.load(path)",
    ),
    Call("like is an array", embed([RGB], like=EYE), TypeError, "like= takes Descriptors, got ndarray;"),
    Call(
        "model is a name",
        lambda: lz.embed("efficientnet_lite0_gem", [RGB], progress=False),
        TypeError,
        "a model must be a torch.nn.Module, got str;",
    ),
    Call(
        "model without transform",
        lambda: lz.embed(torch.nn.Flatten(), [RGB], progress=False),
        TypeError,
        "create_transform takes a landmarkzoo model or a ModelCfg, got",
    ),
    Call(
        "model of tuples",
        lambda: lz.embed(torch.nn.MaxPool2d(2, return_indices=True), torch.zeros(1, 3, 8, 8), progress=False),
        TypeError,
        "the model must give a tensor (B, D), got a tuple of 2: pass a",
    ),
]


@pytest.mark.parametrize("case", params(PHOTOS))
def test_odd_photo_call(case, world):
    case.check(world)
