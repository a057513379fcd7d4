"""Families of ruins, stones and rocks."""

from __future__ import annotations

import numpy as np

from landmarkzoo.rendered.facades import Facade, tint
from landmarkzoo.rendered.palettes import Palette
from landmarkzoo.rendered.solids import Solid, archway, block, hexahedron, lathe


def _boulder(
    rng: np.random.Generator, x: float, y: float, z: float, size: tuple[float, float, float], palette: Palette
) -> Solid:
    """Return a rough block whose corners are moved by chance."""
    signs = np.array([(-1, -1, 0), (1, -1, 0), (1, 1, 0), (-1, 1, 0)]) / 2
    scale = np.array([size[0], size[1], 0])
    turn = rng.uniform(0, np.pi / 2)
    turned = np.array([[np.cos(turn), -np.sin(turn), 0], [np.sin(turn), np.cos(turn), 0], [0, 0, 1]])
    bottom = signs * scale @ turned.T + np.array([x, y, z])
    shrink = float(rng.uniform(0.35, 0.85))
    top = signs * scale * shrink @ turned.T + np.array([x, y, z + size[2]])
    top += rng.normal(0, 0.06, 3) * np.array(size) * np.array([1, 1, 0])
    return hexahedron(bottom, top, tint(palette.wall, float(rng.uniform(0.88, 1.1))))


def rock(rng: np.random.Generator, palette: Palette) -> list[Solid]:
    """Cliffs or a lone mountain of rock, at times with a little house on it."""
    width, height = float(rng.uniform(30, 90)), float(rng.uniform(14, 60))
    solids = []
    for _ in range(int(rng.integers(5, 16))):
        x, y = rng.normal(0, 0.28, 2) * np.array([width, width * 0.5])
        near = np.exp(-((x / width) ** 2) * 6)
        size = (
            width * rng.uniform(0.18, 0.5),
            width * rng.uniform(0.15, 0.4),
            height * near * rng.uniform(0.5, 1),
        )
        solids.append(_boulder(rng, float(x), float(y), 0, size, palette))
        if rng.random() < 0.6:
            lump = (size[0] * 0.5, size[1] * 0.5, size[2] * rng.uniform(0.2, 0.6))
            solids.append(_boulder(rng, float(x), float(y), size[2] * 0.98, lump, palette))
    return solids


def ruin(rng: np.random.Generator, palette: Palette) -> list[Solid]:
    """What is left of a temple or a street of columns: stumps, architraves, walls of any height."""
    gap, tall = float(rng.uniform(2.8, 5)), float(rng.uniform(5, 14))
    girth = gap * float(rng.uniform(0.18, 0.28))
    across, along = int(rng.integers(4, 11)), int(rng.integers(2, 6))
    base = float(rng.uniform(0.4, 2.5))
    solids = [block(0, 0, 0, (gap * across + 4, gap * along + 4, base), tint(palette.wall, 0.88))]
    stands = rng.random((along, across)) < rng.uniform(0.45, 0.95)
    whole = rng.random((along, across)) < rng.uniform(0.3, 0.9)
    edge = np.zeros((along, across), dtype=bool)
    edge[[0, -1]] = True
    if rng.random() < 0.5:
        edge[:, [0, -1]] = True
    for row, column in np.argwhere(edge & stands):
        x, y = (column - (across - 1) / 2) * gap, (row - (along - 1) / 2) * gap
        share = 1.0 if whole[row, column] else float(rng.uniform(0.15, 0.8))
        shaft = [(girth * 1.2, 0.0), (girth, 0.06 * tall), (girth * (1 - 0.2 * share), tall * share)]
        if share == 1.0:
            shaft.append((girth * 1.3, tall * 1.05))
        solids += lathe(float(x), float(y), base, shaft, [palette.wall], sides=9)
        neighbour = column + 1 < across and stands[row, column + 1] and whole[row, column + 1]
        if share == 1.0 and neighbour and rng.random() < 0.75:
            beam = (gap * 1.02, girth * 2.2, tall * 0.14)
            solids.append(block(float(x) + gap / 2, float(y), base + tall * 1.05, beam, palette.trim))
    y = (along / 2 + 0.3) * gap
    for number in range(int(rng.integers(0, 6))):
        piece = (gap * rng.uniform(0.8, 1.6), 1.2, tall * rng.uniform(0.2, 1.2))
        window = Facade(1, 1, "arched", 0.4, 0.5, tint(palette.wall, 0.4)) if piece[2] > 4 else None
        solids.append(block((number - 2.5) * gap * 1.6, y, 0, piece, palette.wall, sides=window))
    if rng.random() < 0.3:
        span, spring = gap * 1.4, tall * 0.8
        solids += archway((-span / 2, span / 2), (y + 2, y + 4), (spring, spring + span), palette.wall)
        for side in (-1, 1):
            x = side * (span / 2 + 1)
            solids.append(block(x, y + 3, 0, (2, 2, spring + span), palette.wall))
    for _ in range(int(rng.integers(2, 12))):
        spot = rng.uniform(-0.6, 0.6, 2) * np.array([gap * across, gap * along]) + np.array([0, -gap * 0.6])
        size = (float(rng.uniform(0.6, 2)), float(rng.uniform(0.6, 1.5)), float(rng.uniform(0.4, 1.1)))
        solids.append(_boulder(rng, float(spot[0]), float(spot[1]), base, size, palette))
    return solids


