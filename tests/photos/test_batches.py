"""Batches of photos, and whose fault an error is: the photo's, which is skipped on request, or not."""

import struct
import subprocess
import sys
import traceback
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from torch.utils.data import Dataset
from torchvision.datasets import ImageFolder

import landmarkzoo as lz
from landmarkzoo.photos import PhotoError, photo_source
from landmarkzoo.photos.batches import photo_batches


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


NONE = replace(lz.get_model_cfg("efficientnet_lite0_gem"), resize="none")


def batches(sizes, transform, **options):
    photos = [Image.new("RGB", size, (5 * row, 0, 0)) for row, size in enumerate(sizes)]
    return list(photo_batches(photo_source(photos), transform, **options))


def first_pixels(images):
    return images[:, :1, 0, 0] * 0.5 + 0.5  # (B, 3, H, W) -> (B, 1), not normalised


@given(st.lists(st.sampled_from([(9, 7), (7, 9), (8, 8)]), min_size=1, max_size=9), st.integers(1, 5))
def test_photos_are_grouped_by_shape_and_rows_are_in_order(sizes, batch_size):
    found, reds = [], []
    for batch in batches(sizes, lz.create_transform(NONE), batch_size=batch_size):
        for group in batch.groups:
            assert {sizes[position][::-1] for position in group.positions} == {group.images.shape[2:]}
        assert len(batch.groups) == len({sizes[position] for position in batch.positions})
        assert len(batch) == min(batch_size, len(sizes) - len(found))
        found += batch.positions
        reds += (batch.map(first_pixels)[:, 0] * 255 / 5).round().int().tolist()
    assert found == reds == list(range(len(sizes)))


@pytest.mark.parametrize("workers", [0, 2])
def test_a_batch_is_full_with_the_pixels_of_8_usual_photos(workers):
    usual, large = (1024, 1024), (2048, 2048)
    sizes = [large, large, large, usual, usual, (1024, 64), *[usual] * 9]
    options = {"batch_size": 32, "num_workers": workers}
    found = [len(batch) for batch in batches(sizes, lz.create_transform(NONE), **options)]
    assert found == [2, 6, 7]
    assert [len(batch) for batch in batches(sizes, to_tensor, **options)] == [15]
    assert [len(batch) for batch in batches([usual, large] * 4, to_tensor, batch_size=4)] == [2, 2, 2, 2]
    longest = lz.create_transform(replace(NONE, resize="longest", input_size=(3, 32, 32)))
    assert [len(batch) for batch in batches(sizes, longest, **options)] == [15]


def to_tensor(photo):
    return torch.zeros(1).expand(3, photo.height, photo.width)


@pytest.mark.parametrize("workers", [0, 2])
def test_errors_stay_in_their_batch(tmp_path, workers):
    paths = [tmp_path / f"{row}.png" for row in range(5)]
    for row in (0, 2, 4):
        Image.new("RGB", (8 + row, 8)).save(paths[row])
    source, transform = photo_source(paths), lz.create_transform(NONE)
    found = list(photo_batches(source, transform, batch_size=2, num_workers=workers, start=1))
    assert [batch.positions for batch in found] == [[2], [4]]
    assert [[error.photo for error in batch.errors] for batch in found] == [[str(paths[1])], [str(paths[3])]]
    alone = list(photo_batches(photo_source(paths[1:2]), transform, batch_size=2))
    assert [(batch.map(first_pixels), len(batch)) for batch in alone] == [(None, 1)]


def test_large_photos_do_not_add_up_in_memory():
    code = """
import resource, torch
from dataclasses import replace
from PIL import Image
import landmarkzoo as lz

model = torch.nn.Sequential(torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten())
cfg = replace(lz.get_model_cfg("efficientnet_lite0_gem"), resize="none")
photo = Image.new("RGB", (3000, 3000))  # 108 MB as a float tensor
transform = lz.create_transform(cfg)
peaks = []
for count in (2, 6):
    lz.embed(model, [photo] * count, transform=transform, batch_size=32, progress=False)
    peaks.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
print(*peaks)
"""
    command = [sys.executable, "-W", "ignore", "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    two, six = map(int, done.stdout.split())
    assert six - two < 110  # MB; the other four photos have 432 MB, and were they stacked, twice that
