import multiprocessing
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

import landmarkzoo as lz
from landmarkzoo.data import open_photo
from landmarkzoo.embedding import parts
from landmarkzoo.embedding.provenance import provenance_of, weights_fingerprint


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
    with pytest.raises(ValueError, match="different shapes in one batch"):
        lz.embed(model, [Image.new("RGB", (8, 8)), Image.new("RGB", (9, 8))], progress=False,
                 transform=lambda image: torch.zeros(3, *image.size))  # fmt: skip
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


def test_progress_shows_photos_per_second(tiny_model, photo_folder, capfd):
    lz.embed(tiny_model, photo_folder)
    captured = capfd.readouterr()
    assert "photos/s" in captured.err
    assert "11/11" in captured.err
    assert captured.out == ""
    lz.embed(tiny_model, photo_folder, progress=False)
    assert capfd.readouterr().err == ""


def test_provenance_tells_models_weights_and_transforms_apart(tiny_model, photo_folder):
    d = lz.embed(tiny_model, photo_folder / "1.png", progress=False)
    assert set(d.provenance) == {"model", "weights", "transform"}
    again = lz.embed(tiny_model, photo_folder / "2.png", progress=False)
    assert again.provenance == d.provenance
    other = lz.create_model("efficientnet_lite0_gem", neck="none")
    random = lz.embed(other, photo_folder / "1.png", progress=False)
    assert random.provenance["weights"] != d.provenance["weights"]
    with pytest.raises(ValueError, match="embed both with one model"):
        lz.search(random, d)


def test_fingerprint_is_that_of_weights_and_arguments_only():
    model = lz.create_model("dolg_efficientnet_lite0", hidden_dim=8)
    twin = lz.create_model("dolg_efficientnet_lite0", hidden_dim=8)
    twin.load_state_dict(model.state_dict())
    assert weights_fingerprint(twin) == weights_fingerprint(model)
    twin.attention.score.extra_repr = lambda: "what another version of torch may print"
    assert weights_fingerprint(twin) == weights_fingerprint(model)
    reference = lz.create_model("dolg_efficientnet_lite0", hidden_dim=8, projection="reference")
    reference.load_state_dict(model.state_dict())
    assert weights_fingerprint(reference) != weights_fingerprint(model)
    compiled = torch.compile(model)
    assert provenance_of(compiled, None) == provenance_of(model, None)


def test_out_resumes_after_a_kill(photo_folder, tmp_path, tiny_model, monkeypatch):
    monkeypatch.setattr("landmarkzoo.embedding.photos_to_descriptors.PART_SIZE", 3)
    out = tmp_path / "index.safetensors"
    expected = lz.embed(tiny_model, photo_folder, progress=False)
    calls = []

    def counting(image):
        calls.append(image)
        if len(calls) == 8:
            raise KeyboardInterrupt
        return transform(image)

    class Named:  # one repr in both runs: the transform is part of the job's identity
        def __call__(self, image):
            return counting(image)

        def __repr__(self):
            return "counting"

    transform = lz.create_transform(tiny_model)
    with pytest.raises(KeyboardInterrupt):
        lz.embed(tiny_model, photo_folder, transform=Named(), batch_size=1, progress=False, out=out)
    assert not out.exists()
    calls[:] = [None] * 100
    d = lz.embed(tiny_model, photo_folder, transform=Named(), batch_size=1, progress=False, out=out)
    assert len(calls) - 100 == 5  # 6 of 11 stood in two parts
    assert d.ids == expected.ids
    np.testing.assert_allclose(d.vectors, expected.vectors, atol=2e-6)
    np.testing.assert_array_equal(lz.Descriptors.load(out).vectors, d.vectors)
    assert list(tmp_path.glob("*.parts")) == []


