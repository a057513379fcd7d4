"""Train a model and its head on photos of landmarks: on one core, one GPU or many, with the same options.

    python examples/train.py --data photos/ --model dolg_efficientnet_b0 --pretrained-backbone --out one
    torchrun --nproc-per-node 8 examples/train.py --data gldv2/ --split clean --precision bfloat16 --out two

OUT gets checkpoint.pt, log.csv, curves.png and in the end model/, for lz.create_model("local-dir:OUT/model").
After a crash, Ctrl-C or SIGTERM, --resume goes on from the last checkpoint, which is always whole.
docs/guide/training.md explains the options. Random numbers depend on seed, epoch and place: none are saved.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import random
import signal
import zlib
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageDraw
from timm.layers import convert_sync_batchnorm  # torch's own loses the activations inside timm's norms
from torch import Tensor, nn
from torch import distributed as dist
from torch.nn.parallel import DistributedDataParallel
from torch.nn.utils import clip_grads_with_norm_, get_total_norm
from torch.utils.data import Dataset, Subset
from tqdm import tqdm

import landmarkzoo as lz
from landmarkzoo.finetuning import PhotoLoader, checkpoints

ARCHITECTURES = {"DOLG": lz.DOLG, "GlobalDescriptor": lz.GlobalDescriptor, "HybridSwin": lz.HybridSwin}
MAY_CHANGE = {"out", "resume", "stop_after", "workers", "device", "checkpoint_every"}  # when a run goes on
RANK, COUNT = int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))  # torchrun sets them


def options_of(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    add = parser.add_argument
    add("--data", required=True, help="folder with a folder a landmark; CSV file (path,label); root of GLDv2")
    add("--split", choices=["clean", "x", "full"], help="--data is Google Landmarks v2: what to train on")
    add("--val", help="folder or CSV file to validate on, instead of a share of --data")
    add("--val-share", type=float, default=0.1, help="share of --data that is held out, by hash of the ids")
    add("--model", default="dolg_efficientnet_b0", help=f"of lz.list_models(), or {', '.join(ARCHITECTURES)}")
    add("--model-args", type=json.loads, default={}, metavar="JSON", help="arguments of the architecture")
    add("--pretrained-backbone", action=argparse.BooleanOptionalAction, default=False, help="of ImageNet")
    add("--init", metavar="DIR", help="start from a saved model and its head, as far as they fit")
    add("--image-size", type=int, help="side in pixels; the model's own if not given")
    add("--freeze", nargs="*", default=[], metavar="PART", help="parts, or 'head', that are not trained")
    add("--epochs", type=int, default=10, help="length of the cosine")
    add("--stop-after", type=int, metavar="EPOCHS", help="end earlier, within the cosine")
    add("--batch-size", type=int, default=16, help="photos of a step: of all processes, all parts")
    add("--accumulate", type=int, default=1, help="parts that a step is computed in")
    add("--optimizer", choices=["Adam", "AdamW"], default="Adam")
    add("--lr", type=float, default=1e-4, help="learning rate at its peak")
    add("--warmup-epochs", type=float, default=1.0)
    add("--weight-decay", type=float, default=0.0)
    add("--layer-decay", type=float, default=1.0, help="factor of the learning rate from layer to layer")
    add("--clip", type=float, default=math.inf, help="largest norm of the gradient")
    add("--precision", choices=["float32", "bfloat16", "float16"], default="float32")
    add("--scale", type=float, default=45.0, help="of the head's cosines")
    add("--class-parallel", action="store_true", help="split the classes of the head over the processes")
    add("--seed", type=int, default=0)
    add("--out", type=Path, required=True, help="folder for all that is written")
    add("--resume", action="store_true", help="go on from OUT/checkpoint.pt, if it is there")
    add("--checkpoint-every", type=int, default=1000, help="steps between checkpoints within an epoch")
    add("--workers", type=int, default=2, help="processes that read photos, for each that trains")
    add("--device", choices=["cpu", "cuda"], default="cuda" if torch.cuda.is_available() else "cpu")
    options = parser.parse_args(argv)
    if options.class_parallel and options.precision == "float16":
        parser.error("--class-parallel goes with bfloat16 or float32: overflows of float16 differ by process")
    options.stop_after = min(options.stop_after or options.epochs, options.epochs)
    return options


def mean_of_processes(x: Tensor) -> Tensor:
    if COUNT > 1:
        dist.all_reduce(x)
    return x / COUNT


def of_all_processes(value: Any) -> list[Any]:
    values = [value] * COUNT
    if COUNT > 1:
        dist.all_gather_object(values, value)
    return values


def wrap_ddp(module: nn.Module) -> nn.Module:
    if COUNT == 1 or not any(p.requires_grad for p in module.parameters()):
        return module
    # The last block of a hybrid has a bias table without gradient.
    return DistributedDataParallel(module, find_unused_parameters=isinstance(module, lz.HybridSwin))


def seed_everything(*numbers: int) -> None:
    seed = int(np.random.SeedSequence(numbers).generate_state(1)[0])
    for set_seed in (torch.manual_seed, random.seed, np.random.seed):  # whatever transforms draw from
        set_seed(seed)


class TrainPhotos(Dataset[tuple[Tensor, int]]):
    """Augmented photos and labels. A photo looks the same whoever reads it, and different every epoch."""

    def __init__(self, data: Any, transform: Callable[[Any], Tensor], seed: int) -> None:
        self.data, self.transform, self.seed, self.epoch = data, transform, seed, 0

    def __getitem__(self, row: int) -> tuple[Tensor, int]:
        seed_everything(self.seed, self.epoch, row)
        image, label = self.data[row]
        return self.transform(image), label


def open_data(path: str, split: str | None = None) -> Any:
    """A data set with photos, ids, targets and classes, whose files are all there."""
    of_path = lz.datasets.CsvPhotos if path.endswith(".csv") else lz.datasets.ImageFolder
    data: Any = of_path(path) if split is None else lz.datasets.GLDv2(path, split)
    if missing := data.missing():
        raise FileNotFoundError(f"{len(missing)} of {len(data)} photos are missing, such as {missing[0]}")
    return data


def open_photos(options: argparse.Namespace) -> tuple[Any, np.ndarray, Any, np.ndarray]:
    """Data and rows to train on, data and rows to validate on."""
    data = open_data(options.data, options.split)
    rows = np.flatnonzero(data.targets >= 0)
    if options.val is not None:
        val = open_data(options.val)
        val_rows = np.arange(len(val))
    else:  # by hash of the id, so that what is held out from GLDv2c is held out from GLDv2x as well
        hashes = np.array([zlib.crc32(f"{options.seed}/{data.ids[row]}".encode()) for row in rows])
        kept = hashes / 2**32 >= options.val_share
        kept |= ~np.isin(data.targets[rows], data.targets[rows[kept]])  # a landmark without any other photo
        val, rows, val_rows = data, rows[kept], rows[~kept]
    labels = val.targets[val_rows]
    if len(val_rows) < COUNT or np.bincount(labels[labels >= 0], minlength=1).max() < 2:
        raise ValueError(f"{len(val_rows)} photos to validate on are too few: use --val-share or --val")
    if options.batch_size % (COUNT * options.accumulate) or len(rows) < options.batch_size:
        right = f"a multiple of {COUNT} processes times --accumulate, and at most the {len(rows)} photos"
        raise ValueError(f"--batch-size {options.batch_size} must be {right} that are trained on")
    return data, rows, val, val_rows


class Run:
    """A training. Its place, ``epoch`` to ``protocols``, goes into a checkpoint beside the weights."""

    def __init__(self, options: argparse.Namespace, data: Any, rows: np.ndarray) -> None:
        self.options, self.rows, self.device = options, rows, torch.device(options.device)
        self.batches = len(rows) // options.batch_size  # of an epoch; the rest waits for another epoch
        ids = repr([data.ids[row] for row in rows]).encode()
        self.fixed = {k: v for k, v in vars(options).items() if k not in MAY_CHANGE}
        self.fixed["photos"] = f"{len(rows)} with hash {zlib.crc32(ids):08x}"
        seed_everything(options.seed)
        build = ARCHITECTURES.get(options.model, partial(lz.create_model, options.model))
        self.model: Any = build(pretrained_backbone=options.pretrained_backbone, **options.model_args)
        size = (options.image_size,) * 2 if options.image_size else self.model.cfg.input_size[1:]
        self.model.cfg = replace(self.model.cfg, input_size=(3, *size))
        self.photos = TrainPhotos(data, lz.create_transform(self.model, training=True), options.seed)
        counts = np.bincount(data.targets[rows], minlength=len(data.classes))
        group = dist.group.WORLD if options.class_parallel and COUNT > 1 else None
        arguments: dict[str, Any] = {"class_counts": counts, "scale": options.scale, "process_group": group}
        self.head = lz.SubCenterArcFaceDynamic(self.model.embedding_dim, len(counts), **arguments)
        self.spread = group is not None
        self.fixed["processes with classes"] = COUNT if self.spread else 1
        if options.init is not None:
            report = lz.transfer_weights(lz.create_model(f"local-dir:{options.init}"), self.model)
            head, names = lz.load_head(f"local-dir:{options.init}", process_group=group)
            same = names == data.classes
            if same:
                self.head.load_state_dict({"weight": head.weight})  # margins are those of these photos
            if RANK == 0:
                print(f"{report}\nhead: {'copied' if same else 'new, as the classes are others'}")
        if COUNT > 1 and self.device.type == "cuda":
            self.model = convert_sync_batchnorm(self.model)
        self.model.to(self.device, memory_format=torch.channels_last)
        self.head.to(self.device).requires_grad_("head" not in options.freeze)
        self.head.check_values = False  # one process would stop alone: from a loss of NaN all of them learn
        for part in set(options.freeze) - {"head"}:
            lz.freeze(self.model, part)
        self.net = wrap_ddp(self.model)
        self.criterion = self.head if self.spread else wrap_ddp(self.head)
        rates = {name: getattr(options, name) for name in ("lr", "weight_decay", "layer_decay")}
        groups = [{**g, "peak": g["lr"]} for g in lz.parameter_groups(self.model, head=self.head, **rates)]
        self.optimizer = getattr(torch.optim, options.optimizer)(groups, fused=True)
        self.scaler = torch.amp.GradScaler(self.device.type, enabled=options.precision == "float16")
        self.epoch, self.batch, self.loss_sum = 0, 0, 0.0
        self.history, self.protocols = list[dict[str, float]](), dict[str, str]()

    def order(self) -> np.ndarray:
        """Rows of the epoch's batches: (batches, parts of a step, processes, photos)."""
        rows = np.random.default_rng([self.options.seed, self.epoch]).permutation(self.rows)
        rows = rows[: self.batches * self.options.batch_size]
        return rows.reshape(self.batches, self.options.accumulate, COUNT, -1)

    def stop_unless_finite(self, **values: float) -> None:
        """The values are the same on all processes, so all of them stop."""
        for what, value in values.items():
            if not math.isfinite(value):
                ids = [self.photos.data.ids[row] for row in self.order()[self.batch].flatten()]
                raise FloatingPointError(
                    f"the {what} of epoch {self.epoch + 1}, batch {self.batch + 1} is {value}; no weight "
                    f"is changed. Try a smaller --lr, --clip 5, no float16. The photos: {', '.join(ids)}"
                )


