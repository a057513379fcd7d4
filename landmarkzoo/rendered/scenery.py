"""What surrounds a landmark: sky, clouds, hills, towns on the horizon."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from landmarkzoo.rendered.camera import NEAR, Camera
from landmarkzoo.rendered.facades import Color
from landmarkzoo.rendered.light import Light

Floats = npt.NDArray[np.float64]

HILLS: tuple[Color, ...] = (
    (0.26, 0.34, 0.24),  # woods
    (0.36, 0.42, 0.24),  # meadows
    (0.50, 0.44, 0.36),  # rock
    (0.62, 0.52, 0.38),  # desert
)


def smooth_noise(
    rng: np.random.Generator, size: tuple[int, int], cells: tuple[int, int]
) -> npt.NDArray[np.float32]:
    """Return noise (height, width) about 0 with a spread of 1, as smooth as the few cells allow.

    Args:
        rng: where the noise comes from.
        size: width and height in pixels.
        cells: number of independent values across and down.
    """
    grid = rng.standard_normal((cells[1], cells[0]), dtype=np.float32)
    return np.asarray(Image.fromarray(grid).resize(size, Image.Resampling.BICUBIC))


def draw_sky(rng: np.random.Generator, camera: Camera, light: Light) -> Image.Image:
    """Return a picture of the sky alone: a gradient down to the horizon, and clouds."""
    # Nothing in a sky is sharp: a quarter of the resolution is enough.
    width, height = camera.width // 4, camera.height // 4
    horizon = float(camera.horizon()[:, 1].mean()) / 4
    fall = np.clip((np.arange(height) - horizon) / (1.1 * camera.focal / 4) + 1, 0, 1)[:, None]
    sky = np.array(light.zenith) * (1 - fall) + np.array(light.skyline) * fall
    picture = np.repeat(sky[:, None].astype(np.float32), width, axis=1)
    drift = smooth_noise(rng, (width, height), (4, 7)) + 0.6 * smooth_noise(rng, (width, height), (9, 18))
    drift += 0.35 * smooth_noise(rng, (width, height), (20, 40)) + 0.2 * smooth_noise(
        rng, (width, height), (45, 90)
    )
    cover = np.clip((drift + 2.6 * light.clouds - 1.9) * rng.uniform(0.5, 1.4), 0, 0.9)[..., None]
    bright = 0.35 + 0.65 * (1 - light.lamps)
    cloud = np.clip(np.array(light.skyline) * 0.55 + 0.45 * bright, 0, 1).astype(np.float32)
    cloud = cloud * (0.92 + 0.08 * smooth_noise(rng, (width, height), (6, 12))[..., None])
    picture = picture * (1 - cover) + cloud * cover
    picture += _glow(camera, light, (height, width))
    sky_image = Image.fromarray((np.clip(picture, 0, 1) * 255).astype(np.uint8))
    return sky_image.resize((camera.width, camera.height), Image.Resampling.BILINEAR)


def _glow(camera: Camera, light: Light, size: tuple[int, int]) -> npt.NDArray[np.float32]:
    """Return the light about a low sun (height, width, 3) in a picture of a quarter of the camera's size."""
    if light.lamps > 0.9 or light.sun[2] > 0.5:
        return np.zeros((1, 1, 3), dtype=np.float32)
    height, width = size
    right, up, forward = camera.axes()
    x = (np.arange(width) - width / 2) * 4 / camera.focal
    y = ((height / 2 - np.arange(height)) * 4 / camera.focal)[:, None]
    sun = np.array(light.sun)
    towards = (forward @ sun) + x * (right @ sun) + y * (up @ sun)
    away = np.arccos(np.clip(towards / np.sqrt(1 + x**2 + y**2), -1, 1))
    bright = 0.9 * np.exp(-((away / 0.025) ** 2)) + 0.35 * np.exp(-away / 0.18)
    bright *= 1 - 0.7 * light.clouds
    return np.asarray(bright[..., None] * np.array([1.0, 0.85, 0.6]), dtype=np.float32)


def draw_distance(
    picture: Image.Image, rng: np.random.Generator, camera: Camera, light: Light
) -> Image.Image:
    """Return the picture with hills, mountains or the outline of a town along the horizon."""
    flat = picture.copy()
    draw = ImageDraw.Draw(flat)
    (x0, y0), (x1, y1) = camera.horizon()
    slope = (y1 - y0) / (x1 - x0)
    scale = camera.focal
    kind = rng.integers(4)
    tallness = float(rng.choice([1.0, 1.0, rng.uniform(1.5, 5.0)]))
    for layer in range(int(kind > 0) + int(kind > 1)):
        xs = np.linspace(-0.05, 1.05, 24) * camera.width
        line = y0 + (xs - x0) * slope
        depth = 900.0 - 450.0 * layer
        if kind == 3:
            rise = np.repeat(rng.uniform(0.02, 0.10, 12), 2) * scale
            color: Color = (0.45, 0.43, 0.44)
            xs = np.repeat(np.linspace(-0.05, 1.05, 13) * camera.width, 2)[1:-1]
        else:
            waves = np.sin(xs / camera.width * rng.uniform(3, 9) + rng.uniform(0, 6))
            rise = (0.06 + 0.04 * waves + 0.008 * rng.standard_normal(24)) * scale
            rise = np.maximum(rise * (1 - 0.45 * layer), 0) * tallness
            color = HILLS[rng.integers(len(HILLS))]
        fill = light.tone(depth * light.visibility / 900).fill(color)
        top = np.column_stack([xs, line - rise]).ravel().tolist()
        draw.polygon([*top, xs[-1], line[-1] + 4, xs[0], line[0] + 4], fill=fill)
    if kind == 0:
        return picture
    # Woods, rocks and houses on what was filled with one color.
    grain = smooth_noise(rng, flat.size, (flat.width // 3 + 1, flat.height // 3 + 1))
    grain = grain + smooth_noise(rng, flat.size, (flat.width // 20 + 1, flat.height // 20 + 1))
    pixels, before = np.asarray(flat), np.asarray(picture)
    changed = (pixels != before).any(axis=2)
    rough = pixels[changed] * (1 + 0.09 * grain[changed][:, None])
    textured = pixels.copy()
    textured[changed] = np.clip(rough, 0, 255).astype(np.uint8)
    return Image.fromarray(textured)


def stand(camera: Camera, across: float, depth: float) -> tuple[tuple[float, float], float]:
    """Find where something stands on the ground.

    Args:
        camera: the camera.
        across: share of the picture's width.
        depth: metres ahead of the camera, along the ground.

    Returns:
        The pixel of its foot and the scale there in pixels per metre, 0 if it cannot be seen.
    """
    aside = (across - 0.5) * camera.width / camera.focal * depth
    sin, cos = np.sin(camera.yaw), np.cos(camera.yaw)
    x = camera.position[0] + depth * sin + aside * cos
    y = camera.position[1] + depth * cos - aside * sin
    pixels, depths = camera.project(np.array([[x, y, 0.0]]))
    if depths[0] <= NEAR:
        return (0.0, 0.0), 0.0
    return (float(pixels[0, 0]), float(pixels[0, 1])), camera.focal / float(depths[0])
