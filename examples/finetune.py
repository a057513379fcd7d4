"""Fine-tune on your own photos, gently: some hundred photos, one folder a landmark, minutes on a laptop.

    python examples/finetune.py PHOTOS --out my-model [--recipe dolg] [--epochs 12] [--test-size 384]

What keeps a small data set from doing harm: the neck starts as the whitening of the photos, the centers of
the head as the mean descriptors of their classes, batch norms stay as they are, and layers near the input
move least. A quarter of each landmark's photos is held out: scores on them are printed before and after. The
model is saved with its head and class names, for ``lz.create_model("local-dir:my-model")``.

After Ctrl-C, SIGTERM or a crash the same command goes on from the last epoch that was finished, and ends as
it would have ended; the model of that epoch is in the folder. checkpoints.py, beside this file, writes files.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader
from torchvision.transforms import v2
from tqdm import tqdm

import landmarkzoo as lz
from landmarkzoo.finetuning import checkpoints


@dataclass(frozen=True)
class Recipe:
    """Settings for some hundred photos; ``benchmarks/finetune_photos.py`` measures them."""

    model: str = "efficientnet_lite0_gem"
    model_args: Mapping[str, Any] = field(default_factory=dict)
    image_size: int = 256
    test_size: int = 384  # objects in random crops look larger than in whole photos: a larger test size fits
    smallest_crop: float = 0.3  # share of the photo's area
    erase: float = 0.3  # how often a part is blotted out
    epochs: int = 12
    batch_size: int = 32
    lr: float = 2.5e-4
    head_lr: float = 1e-3
    layer_decay: float = 0.85
    margin: float = 0.2
    scale: float = 20.0
    shrinkage: float = 0.03
    seed: int = 0


# DOLG whose global branch is the whole backbone's descriptor: the start is as good as without a local branch.
RECIPES = {
    "gem": Recipe(),
    "dolg": Recipe("dolg_efficientnet_lite0", {"global_map": "head", "hidden_dim": 1280}),
}


def augmentation(cfg: lz.ModelCfg, recipe: Recipe) -> v2.Compose:
    """Crops, colors and blots: stronger than the paper's, as a few hundred photos are learned by heart."""
    size, crop = (recipe.image_size, recipe.image_size), (recipe.smallest_crop, 1.0)
    return v2.Compose(
        [
            v2.RandomResizedCrop(size, scale=crop, ratio=(0.8, 1.25), antialias=True),
            v2.RandomHorizontalFlip(),
            v2.RandomApply([v2.ColorJitter(0.3, 0.3, 0.3, 0.05)], p=0.7),
            v2.RandomApply([v2.RandomRotation(10, interpolation=v2.InterpolationMode.BILINEAR)], p=0.3),
            v2.ToImage(),
            v2.ToDtype(torch.float32, scale=True),
            v2.Normalize(list(cfg.mean), list(cfg.std)),
            v2.RandomErasing(recipe.erase, scale=(0.02, 0.25)),
        ]
    )


@dataclass(frozen=True, eq=False)
class Photos:
    """Photos with labels, as a map-style data set of transformed images."""

    paths: list[Path]
    labels: np.ndarray
    transform: Callable[[object], torch.Tensor] | None = None

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, row: int) -> tuple[torch.Tensor, int]:
        return self.transform(lz.photos.open_photo(self.paths[row])), int(self.labels[row])

    def rows(self, rows: np.ndarray) -> Photos:
        """Some of the photos."""
        return replace(self, paths=[self.paths[row] for row in rows], labels=self.labels[rows])


def whitened_model(recipe: Recipe, train: Photos, progress: bool = True) -> nn.Module:
    """ImageNet weights whose neck is the whitening of the photos; a local branch is drawn by the seed."""
    torch.manual_seed(recipe.seed)
    model = lz.create_model(recipe.model, pretrained_backbone=True, **recipe.model_args)
    return lz.whiten_neck(model, train.paths, shrinkage=recipe.shrinkage, progress=progress)


