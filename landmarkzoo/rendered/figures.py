"""Families of statues and fountains: figures of turned and tapered parts."""

from __future__ import annotations

import numpy as np

from landmarkzoo.rendered.facades import Color, Facade, tint
from landmarkzoo.rendered.palettes import BRONZE, GOLD, Palette
from landmarkzoo.rendered.solids import Solid, block, dome_profile, hexahedron, lathe


def _limb(
    start: tuple[float, float, float], end: tuple[float, float, float], girth: float, color: Color
) -> Solid:
    """Return an arm or a staff between two points in metres; it must rise or fall."""
    low, high = sorted((start, end), key=lambda point: point[2])
    square = np.array([(-1, -1, 0), (1, -1, 0), (1, 1, 0), (-1, 1, 0)]) * girth / 2
    lift = np.array([0, 0, 0.01])
    return hexahedron(np.array(low) + square, np.array(high) + square * 0.8 + lift, color)


def figure(rng: np.random.Generator, x: float, y: float, z: float, tall: float, color: Color) -> list[Solid]:
    """Return somebody who stands or sits, `tall` metres high, with what they hold or wear."""
    seated = rng.random() < 0.3
    girth = tall * float(rng.uniform(0.13, 0.2))
    hem, waist, chest = rng.uniform(0.9, 1.5), rng.uniform(0.6, 0.9), rng.uniform(0.9, 1.2)
    robe = [(girth * hem, 0.0), (girth * waist, tall * 0.52), (girth * chest, tall * 0.72)]
    robe += [(girth * 0.5, tall * 0.82), (girth * 0.32, tall * 0.84)]
    folds = [color, tint(color, 0.86)] if rng.random() < 0.6 else [color]
    solids = lathe(x, y, z, robe, folds, sides=int(rng.choice([8, 10, 12])))
    head = [(r + 0.02, h) for r, h in dome_profile(girth * 0.42, tall * 0.08, 3)]
    solids += lathe(x, y, z + tall * 0.84, [(girth * 0.3, 0), (girth * 0.42, tall * 0.06)], [color], sides=10)
    solids += lathe(x, y, z + tall * 0.90, head, [color], sides=10)
    shoulder = z + tall * 0.74
    for side in (-1, 1):
        pose = int(rng.integers(4))
        start = (x + side * girth * 1.0, y, shoulder)
        hand = {
            0: (x + side * girth * 1.3, y - girth * 0.4, z + tall * 0.45),
            1: (x + side * girth * 2.0, y - girth * 0.3, z + tall * 1.1),
            2: (x + side * tall * 0.42, y, shoulder + tall * 0.03),
            3: (x + side * girth * 0.2, y - girth * 1.2, z + tall * 0.55),
        }[pose]
        solids.append(_limb(start, hand, girth * 0.4, color))
        if pose == 1:
            torch = [(girth * 0.15, 0.0), (girth * 0.35, tall * 0.08), (0.0, tall * 0.16)]
            solids += lathe(hand[0], hand[1], hand[2], torch, [GOLD], sides=6)
        if pose == 0 and rng.random() < 0.4:
            staff = tall * rng.uniform(0.8, 1.2)
            solids.append(block(hand[0], hand[1] - 0.1, z, (girth * 0.15, girth * 0.15, staff), color))
    style = int(rng.integers(4))
    if style == 0:
        spikes = [(girth * 0.5, 0.0), (girth * 0.6, tall * 0.05), (girth * 0.2, tall * 0.1)]
        solids += lathe(x, y, z + tall * 0.95, spikes, [color, GOLD], sides=10)
    elif style == 1:
        tower = [(girth * 0.45, 0.0), (girth * 0.5, tall * 0.12), (girth * 0.15, tall * 0.2)]
        solids += lathe(x, y, z + tall * 0.93, tower, [tint(color, 0.9)], sides=8)
    elif style == 2:
        for side in (-1, 1):
            wing = (girth * 1.6, girth * 0.3, tall * 0.5)
            solids.append(
                block(x + side * girth * 1.6, y + girth, z + tall * 0.45, wing, color, top=(0.3, 0.1))
            )
    if seated:
        solids.append(block(x, y + girth, z, (girth * 3.2, girth * 2, tall * 0.6), tint(color, 0.85)))
        solids.append(block(x, y - girth * 1.2, z, (girth * 2, girth * 1.4, tall * 0.3), color))
    return solids


def statue(rng: np.random.Generator, palette: Palette) -> list[Solid]:
    """One figure, or a row of them, on a pedestal."""
    color = (palette.wall, palette.wall, BRONZE, GOLD, (0.30, 0.46, 0.40))[rng.integers(5)]
    tall, rise = float(rng.uniform(4, 24)), 0.0
    solids: list[Solid] = []
    count = int(rng.choice([1, 1, 1, 2, 4]))
    gap = tall * rng.uniform(0.6, 0.9)
    side = tall * float(rng.uniform(0.6, 1.0))
    for _ in range(int(rng.integers(0, 5))):
        step = tall * float(rng.uniform(0.03, 0.4))
        size = (side + gap * (count - 1), side, step)
        relief = Facade(1, 1, "square", 0.6, 0.5, tint(palette.trim, 0.8)) if step > 1.5 else None
        solids.append(block(0, 0, rise, size, palette.trim, sides=relief))
        rise, side = rise + step, side * float(rng.uniform(0.7, 0.95))
    seed = int(rng.integers(2**31))
    for x in (np.arange(count) - (count - 1) / 2) * gap:
        own = np.random.default_rng(seed) if count > 2 else rng
        solids += figure(own, float(x), 0, rise, tall, color)
    if rng.random() < 0.3:
        back = (gap * count * 1.3, 2.0, rise + tall * rng.uniform(0.8, 1.4))
        solids.append(block(0, tall * 0.5 + 1, 0, back, palette.wall))
    return solids


def fountain(rng: np.random.Generator, palette: Palette) -> list[Solid]:
    """Basins on a stem, with figures round them."""
    radius, z = float(rng.uniform(5, 11)), 0.0
    sides = int(rng.choice([8, 12, 20]))
    solids = lathe(0, 0, 0, [(radius, 0), (radius * 0.97, 1.1)], [palette.wall], sides=sides)
    z = 1.1
    color = (palette.trim, BRONZE, palette.wall)[rng.integers(3)]
    count = int(rng.choice([0, 3, 4, 6]))
    for angle in 2 * np.pi * np.arange(count) / max(count, 1) + 0.4:
        place = radius * 0.62 * np.cos(angle), radius * 0.62 * np.sin(angle)
        solids += figure(rng, float(place[0]), float(place[1]), z, float(rng.uniform(1.8, 3)), color)
    bowl = radius * 0.5
    for _ in range(int(rng.integers(1, 4))):
        stem = float(rng.uniform(1.5, 3.5))
        profile = [(bowl * 0.25, 0.0), (bowl * 0.2, stem), (bowl, stem + 0.6), (bowl * 0.95, stem + 0.9)]
        solids += lathe(0, 0, z, profile, [palette.trim], sides=sides)
        z, bowl = z + stem + 0.9, bowl * 0.6
    return solids + figure(rng, 0, 0, z, float(rng.uniform(1.5, 4)), color)
