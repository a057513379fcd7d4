import copy
import multiprocessing
import os
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

import landmarkzoo as lz
from landmarkzoo.photos import open_photo


def test_rows_are_the_normalised_outputs_of_the_model(tiny_model, photo_folder):
    d = lz.embed(tiny_model, photo_folder, progress=False)
    transform = lz.create_transform(tiny_model)
    tiny_model.eval()
    for id_, vector in zip(d.ids, d.vectors):
        with torch.no_grad():
            out = tiny_model(transform(open_photo(photo_folder / id_))[None])[0]
        np.testing.assert_allclose(vector, (out / out.norm()).numpy(), atol=1e-5)
    assert d.ids == sorted(d.ids)
    assert d.vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(d.vectors, axis=1), 1, rtol=1e-6)


@pytest.mark.parametrize(
    "options", [{"batch_size": 1}, {"batch_size": 3, "num_workers": 2}, {"device": "cpu", "batch_size": 5}]
)
def test_batches_workers_and_device_do_not_change_the_result(tiny_model, photo_folder, options):
    expected = lz.embed(tiny_model, photo_folder, progress=False)
    d = lz.embed(tiny_model, photo_folder, progress=False, **options)
    assert d.ids == expected.ids
    np.testing.assert_allclose(d.vectors, expected.vectors, atol=2e-6)


def test_precision(tiny_model, photo_folder):
    expected = lz.embed(tiny_model, photo_folder, progress=False).vectors
    exact = lz.embed(tiny_model, photo_folder, progress=False, precision="float32").vectors
    np.testing.assert_array_equal(expected, exact)  # "auto" on a CPU
    low = lz.embed(tiny_model, photo_folder, progress=False, precision="bfloat16").vectors
    assert low.dtype == np.float32
    assert (low * expected).sum(1).min() > 0.99
    assert not np.array_equal(low, expected)
    with pytest.raises(ValueError, match="precision must be one of"):
        lz.embed(tiny_model, photo_folder, progress=False, precision="int8")


def test_model_gets_its_modes_back_and_the_global_generator_stands_still(tiny_model, photo_folder):
    tiny_model.train()
    tiny_model.backbone.bn1.eval()  # frozen by the user
    modes = [m.training for m in tiny_model.modules()]
    before = torch.get_rng_state()
    lz.embed(tiny_model, photo_folder, progress=False)
    assert [m.training for m in tiny_model.modules()] == modes
    assert torch.equal(torch.get_rng_state(), before)
    (photo_folder / "bad.jpg").write_bytes(b"")
    with pytest.raises(lz.PhotoError):
        lz.embed(tiny_model, photo_folder, progress=False)
    assert [m.training for m in tiny_model.modules()] == modes
    tiny_model.eval()


def test_model_can_be_trained_after_embedding(photo_folder):
    model = lz.create_model("efficientnet_lite0_gem")
    lz.embed(model, photo_folder, progress=False, transform=lz.create_transform(model, image_size=32))
    model.train()(torch.randn(2, 3, 32, 32)).sum().backward()
    assert model.neck[0].weight.grad is not None


def test_unreadable_photos(tiny_model, photo_folder):
    good = lz.embed(tiny_model, photo_folder, progress=False)
    (photo_folder / "a" / "empty.jpg").write_bytes(b"")
    (photo_folder / "0.jpg").write_bytes(b"text")
    with pytest.raises(lz.PhotoError, match=r"0\.jpg"):
        lz.embed(tiny_model, photo_folder, progress=False)
    for workers in (0, 1):
        d = lz.embed(
            tiny_model, photo_folder, progress=False, on_error="skip", batch_size=2, num_workers=workers
        )
        assert d.ids == good.ids
        np.testing.assert_allclose(d.vectors, good.vectors, atol=2e-6)
        assert [id_ for id_, _ in d.skipped] == ["0.jpg", "a/empty.jpg"]
        assert d.skipped[1][1] == "the file is empty"
    with pytest.raises(ValueError, match="on_error must be one of"):
        lz.embed(tiny_model, photo_folder, on_error="ignore")
    with pytest.raises(ValueError, match="none of 1 photos could be read"):
        lz.embed(tiny_model, photo_folder / "0.jpg", progress=False, on_error="skip")


