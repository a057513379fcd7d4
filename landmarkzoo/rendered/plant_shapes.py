"""The shapes of trees, palms and bushes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from landmarkzoo.rendered.textures import SIDE, noise

Float32s = npt.NDArray[np.float32]

#: How many pictures there are of each kind.
VARIANTS = 6


@dataclass(frozen=True)
class Growth:
    """What a plant grows from: chance, a pen for the wood, and coarse and fine noise (SIDE, SIDE)."""

    rng: np.random.Generator
    wood: ImageDraw.ImageDraw
    grain: Float32s
    fine: Float32s


def _grid() -> tuple[Float32s, Float32s]:
    """Return the shares of the way across and down (SIDE, SIDE)."""
    y, x = np.mgrid[:SIDE, :SIDE].astype(np.float32) / SIDE
    return x, y


def _blobs(growth: Growth, count: int, spread: tuple[float, float], middle: float, size: float) -> Float32s:
    """Return how far inside a heap of blobs each pixel lies (SIDE, SIDE)."""
    rng, (x, y) = growth.rng, _grid()
    field = np.full_like(x, -1)
    for _ in range(count):
        angle, out = rng.uniform(0, 2 * np.pi), np.sqrt(rng.random())
        cx, cy = 0.5 + spread[0] * out * np.cos(angle), middle + spread[1] * out * np.sin(angle)
        inside = 1 - np.hypot(x - np.float32(cx), y - np.float32(cy)) / np.float32(
            size * rng.uniform(0.6, 1.2)
        )
        field = np.maximum(field, inside)
    return np.asarray(field + 0.2 * growth.grain + 0.12 * growth.fine, dtype=np.float32)


def broadleaf(growth: Growth) -> Float32s:
    """Return the leaves of an oak or a lime, and draw its trunk."""
    wood, girth = growth.wood, SIDE * growth.rng.uniform(0.012, 0.03)
    low, wide = growth.rng.uniform(0.32, 0.42), growth.rng.uniform(0.22, 0.36)
    wood.polygon([SIDE / 2 - girth, SIDE, SIDE / 2 + girth, SIDE, SIDE / 2, SIDE * 0.3], fill=255)
    for x in (0.35, 0.65):
        wood.line((SIDE / 2, SIDE * 0.7, SIDE * x, SIDE * 0.45), fill=255, width=int(girth))
    return _blobs(growth, 26, (wide, low * 0.72), low, 0.15)


def bush(growth: Growth) -> Float32s:
    """Return the leaves of a bush."""
    return _blobs(growth, 16, (0.33, 0.22), 0.74, 0.2)


def _needles(growth: Growth, half: Float32s) -> Float32s:
    """Return a narrow tree, `half` (SIDE, 1) wide to each side, on a short trunk."""
    x, y = _grid()
    leaf = half - np.abs(x - 0.5) + np.float32(0.012) * growth.grain + np.float32(0.008) * growth.fine
    leaf[y > 0.94] = -1
    growth.wood.rectangle((SIDE * 0.48, SIDE * 0.9, SIDE * 0.52, SIDE), fill=255)
    return np.asarray(leaf * 8, dtype=np.float32)


def conifer(growth: Growth) -> Float32s:
    """Return the needles of a fir."""
    y = _grid()[1][:, :1]
    tiers = 0.75 + 0.25 * np.abs(np.sin(y * np.float32(growth.rng.uniform(20, 34))))
    return _needles(growth, np.float32(growth.rng.uniform(0.16, 0.3)) * y * tiers)


def cypress(growth: Growth) -> Float32s:
    """Return the needles of a cypress."""
    y = _grid()[1][:, :1]
    return _needles(
        growth, np.float32(growth.rng.uniform(0.07, 0.12)) * np.sqrt(np.sin(np.pi * y**0.6).clip(0))
    )


def palm(growth: Growth) -> Float32s:
    """Return the fronds of a palm."""
    rng, crown = growth.rng, Image.new("L", (SIDE, SIDE))
    growth.wood.line((SIDE / 2, SIDE, SIDE / 2, SIDE * 0.3), fill=255, width=int(rng.uniform(5, 11)))
    fronds, steps = ImageDraw.Draw(crown), np.linspace(0, 1, 9)
    for angle in rng.uniform(-2.6, 2.6, 22):
        reach, droop = rng.uniform(0.2, 0.34), rng.uniform(0.1, 0.3)
        x = SIDE * (0.5 + reach * np.sin(angle) * steps)
        y = SIDE * (0.3 - reach * np.cos(angle) * steps + droop * steps**2)
        for step, width in enumerate((3, 7, 8, 8, 7, 6, 4, 2)):
            fronds.line((x[step], y[step], x[step + 1], y[step + 1]), fill=255, width=width)
    leaf = np.asarray(crown, dtype=np.float32) / np.float32(255) - np.float32(0.5)
    return np.asarray(leaf + 0.35 * np.minimum(growth.fine, 0), dtype=np.float32)


def _branches(
    wood: ImageDraw.ImageDraw, rng: np.random.Generator, x: float, y: float, angle: float, reach: float
) -> None:
    """Draw a branch and what grows from it; lengths in pixels."""
    end = (x + reach * float(np.sin(angle)), y - reach * float(np.cos(angle)))
    wood.line((x, y, *end), fill=255, width=max(int(reach / 9), 1))
    if reach > 7:
        for turn in (-1, 1, 0)[: 2 + int(rng.random() < 0.5)]:
            _branches(wood, rng, *end, angle + turn * rng.uniform(0.25, 0.7), reach * rng.uniform(0.62, 0.8))


def bare(growth: Growth) -> Float32s:
    """Return no leaves, and draw a tree in winter."""
    _branches(growth.wood, growth.rng, SIDE / 2, SIDE - 1, growth.rng.normal(0, 0.05), SIDE * 0.27)
    return np.full((SIDE, SIDE), -1, dtype=np.float32)


@dataclass(frozen=True)
class Plant:
    """A kind of plant: how it grows, how high in metres, and its share of all plants."""

    grow: Callable[[Growth], Float32s]
    heights: tuple[float, float]
    share: float


#: The kinds of plants by name.
PLANTS: dict[str, Plant] = {
    "broadleaf": Plant(broadleaf, (6, 16), 0.38),
    "conifer": Plant(conifer, (7, 20), 0.12),
    "cypress": Plant(cypress, (6, 14), 0.10),
    "palm": Plant(palm, (7, 15), 0.12),
    "bush": Plant(bush, (1, 3), 0.20),
    "bare": Plant(bare, (6, 14), 0.08),
}


@lru_cache(maxsize=len(PLANTS) * VARIANTS)
def plant(kind: str, variant: int) -> npt.NDArray[np.uint8]:
    """Return a picture of a plant (SIDE, SIDE, 3): brightness, share of bark, opacity.

    Args:
        kind: a key of `PLANTS`.
        variant: 0 to `VARIANTS` - 1.

    Raises:
        ValueError: If the kind is unknown.
    """
    if kind not in PLANTS:
        raise ValueError(f"kind must be one of {sorted(PLANTS)}, got {kind!r}")
    rng = np.random.default_rng([list(PLANTS).index(kind), variant])
    trunk = Image.new("L", (SIDE, SIDE))
    growth = Growth(rng, ImageDraw.Draw(trunk), noise(rng, 1.0), noise(rng, 0.3))
    leaf = PLANTS[kind].grow(growth)
    opaque = np.clip(leaf * 10, 0, 1)
    bark = np.asarray(trunk, dtype=np.float32) / np.float32(255) * (1 - opaque)
    bright = 0.82 + 0.16 * growth.grain + 0.14 * growth.fine + 0.35 * (0.5 - _grid()[1])
    bright = np.clip(bright + 0.2 * np.clip(leaf, 0, 1), 0.15, 1.7)
    parts = np.stack([bright * 150, bark * 255, np.maximum(opaque, bark) * 255], axis=2)
    return np.asarray(np.clip(parts, 0, 255), dtype=np.uint8)
