"""Families put together by chance: tiers, crowns, corners, portals and wings in ever other proportions."""

from __future__ import annotations

from itertools import product

import numpy as np

from landmarkzoo.rendered.facades import Color, Facade, Shape, tint
from landmarkzoo.rendered.palettes import GOLD, Palette
from landmarkzoo.rendered.solids import Solid, block, dome_profile, gable, lathe, onion_profile

_SHAPES: tuple[Shape, ...] = ("square", "arched", "arched", "pointed", "round")


def draw_facade(rng: np.random.Generator, width: float, height: float, palette: Palette) -> Facade:
    """Draw windows, niches or blind arches for a wall of a size in metres."""
    storey, bay = rng.uniform(2.8, 6.5), rng.uniform(2.2, 6.0)
    shape = _SHAPES[rng.integers(len(_SHAPES))]
    glass = palette.glass if rng.random() < 0.6 else tint(palette.wall, float(rng.uniform(0.35, 0.75)))
    return Facade(
        rows=int(np.clip(height / storey, 1, 7)),
        columns=int(np.clip(width / bay, 1, 11)),
        shape=shape,
        width=float(rng.uniform(0.28, 0.75)),
        height=float(rng.uniform(0.4, 0.85)),
        glass=glass,
        frame=palette.trim if rng.random() < 0.7 else None,
        courses=int(rng.integers(0, 4)),
        door=shape if rng.random() < 0.4 else None,
    )


def crown(
    rng: np.random.Generator, style: int, x: float, y: float, z: float, width: float, palette: Palette
) -> list[Solid]:
    """Return what stands on a square roof `width` metres wide.

    Args:
        rng: where proportions come from.
        style: 0 dome, 1 onion, 2 spire, 3 pyramid, 4 curved tower of a temple, 5 bell, 6 open pavilion.
        x: metres, the middle.
        y: metres, the middle.
        z: metres, the roof.
        width: metres.
        palette: colors.
    """
    radius = 0.45 * width
    if style in (0, 1):
        drum, sides = rng.uniform(0.05, 0.6) * radius, int(rng.choice([8, 12, 16]))
        openings = Facade(1, 1, "arched", 0.45, 0.7, palette.glass) if drum > 1.5 else None
        base = [(radius, 0.0), (radius, drum)]
        solids = lathe(x, y, z, base, [palette.wall], sides=sides, facade=openings)
        tall = radius * rng.uniform(0.7, 1.25) * (1 + 0.7 * style)
        profile = onion_profile(radius * 1.12, tall) if style else dome_profile(radius, tall)
        ribs = [palette.dome, tint(palette.dome, 0.85)] if rng.random() < 0.4 else [palette.dome]
        solids += lathe(x, y, z + drum, profile, ribs, sides=sides)
        tip = [(0.06 * radius, 0.0), (0.10 * radius, 0.15 * radius), (0.0, 0.5 * radius)]
        return solids + lathe(x, y, z + drum + tall, tip, [GOLD], sides=6)
    if style == 2:
        return lathe(x, y, z, [(radius, 0), (0, width * rng.uniform(0.9, 2.4))], [palette.roof], sides=8)
    if style == 3:
        rise = width * rng.uniform(0.3, 0.9)
        return [block(x, y, z, (width * 1.05, width * 1.05, rise), palette.roof, top=(0, 0))]
    if style == 4:
        steps, tall = int(rng.integers(6, 11)), width * rng.uniform(1.0, 2.2)
        shares = np.linspace(0, 1, steps + 1)
        outline = [
            (float(radius * (1 - 0.75 * s**1.8)) * (1.0 if n % 2 else 1.06), float(tall * s))
            for n, s in enumerate(shares)
        ]
        sides = int(rng.choice([4, 8, 12, 16]))
        solids = lathe(x, y, z, outline, [palette.wall, palette.trim][: 1 + int(sides > 8)], sides=sides)
        cap = [(0.36 * radius, 0.0), (0.42 * radius, 0.1 * width), (0.2 * radius, 0.18 * width)]
        return solids + lathe(x, y, z + tall, [*cap, (0.0, 0.35 * width)], [palette.dome], sides=12)
    if style == 5:
        shape = ((1.05, 0), (1, 0.1), (0.9, 0.35), (0.62, 0.6), (0.22, 0.72), (0.18, 0.9), (0, 1.6))
        tall = width * rng.uniform(0.6, 1.1)
        bell = [(radius * across, tall * up) for across, up in shape]
        return lathe(x, y, z, bell, [palette.dome], sides=14)
    return pavilion(x, y, z, width * rng.uniform(0.5, 0.9), palette)


def pavilion(x: float, y: float, z: float, width: float, palette: Palette) -> list[Solid]:
    """Return four posts under a jutting roof with a small dome."""
    post, tall = width * 0.12, width * 0.8
    solids = [
        block(x + dx * width * 0.4, y + dy * width * 0.4, z, (post, post, tall), palette.trim)
        for dx, dy in product((-1, 1), repeat=2)
    ]
    solids.append(block(x, y, z + tall, (width * 1.25, width * 1.25, width * 0.1), palette.roof))
    cap = dome_profile(width * 0.45, width * 0.45, 4)
    return solids + lathe(x, y, z + tall + width * 0.1, cap, [palette.dome], sides=10)