def test_any_module_with_a_transform(photo_folder):
    model = nn.Sequential(nn.AdaptiveAvgPool2d(2), nn.Flatten())
    transform = lz.create_transform(lz.get_model_cfg("efficientnet_lite0_gem"), image_size=32)
    d = lz.embed(model, photo_folder, transform=transform, progress=False)
    assert d.vectors.shape == (11, 12)
    assert d.provenance["model"] == "Sequential"
    with pytest.raises(TypeError, match="pass a transform of your own"):
        lz.embed(model, photo_folder)
    d = lz.embed(model, [Image.new("RGB", (8, 8)), Image.new("RGB", (9, 8))], progress=False,
                 transform=lambda image: torch.ones(3, *image.size))  # fmt: skip
    assert d.vectors.shape == (2, 12)
    with pytest.raises(ValueError, match=r"192 numbers for an image \(3, 8, 8\), 216 numbers .*must pool"):
        lz.embed(nn.Flatten(), [Image.new("RGB", (8, 8)), Image.new("RGB", (9, 8))], progress=False,
                 transform=lambda image: torch.ones(3, *image.size))  # fmt: skip
    with pytest.raises(TypeError, match="transform must give a tensor"):
        lz.embed(model, photo_folder, transform=lambda image: image, progress=False)
    with pytest.raises(ValueError, match=r"must give vectors \(11, D\)"):
        lz.embed(nn.Identity(), photo_folder, transform=transform, progress=False)


def test_nan_names_the_photo(photo_folder):
    class Broken(nn.Module):
        def forward(self, x):
            return torch.where(torch.arange(len(x))[:, None] == 2, torch.nan, 1.0).expand(-1, 4)

    transform = lz.create_transform(lz.get_model_cfg("efficientnet_lite0_gem"), image_size=8)
    with pytest.raises(ValueError, match=r"NaN or infinite values for the photo 2\.png"):
        lz.embed(Broken(), photo_folder, transform=transform, progress=False)


def test_tensors_are_taken_as_transformed(tiny_model):
    x = torch.randn(3, 3, 64, 64)
    d = lz.embed(tiny_model, x, progress=False, batch_size=2)
    assert d.ids == ["0", "1", "2"]
    with torch.no_grad():
        expected = nn.functional.normalize(tiny_model.eval()(x))
    np.testing.assert_allclose(d.vectors, expected.numpy(), atol=1e-5)
    assert d.provenance["transform"] == "already transformed"
    with pytest.raises(TypeError, match="leave transform= out"):
        lz.embed(tiny_model, x, transform=lz.create_transform(tiny_model), progress=False)


class Foreign(torch.utils.data.Dataset):
    """A data set of another library, whose items may be anything."""

    def __init__(self, items):
        self.items = items

    def __len__(self):
        return len(self.items)

    def __getitem__(self, row):
        if isinstance(self.items[row], Exception):
            raise self.items[row]
        return self.items[row], row


def test_a_data_set_that_transforms_by_itself_is_recorded(tiny_model):
    x = torch.randn(3, 3, 64, 64)
    d = lz.embed(tiny_model, Foreign(list(x)), progress=False)
    assert d.provenance["transform"] == "already transformed"
    np.testing.assert_array_equal(d.vectors, lz.embed(tiny_model, x, progress=False).vectors)
    with pytest.raises(TypeError, match="A data set gives these without a transform of its own"):
        lz.embed(tiny_model, Foreign(list(x)), transform=lz.create_transform(tiny_model), progress=False)
    pooling = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())  # needs no transform for tensors
    skipping = Foreign([OSError("broken"), *x])
    assert lz.embed(pooling, skipping, on_error="skip", progress=False).ids == ["1", "2", "3"]


def test_data_sets_of_photos_are_transformed_as_before(tiny_model, photo_folder):
    photos = [open_photo(photo_folder / f"{i}.png") for i in range(3)]
    expected = lz.embed(tiny_model, photos, progress=False)
    d = lz.embed(tiny_model, Foreign(photos), progress=False)
    np.testing.assert_array_equal(d.vectors, expected.vectors)
    assert d.provenance == expected.provenance
    for mixed in ([photos[0], torch.zeros(3, 64, 64)], [torch.zeros(3, 64, 64), photos[0]]):
        with pytest.raises(TypeError, match="1 differs from the first"):
            lz.embed(tiny_model, Foreign(mixed), progress=False)


def test_a_data_set_whose_first_photo_is_broken_can_be_written(tiny_model, tmp_path):
    photos = Foreign([OSError("broken"), Image.new("RGB", (8, 8))])
    d = lz.embed(tiny_model, photos, on_error="skip", out=tmp_path / "d", progress=False)
    assert (d.ids, d.skipped) == (["1"], [("0", "broken (OSError)")])


