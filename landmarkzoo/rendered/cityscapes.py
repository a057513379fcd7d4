"""Families of the modern city and of streets: glass, stadiums, lattice towers, fronts, gates, painted walls."""

from __future__ import annotations

from itertools import product

import numpy as np

from landmarkzoo.rendered.assemblies import crown, draw_facade, pavilion
from landmarkzoo.rendered.facades import Facade, tint
from landmarkzoo.rendered.palettes import Palette
from landmarkzoo.rendered.solids import Solid, block, dome_profile, gable, hexahedron, lathe


def _glass_grid(rng: np.random.Generator, width: float, height: float, palette: Palette) -> Facade:
    """Return a curtain wall."""
    rows, columns = (
        int(np.clip(height / rng.uniform(3, 7), 1, 22)),
        int(np.clip(width / rng.uniform(2, 6), 1, 14)),
    )
    wide, tall = ((0.9, 0.9), (1.0, 0.6), (0.6, 1.0), (0.5, 0.5))[rng.integers(4)]
    return Facade(rows, columns, "square", wide, tall, palette.glass, margin=0.02, span=(0.02, 0.98))


def modern_building(rng: np.random.Generator, palette: Palette) -> list[Solid]:
    """Boxes of glass and concrete, turned, tapered and stacked: a museum, a library, a concert hall."""
    style, solids = int(rng.integers(4)), list[Solid]()
    if style == 0:  # boxes that lean and jut
        z = 0.0
        for _ in range(int(rng.integers(1, 6))):
            size = rng.uniform((12, 12, 4), (40, 26, 14))
            shift = rng.uniform(-6, 6, 2)
            slant = rng.uniform(0.6, 1.5)
            grid = _glass_grid(rng, float(size[0]), float(size[2]), palette)
            paint = (palette.wall, palette.trim, palette.roof)[rng.integers(3)]
            width, depth, height = (float(part) for part in size)
            place = (float(shift[0]), float(shift[1]), z)
            solids.append(
                block(*place, (width, depth, height), paint, top=(width * slant, depth), sides=grid)
            )
            z += height
    elif style == 1:  # shells, one behind the other
        for number in range(int(rng.integers(2, 7))):
            x, tall = number * rng.uniform(7, 11), rng.uniform(12, 30)
            half = rng.uniform(6, 10)
            foot = np.array([(x - half, -9, 0), (x + half, -9, 0), (x + half, 9, 0), (x - half, 9, 0)])
            peak = np.array([x + half * 0.8, 0, tall])
            top = peak + np.array([(-0.4, -0.8, 0), (0.4, -0.8, 0), (0.4, 0.8, 0), (-0.4, 0.8, 0)])
            solids.append(hexahedron(foot, top, palette.trim, sides=None))
        base = (float(8 * len(solids) + 24), 26.0, 3.0)
        solids.append(block(4.0 * len(solids), 14, 0, base, palette.wall))
    elif style == 2:  # a drum or a saucer on a stem
        radius, stem = float(rng.uniform(8, 24)), float(rng.choice([0, 0, rng.uniform(20, 90)]))
        if stem:
            waist = [(radius * 0.3, 0), (radius * 0.12, stem * 0.6), (radius * 0.25, stem)]
            solids += lathe(0, 0, 0, waist, [palette.wall], sides=12)
        tall = float(rng.uniform(0.3, 0.8) * radius)
        shape = [
            (radius * rng.uniform(0.4, 1), 0),
            (radius, tall * 0.5),
            (radius, tall * 0.8),
            (radius * 0.5, tall),
        ]
        grid = Facade(2, 2, "square", 0.8, 0.7, palette.glass)
        solids += lathe(
            0, 0, stem, [(float(r), float(h)) for r, h in shape], [palette.trim], sides=18, facade=grid
        )
        if rng.random() < 0.5:
            solids += lathe(
                0, 0, stem + tall, [(1, 0), (0.4, radius), (0, radius * 1.5)], [palette.roof], sides=6
            )
    else:  # two to four towers
        for number in range(int(rng.integers(2, 5))):
            width, height = float(rng.uniform(10, 20)), float(rng.uniform(30, 90))
            grid = _glass_grid(rng, width, height, palette)
            taper = float(rng.choice([1.0, rng.uniform(0.4, 1.2)]))
            size, top = (width, width, height), (width * taper, width)
            paint = (palette.wall, palette.roof)[number % 2]
            solids.append(
                block(number * 24.0, float(rng.uniform(-8, 8)), 0, size, paint, top=top, sides=grid)
            )
    return solids