def backward(run: Run, images: Tensor, labels: Tensor) -> Tensor:
    """Gradients of one part of a step. Returns the loss of all processes."""
    images = images.to(run.device, memory_format=torch.channels_last, non_blocking=True)
    labels = labels.to(run.device, non_blocking=True)
    with lz.layers.mixed_precision(run.device, getattr(torch, run.options.precision)):
        descriptors = run.net(images)  # (B, D)
        if run.spread and descriptors.requires_grad:
            # The loss of split classes is that of all processes, and DDP divides by their number.
            descriptors.register_hook(lambda gradient: gradient * COUNT)
        loss = run.criterion(descriptors, labels)
    run.scaler.scale(loss / run.options.accumulate).backward()
    return mean_of_processes(loss.detach().clone())


def train_step(run: Run, parts: Sequence[tuple[Tensor, Tensor]]) -> float:
    """Change the weights by one batch, which comes in parts. Returns the loss of all processes."""
    options, losses = run.options, list[Tensor]()
    seed_everything(options.seed, run.epoch, run.batch, RANK)  # for dropout
    step, warmup = run.epoch * run.batches + run.batch, round(options.warmup_epochs * run.batches)
    cosine = math.cos(math.pi * (step - warmup) / max(1, options.epochs * run.batches - warmup))
    for group in run.optimizer.param_groups:
        group["lr"] = group["peak"] * ((step + 1) / warmup if step < warmup else 0.5 + 0.5 * cosine)
    run.optimizer.zero_grad()
    for number, (images, labels) in enumerate(parts):
        with ExitStack() as stack:
            for module in (run.net, run.criterion):
                if isinstance(module, DistributedDataParallel) and number < len(parts) - 1:
                    stack.enter_context(module.no_sync())  # until the last part
            losses.append(backward(run, images, labels))
    run.scaler.unscale_(run.optimizer)
    model, head = ([p for p in part.parameters() if p.grad is not None] for part in (run.model, run.head))
    squares = [get_total_norm([p.grad for p in part]).to(run.device).square() for part in (model, head)]
    if run.spread:  # the norm is that of all classes
        dist.all_reduce(squares[1])
    norm = (squares[0] + squares[1]).sqrt()
    loss, length = torch.stack([torch.stack(losses).mean(), norm]).tolist()  # the host waits here only
    if not run.scaler.is_enabled() or run.scaler.get_scale() < 1:  # until then it leaves such a step out
        run.stop_unless_finite(loss=loss, gradient=length)
    clip_grads_with_norm_([*model, *head], options.clip, norm)
    run.scaler.step(run.optimizer)
    run.scaler.update()
    return float(loss)


