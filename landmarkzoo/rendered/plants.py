"""Trees, palms and bushes: pictures that stand upright in the scene."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from PIL import Image

from landmarkzoo.rendered.camera import NEAR, Camera
from landmarkzoo.rendered.facades import Color
from landmarkzoo.rendered.light import Light
from landmarkzoo.rendered.plant_shapes import PLANTS, VARIANTS, plant
from landmarkzoo.rendered.textures import SIDE

LEAVES: tuple[Color, ...] = (
    (0.20, 0.34, 0.12),
    (0.28, 0.40, 0.14),
    (0.15, 0.26, 0.12),
    (0.36, 0.42, 0.16),
    (0.60, 0.40, 0.12),
    (0.10, 0.20, 0.10),
)
BARK: Color = (0.27, 0.21, 0.16)


@lru_cache(maxsize=2 * len(PLANTS) * VARIANTS)
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
        kind: a key of `PLANTS`.
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
    zoom = SIDE / side
    part = ((x0 - left) * zoom, (y0 - top) * zoom, (x1 - left) * zoom, (y1 - top) * zoom)
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
