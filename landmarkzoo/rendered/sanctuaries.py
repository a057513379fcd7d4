"""Families of rendered buildings: cathedral, mosque, temple, pagoda, church, pyramid."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from landmarkzoo.rendered.facades import Facade, Shape, tint
from landmarkzoo.rendered.palettes import GOLD, Palette
from landmarkzoo.rendered.solids import (
    Solid,
    block,
    dome_profile,
    gable,
    lathe,
    onion_profile,
)


def _tower_head(
    style: str, x: float, y: float, z: float, width: float, height: float, palette: Palette
) -> list[Solid]:
    """Return what crowns a square tower: a spire, a dome, a pyramid or pinnacles."""
    if style == "spire":
        return lathe(x, y, z, [(width * 0.5, 0), (0, height)], [palette.roof], sides=8)
    if style == "dome":
        drum = [(width * 0.45, 0), (width * 0.45, height * 0.3)]
        cap = [(r, height * 0.3 + h) for r, h in dome_profile(width * 0.48, height * 0.4)]
        tip = [(width * 0.05, height * 0.7), (0, height)]
        solids = lathe(x, y, z, drum, [palette.wall], facade=Facade(1, 1, "arched"), sides=8)
        return solids + lathe(x, y, z, cap, [palette.dome]) + lathe(x, y, z, tip, [GOLD], sides=6)
    if style == "pyramid":
        return [block(x, y, z, (width * 1.1, width * 1.1, height * 0.5), palette.roof, top=(0, 0))]
    corners = [(sx * width * 0.42, sy * width * 0.42) for sx in (-1, 1) for sy in (-1, 1)]
    size = (width * 0.16, width * 0.16, height * 0.35)
    return [block(x + dx, y + dy, z, size, palette.trim, top=(0, 0)) for dx, dy in corners]


def cathedral(rng: np.random.Generator, palette: Palette) -> list[Solid]:
    """A nave with a rose window between one or two west towers, a transept and a flèche."""
    shape: Shape = "pointed" if rng.random() < 0.6 else "arched"
    width, depth, height = rng.uniform(11, 17), rng.uniform(32, 50), rng.uniform(15, 24)
    roof = rng.uniform(5, 11)
    tower, rise = rng.uniform(7, 11), height * rng.uniform(1.3, 2.1)
    style = str(rng.choice(["spire", "dome", "pyramid", "pinnacles"]))
    bays = int(rng.integers(4, 8))
    windows = Facade(1, bays, shape, 0.4, 0.7, palette.glass, palette.trim, courses=int(rng.integers(3)))
    front = Facade(1, 1, "round", 0.5, 0.34, (0.2, 0.24, 0.42), palette.trim, span=(0.3, 1), door=shape)
    belfry = Facade(
        int(rng.integers(2, 5)),
        int(rng.integers(1, 3)),
        shape,
        0.42,
        0.7,
        palette.glass,
        palette.trim,
        courses=int(rng.integers(1, 4)),
    )
    solids = [
        block(0, depth / 2, 0, (width, depth, height), palette.wall, front=front, sides=windows),
        gable(0, depth / 2, height, (width, depth, roof), palette.roof, palette.wall),
    ]
    arms = (rng.uniform(6, 10), rng.uniform(9, 12), height * 0.9)
    arm = Facade(1, 2, shape, 0.35, 0.7, palette.glass, palette.trim)
    for side in (-1, 1):
        x, y = side * (width + arms[0]) / 2, depth * 0.65
        solids.append(block(x, y, 0, arms, palette.wall, sides=arm))
        ridge = (arms[0], arms[1], roof * 0.9)
        solids.append(gable(x, y, arms[2], ridge, palette.roof, palette.wall, ridge="x"))
    lopsided = rng.random() < 0.25
    single = rng.random() < 0.3
    for side in (0,) if single else (-1, 1):
        tall = rise * (0.7 if lopsided and side > 0 else 1.25 if single else 1)
        x, y = side * (width + tower) / 2, (-tower / 2 if single else tower / 2)
        size = (tower, tower, tall)
        portal = replace(belfry, rows=3, columns=1, span=(0.3, 1), door=shape)
        solids.append(block(x, y, 0, size, palette.wall, sides=belfry, front=portal if single else None))
        solids += _tower_head(style, x, y, tall, tower, tall * rng.uniform(0.45, 0.8), palette)
    if rng.random() < 0.5:
        tip = [(1.4, 0.0), (1.4, 4.0), (0.0, rise * 0.7)]
        solids += lathe(0, depth * 0.65, height + roof, tip, [palette.roof], sides=6)
    return solids


def mosque(rng: np.random.Generator, palette: Palette) -> list[Solid]:
    """A domed hall with lesser domes and slender minarets."""
    width, height = rng.uniform(24, 38), rng.uniform(10, 17)
    depth = width * rng.uniform(0.8, 1.1)
    shape: Shape = "pointed" if rng.random() < 0.6 else "arched"
    bays, rows = int(rng.integers(5, 10)), int(rng.integers(1, 3))
    arcade = Facade(rows, bays, shape, 0.55, 0.75, palette.glass, palette.trim)
    hall = (width, depth, height)
    solids = [block(0, 0, 0, hall, palette.wall, sides=arcade, lid=tint(palette.wall, 0.9))]
    porch = (width * rng.uniform(0.25, 0.4), 4.0, height * rng.uniform(1.1, 1.4))
    portal = Facade(1, 1, shape, 0.6, 0.85, (0.16, 0.14, 0.16), palette.dome, span=(0, 0.95))
    solids.append(block(0, -depth / 2 - 2, 0, porch, palette.trim, front=portal))
    radius = width * rng.uniform(0.24, 0.36)
    drum = rng.uniform(2.5, 6)
    solids += lathe(
        0,
        0,
        height,
        [(radius, 0), (radius, drum)],
        [palette.wall],
        sides=16,
        facade=Facade(1, 1, "arched", 0.5, 0.7, palette.glass),
    )
    pointed = rng.random() < 0.4
    ribs = [palette.dome, tint(palette.dome, 0.86)] if rng.random() < 0.5 else [palette.dome]
    profile = (
        onion_profile(radius * 1.05, radius * 1.9)
        if pointed
        else dome_profile(radius, radius * rng.uniform(0.7, 1.1))
    )
    solids += lathe(0, 0, height + drum, profile, ribs, sides=16)
    crest = height + drum + profile[-1][1]
    solids += lathe(0, 0, crest, [(0.35, 0), (0.6, 1.2), (0, 4)], [GOLD], sides=6)
    lesser = width * rng.uniform(0.09, 0.13)
    if rng.random() < 0.75:
        for x in (-1, 1):
            for y in (-1, 1):
                solids += lathe(
                    x * (width / 2 - lesser * 1.2),
                    y * (depth / 2 - lesser * 1.2),
                    height,
                    dome_profile(lesser, lesser * 1.1, 4),
                    ribs,
                    sides=12,
                )
    slim, rise = rng.uniform(1.0, 1.8), height * rng.uniform(2.4, 3.6)
    for x, y in [(-1, -1), (1, -1), (1, 1), (-1, 1)][: int(rng.choice([2, 2, 4]))]:
        place = x * (width / 2 + slim * 1.6), y * (depth / 2 + slim * 1.6)
        solids += _minaret(*place, slim, rise, palette)
    return solids


def _minaret(x: float, y: float, radius: float, height: float, palette: Palette) -> list[Solid]:
    """Return a slender tower with a gallery and a pointed cap."""
    shape = ((1, 0.0), (1, 0.6), (1.5, 0.63), (1.5, 0.66), (0.8, 0.66), (0.8, 0.85), (1, 0.86))
    shaft = [(radius * across, height * upwards) for across, upwards in shape]
    cap = [shaft[-1], (0.0, height)]
    return lathe(x, y, 0, shaft, [palette.trim], sides=8) + lathe(x, y, 0, cap, [palette.dome], sides=8)


def temple(rng: np.random.Generator, palette: Palette) -> list[Solid]:
    """A classical temple: steps, a colonnade round a hall, a pediment."""
    across, along = int(rng.choice([4, 6, 6, 8])), int(rng.integers(6, 10))
    gap, height = rng.uniform(3.2, 4.4), rng.uniform(8, 12)
    girth = gap * rng.uniform(0.2, 0.29)
    width, depth = gap * across, gap * along
    solids = []
    steps, rise = int(rng.integers(3, 8)), rng.uniform(0.45, 0.8)
    for step in range(steps):
        spread = (steps - step) * 1.2
        size = (width + spread, depth + spread, rise)
        solids.append(block(0, 0, step * rise, size, tint(palette.wall, 0.9 + 0.06 * (step % 2))))
    base = steps * rise
    inner = (width - 2.2 * gap, depth - 2.2 * gap, height)
    # The hall lies in the shade of the colonnade.
    hall = Facade(1, 1, "square", 0.4, 0.8, (0.18, 0.14, 0.12), palette.trim, span=(0, 0.85))
    solids.append(block(0, 0, base, inner, tint(palette.wall, 0.6), front=hall))
    xs = (np.arange(across) - (across - 1) / 2) * gap
    ys = (np.arange(along) - (along - 1) / 2) * gap
    places = [(x, y) for x in xs for y in (ys[0], ys[-1])]
    if rng.random() < 0.75:
        places += [(x, y) for x in (xs[0], xs[-1]) for y in ys[1:-1]]
    shaft = [(girth, 0.0), (girth * 0.8, height * 0.93), (girth * 1.25, height)]
    for x, y in places:
        solids += lathe(x, y, base, shaft, [palette.wall], sides=7)
    top, beam = base + height, rng.uniform(1.5, 2.8)
    frieze = Facade(1, across * 3, "square", 0.35, 0.7, palette.trim, margin=0.02)
    solids.append(block(0, 0, top, (width, depth, beam), palette.wall, sides=frieze))
    eaves = (width * 1.05, depth * 1.03, 0.5)
    solids.append(block(0, 0, top + beam, eaves, palette.trim))
    pitch = width * rng.uniform(0.14, 0.24)
    roof = (width * 1.05, depth * 1.03, pitch)
    solids.append(gable(0, 0, top + beam + 0.5, roof, palette.roof, palette.wall))
    if rng.random() < 0.4:
        ridge = top + beam + 0.5 + pitch
        solids.append(block(0, -depth * 0.5, ridge, (1.2, 1.2, 3), GOLD, top=(0.5, 0.5)))
    return solids


def pagoda(rng: np.random.Generator, palette: Palette) -> list[Solid]:
    """A tower of receding storeys under sweeping roofs."""
    storeys, width = int(rng.integers(3, 10)), rng.uniform(10, 17)
    height, shrink = rng.uniform(3.6, 5.0), rng.uniform(0.84, 0.93)
    sides = int(rng.choice([4, 4, 8]))
    reach = rng.uniform(1.3, 1.6)
    columns = int(rng.integers(1, 5))
    storey = Facade(1, columns, "square" if sides == 4 else "arched", 0.5, 0.6, palette.glass, palette.trim)
    solids = [block(0, 0, 0, (width * 1.6, width * 1.6, 1.5), (0.6, 0.58, 0.54))]
    z = 1.5
    # The corner radius of a square is longer than half its side.
    corner = np.sqrt(0.5) if sides == 4 else 0.52
    for _ in range(storeys):
        radius = width * corner
        body = [(radius, 0.0), (radius, height)]
        solids += lathe(0, 0, z, body, [palette.wall], sides=sides, facade=storey)
        roof = [
            (radius * reach * 0.98, 0.0),
            (radius * reach, 0.35),
            (radius * 1.1, 1.1),
            (radius * 0.75, 2.0),
        ]
        solids += lathe(0, 0, z + height, roof, [palette.roof], sides=sides)
        z += height + 2.0
        width *= shrink
        height *= 0.5 * (1 + shrink)
    cap = [(width * 0.75, 0.0), (width * 0.15, 2.4), (0.35, 2.6), (0.5, 6.0), (0.0, 9.0)]
    solids += lathe(0, 0, z, cap[:2], [palette.roof], sides=sides)
    return solids + lathe(0, 0, z, cap[2:], [GOLD], sides=6)


def onion_church(rng: np.random.Generator, palette: Palette) -> list[Solid]:
    """A compact church under a cluster of colored onion domes."""
    width, height = rng.uniform(13, 19), rng.uniform(10, 16)
    windows = Facade(
        int(rng.integers(1, 3)),
        int(rng.integers(3, 6)),
        "arched",
        0.4,
        0.65,
        palette.glass,
        palette.trim,
        courses=int(rng.integers(3)),
    )
    front = Facade(1, 3, "arched", 0.4, 0.5, palette.glass, palette.trim, span=(0.35, 0.95), door="arched")
    solids = [
        block(
            0,
            0,
            0,
            (width, width, height),
            palette.wall,
            front=front,
            sides=windows,
            lid=palette.roof,
        )
    ]
    tones = [palette.dome, palette.roof, GOLD, (0.24, 0.42, 0.62), (0.30, 0.52, 0.36)]
    striped = rng.random() < 0.5
    center = rng.uniform(0.19, 0.25) * width
    spots = [(0.0, 0.0, center, rng.uniform(8, 15))]
    if rng.random() < 0.8:
        lesser, rise = rng.uniform(0.11, 0.15) * width, rng.uniform(4, 8)
        spots += [(x * width * 0.34, y * width * 0.34, lesser, rise) for x in (-1, 1) for y in (-1, 1)]
    drum = Facade(1, 1, "arched", 0.35, 0.65, palette.glass)
    for number, (x, y, radius, rise) in enumerate(spots):
        tone = tones[number % len(tones)] if striped else palette.dome
        ribs = [tone, tint(tone, 0.7)] if striped else [tone]
        base = [(radius, 0.0), (radius, rise)]
        solids += lathe(x, y, height, base, [palette.wall], sides=8, facade=drum)
        belly, tall = radius * rng.uniform(1.2, 1.45), radius * 3.2
        solids += lathe(x, y, height + rise, onion_profile(belly, tall), ribs, sides=12)
        solids.append(block(x, y, height + rise + tall - 0.3, (0.3, 0.3, 2.5), GOLD))
    if rng.random() < 0.5:
        door = Facade(1, 1, "arched", 0.5, 0.8, span=(0, 0.9))
        y, low = -width / 2 - 2.5, height * 0.5
        solids.append(block(0, y, 0, (width * 0.35, 5.0, low), palette.trim, front=door))
        solids.append(gable(0, y, low, (width * 0.4, 5.5, 3.0), palette.roof, palette.trim))
    return solids


def stepped_pyramid(rng: np.random.Generator, palette: Palette) -> list[Solid]:
    """Receding terraces, a stair up the front and a shrine on top."""
    tiers, width = int(rng.integers(4, 9)), rng.uniform(38, 54)
    rise = rng.uniform(2.4, 4.4)
    inset = width * rng.uniform(0.55, 0.72) / tiers
    slope = inset * rng.uniform(0.1, 0.7)
    stair = width * rng.uniform(0.14, 0.24)
    bands = rng.random() < 0.4
    solids = []
    for tier in range(tiers):
        span = width - tier * inset
        stone = tint(palette.wall, 0.86 if bands and tier % 2 else 1.0)
        size = (span, span, rise)
        panels = Facade(1, max(int(span / 4), 1), "square", 0.5, 0.4, tint(palette.wall, 0.7))
        solids.append(
            block(
                0,
                0,
                tier * rise,
                size,
                stone,
                top=(span - slope, span - slope),
                sides=panels if bands else None,
            )
        )
        # One flight a tier, so that flights and terraces can be told apart by planes.
        for step in range(3):
            run = inset / 2 / 3
            y = -span / 2 - run * (0.5 + 2 - step)
            low = (stair, run, rise * (step + 1) / 3)
            solids.append(block(0, y, tier * rise, low, palette.trim))
    span = width - tiers * inset
    top = tiers * rise
    shrine = Facade(
        1,
        int(rng.choice([1, 3])),
        "square",
        0.4,
        0.75,
        (0.14, 0.11, 0.1),
        palette.trim,
        span=(0, 0.9),
    )
    tall = rng.uniform(4, 8)
    solids.append(block(0, 0, top, (span * 0.75, span * 0.75, tall), palette.wall, front=shrine))
    if rng.random() < 0.5:
        cap = (span * 0.85, span * 0.85, tall * 0.6)
        solids.append(block(0, 0, top + tall, cap, palette.roof, top=(span * 0.2, span * 0.2)))
    return solids