def head_of_class_means(recipe: Recipe, model: nn.Module, train: Photos, progress: bool = True) -> nn.Module:
    """ArcFace whose centers are the mean descriptors of the classes."""
    descriptors = torch.from_numpy(lz.embed(model, train.paths, progress=progress).vectors)
    labels = torch.from_numpy(train.labels)
    means = [descriptors[labels == label].mean(dim=0) for label in range(int(labels.max()) + 1)]
    head = new_head(recipe, model, len(means))
    head.load_state_dict({"weight": F.normalize(torch.stack(means), dim=1)})
    return head


def new_head(recipe: Recipe, model: nn.Module, classes: int) -> nn.Module:
    """ArcFace with one center a class."""
    how = {"margins": recipe.margin, "sub_centers": 1, "scale": recipe.scale}
    return lz.SubCenterArcFaceDynamic(model.embedding_dim, classes, **how)


@dataclass
class Training:
    """What changes from epoch to epoch."""

    model: Any
    head: nn.Module
    optimizer: torch.optim.Optimizer
    schedule: torch.optim.lr_scheduler.LambdaLR
    epoch: int = 0  # how many are finished

    def state(self) -> dict[str, Any]:
        """All that a checkpoint needs to go on bit by bit on one machine's CPU."""
        parts = {name: dict(getattr(self, name).state_dict()) for name in ("model", "head", "optimizer")}
        random = [
            torch.get_rng_state(),
            *(torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []),
        ]
        return {**parts, "schedule": self.schedule.state_dict(), "random": random, "epoch": self.epoch}

    def load(self, state: dict[str, Any]) -> None:
        """Become what ``state`` was of."""
        for name in ("model", "head", "optimizer", "schedule"):
            getattr(self, name).load_state_dict(state[name])
        torch.set_rng_state(state["random"][0])
        if len(state["random"]) > 1:
            torch.cuda.set_rng_state_all(state["random"][1:])
        self.epoch = state["epoch"]


def begin(recipe: Recipe, model: nn.Module, head: nn.Module, steps: int) -> Training:
    """A training of a whitened model and a head on one device, before its first epoch."""
    norms = [
        name for name, module in model.named_modules() if isinstance(module, nn.modules.batchnorm._BatchNorm)
    ]
    lz.freeze(model, *norms)
    groups = lz.parameter_groups(model, lr=recipe.lr, layer_decay=recipe.layer_decay)
    groups.append({"params": list(head.parameters()), "lr": recipe.head_lr})
    optimizer = torch.optim.AdamW(groups, weight_decay=0, fused=True)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: rate(step, steps))
    return Training(model, head, optimizer, schedule)


def finetune(
    recipe: Recipe,
    model: nn.Module,
    train: Photos,
    progress: bool = True,
    *,
    resume: dict[str, Any] | None = None,
    after_epoch: Callable[[Training], object] = lambda training: None,
) -> nn.Module:
    """Some gentle epochs of a whitened model, in place, from the class means. Returns its head.

    ``resume`` is the ``Training.state()`` to go on from. ``after_epoch`` is called before the first one, too.
    """
    torch.manual_seed(recipe.seed)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    model.to(device, memory_format=torch.channels_last)
    if resume is None:
        head = head_of_class_means(recipe, model, train, progress)
    else:
        head = new_head(recipe, model, int(train.labels.max()) + 1)
    photos = replace(train, transform=augmentation(model.cfg, recipe))
    loader = DataLoader(photos, recipe.batch_size, shuffle=True, drop_last=True)
    model.cfg = replace(model.cfg, input_size=(3, recipe.test_size, recipe.test_size))
    training = begin(recipe, model, head.to(device), recipe.epochs * len(loader))
    if resume is None:
        after_epoch(training)
    else:
        training.load(resume)
    model.train()
    while training.epoch < recipe.epochs:
        train_epoch(training, loader, f"epoch {training.epoch + 1}/{recipe.epochs}", progress)
        training.epoch += 1
        after_epoch(training)
    model.cpu().eval()
    return head.cpu()


