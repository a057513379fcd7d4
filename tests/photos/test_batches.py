"""Whose fault an error is: of the photo, which is skipped on request, or of the program, which never is."""

import struct
import sys
import traceback

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import Dataset
from torchvision.datasets import ImageFolder

import landmarkzoo as lz
from landmarkzoo.photos import PhotoError


@pytest.fixture
def folder(tmp_path):
    """Three photos, of which the first is too large and the second is cut."""
    (tmp_path / "dome").mkdir()
    Image.new("1", (20_000, 10_000)).save(tmp_path / "dome" / "1.png")
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "dome" / "2.png")
    content = (tmp_path / "dome" / "2.png").read_bytes()
    (tmp_path / "dome" / "2.png").write_bytes(content[: len(content) // 2])
    (tmp_path / "dome" / "3.png").write_bytes(content)
    return tmp_path


@pytest.mark.parametrize("workers", [0, 1])
def test_what_a_foreign_data_set_cannot_decode_is_skipped(folder, tiny_model, workers):
    data = ImageFolder(folder)
    d = lz.embed(tiny_model, data, on_error="skip", progress=False, num_workers=workers)
    assert d.ids == [str(folder / "dome" / "3.png")]
    names = [(entry[0], entry[1]) for entry in d.skipped]
    assert [name for name, _ in names] == [str(folder / "dome" / f"{row}.png") for row in (1, 2)]
    assert "PIL.Image.MAX_IMAGE_PIXELS" in names[0][1]
    with pytest.raises(PhotoError, match=r"1\.png: Image size .*MAX_IMAGE_PIXELS"):
        lz.embed(tiny_model, data, progress=False, num_workers=workers)


class Failing(Dataset):
    def __init__(self, error):
        self.error = error
        self.ids = ["a", "b"]

    def __len__(self):
        return 2

    def __getitem__(self, row):
        if row == 1:
            raise self.error
        return Image.new("RGB", (32, 32))


@pytest.mark.parametrize(
    "error",
    [OSError("cut"), SyntaxError("broken PNG"), EOFError("end"), struct.error("short"), PhotoError("x", "y")],
)
def test_errors_of_decoders_are_skipped(tiny_model, error):
    d = lz.embed(tiny_model, Failing(error), on_error="skip", progress=False)
    assert (d.ids, d.skipped[0][0]) == (["a"], "b")


@pytest.mark.parametrize("error", [ValueError("odd"), KeyError("image"), MemoryError()])
def test_a_fault_of_the_data_set_is_raised_with_the_photo(tiny_model, error):
    for on_error in ("raise", "skip"):
        with pytest.raises(type(error)) as caught:
            lz.embed(tiny_model, Failing(error), on_error=on_error, progress=False)
        assert "on the photo b. If that cannot be read, let it raise" in caught.value.__notes__[-1]


def odd(photo):
    if photo.width > 30:
        raise ValueError("size 20 is odd")
    return torch.zeros(3, 64, 64)


def says_so(photo):
    if photo.width > 30:
        raise PhotoError("this one", "it is too wide")
    return torch.zeros(3, 64, 64)


@pytest.mark.parametrize("workers", [0, 1])
def test_a_fault_of_the_transform_is_raised_with_the_photo(tmp_path, tiny_model, workers):
    paths = [tmp_path / f"{width}.png" for width in (20, 40)]
    for path in paths:
        Image.new("RGB", (int(path.stem), 10)).save(path)
    options = {"progress": False, "num_workers": workers}
    for on_error in ("raise", "skip"):
        with pytest.raises(ValueError, match="size 20 is odd") as caught:
            lz.embed(tiny_model, paths, transform=odd, on_error=on_error, **options)
        shown = "".join(traceback.format_exception(caught.value))
        if sys.version_info >= (3, 11):  # older ones do not show notes
            assert f"The transform failed on the photo {paths[1]}. To leave" in shown
    d = lz.embed(tiny_model, paths, transform=says_so, on_error="skip", **options)
    assert (d.ids, d.skipped[0][:2]) == ([str(paths[0])], (str(paths[1]), "it is too wide"))


def test_image_sizes_are_bounded_before_memory_is_taken():
    cfg = lz.get_model_cfg("efficientnet_lite0_gem")
    for size in (100_000, (224, 16_385)):
        with pytest.raises(ValueError, match=r"image_size must be at most 16,384 pixels a side, got"):
            lz.create_transform(cfg, image_size=size)
    assert lz.create_transform(cfg, image_size=16_384).transforms[0].size == [16_384, 16_384]
