"""The parts of a training, each by itself: photos that are kept, steps, averages, signals, folders."""

import os
import signal
import subprocess
import sys
import threading

import numpy as np
import pytest
import torch
from torch.nn import functional as F
from whole_trainings import QUICK

import landmarkzoo as lz
from landmarkzoo.finetuning import checkpoints, photo_store, training_state
from landmarkzoo.finetuning.augmentation import sufficient_side, training_augmentation
from landmarkzoo.finetuning.landmark_labels import labelled_photos
from landmarkzoo.finetuning.out_folder import state_of, written_folder
from landmarkzoo.finetuning.photo_store import PhotoStore, Shrink
from landmarkzoo.finetuning.processes import Processes
from landmarkzoo.finetuning.recipes import Recipe
from landmarkzoo.finetuning.starting_heads import head_of_class_means, whiten_together
from landmarkzoo.finetuning.stop_signals import StopSignals
from landmarkzoo.finetuning.training_photos import TrainingPhotos, share_of
from landmarkzoo.finetuning.training_steps import rate, train_step
from landmarkzoo.finetuning.weight_average import WeightAverage

ALONE = Processes(0, 1, 1, torch.device("cpu"))


# --- photos ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("workers", [0, 1])
def test_photos_are_kept_up_to_the_room_there_is(noise, workers):
    source = labelled_photos(noise).source
    store = PhotoStore(source, Shrink(32))
    one = 32 * 32 * 3
    store.keep(3 * one + 1, workers, progress=False)
    assert list(store.kept) == [0, 1, 2]
    assert not store.is_whole
    for row in (0, 5):  # kept or read: the same
        expected = Shrink(32)(source.load(row))
        assert np.array_equal(np.asarray(store.photo(row)), np.asarray(expected))
    part = store.take([5, 1])
    assert part.ids == [source.ids[5], source.ids[1]]
    assert np.array_equal(np.asarray(part.photo(1)), store.kept[1])
    store.keep(10**9, workers, progress=False)
    assert store.is_whole


def test_photos_that_are_small_enough_stay_as_they_are(noise):
    source = labelled_photos(noise).source
    store = PhotoStore(source, Shrink(48))
    store.keep(10**9, 0, progress=False)
    for row in range(len(source)):
        assert np.array_equal(store.kept[row], np.asarray(source.load(row)))


def test_the_kept_size_is_enough_for_every_crop():
    """The smallest crop of a kept photo has at least the pixels of a training image."""
    recipe = Recipe()
    side = sufficient_side(recipe, (256, 256))
    for ratio in (0.8, 1.0, 1.25):
        area = recipe.smallest_crop * side * side
        assert min((area * ratio) ** 0.5, (area / ratio) ** 0.5) >= 256


def test_a_half_of_the_free_memory_is_taken(monkeypatch):
    monkeypatch.setattr(photo_store, "_free_memory", lambda: 1000)
    assert photo_store.room_for_photos() == 500
    assert photo_store.room_for_photos(processes=4) == 125
    monkeypatch.undo()
    assert photo_store._available("MemTotal: 9 kB\nMemAvailable:  8 kB\n") == 8192
    assert photo_store._free_memory() > 2**20


def test_a_photo_that_cannot_be_read_is_named(noise, tiny, tmp_path):
    (tmp_path / "photos" / "place0").mkdir(parents=True)
    (tmp_path / "photos" / "place1").symlink_to(noise / "place1")
    (tmp_path / "photos" / "place0" / "bad.jpg").write_bytes(b"no photo")
    for row in (0, 2, 4):
        (tmp_path / "photos" / "place0" / f"{row}.png").symlink_to(noise / "place0" / f"0{row}.png")
    with pytest.raises(lz.PhotoError, match=r"cannot read the photo place0/bad\.jpg"):
        lz.finetune(tmp_path / "photos", tmp_path / "out", model=tiny, **QUICK)
    assert not (tmp_path / "out").exists()
    with pytest.raises(TypeError, match="is a float tensor, transformed already"):
        lz.finetune((torch.rand(8, 3, 32, 32), [0, 1] * 4), tmp_path / "out", model=tiny, **QUICK)


def training_photos(noise, **changes):
    photos, recipe = labelled_photos(noise), Recipe()
    transform = training_augmentation(lz.get_model_cfg("efficientnet_lite0_gem"), recipe, (32, 32))
    store = PhotoStore(photos.source, Shrink(48))
    settings = {"seed": 0, "rank": 0, "batch_size": 5, "batches": 3, "epoch": 0, **changes}
    return TrainingPhotos(store, photos.labels, transform, **settings)


def test_a_photo_looks_the_same_whoever_reads_it_and_different_every_epoch(noise):
    photos = training_photos(noise)
    torch.manual_seed(1)
    first = photos[3][0]
    torch.manual_seed(2)
    assert torch.equal(photos[3][0], first)
    assert not torch.equal(training_photos(noise, epoch=1)[3][0], first)
    assert not torch.equal(training_photos(noise, seed=1)[3][0], first)