def train_epoch(run: Run, stop: list[int]) -> None:
    """The batches of the epoch that are not done yet; ``stop`` has the signals that have come."""
    options = run.options
    run.model.train()
    run.photos.epoch = run.epoch
    sampler = [part for batch in run.order()[run.batch :, :, RANK].tolist() for part in batch]
    how: dict[str, Any] = {"num_workers": options.workers, "pin_memory": run.device.type == "cuda"}
    parts = iter(PhotoLoader(run.photos, batch_sampler=sampler, **how))
    total, done = run.batches * options.batch_size, run.batch * options.batch_size
    bar = tqdm(desc=f"epoch {run.epoch + 1}", total=total, initial=done, unit=" photos", disable=RANK > 0)
    while run.batch < run.batches:
        loss = train_step(run, [next(parts) for _ in range(options.accumulate)])
        run.loss_sum += 0.0 if math.isnan(loss) else loss
        run.batch += 1
        bar.set_postfix(loss=f"{loss:.3f}", lr=run.optimizer.param_groups[0]["lr"], refresh=False)
        bar.update(options.batch_size)
        stopping = bool(mean_of_processes(torch.tensor(float(len(stop)))))  # all of them, or none
        if stopping or run.batch == run.batches or run.batch % options.checkpoint_every == 0:
            save_checkpoint(run)
        if stopping:
            bar.close()
            if RANK == 0:
                print(f"stopped in epoch {run.epoch + 1}, batch {run.batch}: --resume goes on from there")
            raise SystemExit(128 + (stop or [signal.SIGTERM])[0])
    bar.close()
    row = {"epoch": run.epoch + 1, "lr": run.optimizer.param_groups[0]["lr"]}
    run.history.append({**row, "loss": run.loss_sum / run.batches})


