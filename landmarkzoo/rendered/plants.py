"""Trees, palms and bushes: pictures that stand upright in the scene."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from landmarkzoo.rendered.camera import NEAR, Camera
from landmarkzoo.rendered.facades import Color
from landmarkzoo.rendered.light import Light
from landmarkzoo.rendered.textures import SIDE, noise

Float32s = npt.NDArray[np.float32]

LEAVES: tuple[Color, ...] = (
    (0.20, 0.34, 0.12),
    (0.28, 0.40, 0.14),
    (0.15, 0.26, 0.12),
    (0.36, 0.42, 0.16),
    (0.60, 0.40, 0.12),
    (0.10, 0.20, 0.10),
)
BARK: Color = (0.27, 0.21, 0.16)
#: Heights in metres of the kinds of plants.
HEIGHTS: dict[str, tuple[float, float]] = {
    "broadleaf": (6, 16),
    "conifer": (7, 20),
    "cypress": (6, 14),
    "palm": (7, 15),
    "bush": (1, 3),
    "bare": (6, 14),
}
#: How many pictures there are of each kind.
VARIANTS = 6


def _blobs(
    rng: np.random.Generator, count: int, spread: tuple[float, float], middle: float, size: float
) -> Float32s:
    """Return how far inside a heap of blobs each pixel lies (SIDE, SIDE)."""
    y, x = np.mgrid[:SIDE:2, :SIDE:2].astype(np.float32) / SIDE
    field = np.full(x.shape, -1.0, dtype=np.float32)
    for _ in range(count):
        angle, out = rng.uniform(0, 2 * np.pi), np.sqrt(rng.random())
        cx, cy = 0.5 + spread[0] * out * np.cos(angle), middle + spread[1] * out * np.sin(angle)
        radius = size * rng.uniform(0.6, 1.2)
        field = np.maximum(field, 1 - np.hypot(x - cx, y - cy) / radius)
    return field.repeat(2, 0).repeat(2, 1)


def _branches(
    draw: ImageDraw.ImageDraw, rng: np.random.Generator, x: float, y: float, angle: float, length: float
) -> None:
    """Draw a branch and what grows from it."""
    end = (x + length * np.sin(angle), y - length * np.cos(angle))
    draw.line((x, y, *end), fill=255, width=max(int(length / 9), 1))
    if length > 7:
        for turn in (-1, 1, 0)[: 2 + int(rng.random() < 0.5)]:
            _branches(draw, rng, *end, angle + turn * rng.uniform(0.25, 0.7), length * rng.uniform(0.62, 0.8))


@lru_cache(maxsize=len(HEIGHTS) * VARIANTS)
def plant(kind: str, variant: int) -> npt.NDArray[np.uint8]:
    """Return a picture of a plant (SIDE, SIDE, 3): brightness, share of bark, opacity.

    Args:
        kind: a key of `HEIGHTS`.
        variant: 0 to `VARIANTS` - 1.

    Raises:
        ValueError: If the kind is unknown.
    """
    if kind not in HEIGHTS:
        raise ValueError(f"kind must be one of {sorted(HEIGHTS)}, got {kind!r}")
    rng = np.random.default_rng([sorted(HEIGHTS).index(kind), variant])
    trunk = Image.new("L", (SIDE, SIDE))
    draw = ImageDraw.Draw(trunk)
    grain, fine = noise(rng, 1.0), noise(rng, 0.3)
    y, x = np.mgrid[:SIDE, :SIDE].astype(np.float32) / SIDE
    girth = SIDE * rng.uniform(0.012, 0.03)
    if kind == "bare":
        _branches(draw, rng, SIDE / 2, SIDE - 1, rng.normal(0, 0.05), SIDE * 0.27)
        leaf = np.full((SIDE, SIDE), -1.0, dtype=np.float32)
    elif kind == "palm":
        draw.line((SIDE / 2, SIDE, SIDE / 2, SIDE * 0.3), fill=255, width=int(girth * 1.5))
        crown = Image.new("L", (SIDE, SIDE))
        fronds = ImageDraw.Draw(crown)
        for angle in rng.uniform(-2.6, 2.6, 22):
            reach, droop = rng.uniform(0.2, 0.34), rng.uniform(0.1, 0.3)
            steps = np.linspace(0, 1, 9)
            px = SIDE * (0.5 + reach * np.sin(angle) * steps)
            py = SIDE * (0.3 - reach * np.cos(angle) * steps + droop * steps**2)
            for width, left, top in zip((3, 7, 8, 8, 7, 6, 4, 2), range(8), range(8), strict=True):
                fronds.line((px[left], py[top], px[left + 1], py[top + 1]), fill=255, width=width)
        leaf = np.asarray(crown, dtype=np.float32) / 255 - 0.5 + 0.35 * np.minimum(fine, 0)
    elif kind in ("conifer", "cypress"):
        wide = rng.uniform(0.16, 0.3) if kind == "conifer" else rng.uniform(0.07, 0.12)
        shape = (
            (y - 0.02)
            if kind == "conifer"
            else np.sqrt(np.clip(np.sin(np.pi * np.clip(y, 0, 1) ** 0.6), 0, 1))
        )
        jag = 0.75 + 0.25 * np.abs(np.sin(y * rng.uniform(20, 34))) if kind == "conifer" else 1.0
        leaf = wide * shape * jag - np.abs(x - 0.5) + 0.012 * grain + 0.008 * fine
        leaf[y > 0.94] = -1
        draw.rectangle((SIDE / 2 - girth, SIDE * 0.9, SIDE / 2 + girth, SIDE), fill=255)
        leaf *= 8
    elif kind == "bush":
        leaf = _blobs(rng, 16, (0.33, 0.22), 0.74, 0.2) + 0.16 * grain + 0.1 * fine
    else:
        low = rng.uniform(0.32, 0.42)
        leaf = _blobs(rng, 26, (rng.uniform(0.22, 0.36), low * 0.72), low, 0.15) + 0.2 * grain + 0.12 * fine
        draw.polygon([SIDE / 2 - girth, SIDE, SIDE / 2 + girth, SIDE, SIDE / 2, SIDE * 0.3], fill=255)
        draw.line((SIDE / 2, SIDE * 0.7, SIDE * 0.35, SIDE * 0.45), fill=255, width=int(girth))
        draw.line((SIDE / 2, SIDE * 0.7, SIDE * 0.65, SIDE * 0.45), fill=255, width=int(girth))
    opaque = np.clip(leaf * 10, 0, 1)
    bark = np.asarray(trunk, dtype=np.float32) / 255 * (1 - opaque)
    bright = 0.82 + 0.16 * grain + 0.14 * fine + 0.35 * (0.5 - y) + 0.2 * np.clip(leaf, 0, 1)
    parts = np.stack([np.clip(bright, 0.15, 1.7) * 150, bark * 255, np.maximum(opaque, bark) * 255], axis=2)
    return np.clip(parts, 0, 255).astype(np.uint8)


@lru_cache(maxsize=2 * len(HEIGHTS) * VARIANTS)
def _picture(kind: str, variant: int, turned: bool) -> Image.Image:
    """Return a plant as a picture to be resized, as it is or as in a mirror."""
    parts = plant(kind, variant)
    return Image.fromarray(np.ascontiguousarray(parts[:, ::-1]) if turned else parts)


def draw_plant(
    picture: Image.Image,
    light: Light,
    kind: str,
    variant: int,
    foot: tuple[float, float],
    height: float,
    depth: float,
    color: Color,
) -> None:
    """Draw a plant on a picture.

    Args:
        picture: RGB.
        light: the light.
        kind: a key of `HEIGHTS`.
        variant: which of the plants of this kind, and from `VARIANTS` on the same in a mirror.
        foot: pixel of the foot.
        height: pixels.
        depth: metres away.
        color: reflectance of the leaves.
    """
    side = int(height)
    left, top = int(foot[0] - side / 2), int(foot[1] - side)
    x0, y0 = max(left, 0), max(top, 0)
    x1, y1 = min(left + side, picture.width), min(top + side, picture.height)
    if side < 3 or x0 >= x1 or y0 >= y1:
        return
    # Only what lies in the picture is made.
    part = tuple(edge * SIDE / side for edge in (x0 - left, y0 - top, x1 - left, y1 - top))
    source = _picture(kind, variant % VARIANTS, (variant // VARIANTS) % 2 == 1)
    small = source.resize((x1 - x0, y1 - y0), Image.Resampling.BILINEAR, box=part)
    bright, bark, opacity = (np.asarray(band, dtype=np.float32) for band in small.split())
    tone = light.tone(depth)
    colors = np.empty((*bright.shape, 3), dtype=np.uint8)
    for channel in range(3):
        gain, veil = tone.gain[channel] * 255 / 150, tone.veil[channel] * 255
        leaf, wood = color[channel] * gain, BARK[channel] * gain
        colors[..., channel] = np.minimum(bright * (leaf + (wood - leaf) / 255 * bark) + veil, 255)
    picture.paste(Image.fromarray(colors), (x0, y0), Image.fromarray(opacity.astype(np.uint8)))


def stand_at(camera: Camera, x: float, y: float) -> tuple[tuple[float, float], float, float]:
    """Return the pixel of a place (x, y) on the ground, pixels a metre there (0: unseen) and its depth."""
    pixels, depths = camera.project(np.array([[x, y, 0.0]]))
    depth = float(depths[0])
    if depth <= max(NEAR, 1.0):
        return (0.0, 0.0), 0.0, depth
    return (float(pixels[0, 0]), float(pixels[0, 1])), camera.focal / depth, depth