def test_each_epoch_has_another_order_without_repeats(noise):
    orders = [training_photos(noise, epoch=epoch).order() for epoch in (0, 1, 0)]
    assert orders[0].shape == (3, 5)
    assert len(set(orders[0].flatten())) == 15
    assert np.array_equal(orders[0], orders[2])
    assert not np.array_equal(orders[0], orders[1])
    images, labels = next(iter(training_photos(noise).loader(0, False, first=2)))
    assert images.shape == (5, 3, 32, 32)
    assert labels.tolist() == training_photos(noise).labels[orders[0][2]].tolist()


def test_shares_of_processes_are_all_photos():
    shares = [share_of(11, 3, rank, 4) for rank in range(4)]
    assert sorted(np.concatenate(shares).tolist()) == list(range(11))
    assert {len(share) for share in shares} == {2, 3}


# --- start and steps -------------------------------------------------------------------------------


def test_centers_are_the_mean_descriptors(noise, tiny):
    photos, model = labelled_photos(noise), lz.create_model(tiny)
    how = {"progress": False}
    head = head_of_class_means(model, photos.source, photos.labels, Recipe(), ALONE, **how)
    vectors = lz.embed(model, photos.source, **how).vectors
    for label in range(2):
        mean = vectors[photos.labels == label].mean(axis=0)
        np.testing.assert_allclose(head.weight[label].detach(), mean / np.linalg.norm(mean), atol=1e-6)
    three = head_of_class_means(model, photos.source, photos.labels, Recipe(sub_centers=3), ALONE, **how)
    cosines = F.cosine_similarity(three.weight.view(2, 3, -1), head.weight[:, None], dim=2)
    assert (cosines > 0.99).all()
    assert (cosines < 1 - 1e-5).all()  # apart, so that photos choose among them


def test_many_photos_are_whitened_by_some(noise, monkeypatch):
    photos, model = labelled_photos(noise), lz.GlobalDescriptor("test_efficientnet", embedding_dim=3)
    seen = []
    monkeypatch.setattr(
        "landmarkzoo.finetuning.starting_heads.whiten_neck", lambda _, some, **how: seen.append(some.ids)
    )
    monkeypatch.setattr("landmarkzoo.finetuning.starting_heads._WHITENED", 5)
    whiten_together(model, photos.source, Recipe(), ALONE)
    assert len(seen[0]) == 5
    assert set(seen[0]) < set(photos.source.ids)


def small_training(tiny, **settings):
    recipe = Recipe(batch_size=4, **settings)
    model = lz.create_model(tiny)
    head = lz.SubCenterArcFaceDynamic(16, 2, margins=0.2, sub_centers=1, scale=20)
    return training_state.Training(model.train(), head, recipe, ALONE, batches=2)


def test_a_loss_that_is_not_finite_leaves_the_weights(tiny):
    training = small_training(tiny, precision="float32")
    before = {name: tensor.clone() for name, tensor in training.model.state_dict().items()}
    assert train_step(training, torch.full((4, 3, 32, 32), float("nan")), torch.tensor([0, 1, 0, 1])) is None
    after = training.model.state_dict()
    moved = [n for n, t in before.items() if not torch.equal(after[n], t) and "running" not in n]
    assert [name for name in moved if "num_batches" not in name] == []
    assert train_step(training, torch.randn(4, 3, 32, 32), torch.tensor([0, 1, 0, 1])) > 0


def test_the_call_names_the_photos_of_such_a_loss(noise, tiny, tmp_path):
    with pytest.raises(FloatingPointError, match=r"the loss of epoch 1, batch \d is not finite: .*place"):
        lz.finetune(noise, tmp_path / "out", model=tiny, lr=1e30, head_lr=1e30, **QUICK)


def test_rates_warm_up_and_end_at_zero(tiny):
    training = small_training(tiny, epochs=5)
    peak = training.optimizer.param_groups[0]["peak"]
    for batch in range(2):
        training.place.batch = batch
        train_step(training, torch.randn(4, 3, 32, 32), torch.tensor([0, 1, 0, 1]))
        assert training.optimizer.param_groups[0]["lr"] == peak * rate(batch, 10)
    assert max(rate(step, 100) for step in range(100)) == pytest.approx(rate(9, 100))
    assert rate(99, 100) < 1e-3
    assert training.optimizer.param_groups[-1]["peak"] == 1e-3  # the head


def test_layers_near_the_input_move_least(tiny):
    peaks = [group["peak"] for group in small_training(tiny).optimizer.param_groups[:-1]]
    assert peaks == sorted(peaks, reverse=True)
    assert peaks[0] == 2.5e-4
    assert peaks[-1] < 0.7 * peaks[0]


