"""Families of the modern city: glass and concrete, arenas, iron towers."""

from __future__ import annotations

from itertools import pairwise, product

import numpy as np
import numpy.typing as npt

from landmarkzoo.rendered.facades import Facade, Shape, tint
from landmarkzoo.rendered.palettes import Palette
from landmarkzoo.rendered.solids import Solid, block, hexahedron, lathe

Floats = npt.NDArray[np.float64]


def _glass_grid(rng: np.random.Generator, width: float, height: float, palette: Palette) -> Facade:
    """Return a curtain wall."""
    rows = int(np.clip(height / rng.uniform(3, 7), 1, 22))
    columns = int(np.clip(width / rng.uniform(2, 6), 1, 14))
    wide, tall = ((0.9, 0.9), (1.0, 0.6), (0.6, 1.0), (0.5, 0.5))[rng.integers(4)]
    return Facade(rows, columns, "square", wide, tall, palette.glass, margin=0.02, span=(0.02, 0.98))


def _boxes(rng: np.random.Generator, palette: Palette) -> list[Solid]:
    """Return boxes that lean and jut over each other."""
    solids: list[Solid] = []
    z = 0.0
    for _ in range(int(rng.integers(1, 6))):
        width, depth, height = rng.uniform((12, 12, 4), (40, 26, 14)).tolist()
        x, y = rng.uniform(-6, 6, 2).tolist()
        lean = (width * rng.uniform(0.6, 1.5), depth)
        grid = _glass_grid(rng, width, height, palette)
        paint = (palette.wall, palette.trim, palette.roof)[rng.integers(3)]
        solids.append(block(x, y, z, (width, depth, height), paint, top=lean, sides=grid))
        z += height
    return solids


def _shells(rng: np.random.Generator, palette: Palette) -> list[Solid]:
    """Return shells, one behind the other, on a terrace."""
    count = int(rng.integers(2, 7))
    solids = [block(4.0 * count, 14, 0, (8.0 * count + 24, 26.0, 3.0), palette.wall)]
    for number in range(count):
        x, tall, half = number * rng.uniform(7, 11), rng.uniform(12, 30), rng.uniform(6, 10)
        foot = np.array([(x - half, -9, 0), (x + half, -9, 0), (x + half, 9, 0), (x - half, 9, 0)])
        peak = np.array([x + half * 0.8, 0, tall])
        top = peak + np.array([(-0.4, -0.8, 0), (0.4, -0.8, 0), (0.4, 0.8, 0), (-0.4, 0.8, 0)])
        solids.append(hexahedron(foot, top, palette.trim))
    return solids


def _saucer(rng: np.random.Generator, palette: Palette) -> list[Solid]:
    """Return a drum, or a saucer on a stem."""
    radius, stem = float(rng.uniform(8, 24)), float(rng.choice([0, 0, rng.uniform(20, 90)]))
    solids: list[Solid] = []
    if stem:
        waist = [(radius * 0.3, 0.0), (radius * 0.12, stem * 0.6), (radius * 0.25, stem)]
        solids += lathe(0, 0, 0, waist, [palette.wall])
    tall, foot = float(rng.uniform(0.3, 0.8) * radius), float(radius * rng.uniform(0.4, 1))
    shape = [(foot, 0.0), (radius, tall * 0.5), (radius, tall * 0.8), (radius * 0.5, tall)]
    grid = Facade(2, 2, "square", 0.8, 0.7, palette.glass)
    solids += lathe(0, 0, stem, shape, [palette.trim], sides=18, facade=grid)
    if rng.random() < 0.5:
        mast = [(1.0, 0.0), (0.4, radius), (0.0, radius * 1.5)]
        solids += lathe(0, 0, stem + tall, mast, [palette.roof], sides=6)
    return solids


def _towers(rng: np.random.Generator, palette: Palette) -> list[Solid]:
    """Return two to four towers."""
    solids: list[Solid] = []
    for number in range(int(rng.integers(2, 5))):
        width, height = float(rng.uniform(10, 20)), float(rng.uniform(30, 90))
        grid = _glass_grid(rng, width, height, palette)
        taper = float(rng.choice([1.0, rng.uniform(0.4, 1.2)]))
        size, top = (width, width, height), (width * taper, width)
        paint, y = (palette.wall, palette.roof)[number % 2], float(rng.uniform(-8, 8))
        solids.append(block(number * 24.0, y, 0, size, paint, top=top, sides=grid))
    return solids


