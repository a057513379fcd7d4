"""The trainer: it learns, its result travels, and what is wrong stops it before it does harm."""

import csv
import math
import shutil

import numpy as np
import pytest
import torch
import train
from PIL import Image

import landmarkzoo as lz

NORM_FREE = '{"backbone": "test_efficientnet_gn", "embedding_dim": 16, "neck": "fc-silu"}'


def new_run(options, out):
    """A run that has not trained yet."""
    parsed = train.options_of([*options, "--out", str(out)])
    return train.Run(parsed, *train.open_photos(parsed)[:2])


def batch_of(run, number=0):
    """One batch, as one part."""
    items = [run.photos[row] for row in run.order()[number].flatten()]
    return torch.stack([image for image, _ in items]), torch.tensor([label for _, label in items])


def state_of(run):
    return {k: v.clone() for part in (run.model, run.head) for k, v in part.named_parameters()}


def assert_same(one, other, **tolerance):
    assert one.keys() == other.keys()
    for name in one:
        torch.testing.assert_close(one[name], other[name], **tolerance or {"rtol": 0, "atol": 0})


@pytest.fixture(scope="module")
def learned(photos, tmp_path_factory):
    out = tmp_path_factory.mktemp("learned")
    options = ["--model", "efficientnet_lite0_gem", "--pretrained-backbone", "--freeze", "backbone"]
    options += [
        "--model-args",
        '{"embedding_dim": 64}',
        "--image-size",
        "96",
        "--lr",
        "1e-2",
        "--epochs",
        "4",
    ]
    options += ["--data", str(photos), "--val-share", "0.3", "--batch-size", "8", "--workers", "0"]
    torch.set_num_threads(1)
    return train.main([*options, "--out", str(out)])


def test_learns(learned):
    first, last = learned.history[0], learned.history[-1]
    assert last["loss"] < 0.7 * first["loss"]
    assert last["GAP"] > first["GAP"] + 0.1
    assert last["mAP@100"] > first["mAP@100"] + 0.01