def _corners(
    rng: np.random.Generator, width: float, depth: float, height: float, palette: Palette
) -> list[Solid]:
    """Return what marks the four corners of a block: towers, minarets or pavilions on the roof."""
    style, top = int(rng.integers(3)), int(rng.choice([0, 1, 2, 3, 6]))
    girth = float(rng.uniform(0.1, 0.22) * min(width, depth))
    rise = float(height * rng.uniform(1.1, 2.4))
    sides = int(rng.choice([4, 8, 12]))
    slits = Facade(int(rng.integers(2, 6)), 1, "arched", 0.3, 0.5, palette.glass, courses=2)
    solids: list[Solid] = []
    for sx, sy in product((-1, 1), repeat=2):
        if style == 2:
            inset = girth * 0.7
            place = sx * (width / 2 - inset), sy * (depth / 2 - inset)
            solids += pavilion(*place, height, girth, palette)
            continue
        radius = girth * (0.5 if style == 0 else 0.3)
        place = sx * (width / 2 + radius * 1.1), sy * (depth / 2 + radius * 1.1)
        profile = [(radius, 0.0), (radius * 0.9, rise)]
        solids += lathe(*place, 0, profile, [palette.wall], sides=sides, facade=slits)
        state = np.random.default_rng(int(1e6 * rise))  # all four alike
        solids += crown(state, top, *place, rise, 2.2 * radius, palette)
    return solids


def _portal(rng: np.random.Generator, y: float, width: float, height: float, palette: Palette) -> list[Solid]:
    """Return a porch, a great niche or a row of columns before a front that stands at y metres."""
    style, across = int(rng.integers(3)), float(width * rng.uniform(0.25, 0.55))
    tall = float(height * rng.uniform(0.6, 1.3))
    if style == 0:
        shape = _SHAPES[rng.integers(1, 4)]
        niche = Facade(1, 1, shape, 0.62, 0.85, tint(palette.glass, 1.2), palette.trim, span=(0, 0.95))
        return [block(0, y - 1.5, 0, (across, 3.0, tall), palette.trim, front=niche)]
    columns = int(rng.choice([2, 4, 6, 8]))
    shaft = [(0.06 * tall, 0.0), (0.05 * tall, 0.9 * tall), (0.08 * tall, tall)]
    solids: list[Solid] = []
    for x in (np.arange(columns) - (columns - 1) / 2) * across / columns:
        solids += lathe(float(x), y - 2.5, 0, shaft, [palette.trim], sides=8)
    solids.append(block(0, y - 2, tall, (across, 4.0, 0.12 * tall), palette.trim))
    if style == 1:
        pitch = (across, 4.0, across * rng.uniform(0.12, 0.25))
        solids.append(gable(0, y - 2, 1.12 * tall, pitch, palette.roof, palette.wall))
    return solids


def assembly(rng: np.random.Generator, palette: Palette) -> list[Solid]:
    """A symmetrical building of one to four tiers with chance parts."""
    width, height = float(rng.uniform(12, 40)), float(rng.uniform(5, 20))
    depth = width * float(rng.uniform(0.5, 1.1))
    z, solids = 0.0, []
    for _ in range(int(rng.integers(0, 5))):
        rise, spread = rng.uniform(0.3, 1.2), rng.uniform(1.5, 6)
        size = (width + spread + 3, depth + spread + 3, rise)
        solids.append(block(0, 0, z, size, tint(palette.wall, float(rng.uniform(0.8, 1.05)))))
        z += rise
    front = -depth / 2
    if rng.random() < 0.5:
        solids += _corners(rng, width, depth, height + z, palette)
    if rng.random() < 0.6:
        solids += _portal(rng, front, width, height + z, palette)
    w, d, h = width, depth, height
    for tier in range(int(rng.choice([1, 1, 2, 3, 4]))):
        windows = draw_facade(rng, w, h, palette)
        cover = draw_facade(rng, w, h, palette)
        paint = palette.wall if tier % 2 == 0 or rng.random() < 0.6 else palette.trim
        lid = palette.roof if rng.random() < 0.5 else None
        solids.append(block(0, 0, z, (w, d, h), paint, front=cover, sides=windows, lid=lid))
        z += h
        if rng.random() < 0.6:
            jut = float(rng.uniform(0.4, 2.5))
            solids.append(block(0, 0, z, (w + jut, d + jut, 0.6), palette.trim))
            z += 0.6
        shrink = rng.uniform(0.5, 0.9)
        w, d, h = w * shrink, d * shrink, h * rng.uniform(0.5, 1.0)
    w, d = w / shrink, d / shrink
    if rng.random() < 0.25:
        roof = (w * 1.05, d * 1.05, min(w, d) * rng.uniform(0.25, 0.6))
        ridge = "x" if rng.random() < 0.5 else "y"
        solids.append(gable(0, 0, z, roof, palette.roof, palette.wall, ridge=ridge))
    elif rng.random() < 0.9:
        solids += crown(rng, int(rng.integers(7)), 0, 0, z, min(w, d) * rng.uniform(0.5, 0.95), palette)
    if rng.random() < 0.35:
        wing = (float(rng.uniform(0.3, 1.0) * width), depth * 0.7, height * float(rng.uniform(0.4, 0.9)))
        windows = draw_facade(rng, wing[0], wing[2], palette)
        top = int(rng.integers(7))
        for side in (-1, 1):
            x = side * (width + wing[0]) / 2
            solids.append(block(x, 0, 0, wing, palette.wall, sides=windows, lid=palette.roof))
            if rng.random() < 0.5:
                state = np.random.default_rng(top)
                solids += crown(state, top, x, 0, wing[2], min(wing[:2]) * 0.6, palette)
    return solids


