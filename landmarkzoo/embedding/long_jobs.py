"""What makes jobs of many photos faster, and is not worth its preparation for a few.

On CPUs, batch norms go into the convolutions before them, and ``precision="auto"`` is bfloat16 where the CPU
multiplies it in hardware and the descriptors stay what they are. Both are tried on images from a fixed seed,
and depend on the model, its image size and the number of photos of the whole job only: a job that was killed
goes on as it began.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from landmarkzoo._utils.cpu_features import has_native_bfloat16
from landmarkzoo.backbones.folded_norms import fold_norms, foldable_norms
from landmarkzoo.embedding.eval_copies import eval_copy
from landmarkzoo.embedding.inference import Inference
from landmarkzoo.models import ModelCfg
from landmarkzoo.models.wrappers import unwrapped
from landmarkzoo.photos.resizing import fitting_sides, size_text
from landmarkzoo.photos.transforms import size_rule_of

LONG_JOB = 64  # photos
LEAST_COSINE = 0.9995  # of descriptors in bfloat16 to those in float32
_SAME = 1e-4  # between descriptors of length 1 with batch norms and with these folded
_IMAGES = 3
_LARGEST = 512  # px: precision hardly depends on the size, the time does
_KEPT = 32  # models, in the order in which they were tried


@dataclass(frozen=True)
class _Findings:
    """What was seen on a few images.

    Attributes:
        pairs: Convolutions with the batch norms that can be folded into them.
        cosine: The least one of bfloat16 to float32; ``None`` where the CPU has no bfloat16.
    """

    pairs: list[tuple[str, str]]
    cosine: float | None


_known: dict[tuple[object, ...], _Findings] = {}


def ready_for_many(
    run: Inference, model: nn.Module, transform: object, weights: str, *, choose: bool
) -> tuple[Inference, Mapping[str, str]]:
    """A model that is ready to embed, made faster for a job of ``LONG_JOB`` photos or more.

    Nothing changes for what is not known well enough: modules without a cfg, compiled ones, those that keep
    something of a forward pass, other types of weights than float32, other devices than CPUs.

    Args:
        run: What ``inference_with`` gave for the model.
        model: The user's model.
        transform: What the photos go through.
        weights: The fingerprint of the model.
        choose: Whether bfloat16 may be taken: for ``precision="auto"``.

    Returns:
        What runs, and what the provenance gets: ``precision``, and with bfloat16 that was chosen here
        ``precision_cosine``, the least cosine to float32 that was seen.
    """
    size = _image_size(model, transform)
    own = unwrapped(run.model) is run.model and run.model is not model and not run.one_at_a_time
    usual = run.device.type == "cpu" and run.dtype == torch.float32 and run.autocast != torch.float16
    if size is None or not own or not usual:
        return run, {"precision": run.precision}
    native = has_native_bfloat16()
    # Parts without weights that the user has exchanged do not show in the fingerprint.
    key = (weights, size, native, *(type(module) for module in run.model.modules()))
    if key not in _known:
        try:
            _known[key] = _tried(replace(run, autocast=None), size, native)
        except Exception:  # the job itself says better what is wrong with the model
            return run, {"precision": run.precision}
        for oldest in list(_known)[:-_KEPT]:
            _known.pop(oldest, None)
    findings = _known[key]
    fold_norms(run.model, findings.pairs)
    if not choose or findings.cosine is None or findings.cosine < LEAST_COSINE:
        return run, {"precision": run.precision}
    run = replace(run, autocast=torch.bfloat16)
    return run, {"precision": run.precision, "precision_cosine": f"{findings.cosine:.4f}"}


def _tried(run: Inference, size: tuple[int, int], bfloat16: bool) -> _Findings:
    images = _images(size)
    pairs = foldable_norms(run.model, lambda: run(images[:1]))
    exact = F.normalize(run(images), dim=1)
    folded = replace(run, model=eval_copy(run.model))
    fold_norms(folded.model, pairs)
    if not (F.normalize(folded(images), dim=1) - exact).norm(dim=1).max() <= _SAME:
        pairs, folded = [], run
    if not bfloat16:
        return _Findings(pairs, None)
    coarse = F.normalize(replace(folded, autocast=torch.bfloat16)(images), dim=1)
    least = float((coarse.double() * exact.double()).sum(dim=1).min())
    return _Findings(pairs, math.floor(least * 1e4) / 1e4 if math.isfinite(least) else 0.0)


def _image_size(model: nn.Module, transform: object) -> tuple[int, int] | None:
    """Sides of images like those of a job, which does not depend on its photos; ``None`` if not known."""
    inner = unwrapped(model)
    cfg = getattr(inner, "cfg", None)
    if not isinstance(cfg, ModelCfg):
        return None
    words = (size_text(transform) or "").split()
    if len(words) == 3:  # such as "224 x 288"
        return int(words[0]), int(words[2])
    if len(words) == 2:  # such as "longest 1024"
        side = min(int(words[1]), _LARGEST)
        return fitting_sides(side * 3 // 4, side, size_rule_of(inner))
    return cfg.input_size[1], cfg.input_size[2]


def _images(size: tuple[int, int]) -> Tensor:
    """Images (B, 3, H, W) with coarse and fine structure, about normalised."""
    random = torch.Generator("cpu").manual_seed(0)
    kind: dict[str, Any] = {"dtype": torch.float32, "device": "cpu"}  # whatever the user's defaults are
    images = torch.zeros(_IMAGES, 3, *size, **kind)
    for parts, strength in ((4, 0.8), (16, 0.5), (64, 0.3)):
        noise = torch.randn(_IMAGES, 3, parts, parts, generator=random, **kind)
        images += strength * F.interpolate(noise, size, mode="bicubic")
    return images + 0.1 * torch.randn(images.shape, generator=random, **kind)