def test_parts_of_another_job_do_not_count(photo_folder, tmp_path):
    folder = tmp_path / "x.parts"
    folder.mkdir()
    ids, provenance = ["a", "b", "c"], {"model": "m"}
    store = parts.FinishedParts(tmp_path / "x", ids, provenance, keep_skipped=False)
    store.add(lz.Descriptors(["a"], np.ones((1, 2)), provenance=provenance))
    store.add(lz.Descriptors([], np.ones((0, 2)), [("b", "bad")], provenance=provenance))
    assert [p.ids for p in store.load()] == [["a"]]  # "b" was skipped, and skipping is off
    keep = parts.FinishedParts(tmp_path / "x", ids, provenance, keep_skipped=True)
    keep.count = 1
    keep.add(lz.Descriptors([], np.ones((0, 2)), [("b", "bad")], provenance=provenance))
    assert [len(p) for p in keep.load()] == [1, 0]
    other = parts.FinishedParts(tmp_path / "x", ["a", "z"], {"model": "n"}, keep_skipped=True)
    assert other.load() == []
    assert list(folder.iterdir()) == []
    (folder / "00000.safetensors").write_bytes(b"cut off")
    assert keep.load() == []
    with pytest.raises(FileNotFoundError, match="no such folder"):
        parts.FinishedParts(tmp_path / "no" / "x", [], {}, keep_skipped=True)


KILLED = """
import landmarkzoo as lz, torch, sys, time
from landmarkzoo.embedding import photos_to_descriptors as p
p.PART_SIZE = 4
model = lz.GlobalDescriptor("tf_efficientnet_lite0", neck="none", pretrained_backbone=True)
base = lz.create_transform(model, image_size=32)
class Slow:
    def __call__(self, image):
        time.sleep(float(sys.argv[3])); return base(image)
    def __repr__(self): return "slow"
print("ready", flush=True)
d = lz.embed(model, sys.argv[1], transform=Slow(), batch_size=2, out=sys.argv[2], progress=False)
print(len(d))
"""


def test_a_process_killed_for_real_goes_on(photo_folder, tmp_path):
    out = tmp_path / "index.safetensors"
    command = [sys.executable, "-c", KILLED, str(photo_folder), str(out)]
    process = subprocess.Popen([*command, "0.2"], stdout=subprocess.PIPE)
    first = tmp_path / "index.safetensors.parts" / "00000.safetensors"
    deadline = time.monotonic() + 60
    while not first.exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    process.kill()
    process.wait()
    assert first.exists()
    assert not out.exists()
    stamp = first.stat().st_mtime_ns
    run = subprocess.run([*command, "0"], capture_output=True, text=True, check=True)
    assert run.stdout.split()[-1] == "11"
    assert not first.exists()
    assert stamp < out.stat().st_mtime_ns
    assert len(lz.Descriptors.load(out)) == 11


class Many(torch.utils.data.Dataset):
    """Photos made on demand: any memory that grows is not theirs."""

    def __init__(self, length: int) -> None:
        self.length = length

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, i: int) -> Image.Image:
        return Image.new("RGB", (600, 500), (i % 256, 0, 0))


def _peak(length: int, queue) -> None:
    torch.set_num_threads(1)
    model = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
    transform = lz.create_transform(lz.get_model_cfg("efficientnet_lite0_gem"))
    lz.embed(model, Many(64), transform=transform, progress=False)
    Path("/proc/self/clear_refs").write_text("5")
    lz.embed(model, Many(length), transform=transform, progress=False)
    status = Path("/proc/self/status").read_text()
    queue.put(int(status.split("VmHWM:")[1].split()[0]))


@pytest.mark.skipif(
    not os.access("/proc/self/clear_refs", os.W_OK), reason="needs Linux's /proc to reset the peak"
)
def test_memory_does_not_grow_with_the_number_of_photos():
    context = multiprocessing.get_context("spawn")
    peaks = []
    for length in (128, 1280):  # 1152 more photos: 660 MiB as tensors, 990 MiB as images
        queue = context.Queue()
        process = context.Process(target=_peak, args=(length, queue))
        process.start()
        peaks.append(queue.get(timeout=120))
        process.join()
    assert peaks[1] - peaks[0] < 40 * 1024  # KiB
