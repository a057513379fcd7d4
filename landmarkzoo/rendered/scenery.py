"""What surrounds a landmark: sky, clouds, hills, towns on the horizon, ground."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from landmarkzoo.rendered.camera import NEAR, Camera
from landmarkzoo.rendered.facades import Color, tint
from landmarkzoo.rendered.light import Light

Floats = npt.NDArray[np.float64]

GROUNDS: tuple[Color, ...] = (
    (0.36, 0.46, 0.22),  # grass
    (0.62, 0.58, 0.50),  # paving
    (0.44, 0.44, 0.45),  # asphalt
    (0.74, 0.64, 0.46),  # sand
    (0.30, 0.42, 0.18),  # meadow
)
PLAZAS: tuple[Color, ...] = (
    (0.66, 0.62, 0.55),  # flagstones
    (0.52, 0.50, 0.49),  # cobbles
    (0.72, 0.66, 0.52),  # gravel
    (0.40, 0.50, 0.26),  # lawn
    (0.62, 0.46, 0.38),  # bricks
)
WATER: Color = (0.24, 0.38, 0.48)


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
    sky_image = Image.fromarray((np.clip(picture, 0, 1) * 255).astype(np.uint8))
    return sky_image.resize((camera.width, camera.height), Image.Resampling.BILINEAR)


def draw_distance(draw: ImageDraw.ImageDraw, rng: np.random.Generator, camera: Camera, light: Light) -> None:
    """Draw hills or the outline of a town along the horizon."""
    (x0, y0), (x1, y1) = camera.horizon()
    slope = (y1 - y0) / (x1 - x0)
    scale = camera.focal
    kind = rng.integers(4)
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
            rise = np.maximum(rise * (1 - 0.45 * layer), 0)
            color = (0.26, 0.34, 0.24)
        fill = light.tone(depth * light.visibility / 900).fill(color)
        top = np.column_stack([xs, line - rise]).ravel().tolist()
        draw.polygon([*top, xs[-1], line[-1] + 4, xs[0], line[0] + 4], fill=fill)


def draw_ground(
    draw: ImageDraw.ImageDraw,
    rng: np.random.Generator,
    camera: Camera,
    light: Light,
    color: Color,
) -> None:
    """Draw the ground up to the horizon, hazier there, with patches and stones on it."""
    (x0, y0), (x1, y1) = camera.horizon()
    for depth in (4000.0, 600.0, 250.0, 120.0, 60.0, 30.0, 15.0, 8.0):
        # A strip begins where the line of sight meets the ground `depth` metres ahead.
        down = camera.focal * camera.position[2] / depth if depth < 4000 else 0.0
        tone = light.tone(min(depth, 400.0), level=True)
        fill = tone.fill(tint(color, 0.9 + 0.1 * rng.random()))
        bottom = 3 * camera.height
        draw.polygon([x0, y0 + down, x1, y1 + down, x1, y1 + bottom, x0, y0 + bottom], fill=fill)
    for depth in np.exp(np.linspace(5.0, 1.5, 32)).tolist():
        tone = light.tone(depth, level=True)
        spot, scale = stand(camera, float(rng.uniform(-0.1, 1.1)), depth)
        if scale:
            reach = rng.uniform(0.2, 2.5) * scale
            flat = max(reach * camera.position[2] / depth, 0.6)
            box = (spot[0] - reach, spot[1] - flat, spot[0] + reach, spot[1] + flat)
            draw.ellipse(box, fill=tone.fill(tint(color, float(rng.uniform(0.8, 1.15)))))


def draw_disc(
    draw: ImageDraw.ImageDraw,
    camera: Camera,
    center: Floats,
    radius: float,
    fill: tuple[int, ...],
) -> None:
    """Draw a round plaza on the ground; `center` (x, y, ...) and radius are in metres."""
    angles = np.linspace(0, 2 * np.pi, 48, endpoint=False)
    rim = np.column_stack([np.cos(angles), np.sin(angles), np.zeros(48)]) * radius
    rim[:, :2] += center[:2]
    pixels, depths = camera.project(rim)
    if depths.min() > NEAR:
        draw.polygon(pixels.ravel().tolist(), fill=fill)


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