def train_epoch(training: Training, loader: Any, name: str, progress: bool) -> None:
    """One epoch; its mean loss is written."""
    device = training.head.weight.device
    total = torch.zeros((), device=device)
    for images, labels in tqdm(loader, name, disable=not progress):
        with lz.layers.mixed_precision(device):
            descriptors = training.model(images.to(device, memory_format=torch.channels_last))
            loss = training.head(descriptors, labels.to(device))
        training.optimizer.zero_grad()
        loss.backward()
        training.optimizer.step()
        training.schedule.step()
        total += loss.detach()
    if progress:
        tqdm.write(f"mean loss {total.item() / len(loader):.3f}", file=sys.stderr)


def rate(step: int, steps: int) -> float:
    """A tenth of warm-up, times a cosine to 0."""
    return min(1.0, (step + 1) / (0.1 * steps)) * 0.5 * (1 + math.cos(math.pi * step / steps))


def held_out(labels: np.ndarray, share: float, seed: int) -> np.ndarray:
    """Rows of a share of each landmark's photos, one at least where there are two."""
    if not 0 < share < 1:
        raise ValueError(f"--held-out must be between 0 and 1, got {share}")
    random = np.random.default_rng(seed)
    rows = []
    for label in np.unique(labels):
        of_label = random.permutation(np.flatnonzero(labels == label))
        rows.append(of_label[: min(len(of_label) - 1, max(1, round(share * len(of_label))))])
    held = np.sort(np.concatenate(rows))
    if len(held) == 0:
        raise ValueError("each landmark has one photo only: two are needed, one of them to measure with")
    return held


def scores(model: nn.Module, size: int, train: Photos, test: Photos, progress: bool = True) -> lz.Evaluation:
    """Held-out photos among those of the training, all of ``size`` pixels: mAP@100 and more."""
    how = {"transform": lz.create_transform(model, image_size=size), "flip": True, "progress": progress}
    queries, index = (lz.embed(model, photos.paths, **how) for photos in (test, train))
    relevant = [np.array(index.ids)[train.labels == label].tolist() for label in test.labels]
    of = "held-out photos among those trained on, flip=True"
    return lz.evaluation.evaluate_retrieval(queries, index, relevant, data=of)


