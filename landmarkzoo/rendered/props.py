"""What comes and goes before a landmark: people, vehicles, stalls, and trees that happen to stand there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

from landmarkzoo.rendered.camera import Camera
from landmarkzoo.rendered.facades import Color, tint
from landmarkzoo.rendered.light import LAMP, Light, Tone
from landmarkzoo.rendered.plant_shapes import PLANTS, VARIANTS
from landmarkzoo.rendered.plants import LEAVES, draw_plant
from landmarkzoo.rendered.scenery import stand

COATS: tuple[Color, ...] = (
    (0.62, 0.18, 0.18),
    (0.16, 0.22, 0.38),
    (0.88, 0.86, 0.82),
    (0.12, 0.12, 0.14),
    (0.80, 0.64, 0.24),
    (0.28, 0.42, 0.34),
    (0.34, 0.42, 0.54),
    (0.46, 0.46, 0.46),
    (0.92, 0.90, 0.88),
    (0.20, 0.18, 0.18),
    (0.58, 0.46, 0.36),
    (0.72, 0.50, 0.56),
)


@dataclass(frozen=True)
class Prop:
    """Something that stands about.

    Attributes:
        kind: a key of `PROPS` or of `plant_shapes.PLANTS`.
        across: where it stands, as a share of the picture's width.
        depth: metres ahead of the camera.
        size: 1 for an ordinary specimen.
        seed: what decides its color and details.
    """

    kind: str
    across: float
    depth: float
    size: float
    seed: int


@dataclass(frozen=True)
class Brush:
    """Draws in metres from a prop's foot: x to the right, y up."""

    draw: ImageDraw.ImageDraw
    light: Light
    foot: tuple[float, float]
    scale: float
    tone: Tone

    def polygon(self, points: list[tuple[float, float]], color: Color) -> None:
        """Fill a polygon."""
        x, y = self.foot
        outline = [(x + across * self.scale, y - up * self.scale) for across, up in points]
        self.draw.polygon(outline, fill=self.tone.fill(color))

    def box(self, x: tuple[float, float], y: tuple[float, float], color: Color) -> None:
        """Fill an upright rectangle."""
        self.polygon([(x[0], y[0]), (x[1], y[0]), (x[1], y[1]), (x[0], y[1])], color)

    def disc(self, x: float, y: float, radius: float, color: Color, *, lit: bool = False) -> None:
        """Fill a circle; a lit one shines by itself at night."""
        center_x, center_y = self.foot[0] + x * self.scale, self.foot[1] - y * self.scale
        reach = radius * self.scale
        fill = self.tone.fill(color)
        if lit and self.light.lamps > 0.5:
            fill = tuple(int(255 * channel) for channel in LAMP)
        box = (center_x - reach, center_y - reach, center_x + reach, center_y + reach)
        self.draw.ellipse(box, fill=fill)


def _person(brush: Brush, rng: np.random.Generator, size: float) -> None:
    """Draw someone who stands or strolls."""
    height = 1.7 * min(size, 1.1)
    coat, legs = COATS[rng.integers(len(COATS))], tint(COATS[rng.integers(len(COATS))], 0.5)
    stride = float(rng.uniform(0.02, 0.2))
    for side in (-1, 1):
        foot = side * stride
        leg = [(foot - 0.08, 0.0), (foot + 0.08, 0.0), (0.12, height * 0.5), (-0.12, height * 0.5)]
        brush.polygon(leg, legs)
    brush.polygon(
        [
            (-0.2, height * 0.45),
            (0.2, height * 0.45),
            (0.25, height * 0.82),
            (-0.25, height * 0.82),
        ],
        coat,
    )
    skin = tint((0.80, 0.58, 0.44), float(rng.uniform(0.5, 1.15)))
    for side in (-1, 1):
        reach = float(rng.uniform(0.24, 0.42))
        hand = height * float(rng.choice([0.42, 0.5, 0.75]))
        arm = [(0.2, 0.8), (0.26, 0.8), (reach, hand / height), (reach - 0.08, hand / height)]
        brush.polygon([(side * x, up * height) for x, up in arm], tint(coat, 0.85))
    brush.disc(0, height * 0.91, height * 0.07, skin)
    hair = tint((0.5, 0.35, 0.2), float(rng.uniform(0.1, 1.8)))
    brush.disc(0, height * 0.945, height * 0.06, hair)
    if rng.random() < 0.3:
        brush.box((-0.17, 0.17), (height * 0.55, height * 0.8), COATS[rng.integers(len(COATS))])