def test_log_and_curves(learned):
    with (learned.options.out / "log.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [int(row["epoch"]) for row in rows] == [1, 2, 3, 4]
    for row, kept in zip(rows, learned.history):
        assert {name: float(value) for name, value in row.items()} == kept
    picture = Image.open(learned.options.out / "curves.png")
    assert len(picture.getcolors(10**6)) > 2  # paper, ink and a curve


def test_the_result_travels(learned, photos, capsys):
    folder = learned.options.out / "model"
    model = lz.create_model(f"local-dir:{folder}")
    head, names = lz.load_head(f"local-dir:{folder}")
    assert names == lz.datasets.ImageFolder(photos).classes
    assert model.cfg.input_size == (3, 96, 96)
    scores = {score.metric: score for score in model.cfg.scores}
    assert {metric: score.value for metric, score in scores.items()} == {
        metric: learned.history[-1][metric] for metric in ("mAP@100", "GAP")
    }
    assert "epoch 4 of 4" in scores["GAP"].protocol
    assert "ImageFolder" in model.cfg.training_data
    # what was saved gives the scores that it states: the photos held out, embedded and classified anew
    data, _, _, rows = train.open_photos(learned.options)
    d = lz.embed(model, torch.utils.data.Subset(data, rows.tolist()), progress=False)
    best = head.predict(torch.from_numpy(d.vectors), k=1)
    truth = [[label] for label in data.targets[rows].tolist()]
    again = lz.metrics.gap(best.classes[:, 0].numpy(), best.cosines[:, 0].numpy(), truth)
    assert again == pytest.approx(scores["GAP"].value, abs=1e-6)
    train.finish(learned)
    line = capsys.readouterr().out.splitlines()[-1]
    assert eval(line.replace(".push_to_hub(", "..push_to_hub(").split("..")[0]).cfg == model.cfg


def test_three_steps_equal_a_plain_loop(small, tmp_path):
    run = new_run([*small, "--warmup-epochs", "0"], tmp_path)
    torch.manual_seed(0)
    model, head = new_run(small, tmp_path).model, new_run(small, tmp_path).head
    optimizer = torch.optim.Adam([*model.train().parameters(), *head.parameters()], lr=1e-3, fused=True)
    run.model.train()
    for step in range(3):
        images, labels = batch_of(run, step)
        run.batch = step
        for group in optimizer.param_groups:
            group["lr"] = 1e-3 * (0.5 + 0.5 * math.cos(math.pi * step / (4 * run.batches)))
        optimizer.zero_grad()
        loss = head(model(images), labels)
        loss.backward()
        optimizer.step()
        assert train.train_step(run, [(images, labels)]) == pytest.approx(loss.item(), rel=1e-5)
    plain = {k: v for part in (model, head) for k, v in part.named_parameters()}
    assert_same(state_of(run), plain, rtol=1e-4, atol=1e-5)


def test_schedule_warms_up_and_follows_the_whole_cosine(small, tmp_path):
    run = new_run([*small, "--stop-after", "3"], tmp_path)
    images, labels = batch_of(run)
    rates = []
    for step in range(4 * run.batches):
        run.epoch, run.batch = divmod(step, run.batches)
        train.train_step(run, [(images[:2], labels[:2])])
        rates.append(run.optimizer.param_groups[0]["lr"])
    n = run.batches
    assert rates[:n] == pytest.approx([1e-3 * (i + 1) / n for i in range(n)])
    assert rates[n:] == pytest.approx([5e-4 * (1 + math.cos(math.pi * i / (3 * n))) for i in range(3 * n)])


def test_two_parts_equal_one_batch_where_no_batch_norm_is(small, tmp_path):
    options = [*small, "--model-args", NORM_FREE, "--clip", "0.5"]
    one, two = new_run(options, tmp_path), new_run([*options, "--accumulate", "2"], tmp_path)
    images, labels = batch_of(one)
    before = state_of(one)
    assert_same(before, state_of(two))
    for _ in range(3):
        train.train_step(one, [(images, labels)])
        train.train_step(two, [(images[:4], labels[:4]), (images[4:], labels[4:])])
    assert any(not torch.equal(before[name], now) for name, now in state_of(one).items())
    assert_same(state_of(one), state_of(two), rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("precision", ["float32", "bfloat16", "float16"])
def test_every_precision_trains_all_parameters(small, tmp_path, precision):
    run = new_run([*small, "--precision", precision], tmp_path)
    before, batch = state_of(run), batch_of(run)
    losses = []
    for _ in range(12):  # float16 leaves out the first steps until the scale fits
        losses.append(train.train_step(run, [batch]))
    assert np.isfinite(losses).all()
    assert all(not torch.equal(before[name], now) for name, now in state_of(run).items())
    assert all(parameter.dtype == torch.float32 for parameter in run.model.parameters())


def test_clipping_bounds_the_gradient(small, tmp_path):
    run = new_run([*small, "--clip", "0.01"], tmp_path)
    train.train_step(run, [batch_of(run)])
    gradients = [p.grad for part in (run.model, run.head) for p in part.parameters()]
    assert torch.nn.utils.get_total_norm(gradients).item() == pytest.approx(0.01, rel=1e-3)


def test_a_loss_that_is_not_finite_stops_before_the_weights_change(small, tmp_path):
    run = new_run(small, tmp_path)
    images, labels = batch_of(run)
    train.train_step(run, [(images, labels)])
    run.batch, before = 1, state_of(run)
    images[3, 0, 0, 0] = math.nan
    first = run.photos.data.ids[run.order()[1].flatten()[0]]
    with pytest.raises(FloatingPointError, match=f"loss of epoch 1, batch 2 is nan.*{first}"):
        train.train_step(run, [(images, labels)])
    assert_same(before, state_of(run))


def test_a_gradient_that_is_not_finite_stops_before_the_weights_change(small, tmp_path):
    run = new_run(small, tmp_path)
    before = state_of(run)
    run.model.neck[0].weight.register_hook(lambda gradient: gradient * math.inf)
    with pytest.raises(FloatingPointError, match="gradient of epoch 1, batch 1"):
        train.train_step(run, [batch_of(run)])
    assert_same(before, state_of(run))


def test_an_overflow_of_float16_is_left_out_and_the_scale_shrinks(small, tmp_path):
    run = new_run([*small, "--precision", "float16"], tmp_path)
    before, scale = state_of(run), run.scaler.get_scale()
    hook = run.model.neck[0].weight.register_hook(lambda gradient: gradient * math.inf)
    train.train_step(run, [batch_of(run)])
    assert_same(before, state_of(run))
    assert run.scaler.get_scale() == scale / 2
    hook.remove()


def test_so_is_an_overflow_of_the_descriptors(small, tmp_path):
    run = new_run([*small, "--precision", "float16", "--model-args", NORM_FREE], tmp_path)
    images, labels = batch_of(run)
    before, scale = state_of(run), run.scaler.get_scale()
    hook = run.model.register_forward_hook(
        lambda module, _, d: (d * torch.tensor([1.0, 1e6, *[1.0] * 6])[:, None]).half()
    )
    assert math.isnan(train.train_step(run, [(images, labels)]))
    assert_same(before, state_of(run))
    assert run.scaler.get_scale() == scale / 2
    hook.remove()
    assert math.isfinite(train.train_step(run, [(images, labels)]))
    hook = run.model.register_forward_hook(lambda module, _, d: d * math.inf)
    while run.scaler.get_scale() >= 1:
        train.train_step(run, [(images, labels)])
    with pytest.raises(FloatingPointError, match="loss of epoch 1, batch 1 is nan"):
        train.train_step(run, [(images, labels)])  # it was no overflow


def test_a_run_that_diverges_leaves_its_last_checkpoint(small, tmp_path):
    with pytest.raises(FloatingPointError, match=r"epoch 1, batch \d+ is .*smaller --lr"):
        train.main([*small, "--out", str(tmp_path), "--lr", "1e30", "--checkpoint-every", "1"])
    place = torch.load(tmp_path / "checkpoint.pt", weights_only=True)["place"]
    assert place["batch"] >= 1
    assert math.isfinite(place["loss_sum"])


def test_photos_from_a_csv_file_validated_on_other_landmarks(small, photos, tmp_path):
    data = lz.datasets.ImageFolder(photos)
    lines = [f"{photos}/{id_},{data.classes[label]}\n" for id_, label in zip(data.ids, data.targets)]
    (tmp_path / "three.csv").write_text("path,label\n" + "".join(lines[:60]) + f"{photos}/none.png,\n")
    (tmp_path / "two.csv").write_text("path,label\n" + "".join(lines[60:]))
    options = [*small, "--data", str(tmp_path / "three.csv"), "--val", str(tmp_path / "two.csv")]
    with pytest.raises(FileNotFoundError, match=r"1 of 61 photos are missing, such as .*none\.png"):
        train.main([*options, "--out", str(tmp_path / "out"), "--epochs", "1"])
    (tmp_path / "three.csv").write_text("path,label\n" + "".join(lines[:60]) + f"{photos}/{data.ids[99]},\n")
    run = train.main([*options, "--out", str(tmp_path / "out"), "--epochs", "1"])
    assert len(run.rows) == 60  # the photo without label is not trained on
    assert set(run.history[0]) == {"epoch", "lr", "loss", "mAP@100"}  # no landmark of the head: no GAP


def test_google_landmarks_x_holds_out_what_clean_holds_out(small, tmp_path):
    rng = np.random.default_rng(0)
    ids = {landmark: [f"{landmark}a{i:02d}" for i in range(40)] for landmark in (5, 7)}
    for names in ids.values():
        for name in names:
            path = tmp_path / "gldv2" / "train" / name[0] / name[1] / name[2] / f"{name}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(rng.integers(0, 255, (8, 8, 3), np.uint8)).save(path)
    rows = "".join(f"{name},,{landmark}\n" for landmark, names in ids.items() for name in names)
    (tmp_path / "gldv2" / "train.csv").write_text("id,url,landmark_id\n" + rows)
    clean = "".join(f"{landmark},{' '.join(names[::2])}\n" for landmark, names in ids.items())
    (tmp_path / "gldv2" / "train_clean.csv").write_text("landmark_id,images\n" + clean)
    options = [*small, "--data", str(tmp_path / "gldv2"), "--out", str(tmp_path / "out")]
    held_out = {}
    for split in ("clean", "x"):
        data, rows, _, val_rows = train.open_photos(train.options_of([*options, "--split", split]))
        assert sorted([*rows, *val_rows]) == list(range(len(data)))
        held_out[split] = {data.ids[row] for row in val_rows}
    assert len(held_out["x"]) == pytest.approx(20, abs=10)
    assert held_out["clean"] == {id_ for id_ in held_out["x"] if id_ in set(ids[5][::2] + ids[7][::2])}
    run = train.main([*options, "--split", "clean", "--epochs", "1"])
    assert run.model.cfg.training_data.endswith("GLDv2")


def test_wrong_options_say_what_is_right(small, tmp_path, capsys):
    out = ["--out", str(tmp_path)]
    with pytest.raises(
        ValueError, match="--batch-size 7 must be a multiple of 1 processes times --accumulate"
    ):
        train.main([*small, *out, "--batch-size", "7", "--accumulate", "2"])
    with pytest.raises(ValueError, match="0 photos to validate on are too few"):
        train.main([*small, *out, "--val-share", "0"])
    with pytest.raises(SystemExit):
        train.main([*small, *out, "--class-parallel", "--precision", "float16"])
    assert "--class-parallel goes with bfloat16" in capsys.readouterr().err


def test_every_landmark_keeps_a_photo_to_train_on(photos, small, tmp_path):
    shutil.copytree(photos, tmp_path / "photos")
    for landmark in (tmp_path / "photos").iterdir():
        for photo in sorted(landmark.iterdir())[3:]:
            photo.unlink()
    options = [*small, "--data", str(tmp_path / "photos"), "--out", str(tmp_path), "--val-share", "0.8"]
    data, rows, _, val_rows = train.open_photos(train.options_of([*options, "--batch-size", "2"]))
    assert set(data.targets[rows]) == set(range(5))
    assert len(val_rows) > 0
