"""Families of rendered towers, gates and bridges."""

from __future__ import annotations

from itertools import pairwise, product

import numpy as np

from landmarkzoo.rendered.facades import Facade, Shape, tint
from landmarkzoo.rendered.palettes import GOLD, Palette
from landmarkzoo.rendered.solids import (
    Solid,
    archway,
    block,
    dome_profile,
    gable,
    hexahedron,
    lathe,
)


def lighthouse(rng: np.random.Generator, palette: Palette) -> list[Solid]:
    """A banded tapering tower with a gallery and a lantern, and a keeper's house."""
    height, radius = rng.uniform(22, 38), rng.uniform(3.4, 5.0)
    taper, bands = rng.uniform(0.5, 0.75), int(rng.choice([1, 3, 5, 7]))
    paints = ((0.72, 0.16, 0.14), (0.15, 0.17, 0.22), (0.14, 0.32, 0.56), palette.roof)
    paint = paints[rng.integers(len(paints))]
    sides = int(rng.choice([8, 14]))
    solids = []
    levels = np.linspace(0, 1, bands + 1)
    for band, (low, high) in enumerate(pairwise(levels)):
        part = [(radius * (1 - (1 - taper) * share), height * share) for share in (low, high)]
        stone = paint if band % 2 else palette.wall
        slit = Facade(max(6 // bands, 1), 1, "square", 0.22, 0.3, palette.glass)
        solids += lathe(0, 0, 0, part, [stone], sides=sides, facade=slit)
    top = radius * taper
    gallery = [(top, 0.0), (top * 1.5, 0.8), (top * 1.5, 1.7)]
    solids += lathe(0, 0, height, gallery, [paint], sides=sides)
    panes = [(top * 0.75, 1.7), (top * 0.75, 5.2)]
    lamp = Facade(1, 1, "square", 0.75, 0.85, (0.75, 0.8, 0.7))
    solids += lathe(0, 0, height, panes, [palette.trim], sides=8, facade=lamp)
    roof = [(r * 0.9, h + 5.2) for r, h in dome_profile(top, top * 0.9, 4)]
    solids += lathe(0, 0, height, roof, [paint], sides=12)
    for place in (-1, 1)[: int(rng.integers(1, 3))]:
        size = (rng.uniform(9, 14), rng.uniform(7, 9), rng.uniform(4, 6))
        x = place * (radius + size[0] / 2 + 1)
        house = Facade(1, 3, "square", 0.3, 0.5, palette.glass, palette.trim)
        solids.append(block(x, 0, 0, size, palette.wall, sides=house))
        solids.append(
            gable(
                x,
                0,
                size[2],
                (size[0] * 1.05, size[1] * 1.1, 3.5),
                palette.roof,
                palette.wall,
                ridge="x",
            )
        )
    return solids


def clock_tower(rng: np.random.Generator, palette: Palette) -> list[Solid]:
    """A slender tower with a clock on each side and an open belfry, beside a hall."""
    width, height = rng.uniform(7, 11), rng.uniform(30, 52)
    shape: Shape = "pointed" if rng.random() < 0.5 else "arched"
    shaft = Facade(
        int(rng.integers(3, 8)),
        int(rng.integers(1, 4)),
        shape,
        0.3,
        0.6,
        palette.glass,
        palette.trim,
        courses=int(rng.integers(2, 5)),
    )
    solids = [block(0, 0, 0, (width, width, height), palette.wall, sides=shaft)]
    z, stage = height, width * 1.12
    face = Facade(1, 1, "round", 0.72, 0.72, (0.92, 0.9, 0.82), palette.roof, clock=True)
    solids.append(block(0, 0, z, (stage, stage, stage), palette.trim, sides=face))
    z += stage
    if rng.random() < 0.6:
        bells = Facade(1, int(rng.integers(2, 5)), shape, 0.55, 0.8, (0.12, 0.11, 0.12))
        size = (width * 0.95, width * 0.95, width * 0.7)
        solids.append(block(0, 0, z, size, palette.wall, sides=bells))
        z += size[2]
    rise = width * rng.uniform(0.8, 2.2)
    crown = int(rng.integers(3))
    if crown == 0:
        solids.append(block(0, 0, z, (stage, stage, rise), palette.roof, top=(0, 0)))
    elif crown == 1:
        solids += lathe(0, 0, z, dome_profile(width * 0.5, width * 0.55), [palette.dome])
        solids += lathe(0, 0, z + width * 0.55, [(0.5, 0), (0, rise * 0.5)], [GOLD], sides=6)
    else:
        waist = (width * 0.55, width * 0.55)
        solids.append(block(0, 0, z, (stage, stage, rise * 0.35), palette.roof, top=waist))
        top = (*waist, rise * 0.3)
        solids.append(block(0, 0, z + rise * 0.35, top, palette.trim))
        solids.append(block(0, 0, z + rise * 0.65, (*waist, rise), palette.roof, top=(0, 0)))
    wings = (-1, 1) if rng.random() < 0.5 else (int(rng.choice([-1, 1])),)
    length, low, depth = rng.uniform(14, 24), rng.uniform(9, 14), rng.uniform(9, 13)
    rows = Facade(
        int(rng.integers(2, 4)),
        int(rng.integers(4, 8)),
        shape,
        0.45,
        0.6,
        palette.glass,
        palette.trim,
    )
    for side in wings:
        x = side * (width + length) / 2
        solids.append(block(x, 1, 0, (length, depth, low), palette.wall, sides=rows))
        roof = (length, depth * 1.08, low * 0.5)
        solids.append(gable(x, 1, low, roof, palette.roof, palette.wall, ridge="x"))
    return solids


def city_gate(rng: np.random.Generator, palette: Palette) -> list[Solid]:
    """Two stout towers with a vaulted passage between them, and stubs of the city wall."""
    radius, height = rng.uniform(4, 6), rng.uniform(17, 26)
    span, thick = rng.uniform(6, 9), rng.uniform(5, 8)
    sides = int(rng.choice([4, 10, 14]))
    storey = height * rng.uniform(0.6, 0.95)
    slits = Facade(
        int(rng.integers(2, 5)),
        1,
        "arched",
        0.3,
        0.45,
        palette.glass,
        palette.trim,
        courses=int(rng.integers(3)),
    )
    y = (-thick / 2, thick / 2)
    solids = archway((-span / 2, span / 2), y, (storey * 0.3, storey), palette.wall)
    upper = Facade(1, 3, "arched", 0.45, 0.6, palette.glass, palette.trim)
    solids.append(block(0, 0, storey, (span, thick, 5), palette.trim, sides=upper))
    if rng.random() < 0.6:
        solids.append(gable(0, 0, storey + 5, (span, thick * 1.1, 4), palette.roof, palette.wall, ridge="x"))
    cone = rng.uniform(7, 14)
    style = int(rng.integers(3))
    for side in (-1, 1):
        x = side * (span / 2 + radius)
        profile = [(radius, 0.0), (radius * 0.95, height)]
        solids += lathe(x, 0, 0, profile, [palette.wall], sides=sides, facade=slits)
        crown = [(radius, height), (radius * 1.18, height + 1.2), (radius * 1.18, height + 2.6)]
        solids += lathe(x, 0, 0, crown, [palette.trim], sides=sides)
        z = height + 2.6
        if style == 0:
            solids += lathe(x, 0, z, [(radius * 1.25, 0), (0, cone)], [palette.roof], sides=sides)
        elif style == 1:
            cap = dome_profile(radius * 1.1, radius)
            solids += lathe(x, 0, z, cap, [palette.dome], sides=14)
        else:
            for angle in 2 * np.pi * np.arange(7) / 7:
                place = x + radius * np.cos(angle), radius * np.sin(angle)
                solids.append(block(*place, z, (1.2, 1.2, 1.5), palette.trim))
        wall = (rng.uniform(8, 16), thick * 0.5, storey * 0.6)
        x = side * (span / 2 + 2 * radius + wall[0] / 2)
        solids.append(block(x, 0, 0, wall, tint(palette.wall, 0.92)))
    return solids


def aqueduct(rng: np.random.Generator, palette: Palette) -> list[Solid]:
    """Tiers of round arches across a valley, the upper tiers narrower."""
    tiers, bays = int(rng.integers(1, 4)), int(rng.integers(4, 7))
    span, pier = rng.uniform(8, 11), rng.uniform(2.2, 3.6)
    thick = rng.uniform(3.5, 6)
    width = bays * span + (bays + 1) * pier
    z, solids = 0.0, []
    for tier in range(tiers):
        storey = rng.uniform(11, 16) if tiers > 1 else rng.uniform(16, 26)
        y = (-thick / 2, thick / 2)
        stone = palette.wall
        for bay in range(bays + 1):
            x = -width / 2 + bay * (span + pier)
            solids.append(block(x + pier / 2, 0, z, (pier, thick, storey), stone))
            if bay < bays:
                low = z + storey - span / 2 - 1.0
                solids += archway((x + pier, x + pier + span), y, (low, z + storey), stone, slices=6)
        z += storey
        solids.append(block(0, 0, z, (width, thick + 0.8, 0.8), palette.trim))
        z += 0.8
        thick *= 0.8 if tier + 1 < tiers else 1
    solids.append(block(0, 0, z, (width, thick, 2.0), palette.trim))
    return solids


def tower_bridge(rng: np.random.Generator, palette: Palette) -> list[Solid]:
    """A bridge deck through two portal towers, with chains or a high walk between them."""
    span, width = rng.uniform(24, 36), rng.uniform(7, 9)
    deck, height = rng.uniform(6, 9), rng.uniform(28, 42)
    leg = rng.uniform(2.0, 3.0)
    shape: Shape = "pointed" if rng.random() < 0.5 else "arched"
    cone = rng.uniform(5, 12)
    style = int(rng.integers(3))
    solids = [block(0, 0, deck, (span, width * 0.6, 1.5), palette.trim)]
    windows = Facade(
        int(rng.integers(3, 6)),
        int(rng.integers(1, 3)),
        shape,
        0.4,
        0.6,
        palette.glass,
        palette.trim,
        span=(0.3, 0.97),
        courses=2,
    )
    for side in (-1, 1):
        x = side * (span + width) / 2
        solids.append(block(x, 0, 0, (width * 1.3, width * 1.7, deck), tint(palette.wall, 0.8)))
        tall = (width, width, height - deck)
        solids.append(block(x, 0, deck, tall, palette.wall, sides=windows))
        solids.append(block(x, 0, height, (width * 1.1, width * 1.1, 1), palette.trim))
        if style == 0:
            solids.append(block(x, 0, height + 1, (width, width, cone), palette.roof, top=(0, 0)))
        elif style == 1:
            solids += lathe(x, 0, height + 1, dome_profile(width * 0.5, cone * 0.6), [palette.dome])
        else:
            pinnacle = (leg * 0.6, leg * 0.6, cone * 0.5)
            for dx, dy in product((-0.38, 0.38), repeat=2):
                spot = (x + dx * width, dy * width, height + 1)
                solids.append(block(*spot, pinnacle, palette.roof, top=(0, 0)))
        reach = span * 0.7
        far = side * (span / 2 + width + reach / 2)
        solids.append(block(far, 0, deck, (reach, width * 0.6, 1.5), palette.trim))
        solids.append(block(side * (span / 2 + width + reach), 0, 0, (leg, width * 0.6, deck), palette.wall))
        solids += _chains(side * (span / 2 + width), side * reach, height - 3, deck + 1.5, palette)
    if rng.random() < 0.6:
        walk = Facade(1, 9, "square", 0.7, 0.6, palette.glass)
        solids.append(block(0, 0, height - 7, (span, width * 0.4, 2.4), palette.trim, sides=walk))
    return solids


def _chains(x: float, reach: float, high: float, low: float, palette: Palette) -> list[Solid]:
    """Return a chain that sags from a tower at x over `reach` metres, and its hangers."""
    shares = np.linspace(0, 1, 8)
    xs, zs = x + reach * shares, low + (high - low) * (1 - shares) ** 2
    solids = []
    for (left, z_left), (right, z_right) in pairwise(sorted(zip(xs, zs, strict=True))):
        ends = [(left, -0.3, z_left), (right, -0.3, z_right)]
        bottom = np.array([*ends, (right, 0.3, z_right), (left, 0.3, z_left)])
        solids.append(hexahedron(bottom, bottom + np.array([0, 0, 0.9]), palette.roof))
    for place, top in zip(xs[1:-1], zs[1:-1], strict=True):
        solids.append(block(place, 0, low, (0.25, 0.25, max(top - low, 0.1)), palette.roof))
    return solids
