"""Photographs: a landmark, or a place without one, from a random viewpoint in random light."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from landmarkzoo.rendered.camera import Camera, look_at
from landmarkzoo.rendered.facades import Color, Facade
from landmarkzoo.rendered.light import draw_light
from landmarkzoo.rendered.palettes import PLASTERS, STONES, draw_palette
from landmarkzoo.rendered.props import Prop, draw_prop
from landmarkzoo.rendered.rendering import Mesh, draw_mesh, draw_shadow, make_mesh
from landmarkzoo.rendered.scenery import (
    GROUNDS,
    draw_disc,
    draw_distance,
    draw_ground,
    draw_sky,
    smooth_noise,
)
from landmarkzoo.rendered.solids import Solid, block, gable

Floats = npt.NDArray[np.float64]

#: Pictures are drawn at this multiple of their size and then averaged, which smooths edges.
SUPERSAMPLING = 2
#: What stands about in different places.
CROWDS: tuple[tuple[str, ...], ...] = (
    ("person", "person", "person", "lamp_post", "bush"),
    ("tree", "tree", "person", "person", "bush"),
    ("car", "bus", "person", "lamp_post", "tree"),
    ("conifer", "conifer", "bush", "person"),
    ("person", "person", "tree", "lamp_post", "car"),
)


@dataclass(frozen=True)
class Subject:
    """What a photo is of: a mesh, the ground about it and the round plaza it stands on."""

    mesh: Mesh
    ground: Color
    plaza: Color

    def bounds(self) -> tuple[Floats, Floats]:
        """Return the least and the greatest corner (3,) in metres."""
        return self.mesh.lower.min(axis=0), self.mesh.upper.max(axis=0)


def _picture_size(rng: np.random.Generator, longer: int, upright: float) -> tuple[int, int]:
    """Draw width and height in pixels; the more `upright` (0..1), the more portraits."""
    shorter = round(longer * float(rng.choice([2 / 3, 3 / 4, 3 / 4, 1.0])))
    return (shorter, longer) if rng.random() < upright else (longer, shorter)


def _bearing(rng: np.random.Generator) -> float:
    """Draw the azimuth of a viewpoint in radians: 0 before the front, now and then the back."""
    if rng.random() < 0.08:
        return float(rng.normal(np.pi, 0.6))
    return float(np.radians(np.clip(rng.normal(0, 34), -70, 70)))


def draw_camera(rng: np.random.Generator, lower: Floats, upper: Floats, *, longer: int) -> Camera:
    """Draw a viewpoint and framing of what fills a box: mostly whole, at times a part or far off.

    Args:
        rng: where chance comes from.
        lower: (3,) metres, least corner of the box.
        upper: (3,) metres, greatest corner of the box.
        longer: longer side of the picture in pixels.
    """
    extent = upper - lower
    center = (lower + upper) / 2
    flat = float(np.hypot(extent[0], extent[1]))
    upright = float(np.clip(0.25 + 0.5 * (extent[2] / flat - 0.5), 0.1, 0.85))
    width, height = _picture_size(rng, longer, upright)
    azimuth = _bearing(rng)
    distance = (flat / 2 + 0.45 * extent[2]) * rng.uniform(1.5, 3.0) + 8
    # Mostly a pedestrian's eye; at times a hill, a window across the square or a drone.
    level = 1.7 if rng.random() < 0.7 else extent[2] * rng.uniform(0.15, 0.8) + 2
    eye = (
        float(center[0] + np.sin(azimuth) * distance),
        float(center[1] - np.cos(azimuth) * distance),
        float(level),
    )
    target = center.copy()
    fill = rng.uniform(0.65, 0.95)
    chance = rng.random()
    if chance < 0.22:
        fill = rng.uniform(1.2, 2.0)
        target += extent * rng.uniform((-0.25, -0.1, -0.1), (0.25, 0.1, 0.32))
    elif chance < 0.40:
        fill = rng.uniform(0.32, 0.55)
    roll = float(np.radians(rng.normal(0, 1.5)))
    aim = (float(target[0]), float(target[1]), float(target[2]))
    camera = look_at(eye, aim, roll=roll, focal=1.0, width=width, height=height)
    corners = np.array(np.meshgrid(*zip(lower, upper, strict=True))).reshape(3, -1).T
    pixels, _ = camera.project(corners)
    spans = np.ptp(pixels, axis=0) / np.array([width, height])
    camera = replace(camera, focal=float(fill / spans.max()))
    # Nobody holds a camera quite straight at the middle of things.
    view = np.arctan(np.array([width, height]) / camera.focal / 2)
    nudge = rng.normal(0, 0.12, 2) * view + np.array([0, 0.12 * view[1]])
    return replace(camera, yaw=camera.yaw + float(nudge[0]), pitch=camera.pitch + float(nudge[1]))


def _props(
    rng: np.random.Generator, depths: tuple[float, float], count: int, crowd: tuple[str, ...]
) -> list[Prop]:
    """Draw props between two depths in metres, the farthest first."""
    if depths[1] <= depths[0]:
        return []
    spread = np.sort(rng.uniform(*depths, count))[::-1]
    return [
        Prop(
            kind=str(rng.choice(crowd)),
            across=float(rng.uniform(-0.05, 1.05)),
            depth=float(depth),
            size=float(rng.uniform(0.6, 1.4)),
            seed=int(rng.integers(2**31)),
        )
        for depth in spread
    ]


def develop(picture: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Shrink the supersampled picture and give it a camera's faults.

    Stains, vignette, color cast, exposure, contrast and grain are drawn from `rng`.
    """
    small = np.asarray(picture.reduce(SUPERSAMPLING), dtype=np.float32) / 255
    height, width = small.shape[:2]
    stains = 1 + 0.03 * smooth_noise(rng, (width, height), (24, 24))
    stains += 0.015 * smooth_noise(rng, (width, height), (width // 3, height // 3))
    across, down = np.linspace(-1, 1, width), np.linspace(-1, 1, height)[:, None]
    vignette = 1 - rng.uniform(0, 0.14) * (across**2 + down**2)
    cast = rng.normal(1, 0.04, 3) * rng.uniform(0.88, 1.2)
    gain = (stains * vignette)[..., None].astype(np.float32) * cast.astype(np.float32)
    contrast = np.float32(rng.uniform(0.8, 1.15))
    grain = rng.standard_normal((height, width, 1), dtype=np.float32)
    grain *= np.float32(rng.uniform(0.004, 0.018))
    exposed = (small * gain - 0.5) * contrast + 0.5 + grain
    return Image.fromarray((np.clip(exposed, 0, 1) * 255).astype(np.uint8))


def _compose(
    rng: np.random.Generator, subject: Subject, camera: Camera, crowd: tuple[str, ...]
) -> Image.Image:
    """Draw everything from the sky to the passers-by, back to front."""
    light = draw_light(rng)
    picture = draw_sky(rng, camera, light)
    draw = ImageDraw.Draw(picture)
    draw_distance(draw, rng, camera, light)
    draw_ground(draw, rng, camera, light, subject.ground)
    lower, upper = subject.bounds()
    middle = (lower + upper) / 2
    reach = float(np.hypot(*(upper - lower)[:2])) / 2
    depth = float(np.hypot(*(middle - np.array(camera.position))[:2]))
    for prop in _props(rng, (depth + reach, 2.2 * depth + reach), 9, crowd):
        draw_prop(draw, camera, light, prop)
    tone, shadow = light.tone(depth, level=True), light.tone(depth, level=True, shadow=True)
    draw_disc(draw, camera, middle, 1.15 * reach, tone.fill(subject.plaza))
    shade = shadow.fill(subject.plaza)
    draw_shadow(draw, subject.mesh, camera, light, shade)
    draw_mesh(draw, subject.mesh, camera, light.on_landmark(camera.yaw + np.pi))
    # Nothing in front of a landmark may be so near that it fills the picture.
    nearest = max(9.0, 0.35 * (depth - reach), 8.0 * camera.focal / max(camera.width, camera.height))
    for prop in _props(rng, (nearest, depth - reach), int(rng.integers(0, 9)), crowd):
        draw_prop(draw, camera, light, prop)
    return develop(picture, rng)


def photograph(subject: Subject, rng: np.random.Generator, image_size: int) -> Image.Image:
    """Take a picture of a landmark.

    Args:
        subject: the landmark.
        rng: where viewpoint, light and passers-by come from.
        image_size: longer side of the picture in pixels.
    """
    lower, upper = subject.bounds()
    camera = draw_camera(rng, lower, upper, longer=image_size * SUPERSAMPLING)
    crowd = CROWDS[rng.integers(len(CROWDS))]
    return _compose(rng, subject, camera, crowd)


def _house(rng: np.random.Generator, x: float, y: float) -> list[Solid]:
    """Return a plain house, which is not a landmark."""
    palette = draw_palette(rng, PLASTERS + STONES)
    width, depth, height = rng.uniform((8, 8, 5), (18, 12, 14))
    windows = Facade(
        max(int(height / 3.5), 1), int(width / 3), "square", 0.35, 0.5, palette.glass, palette.trim
    )
    front = replace(windows, door="square" if rng.random() < 0.5 else None)
    solids = [block(x, y, 0, (width, depth, height), palette.wall, front=front, sides=windows)]
    if rng.random() < 0.75:
        roof = (width * 1.04, depth * 1.06, rng.uniform(2.5, 5))
        ridge = "x" if rng.random() < 0.7 else "y"
        solids.append(gable(x, y, height, roof, palette.roof, palette.wall, ridge=ridge))
        chimney = (1.0, 1.0, 1.6)
        solids.append(block(x + width * 0.3, y, height + roof[2], chimney, palette.roof))
    return solids


def photograph_anywhere(rng: np.random.Generator, image_size: int) -> Image.Image:
    """Take a picture without a landmark: a street, a few houses, a park, traffic or a field.

    Args:
        rng: where everything comes from; another state gives another place.
        image_size: longer side of the picture in pixels.
    """
    houses = int(rng.choice([0, 0, 1, 2, 4]))
    solids: list[Solid] = []
    for number in range(houses):
        x = (number - (houses - 1) / 2) * rng.uniform(19, 24)
        solids += _house(rng, x, float(rng.uniform(-3, 3)))
    # A bench or a wall where no house was drawn, so that something is in the middle of the scene.
    solids = solids or [block(0, 0, 0, (2.0, 0.6, 0.5), (0.4, 0.3, 0.2))]
    ground = GROUNDS[rng.integers(len(GROUNDS))]
    subject = Subject(make_mesh(solids), ground, ground)
    lower, upper = subject.bounds()
    if not houses:
        lower, upper = np.array([-14.0, -3, 0]), np.array([14.0, 3, 10])
    camera = draw_camera(rng, lower, upper, longer=image_size * SUPERSAMPLING)
    crowd = CROWDS[rng.integers(len(CROWDS))]
    return _compose(rng, subject, camera, crowd)