def gopuram(rng: np.random.Generator, palette: Palette) -> list[Solid]:
    """A temple tower of many receding tiers, each with a row of little shrines."""
    width, tiers = float(rng.uniform(14, 26)), int(rng.integers(4, 11))
    depth = width * float(rng.uniform(0.55, 1.0))
    rise, shrink = float(rng.uniform(2.0, 4.5)), float(rng.uniform(0.86, 0.93))
    base = float(rng.uniform(4, 9))
    portal = Facade(1, 1, "square", 0.3, 0.8, (0.1, 0.08, 0.07), palette.trim, span=(0, 0.9))
    solids = [block(0, 0, 0, (width * 1.1, depth * 1.1, base), palette.wall, front=portal)]
    bright: tuple[Color, ...] = ((0.75, 0.3, 0.3), (0.3, 0.5, 0.7), (0.85, 0.7, 0.3), palette.trim)
    tones = bright if rng.random() < 0.35 else (palette.wall, palette.trim, tint(palette.wall, 0.9))
    z, w, d, h = base, width, depth, rise
    for tier in range(tiers):
        niches = Facade(1, 5, "arched", 0.5, 0.7, tint(palette.wall, 0.4), tones[tier % len(tones)])
        solids.append(block(0, 0, z, (w, d, h), tones[tier % len(tones)], sides=niches))
        count = int(rng.choice([3, 5, 7]))
        little = w / count * 0.7
        for x in (np.arange(count) - (count - 1) / 2) * w / count:
            for y in (-d / 2 - 0.3, d / 2 + 0.3):
                tone = tones[(tier + 1) % len(tones)]
                solids.append(block(float(x), y, z, (little, 0.6, h * 0.85), tone, top=(little * 0.4, 0.4)))
        z, w, d, h = z + h, w * shrink, d * shrink, h * 0.95
    if rng.random() < 0.5:
        barrel = (w, d * 0.8, w * 0.3)
        solids.append(gable(0, 0, z, barrel, palette.dome, palette.trim, ridge="x"))
        return solids
    return solids + crown(rng, int(rng.choice([0, 4, 5])), 0, 0, z, min(w, d), palette)


def stupa(rng: np.random.Generator, palette: Palette) -> list[Solid]:
    """A great bell or dome on terraces, with lesser ones round it."""
    radius, z = float(rng.uniform(8, 20)), 0.0
    solids: list[Solid] = []
    sides = int(rng.choice([4, 12, 20]))
    for step in range(int(rng.integers(1, 6))):
        rise, wide = float(rng.uniform(1, 3)), radius * (1.9 - 0.16 * step)
        niches = Facade(1, 6, "arched", 0.5, 0.7, tint(palette.wall, 0.5), palette.trim)
        solids += lathe(0, 0, z, [(wide, 0), (wide * 0.98, rise)], [palette.wall], sides=sides, facade=niches)
        z += rise
    profile = dome_profile(radius, radius * float(rng.uniform(0.6, 1.1)), 7)
    solids += lathe(0, 0, z, profile, [palette.dome], sides=20)
    z += profile[-1][1]
    harmika = (radius * 0.4, radius * 0.4, radius * 0.25)
    solids.append(block(0, 0, z - 0.3, harmika, palette.trim))
    rings = [(radius * 0.2, 0.0), (radius * 0.12, radius * 0.5), (0.0, radius * rng.uniform(0.6, 1.4))]
    solids += lathe(0, 0, z - 0.3 + harmika[2], rings, [palette.dome], sides=10)
    count = int(rng.choice([0, 4, 8]))
    for angle in 2 * np.pi * (np.arange(count) + 0.5) / max(count, 1):
        x, y = 1.9 * radius * np.cos(angle), 1.9 * radius * np.sin(angle)
        solids += crown(np.random.default_rng(3), 5, float(x), float(y), 1.0, radius * 0.4, palette)
    return solids