def evaluate(run: Run, data: Any, rows: np.ndarray) -> None:
    """mAP@100 of each photo among the others, and GAP of the head's best class."""
    for buffer in run.model.buffers() if COUNT > 1 else []:
        dist.broadcast(buffer, 0)  # where batch norm is not in sync
    ours = Subset(data, np.array_split(rows, COUNT)[RANK].tolist())
    d = lz.embed(run.model, ours, num_workers=run.options.workers, progress=RANK == 0)
    best = run.head.predict(torch.from_numpy(d.vectors).to(run.device), k=1)
    here = (d.vectors, best.classes[:, 0].cpu().numpy(), best.cosines[:, 0].cpu().numpy())
    vectors, classes, cosines = (np.concatenate(part) for part in zip(*of_all_processes(here)))
    labels, class_of = data.targets[rows], {name: c for c, name in enumerate(run.photos.data.classes)}
    names = [data.classes[label] if label >= 0 else None for label in labels]
    truth = [[class_of[name]] if name in class_of else [] for name in names]
    of = f"{run.options.val_share:g} held out of all" if run.options.val is None else "a set of its own"
    data_of = f"validation, {of}, epoch {run.epoch + 1} of {run.options.epochs}"
    scores = lz.evaluation.evaluate_leave_one_out(vectors, labels, data=data_of).scores[:1]
    if any(truth):  # some landmark is one that is trained on
        scores += lz.evaluation.score_recognition(classes, cosines, truth, data=data_of).scores
    run.history[-1].update({score.metric: float(score.value) for score in scores})
    run.protocols = {score.metric: score.protocol for score in scores}