def test_an_average_follows_its_formula_and_is_put_back():
    weight = torch.nn.Parameter(torch.zeros(2))
    average, expected = WeightAverage([weight], 0.3), torch.zeros(2)
    for step in range(1, 6):
        weight.data += step
        kept = min(0.3, (1 + step) / (10 + step))
        expected = kept * expected + (1 - kept) * weight.detach()
        average.update()
    last = weight.detach().clone()
    with average.in_place():
        torch.testing.assert_close(weight.detach(), expected)
    assert torch.equal(weight.detach(), last)
    twin = WeightAverage([torch.nn.Parameter(torch.ones(2))], 0.3)
    twin.load(average.state())
    assert torch.equal(twin.values[0], average.values[0])
    assert twin.steps == 5


def test_precision_suits_the_device(monkeypatch):
    gpu, cpu = torch.device("cuda"), torch.device("cpu")
    dtype = training_state.training_dtype
    for native, expected in ((True, torch.bfloat16), (False, torch.float16)):
        monkeypatch.setattr(training_state, "has_bfloat16", lambda device, native=native: native)
        assert dtype(Recipe(), gpu, class_parallel=False) == expected
    assert dtype(Recipe(), gpu, class_parallel=True) == torch.float32
    assert dtype(Recipe(), cpu, class_parallel=False) == torch.float32
    assert dtype(Recipe(precision="bfloat16"), cpu, class_parallel=False) == torch.bfloat16
    for device, split in ((cpu, False), (gpu, True)):
        with pytest.raises(ValueError, match="precision='float16' is for GPUs"):
            dtype(Recipe(precision="float16"), device, split)


# --- signals ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_waits_where_the_training_looks_at_it(number):
    seen = []
    before = signal.signal(number, lambda *_: seen.append(number))
    try:
        with StopSignals() as stop:
            stop.waits = True
            signal.raise_signal(number)
            assert stop.came == number
            signal.raise_signal(number)  # at once again: shells and containers do
            assert seen == []
        assert seen == [number]  # what it does elsewhere
        with pytest.raises(KeyboardInterrupt), StopSignals():
            signal.raise_signal(number)
        assert seen == [number, number]
    finally:
        signal.signal(number, before)


def test_other_threads_and_ignored_signals_are_left_alone():
    found = []

    def run():
        with StopSignals():
            found.append(signal.getsignal(signal.SIGTERM))

    before = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        with StopSignals():
            signal.raise_signal(signal.SIGTERM)
        thread = threading.Thread(target=run)
        thread.start()
        thread.join()
    finally:
        signal.signal(signal.SIGTERM, before)
    assert found == [signal.SIG_IGN]


def test_sigterm_ends_a_process_without_a_handler_after_what_was_written_is_out():
    code = """
import signal, sys
from landmarkzoo.finetuning.stop_signals import StopSignals
with StopSignals() as stop:
    stop.waits = True
    signal.raise_signal(signal.SIGTERM)
    print("saved", end="")
print("not reached")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=dict(os.environ))
    assert (done.stdout, done.returncode) == ("saved", -signal.SIGTERM)


# --- the folder ------------------------------------------------------------------------------------


def test_a_folder_with_other_things_is_left_alone(tmp_path, noise, tiny):
    (tmp_path / "README.md").write_text("precious")
    with pytest.raises(FileExistsError, match="is not empty, and holds no training"):
        lz.finetune(noise, tmp_path, model=tiny, **QUICK)
    assert (tmp_path / "README.md").read_text() == "precious"
    with pytest.raises(OSError, match="it is a file, and must be a folder"):
        lz.finetune(noise, tmp_path / "README.md", model=tiny, **QUICK)
    with pytest.raises(FileNotFoundError, match="has no training to go on with: resume='auto' starts one"):
        lz.finetune(noise, tmp_path / "new", model=tiny, resume=True, **QUICK)
    with pytest.raises(ValueError, match="resume must be 'auto', True or False, got 'yes'"):
        lz.finetune(noise, tmp_path / "new", model=tiny, resume="yes", **QUICK)
    assert [path.name for path in tmp_path.iterdir()] == ["README.md"]


def test_one_process_writes_a_folder(tmp_path, noise, tiny):
    out = tmp_path / "out"
    with written_folder(out), pytest.raises(OSError, match="another job writes it"):
        lz.finetune(noise, out, model=tiny, **QUICK)
    assert not out.exists()


def test_what_a_killed_process_left_is_no_training(tmp_path):
    (tmp_path / ".landmarkzoo-0123.tmp").write_bytes(b"half")
    (tmp_path / "checkpoint.pt.lock").touch()
    assert state_of(tmp_path, {}, "auto") == "new"
    with written_folder(tmp_path):
        assert not list(tmp_path.glob("*.tmp"))
    checkpoints.save(tmp_path / "checkpoint.pt", {"call": {"lr": 1.0}})
    assert state_of(tmp_path, {"lr": 1.0}, "auto") == "begun"
    with pytest.raises(ValueError, match=r"lr was 1\.0, is 2\.0; seed was None, is 0"):
        state_of(tmp_path, {"lr": 2.0, "seed": 0}, "auto")
