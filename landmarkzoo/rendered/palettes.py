"""Building materials: the colors of one building."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from landmarkzoo.rendered.facades import Color, tint

STONES: tuple[Color, ...] = (
    (0.80, 0.74, 0.62),  # limestone
    (0.76, 0.62, 0.44),  # sandstone
    (0.66, 0.36, 0.27),  # red sandstone
    (0.88, 0.86, 0.82),  # marble
    (0.55, 0.54, 0.53),  # granite
    (0.62, 0.33, 0.24),  # brick
    (0.43, 0.40, 0.38),  # basalt
    (0.70, 0.67, 0.55),  # tuff
)
PLASTERS: tuple[Color, ...] = (
    (0.90, 0.88, 0.82),  # whitewash
    (0.90, 0.74, 0.42),  # ochre
    (0.86, 0.60, 0.54),  # rose
    (0.62, 0.74, 0.80),  # pale blue
    (0.68, 0.76, 0.60),  # sage
    (0.82, 0.45, 0.32),  # terracotta
)
ROOFS: tuple[Color, ...] = (
    (0.64, 0.31, 0.20),  # tiles
    (0.30, 0.33, 0.38),  # slate
    (0.42, 0.62, 0.54),  # copper
    (0.40, 0.27, 0.20),  # shingles
    (0.50, 0.54, 0.58),  # lead
)
DOMES: tuple[Color, ...] = (
    (0.86, 0.66, 0.22),  # gold
    (0.26, 0.52, 0.62),  # turquoise tiles
    (0.42, 0.62, 0.54),  # copper
    (0.50, 0.54, 0.60),  # lead
    (0.85, 0.84, 0.80),  # white
    (0.22, 0.34, 0.58),  # blue tiles
    (0.66, 0.28, 0.20),  # bricks
)
METALS: tuple[Color, ...] = (
    (0.52, 0.60, 0.68),
    (0.62, 0.62, 0.60),
    (0.30, 0.34, 0.38),
    (0.64, 0.54, 0.42),
    (0.40, 0.52, 0.54),
    (0.82, 0.82, 0.80),
)
GOLD: Color = (0.86, 0.68, 0.26)
BRONZE: Color = (0.34, 0.44, 0.38)


@dataclass(frozen=True)
class Palette:
    """The reflectances (0..1) of a building's walls, trimmings, roofs, domes and panes."""

    wall: Color
    trim: Color
    roof: Color
    dome: Color
    glass: Color


def _vary(rng: np.random.Generator, color: Color) -> Color:
    """Return a slightly different color, so that no two quarries yield the same stone."""
    red, green, blue = np.clip(
        np.array(color) * rng.uniform(0.9, 1.08) * rng.uniform(0.95, 1.05, 3), 0.03, 0.95
    )
    return float(red), float(green), float(blue)


def draw_palette(rng: np.random.Generator, walls: tuple[Color, ...]) -> Palette:
    """Draw the colors of a building whose walls are made of one of the given materials."""
    wall = _vary(rng, walls[rng.integers(len(walls))])
    panes: tuple[Color, ...] = ((0.13, 0.16, 0.22), (0.20, 0.16, 0.13), (0.16, 0.24, 0.30))
    contrast = float(rng.choice([0.72, 1.14, 1.25]))
    return Palette(
        wall=wall,
        trim=_vary(rng, tint(wall, contrast)),
        roof=_vary(rng, ROOFS[rng.integers(len(ROOFS))]),
        dome=_vary(rng, DOMES[rng.integers(len(DOMES))]),
        glass=panes[rng.integers(len(panes))],
    )