def save_checkpoint(run: Run) -> None:
    own = {"head": dict(run.head.state_dict()), "optimizer": run.optimizer.state_dict()}
    state = {"model": dict(run.model.state_dict()), "scaler": run.scaler.state_dict(), "arguments": run.fixed}
    state["place"] = {k: getattr(run, k) for k in ("epoch", "batch", "loss_sum", "history", "protocols")}
    name, barrier = f"epoch{run.epoch}-batch{run.batch}", dist.barrier if run.spread else None
    checkpoints.save_parts(run.options.out, name, state, own, RANK, barrier)


def resume(run: Run) -> None:
    path = run.options.out / "checkpoint.pt"
    if not run.options.resume:
        raise ValueError(f"{path} is there already: --resume goes on with it, another --out starts anew")
    state = checkpoints.load(path)
    then, now = state["arguments"], run.fixed
    other = [f"{k} was {then.get(k)}, is {now.get(k)}" for k in {**then, **now} if then.get(k) != now.get(k)]
    if other:
        raise ValueError(f"{path} is of another run, which --resume cannot go on with: {'; '.join(other)}")
    run.model.load_state_dict(state["model"])
    own = checkpoints.load_own(path.parent, state, RANK)
    run.head.load_state_dict(own["head"])
    run.optimizer.load_state_dict(own["optimizer"])
    run.scaler.load_state_dict(state["scaler"])
    vars(run).update(state["place"])


def write_log(run: Run) -> None:
    lines = [",".join(run.history[-1]), *(",".join(map(str, row.values())) for row in run.history), ""]
    checkpoints.write_whole(run.options.out / "log.csv", lambda file: file.write("\n".join(lines).encode()))
    picture = Image.new("RGB", (480, 120 * len(run.history[-1])), "white")
    draw = ImageDraw.Draw(picture)
    for top, name in zip(range(0, picture.height, 120), run.history[-1]):
        y = np.array([row[name] for row in run.history])
        draw.text((10, top + 4), f"{name}: {y.min():.4g} to {y.max():.4g}, now {y[-1]:.4g}", "black")
        heights = top + 110 - 85 * (y - y.min()) / (np.ptp(y) or 1)
        draw.line([*zip(np.linspace(10, 470, len(y)).tolist(), heights.tolist())], "teal", 2)
    checkpoints.write_whole(run.options.out / "curves.png", lambda file: picture.save(file, "PNG"))


def finish(run: Run) -> None:
    """Save the model with all that belongs to it, and say how it gets to the Hub."""
    data, folder, last = run.photos.data, run.options.out / "model", run.history[-1]
    scores = tuple(lz.Score(metric, last[metric], protocol) for metric, protocol in run.protocols.items())
    of = f"{len(run.rows)} photos of {len(data.classes)} landmarks, {type(data).__name__}"
    run.model.cfg = replace(run.model.cfg, scores=scores, training_data=of)
    if run.spread or RANK == 0:
        run.model.save_pretrained(folder, run.head, data.classes)
    if RANK == 0:
        card = lz.hub.model_card(run.model.cfg, "org/name", classes=run.head.num_classes)
        checkpoints.write_whole(folder / "README.md", lambda file: file.write(card.encode()))
        push = f'push_to_hub("org/name", *lz.load_head("local-dir:{folder}"))'
        print(f'saved; to the Hub:\nlz.create_model("local-dir:{folder}").{push}')


def train(options: argparse.Namespace, stop: list[int]) -> Run:
    data, rows, val, val_rows = open_photos(options)
    with checkpoints.folder_for(options.out):
        run = Run(options, data, rows)
        if (options.out / "checkpoint.pt").is_file():
            resume(run)
        while run.epoch < options.stop_after:
            train_epoch(run, stop)
            evaluate(run, val, val_rows)
            if RANK == 0:
                write_log(run)
            run.epoch, run.batch, run.loss_sum = run.epoch + 1, 0, 0.0
            save_checkpoint(run)
        finish(run)
    return run


def main(argv: Sequence[str] | None = None) -> Run:
    options, stop = options_of(argv), list[int]()
    if options.device == "cuda":
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", 0)))
    if COUNT > 1:
        dist.init_process_group("cpu:gloo,cuda:nccl" if options.device == "cuda" else "gloo")
    try:
        with checkpoints.handled_signals(lambda number, _: stop.append(number)):
            return train(options, stop)
    finally:
        if COUNT > 1:
            dist.destroy_process_group()


if __name__ == "__main__":
    main()