def stone_circle(rng: np.random.Generator, palette: Palette) -> list[Solid]:
    """Upright stones in a ring, some under lintels, some fallen."""
    count, radius = int(rng.integers(7, 20)), float(rng.uniform(7, 16))
    tall, solids = float(rng.uniform(2.5, 6)), []
    linked = rng.random() < 0.6
    for number in range(count):
        if rng.random() < 0.2:
            continue
        angle = 2 * np.pi * number / count
        x, y = radius * np.cos(angle), radius * np.sin(angle)
        size = (float(rng.uniform(1, 2)), float(rng.uniform(1, 2)), tall * float(rng.uniform(0.85, 1.0)))
        solids.append(_boulder(rng, float(x), float(y), 0, size, palette))
        if linked and rng.random() < 0.5:
            solids.append(block(float(x), float(y), tall, (3.4, 1.4, 0.9), palette.trim))
    return solids


def rock_temple(rng: np.random.Generator, palette: Palette) -> list[Solid]:
    """A cliff with a row of doors, columns and figures cut into it."""
    width, height = float(rng.uniform(30, 60)), float(rng.uniform(14, 30))
    caves = int(rng.integers(1, 8))
    dark = (0.08, 0.07, 0.06)
    shape = ("square", "arched")[int(rng.integers(2))]
    front = Facade(
        int(rng.choice([1, 1, 2, 3])),
        caves * int(rng.choice([1, 2, 3])),
        "arched" if shape == "arched" else "square",
        float(rng.uniform(0.3, 0.8)),
        float(rng.uniform(0.4, 0.7)),
        dark,
        palette.trim,
        span=(0.02, float(rng.uniform(0.4, 0.8))),
    )
    solids = [block(0, 0, 0, (width, 8, height), palette.wall, top=(width * 0.95, 5), front=front)]
    if rng.random() < 0.6:
        tall = height * float(rng.uniform(0.3, 0.6))
        for x in np.linspace(-0.45, 0.45, caves + 1) * width:
            shaft = [(0.9, 0), (0.7, tall * 0.9), (1.1, tall)]
            solids += lathe(float(x), -5.5, 0, shaft, [palette.trim], sides=8)
        solids.append(block(0, -5.0, tall, (width * 0.96, 3.0, 1.2), palette.trim))
    for _ in range(int(rng.integers(4, 10))):
        x = float(rng.uniform(-0.7, 0.7) * width)
        size = (width * 0.35, 14.0, height * float(rng.uniform(0.7, 1.5)))
        solids.append(_boulder(rng, x, 16, 0, size, palette))
    return solids