def modern_building(rng: np.random.Generator, palette: Palette) -> list[Solid]:
    """A museum, a concert hall, a television tower or a cluster of towers."""
    return (_boxes, _shells, _saucer, _towers)[rng.integers(4)](rng, palette)


def stadium(rng: np.random.Generator, palette: Palette) -> list[Solid]:
    """A ring of arcades, whole or broken, or a modern arena."""
    radius, tiers = float(rng.uniform(22, 45)), int(rng.integers(1, 5))
    rise, sides = float(rng.uniform(5, 11)), int(rng.choice([16, 20, 28]))
    shapes: tuple[Shape, ...] = ("arched", "arched", "square")
    arcade = Facade(
        1,
        int(rng.choice([1, 2, 3])),
        shapes[rng.integers(3)],
        float(rng.uniform(0.4, 0.7)),
        0.72,
        tint(palette.wall, float(rng.uniform(0.15, 0.5))),
        palette.trim,
    )
    storey = [(radius, 0.0), (radius * 0.99, rise * 0.94)]
    cornice = [(radius * 1.02, rise * 0.94), (radius * 1.02, rise)]
    solids: list[Solid] = []
    for tier in range(tiers):
        solids += lathe(0, 0, tier * rise, storey, [palette.wall], sides=sides, facade=arcade)
        solids += lathe(0, 0, tier * rise, cornice, [palette.trim], sides=sides)
    top = tiers * rise
    if rng.random() < 0.4:  # a part of the outer wall stands higher
        for angle in np.linspace(-1.2, 0.6, 9) + rng.uniform(0, 2):
            x, y = radius * np.sin(angle), -radius * np.cos(angle)
            solids.append(block(float(x), float(y) + 1, top, (6, 3, rise), palette.wall, front=arcade))
    if rng.random() < 0.35:
        posts = (3.5, 3.5, top * rng.uniform(1.6, 3))
        solids += [block(side * radius * 0.3, -radius - 4, 0, posts, palette.trim) for side in (-1, 1)]
    return solids


def _beam(start: Floats, end: Floats, girth: float, palette: Palette) -> Solid:
    """Return a beam between two points (3,) in metres; one must lie higher."""
    square = np.array([(-1, -1, 0), (1, -1, 0), (1, 1, 0), (-1, 1, 0)]) * girth / 2
    low, high = (start, end) if start[2] < end[2] else (end, start)
    return hexahedron(low + square, high + square, palette.wall)


def lattice_tower(rng: np.random.Generator, palette: Palette) -> list[Solid]:
    """An iron tower on four legs, with struts and platforms."""
    height, spread, bend = rng.uniform((40, 0.16, 1.0), (110, 0.26, 2.6)).tolist()
    steps = rng.uniform(0.6, 1.2, int(rng.integers(5, 9)))
    levels = np.concatenate([[0], np.cumsum(steps) / steps.sum()])
    left = np.maximum(1 - levels, 0)  # the last sum may be above 1 by its last digit
    halves = height * spread * (0.06 + 0.94 * left**bend)
    solids: list[Solid] = []
    for (low, a), (high, b) in pairwise(zip((levels * height).tolist(), halves.tolist(), strict=True)):
        girth = 0.018 * (1.1 * height - high)
        for sx, sy in product((-1, 1), repeat=2):
            start = np.array([sx * a, sy * a, low])
            solids.append(_beam(start, np.array([sx * b, sy * b, high]), 1.6 * girth, palette))
            solids.append(_beam(start, np.array([-sx * b, sy * b, high]), 0.7 * girth, palette))
            solids.append(_beam(start, np.array([sx * b, -sy * b, high]), 0.7 * girth, palette))
        if rng.random() < 0.5:
            deck = (2.3 * b, 2.3 * b, 0.02 * height)
            solids.append(block(0, 0, high - deck[2], deck, palette.trim))
    mast = [(0.014 * height, 0.0), (0.0, 0.12 * height)]
    return solids + lathe(0, 0, height, mast, [palette.wall], sides=6)