def _car(brush: Brush, rng: np.random.Generator, size: float) -> None:
    """Draw a car from the side."""
    paint = COATS[rng.integers(len(COATS))]
    cabin = [(-1.3, 0.9), (1.4, 0.9), (0.8, 1.5), (-0.8, 1.5)]
    brush.polygon(cabin, tint(paint, 0.85))
    brush.polygon([(-1.0, 0.95), (1.05, 0.95), (0.7, 1.4), (-0.7, 1.4)], (0.18, 0.22, 0.27))
    brush.box((-2.1, 2.1), (0.3, 0.95), paint)
    for wheel in (-1.3, 1.3):
        brush.disc(wheel, 0.35, 0.36, (0.08, 0.08, 0.09))
    brush.disc(2.0, 0.7, 0.12, (0.9, 0.9, 0.8), lit=True)


def _bus(brush: Brush, rng: np.random.Generator, size: float) -> None:
    """Draw a bus from the side, now and then a double-decker."""
    paint = COATS[rng.integers(len(COATS))]
    decks = 2 if rng.random() < 0.3 else 1
    top = 1.2 + 1.7 * decks
    brush.box((-5.2, 5.2), (0.4, top), paint)
    for deck in range(decks):
        low = 1.5 + 1.7 * deck
        for window in range(7):
            left = -4.9 + window * 1.4
            brush.box((left, left + 1.2), (low, low + 0.95), (0.2, 0.25, 0.3))
    for wheel in (-3.2, 3.2):
        brush.disc(wheel, 0.5, 0.5, (0.08, 0.08, 0.09))


def _lamp_post(brush: Brush, rng: np.random.Generator, size: float) -> None:
    """Draw a street lamp with one or two arms."""
    iron = (0.16, 0.18, 0.18)
    height = 6.5 * size
    brush.box((-0.1, 0.1), (0, height), iron)
    arms = (-1, 1) if rng.random() < 0.5 else (1,)
    for side in arms:
        ends = sorted((0.0, side * 0.9))
        brush.box((ends[0], ends[1]), (height - 0.1, height + 0.06), iron)
        brush.disc(side * 0.9, height - 0.3, 0.3, (0.9, 0.88, 0.8), lit=True)


def _flag(brush: Brush, rng: np.random.Generator, size: float) -> None:
    """Draw a flag on its pole."""
    height = 8 * size
    brush.box((-0.06, 0.06), (0, height), (0.75, 0.75, 0.75))
    for stripe in range(3):
        top = height - 0.55 * stripe
        brush.polygon(
            [(0, top), (2.4, top - 0.3), (2.4, top - 0.85), (0, top - 0.55)], COATS[rng.integers(len(COATS))]
        )


def _stall(brush: Brush, rng: np.random.Generator, size: float) -> None:
    """Draw a market stall or a parasol."""
    paint = COATS[rng.integers(len(COATS))]
    for side in (-1.3, 1.3):
        brush.box((side - 0.05, side + 0.05), (0, 2.3), (0.3, 0.3, 0.3))
    brush.box((-1.4, 1.4), (0.2, 1.0), tint(paint, 0.6))
    for stripe in range(6):
        left = -1.6 + stripe * 0.53
        tone = paint if stripe % 2 else (0.9, 0.9, 0.88)
        brush.polygon([(left, 2.2), (left + 0.53, 2.2), (left * 0.7 + 0.37, 2.9), (left * 0.7, 2.9)], tone)


def _fence(brush: Brush, rng: np.random.Generator, size: float) -> None:
    """Draw a railing."""
    iron = tint((0.6, 0.6, 0.58), float(rng.uniform(0.2, 1.4)))
    brush.box((-6, 6), (0.95, 1.05), iron)
    brush.box((-6, 6), (0.15, 0.22), iron)
    for x in np.arange(-6, 6.1, 0.5).tolist():
        brush.box((x - 0.03, x + 0.03), (0, 1.05), iron)


#: The kinds of props by name.
PROPS: dict[str, Callable[[Brush, np.random.Generator, float], None]] = {
    "person": _person,
    "car": _car,
    "bus": _bus,
    "lamp_post": _lamp_post,
    "flag": _flag,
    "stall": _stall,
    "fence": _fence,
}


def draw_prop(picture: Image.Image, camera: Camera, light: Light, prop: Prop) -> None:
    """Draw a prop or a plant on a picture; the same prop always looks the same.

    Raises:
        ValueError: If the kind of the prop is unknown.
    """
    if prop.kind not in PROPS and prop.kind not in PLANTS:
        raise ValueError(f"kind must be one of {sorted([*PROPS, *PLANTS])}, got {prop.kind!r}")
    foot, scale = stand(camera, prop.across, prop.depth)
    if not scale:
        return
    rng = np.random.default_rng(prop.seed)
    if prop.kind in PLANTS:
        height = float(rng.uniform(*PLANTS[prop.kind].heights)) * scale
        leaves = LEAVES[rng.integers(len(LEAVES))]
        draw_plant(picture, light, prop.kind, prop.seed % (2 * VARIANTS), foot, height, prop.depth, leaves)
        return
    draw = ImageDraw.Draw(picture)
    brush = Brush(draw=draw, light=light, foot=foot, scale=scale, tone=light.tone(prop.depth))
    PROPS[prop.kind](brush, rng, prop.size)