def test_progress_shows_photos_per_second(tiny_model, photo_folder, capfd):
    lz.embed(tiny_model, photo_folder)
    captured = capfd.readouterr()
    assert "photos/s" in captured.err
    assert "11/11" in captured.err
    assert captured.out == ""
    lz.embed(tiny_model, photo_folder, progress=False)
    assert capfd.readouterr().err == ""


def test_a_data_set_that_decodes_by_itself_is_named_and_skipped(tiny_model):
    class Decoding(torch.utils.data.Dataset):
        ids = ("good", "bad")

        def __len__(self):
            return 2

        def __getitem__(self, i):
            if i == 1:
                raise OSError("broken data stream")
            return Image.new("RGB", (8, 8))

    with pytest.raises(lz.PhotoError, match="bad: broken data stream"):
        lz.embed(tiny_model, Decoding(), progress=False)
    d = lz.embed(tiny_model, Decoding(), progress=False, on_error="skip")
    assert (d.ids, d.skipped) == (["good"], [("bad", "broken data stream (OSError)")])


def test_a_device_that_is_not_there(tiny_model, photo_folder):
    tiny_model.train()
    with pytest.raises(ValueError, match="cannot compute on the device 'no such device'"):
        lz.embed(tiny_model, photo_folder, device="no such device", progress=False)
    if not torch.cuda.is_available():
        with pytest.raises(ValueError, match="cannot compute on the device 'cuda'"):
            lz.embed(tiny_model, photo_folder, device="cuda", progress=False)
    assert tiny_model.training
    tiny_model.eval()


def test_an_outer_autocast_does_not_reach_in(tiny_model, photo_folder):
    expected = lz.embed(tiny_model, photo_folder, progress=False)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        ours = lz.embed(tiny_model, photo_folder, progress=False)
    np.testing.assert_array_equal(ours.vectors, expected.vectors)


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have Unicode file names only")
def test_file_names_that_are_not_unicode(tiny_model, tmp_path):
    name = b"caf\xe9.png"
    folder = tmp_path / "photos"
    folder.mkdir()
    Image.new("RGB", (8, 8)).save(folder / "x.png")
    (folder / "x.png").rename(folder / os.fsdecode(name))
    d = lz.embed(tiny_model, folder, progress=False, out=tmp_path / "d")
    assert lz.Descriptors.load(tmp_path / "d").ids == d.ids == [os.fsdecode(name)]
    lz.search(d, d, 1).to_csv(tmp_path / "r.csv")
    assert name in (tmp_path / "r.csv").read_bytes()


class Many(torch.utils.data.Dataset):
    """Photos made on demand: any memory that grows is not theirs."""

    def __init__(self, length: int) -> None:
        self.length = length

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, i: int) -> Image.Image:
        return Image.new("RGB", (600, 500), (i % 256, 0, 0))


def _peaks(lengths: list[int], queue) -> None:
    """Peak memory in KiB of embedding so many photos, of 3 x 224 x 224 numbers as tensors."""
    torch.set_num_threads(1)
    model = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
    for length in lengths:
        Path("/proc/self/clear_refs").write_text("5")
        lz.embed(model, Many(length), transform=lambda image: torch.full((3, 224, 224), 0.5), progress=False)
        status = Path("/proc/self/status").read_text()
        queue.put(int(status.split("VmHWM:")[1].split()[0]))


@pytest.mark.skipif(
    not os.access("/proc/self/clear_refs", os.W_OK), reason="needs Linux's /proc to reset the peak"
)
def test_memory_does_not_grow_with_the_number_of_photos():
    context = multiprocessing.get_context("spawn")  # a process that has allocated nothing before
    queue = context.Queue()
    process = context.Process(target=_peaks, args=([64, 128, 1280], queue))
    process.start()
    _, few, many = (queue.get(timeout=600) for _ in range(3))
    process.join()
    # KiB. 1152 more photos are 660 MiB as tensors and 990 MiB as images; a few batches of 19 MiB vary.
    assert many - few < 160 * 1024


@pytest.mark.parametrize(
    ("dtype", "cosine"), [(torch.bfloat16, 0.99), (torch.float16, 0.999), (torch.float64, 1 - 1e-6)]
)
def test_models_in_another_dtype(tiny_model, photo_folder, dtype, cosine):
    expected = lz.embed(tiny_model, photo_folder, progress=False).vectors
    model = copy.deepcopy(tiny_model).to(dtype)
    d = lz.embed(model, photo_folder, scales=(1, 1.4), progress=False)
    assert d.vectors.dtype == np.float32
    vectors = lz.embed(model, photo_folder, progress=False).vectors
    assert (vectors * expected).sum(axis=1).min() > cosine
    assert {p.dtype for p in model.parameters()} == {dtype}
