"""The paper's recipes as data: which model at which size on which photos, step by step, each from the last.

    python examples/recipes.py dolg_laptop --data photos/ --out runs/dolg --step 1
    python examples/recipes.py dolg_laptop --data photos/ --out runs/dolg --step 2
    torchrun --nproc-per-node 8 examples/recipes.py dolg_efficientnet_b5 --gldv2 gldv2/ --out runs/b5 --step 1

A step is a call of train.py, which this prints. Step 2 starts from OUT/step1/model, and so on. Options of
train.py take the place of the recipe's, such as --epochs 1 --workers 8 --precision bfloat16 --resume.
"""

from __future__ import annotations

import argparse
import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import train


@dataclass(frozen=True)
class Step:
    """One training. The fields are options of train.py; ``model_args`` of the model stand beside its name."""

    model: str
    split: str  # of Google Landmarks v2; a folder or CSV file has none
    epochs: int
    batch_size: int
    model_args: Mapping[str, Any] = field(default_factory=dict)
    image_size: int | None = None  # that of the model
    stop_after: int | None = None
    accumulate: int = 1
    lr: float = 1e-4
    warmup_epochs: float = 1
    weight_decay: float = 0.0
    pretrained_backbone: bool = False  # for parts that no earlier step has trained
    freeze: tuple[str, ...] = ()


def dolg(model: str, size: int, last: Step) -> tuple[Step, ...]:
    """Small images, larger ones, and the largest for a few epochs."""
    coarse, decay = {"stem_stride": 2}, last.weight_decay
    return (
        Step(model, "clean", 10, 64, coarse, 256, weight_decay=decay, pretrained_backbone=True),
        Step(model, "x", 40, 20, coarse, size, stop_after=29, weight_decay=decay),
        last,
    )


def hybrid(model: str, swin: str, side: int, **two_blocks: Any) -> tuple[Step, ...]:
    """Swin alone; two blocks of an EfficientNet in front of it; all of that; one more block between them."""
    two_blocks["stem_stride"] = 2
    rest = ("transformer", "neck", "head")
    return (
        Step("GlobalDescriptor", "clean", 10, 64, {"backbone": swin, "pool": "avg"}, side, **IMAGENET),
        Step(model, "clean", 1, 32, two_blocks, freeze=rest, **IMAGENET),
        Step(model, "x", 40, 20, two_blocks, stop_after=30),
        Step(model, "x", 40, 10, stop_after=16, warmup_epochs=0, **IMAGENET),
    )


IMAGENET: dict[str, Any] = {"pretrained_backbone": True}
B5, B6, B7 = (f"dolg_efficientnet_b{number}" for number in (5, 6, 7))
B3_SWIN, B5_SWIN = (f"hybrid_efficientnet_b{number}_swin_base_224" for number in (3, 5))
B6_SWIN, SWIN = "hybrid_efficientnet_b6_swin_base_384", "swin_base_patch4_window"
RECIPES: dict[str, tuple[Step, ...]] = {
    B5: dolg(B5, 512, Step(B5, "x", 7, 10, lr=5e-5)),
    B6: dolg(B6, 512, Step(B6, "x", 7, 16, accumulate=4, weight_decay=1e-4)),
    B7: dolg(B7, 448, Step(B7, "x", 15, 16, accumulate=4, lr=5e-5, weight_decay=1e-4)),
    B3_SWIN: hybrid(B3_SWIN, f"{SWIN}7_224", 224, image_size=448, cnn_level=8),
    B5_SWIN: hybrid(B5_SWIN, f"{SWIN}7_224", 224, image_size=448, cnn_level=8),
    B6_SWIN: hybrid(B6_SWIN, f"{SWIN}12_384", 384, cnn_level=4),
}

# The same steps for some hundred photos and two cores: minutes each.
LITE0, TINY = "dolg_efficientnet_lite0", "hybrid_efficientnet_b0_swin_tiny_224"
TINY_SWIN = {"backbone": "swin_tiny_patch4_window7_224", "pool": "avg"}
RECIPES["dolg_laptop"] = (
    Step(LITE0, "clean", 6, 8, image_size=96, lr=3e-4, **IMAGENET),
    Step(LITE0, "x", 8, 8, image_size=160, lr=3e-4, stop_after=6),
    Step(LITE0, "x", 2, 8, image_size=224, accumulate=2),
)
RECIPES["hybrid_laptop"] = (
    Step("GlobalDescriptor", "clean", 3, 8, TINY_SWIN, 224, **IMAGENET),
    Step(TINY, "clean", 1, 8, freeze=("transformer", "neck", "head"), **IMAGENET),
    Step(TINY, "x", 4, 8, stop_after=3),
    Step(TINY, "x", 2, 8, {"cnn_level": 16, "stem_stride": 1}, accumulate=4, **IMAGENET),
)


def arguments_of(step: Step) -> list[str]:
    """The step as options of train.py."""
    arguments = ["--model-args", json.dumps(dict(step.model_args))]
    for name in ("model", "image_size", "epochs", "stop_after", "batch_size", "accumulate", "lr"):
        if getattr(step, name) is not None:
            arguments += [f"--{name.replace('_', '-')}", str(getattr(step, name))]
    arguments += ["--warmup-epochs", str(step.warmup_epochs), "--weight-decay", str(step.weight_decay)]
    arguments += ["--pretrained-backbone"] if step.pretrained_backbone else []
    return arguments + (["--freeze", *step.freeze] if step.freeze else [])


def main(argv: Sequence[str] | None = None) -> train.Run:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("recipe", choices=RECIPES)
    data = parser.add_mutually_exclusive_group(required=True)
    data.add_argument("--data", help="folder with one folder a landmark, or CSV file")
    data.add_argument("--gldv2", help="root of Google Landmarks v2")
    parser.add_argument("--out", required=True, help="folder for the steps")
    parser.add_argument("--step", type=int, required=True, help="counted from 1")
    options, others = parser.parse_known_args(argv)
    steps = RECIPES[options.recipe]
    if not 1 <= options.step <= len(steps):
        parser.error(f"{options.recipe} has steps 1 to {len(steps)}, not {options.step}")
    step = steps[options.step - 1]
    command = ["--data", options.data or options.gldv2, "--out", f"{options.out}/step{options.step}"]
    command += ["--split", step.split] if options.gldv2 else []
    command += ["--init", f"{options.out}/step{options.step - 1}/model"] if options.step > 1 else []
    command += [*arguments_of(step), *others]
    if train.RANK == 0:
        print("train.py", shlex.join(command))
    return train.main(command)


if __name__ == "__main__":
    main()