def options_of(argv: Sequence[str] | None) -> tuple[argparse.Namespace, Recipe]:
    """What to train on and where the result goes, and the recipe with what is set otherwise."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("photos", type=Path, help="a folder with one folder a landmark")
    parser.add_argument("--out", type=Path, required=True, help="folder for model, head and class names")
    parser.add_argument("--held-out", type=float, default=0.25, help="share of photos that only measure")
    parser.add_argument("--recipe", choices=RECIPES, default="gem", help="settings that are not given")
    given = parser.add_argument_group("instead of the recipe's")
    for name in ("epochs", "image_size", "test_size", "batch_size", "lr", "seed"):
        given.add_argument(f"--{name.replace('_', '-')}", type=type(getattr(Recipe, name)), dest=name,
                           default=argparse.SUPPRESS, help=f"{getattr(Recipe, name)} of gem")  # fmt: skip
    options = parser.parse_args(argv)
    own = {name: value for name, value in vars(options).items() if hasattr(Recipe, name)}
    return options, replace(RECIPES[options.recipe], **own)


def checkpoint_of(out: Path, fixed: dict[str, Any]) -> dict[str, Any] | None:
    """The state to go on from, or ``None`` for a new folder."""
    path = out / "checkpoint.pt"
    if not path.is_file():
        if out.is_dir() and any(out.iterdir()):
            raise FileExistsError(f"--out {out} is not empty: choose another folder")
        return None
    state = checkpoints.load(path)
    other = [f"{k} was {then}, is {fixed[k]}" for k, then in state["fixed"].items() if then != fixed[k]]
    if other:
        raise ValueError(f"--out {out} is of another command: {'; '.join(other)}. Choose another folder")
    return state


def run(options: argparse.Namespace, recipe: Recipe, data: Any, train: Photos, test: Photos) -> None:
    """Train, or go on; save after every epoch, and in the end the model with its scores and its card."""
    out, path = options.out, options.out / "checkpoint.pt"
    hash_of_ids = hashlib.sha256("\n".join(data.ids).encode()).hexdigest()[:12]
    fixed = {**asdict(recipe), "held_out": options.held_out, "photos": f"{len(data)} with hash {hash_of_ids}"}
    state = checkpoint_of(out, fixed)
    if state is None:
        model = whitened_model(recipe, train)
        before = str(scores(model, recipe.test_size, train, test))
    else:
        model, before = lz.create_model(recipe.model, **json.loads(state["args"])), state["before"]
        print(f"going on after epoch {state['epoch']} of {recipe.epochs}", file=sys.stderr)

    def save(training: Training) -> None:
        kept = {"args": json.dumps(model.cfg.args), "before": before, "fixed": fixed}
        checkpoints.save(path, {**training.state(), **kept})
        model.save_pretrained(out, training.head, data.classes)

    head = finetune(recipe, model, train, resume=state, after_epoch=save)
    after = scores(model, recipe.test_size, train, test)
    print(f"\nwhitened ImageNet weights\n{before}\n\nfine-tuned\n{after}")
    source = f"{len(train)} photos of {options.photos.resolve().name}"
    model.cfg = replace(model.cfg, scores=after.scores, training_data=source)
    model.save_pretrained(out, head, data.classes)
    card = lz.hub.model_card(model.cfg, "org/name", classes=head.num_classes)
    checkpoints.write_whole(out / "README.md", lambda file: file.write(card.encode()))
    path.unlink()
    push = f'push_to_hub("org/name", *lz.load_head("local-dir:{out}"))'
    print(f'\nsaved; to the Hub:\nlz.create_model("local-dir:{out}").{push}')


def main(argv: Sequence[str] | None = None) -> None:
    options, recipe = options_of(argv)
    data = lz.datasets.ImageFolder(options.photos)
    print(data)
    if len(data.classes) < 2:
        raise ValueError(f"one landmark only, {data.classes[0]!r}: each needs a folder of its own")
    photos = Photos([options.photos / id_ for id_ in data.ids], data.targets)
    test_rows = held_out(data.targets, options.held_out, recipe.seed)
    train = photos.rows(np.setdiff1d(np.arange(len(photos)), test_rows))
    test = photos.rows(test_rows)
    if not 0 < recipe.batch_size <= len(train) or recipe.epochs < 1:
        raise ValueError(f"--batch-size must be 1 to {len(train)}, the photos that are trained on, and "
                         f"--epochs 1 or more; got {recipe.batch_size} and {recipe.epochs}")  # fmt: skip

    def stop(number: int, frame: object) -> None:
        raise SystemExit(128 + number)

    try:
        with checkpoints.handled_signals(stop), checkpoints.folder_for(options.out):
            run(options, recipe, data, train, test)
    except SystemExit:
        print(f"\n{said_when_stopped(options.out)}", file=sys.stderr)
        raise


def said_when_stopped(out: Path) -> str:
    """What is there after Ctrl-C or SIGTERM, and how to go on."""
    if not (out / "checkpoint.pt").is_file():
        return "stopped before the first epoch: nothing is saved"
    epoch = checkpoints.load(out / "checkpoint.pt")["epoch"]
    return f"stopped after epoch {epoch}: its model is saved in {out}, and the same command goes on"


if __name__ == "__main__":
    try:
        main()
    except (OSError, ValueError) as error:
        sys.exit(f"finetune.py: {error}")