def stadium(rng: np.random.Generator, palette: Palette) -> list[Solid]:
    """A ring of arcades, whole or broken, or a modern arena."""
    radius, tiers = float(rng.uniform(22, 45)), int(rng.integers(1, 5))
    rise, sides = float(rng.uniform(5, 11)), int(rng.choice([16, 20, 28]))
    bays = int(rng.choice([1, 2, 3]))
    shape = ("arched", "arched", "square")[int(rng.integers(3))]
    dark = tint(palette.wall, float(rng.uniform(0.15, 0.5)))
    arcade = Facade(
        1,
        bays,
        "arched" if shape == "arched" else "square",
        float(rng.uniform(0.4, 0.7)),
        0.72,
        dark,
        palette.trim,
    )
    solids: list[Solid] = []
    for tier in range(tiers):
        z = tier * rise
        solids += lathe(
            0, 0, z, [(radius, 0), (radius * 0.99, rise * 0.94)], [palette.wall], sides=sides, facade=arcade
        )
        solids += lathe(
            0,
            0,
            z + rise * 0.94,
            [(radius * 1.02, 0), (radius * 1.02, rise * 0.06)],
            [palette.trim],
            sides=sides,
        )
    top = tiers * rise
    if rng.random() < 0.4:  # a part of the outer wall stands higher
        for angle in np.linspace(-1.2, 0.6, 9) + rng.uniform(0, 2):
            x, y = radius * np.sin(angle), -radius * np.cos(angle)
            solids.append(block(float(x), float(y) + 1, top, (6, 3, rise), palette.wall, front=arcade))
    if rng.random() < 0.35:
        posts = (3.5, 3.5, top * rng.uniform(1.6, 3))
        for x in (-1, 1):
            solids.append(block(x * radius * 0.3, -radius - 4, 0, posts, palette.trim))
    return solids


def lattice_tower(rng: np.random.Generator, palette: Palette) -> list[Solid]:
    """An iron tower on four legs, with struts and platforms."""
    height, spread = float(rng.uniform(40, 110)), float(rng.uniform(0.16, 0.26))
    levels = np.cumsum([0, *(rng.uniform(0.6, 1.2, int(rng.integers(5, 9))) * np.linspace(1.4, 0.7, 9)[:1])])
    levels = levels / levels[-1]
    bend = float(rng.uniform(1.0, 2.6))

    def half(share: float) -> float:
        return height * spread * (0.06 + 0.94 * (1 - share) ** bend)

    def beam(start: np.ndarray, end: np.ndarray, girth: float) -> Solid:
        square = np.array([(-1, -1, 0), (1, -1, 0), (1, 1, 0), (-1, 1, 0)]) * girth / 2
        low, high = sorted((start, end), key=lambda point: float(point[2]))
        return hexahedron(low + square, high + square + np.array([0, 0, 0.02]), palette.wall)

    solids: list[Solid] = []
    for low, high in zip(levels[:-1], levels[1:], strict=True):
        a, b, girth = half(low), half(high), 0.018 * height * (1.1 - high)
        for sx, sy in product((-1, 1), repeat=2):
            solids.append(
                beam(
                    np.array([sx * a, sy * a, low * height]),
                    np.array([sx * b, sy * b, high * height]),
                    1.6 * girth,
                )
            )
        for side in (-1, 1):
            for turn in (-1, 1):
                start, end = (
                    np.array([turn * a, side * a, low * height]),
                    np.array([-turn * b, side * b, high * height]),
                )
                solids.append(beam(start, end, girth * 0.7))
                solids.append(beam(start[[1, 0, 2]], end[[1, 0, 2]], girth * 0.7))
        if rng.random() < 0.5:
            deck = (2.3 * b, 2.3 * b, 0.02 * height)
            solids.append(block(0, 0, high * height - deck[2], deck, palette.trim))
    solids += lathe(0, 0, height, [(0.014 * height, 0), (0, 0.12 * height)], [palette.wall], sides=6)
    return solids


