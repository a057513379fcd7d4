"""Families that are looked into: halls, courts, theatres. Their front is open; the camera stands in it."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from landmarkzoo.rendered.assemblies import draw_facade
from landmarkzoo.rendered.facades import Facade, tint
from landmarkzoo.rendered.figures import figure
from landmarkzoo.rendered.palettes import Palette
from landmarkzoo.rendered.solids import Solid, archway, block, hexahedron, lathe


def _aisle(
    rng: np.random.Generator, x: float, width: float, depth: float, height: float, palette: Palette
) -> list[Solid]:
    """Return columns on both sides of the middle, with arches from one to the next across the hall."""
    count, girth = int(rng.integers(3, 8)), float(rng.uniform(0.03, 0.06) * width)
    shaft = [(girth * 1.4, 0.0), (girth * 1.4, girth), (girth, girth * 1.5), (girth * 0.95, height * 0.92)]
    shaft.append((girth * 1.6, height))
    sides = int(rng.choice([4, 8, 12]))
    solids: list[Solid] = []
    arched = rng.random() < 0.6
    for number in range(count):
        y = (number + 0.5) * depth / count
        for side in (-1, 1):
            solids += lathe(side * x, y, 0, shaft, [palette.trim], sides=sides)
        if arched:
            span = (-x + girth, x - girth)
            top = height + 1.1 * x
            solids += archway(span, (y - girth, y + girth), (height, top), palette.wall, slices=8)
    return solids


def hall(rng: np.random.Generator, palette: Palette) -> list[Solid]:
    """A nave or a pillared hall with an altar, a throne or a figure at its end."""
    width, depth = float(rng.uniform(9, 20)), float(rng.uniform(14, 40))
    height = width * float(rng.uniform(0.5, 1.2))
    x = width * float(rng.uniform(0.2, 0.38))
    ceiling = height + 1.15 * x
    bays = Facade(
        int(rng.integers(1, 4)), int(rng.integers(3, 8)), "arched", 0.5, 0.7, palette.glass, palette.trim
    )
    end = draw_facade(rng, width, ceiling, palette)
    solids = [
        block(-width / 2 - 0.5, depth / 2, 0, (1.0, depth, ceiling), palette.wall, sides=bays),
        block(width / 2 + 0.5, depth / 2, 0, (1.0, depth, ceiling), palette.wall, sides=bays),
        block(0, depth + 0.5, 0, (width + 2, 1.0, ceiling), palette.wall, front=end),
        block(0, depth / 2, ceiling, (width + 2, depth + 2, 0.8), palette.roof),
    ]
    solids += _aisle(rng, x, width, depth * 0.9, height, palette)
    step = (width * 0.6, depth * 0.12, 0.8)
    solids.append(block(0, depth * 0.93, 0, step, palette.trim))
    shrine = (width * 0.25, depth * 0.06, height * float(rng.uniform(0.2, 0.6)))
    solids.append(block(0, depth * 0.95, 0.8, shrine, palette.dome))
    if rng.random() < 0.6:
        solids += figure(rng, 0, depth * 0.90, 0.8, height * float(rng.uniform(0.2, 0.5)), palette.dome)
    return solids


def cloister(rng: np.random.Generator, palette: Palette) -> list[Solid]:
    """A court with arcades on three sides, one or two storeys high."""
    width, depth = float(rng.uniform(16, 36)), float(rng.uniform(14, 36))
    storeys, rise = int(rng.integers(1, 4)), float(rng.uniform(4, 7))
    tall = storeys * rise
    shape = ("arched", "pointed", "square")[int(rng.integers(3))]
    dark = tint(palette.wall, float(rng.uniform(0.15, 0.5)))
    arcade = Facade(
        storeys,
        int(rng.integers(4, 10)),
        "pointed" if shape == "pointed" else "arched" if shape == "arched" else "square",
        float(rng.uniform(0.55, 0.8)),
        0.78,
        dark,
        palette.trim,
        span=(0.02, 0.97),
        courses=storeys,
    )
    solids = [
        block(-width / 2 - 3, depth / 2, 0, (6.0, depth, tall), palette.wall, sides=arcade),
        block(width / 2 + 3, depth / 2, 0, (6.0, depth, tall), palette.wall, sides=arcade),
        block(0, depth + 3, 0, (width + 12, 6.0, tall), palette.wall, sides=arcade),
    ]
    for side in (-1, 1):
        roof = (7.0, depth, rise * 0.3)
        solids.append(block(side * (width / 2 + 3), depth / 2, tall, roof, palette.roof, top=(1.0, depth)))
    solids.append(block(0, depth + 3, tall, (width + 12, 7.0, rise * 0.3), palette.roof, top=(width, 1.0)))
    basin = [(width * 0.12, 0.0), (width * 0.12, 0.9)]
    solids += lathe(0, depth * 0.5, 0, basin, [palette.trim], sides=8)
    if rng.random() < 0.5:
        solids += figure(rng, 0, depth * 0.5, 0.9, float(rng.uniform(1.5, 4)), palette.trim)
    return solids


def theatre(rng: np.random.Generator, palette: Palette) -> list[Solid]:
    """Rows of stone seats in a half circle that rise away from the front."""
    rows, parts = int(rng.integers(5, 11)), int(rng.integers(7, 13))
    inner, run, rise = float(rng.uniform(6, 14)), float(rng.uniform(1.2, 2.5)), float(rng.uniform(0.6, 1.3))
    reach = float(rng.uniform(1.2, 1.7))
    angles = np.linspace(-reach, reach, parts + 1)
    solids: list[Solid] = []
    for row in range(rows):
        near, far = inner + row * run, inner + (row + 1) * run
        stone = tint(palette.wall, 1.0 if row % 2 else 0.93)
        for left, right in pairwise(angles.tolist()):
            if rng.random() < 0.04:
                continue
            edge = [(near, left), (near, right), (far, right), (far, left)]
            base = np.array([(r * np.sin(a), r * np.cos(a), 0.0) for r, a in edge])
            top = base + np.array([0, 0, rise * (row + 1)])
            solids.append(hexahedron(base, top, stone))
    stage = (inner * 1.5, 2.0, 1.2)
    solids.append(block(0, 2.0, 0, stage, palette.trim))
    if rng.random() < 0.5:
        back = inner + (rows + 0.5) * run
        windows = Facade(1, 9, "arched", 0.6, 0.8, tint(palette.wall, 0.3), palette.trim)
        wall = (2 * back, 2.0, rise * (rows + 1) + 6)
        solids.append(block(0, back + 1, 0, wall, palette.wall, front=windows))
    return solids