def street_front(rng: np.random.Generator, palette: Palette) -> list[Solid]:
    """A wide front of many bays that jut out, each with a roof of its own."""
    bays, floors = int(rng.choice([3, 5, 7, 9])), int(rng.integers(2, 6))
    wide, storey = float(rng.uniform(2.8, 5)), float(rng.uniform(3, 4.5))
    width = bays * wide
    windows = draw_facade(rng, width, floors * storey, palette)
    solids = [block(0, 4, 0, (width + 3, 8, floors * storey), palette.wall, sides=windows)]
    top = int(rng.integers(7))
    jut = float(rng.uniform(0.6, 1.8))
    pane = Facade(1, int(rng.integers(1, 4)), "arched", 0.55, 0.6, palette.glass, palette.trim)
    staggered = rng.random() < 0.5
    for bay in range(bays):
        x = (bay - (bays - 1) / 2) * wide
        last = floors - (abs(bay - bays // 2) if staggered else 0)
        for floor in range(1, max(last, 1) + int(staggered)):
            size = (wide * 0.8, jut * 2, storey * 0.75)
            z = floor * storey
            solids.append(block(x, 0, z, size, palette.trim if floor % 2 else palette.wall, sides=pane))
            if rng.random() < 0.9:
                state = np.random.default_rng(top)
                roof = (wide * 0.8, jut * 2, storey * 0.25)
                solids.append(block(x, 0, z + storey * 0.75, roof, palette.dome, top=(wide * 0.2, jut * 0.4)))
        if max(last, 1) >= floors:
            state = np.random.default_rng(top)
            solids += crown(state, top, x, 2.5, floors * storey, wide * 0.7, palette)
    return solids


def old_street(rng: np.random.Generator, palette: Palette) -> list[Solid]:
    """A row of narrow houses, no two alike, one of them with a tower."""
    solids, x = list[Solid](), 0.0
    special = int(rng.integers(0, 5))
    for number in range(int(rng.integers(4, 8))):
        width, height = float(rng.uniform(5, 11)), float(rng.uniform(6, 17))
        tone = tint(palette.wall, float(rng.uniform(0.6, 1.25)))
        hue = rng.normal(1, 0.2, 3)
        red, green, blue = (
            float(np.clip(part * shift, 0.05, 0.95)) for part, shift in zip(tone, hue, strict=True)
        )
        paint = (red, green, blue)
        windows = draw_facade(rng, width, height, palette)
        solids.append(block(x + width / 2, 5, 0, (width, 10, height), paint, sides=windows))
        style = int(rng.integers(3))
        if style == 0:
            roof = (width, 10.0, width * rng.uniform(0.4, 0.9))
            solids.append(gable(x + width / 2, 5, height, roof, palette.roof, paint))
        elif style == 1:
            roof = (width, 10.0, rng.uniform(2, 5))
            solids.append(gable(x + width / 2, 5, height, roof, palette.roof, paint, ridge="x"))
        if number == special:
            tall = height * float(rng.uniform(1.4, 2.2))
            solids.append(block(x + width / 2, -1, 0, (4.5, 4.5, tall), palette.trim, sides=windows))
            solids += crown(rng, int(rng.integers(4)), x + width / 2, -1, tall, 4.5, palette)
        x += width
    return solids


def painted_wall(rng: np.random.Generator, palette: Palette) -> list[Solid]:
    """A long wall full of pictures."""
    width, height = float(rng.uniform(18, 50)), float(rng.uniform(3, 7))
    solids = [block(0, 0, 0, (width, 0.6, height), (0.75, 0.75, 0.75))]
    for number in range(int(rng.integers(0, 4))):
        panel = (width * 0.22, 0.3, height * 0.9)
        solids.append(block((number - 1.5) * width * 0.25, -0.5, 0, panel, tint(palette.wall, 1.1)))
    solids.append(block(0, 0, height, (width, 1.0, 0.5), palette.trim))
    return solids


def wooden_gate(rng: np.random.Generator, palette: Palette) -> list[Solid]:
    """Posts and beams under sweeping roofs."""
    posts, gap, tall = int(rng.choice([2, 2, 4])), float(rng.uniform(4, 7)), float(rng.uniform(5, 10))
    paint = ((0.62, 0.16, 0.12), palette.wall, palette.trim)[rng.integers(3)]
    width, solids = gap * (posts - 1), list[Solid]()
    girth = float(rng.uniform(0.5, 1.1))
    for x in (np.arange(posts) - (posts - 1) / 2) * gap:
        rise = tall * (0.8 if posts == 4 and abs(x) > gap else 1.0)
        solids += lathe(float(x), 0, 0, [(girth, 0), (girth * 0.8, rise)], [paint], sides=10)
    for level in rng.uniform(0.75, 1.0, int(rng.integers(1, 3))):
        solids.append(block(0, 0, tall * float(level), (width + 3, girth * 1.4, girth), paint))
    z = tall + girth
    for _ in range(int(rng.integers(0, 4))):
        reach = (width + float(rng.uniform(3, 6)), float(rng.uniform(3, 5)), float(rng.uniform(0.8, 1.8)))
        solids.append(block(0, 0, z, reach, palette.roof, top=(reach[0] * 0.8, 0.8)))
        z += reach[2]
        if rng.random() < 0.6:
            frieze = (width * 0.7, 1.6, float(rng.uniform(0.6, 1.6)))
            solids.append(block(0, 0, z, frieze, paint))
            z += frieze[2]
    if rng.random() < 0.5:
        for side in (-1, 1):
            solids += pavilion(side * (width / 2 + 5), 0, 0, 4.0, palette)
    return solids


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
