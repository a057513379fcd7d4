"""Families of rendered buildings: castle, skyscraper, arch, column, palace."""

from __future__ import annotations

import numpy as np

from landmarkzoo.rendered.facades import Color, Facade, Shape, tint
from landmarkzoo.rendered.palettes import BRONZE, GOLD, Palette
from landmarkzoo.rendered.solids import (
    Solid,
    archway,
    block,
    dome_profile,
    gable,
    lathe,
)


def _battlements(
    x: tuple[float, float], y: tuple[float, float], z: float, count: int, color: Color
) -> list[Solid]:
    """Return merlons in a row from one end (x, y) to the other, in metres."""
    xs, ys = np.linspace(*x, count), np.linspace(*y, count)
    return [block(px, py, z, (1.3, 1.3, 1.4), color) for px, py in zip(xs, ys, strict=True)]


def _round_tower(
    x: float, y: float, radius: float, height: float, palette: Palette, *, cone: float, sides: int
) -> list[Solid]:
    """Return a tower with a jutting parapet; `cone` metres of roof, zero for merlons."""
    slits = Facade(3, 1, "square", 0.16, 0.4, palette.glass, courses=1)
    shaft = [(radius, 0.0), (radius * 0.94, height - 3)]
    solids = lathe(x, y, 0, shaft, [palette.wall], sides=sides, facade=slits)
    crown = [(radius * 0.94, height - 3), (radius * 1.15, height - 2), (radius * 1.15, height)]
    solids += lathe(x, y, 0, crown, [palette.trim], sides=sides)
    if cone:
        solids += lathe(x, y, height, [(radius * 1.3, 0), (0, cone)], [palette.roof], sides=sides)
        return solids
    for angle in 2 * np.pi * np.arange(6) / 6:
        place = x + radius * np.cos(angle), y + radius * np.sin(angle)
        solids.append(block(*place, height, (1.1, 1.1, 1.3), palette.trim))
    return solids


def castle(rng: np.random.Generator, palette: Palette) -> list[Solid]:
    """Curtain walls between corner towers, a gate, and a keep in the court."""
    width, depth = rng.uniform(30, 44), rng.uniform(26, 38)
    wall, thick = rng.uniform(8, 12), 2.4
    radius, rise = rng.uniform(3.2, 5.2), wall * rng.uniform(1.3, 1.9)
    cone = float(rng.choice([0.0, rng.uniform(5, 12)]))
    sides = int(rng.choice([4, 8, 12]))
    solids: list[Solid] = []
    slits = Facade(1, int(rng.integers(3, 7)), "square", 0.12, 0.35, palette.glass)
    for side in (-1, 1):
        y, x = side * depth / 2, side * width / 2
        inner = (width - 2 * radius, depth - 2 * radius)
        solids.append(block(0, y, 0, (inner[0], thick, wall), palette.wall, sides=slits))
        solids.append(block(x, 0, 0, (thick, inner[1], wall), palette.wall, sides=slits))
        reach = (-inner[0] / 2 + 1, inner[0] / 2 - 1)
        solids += _battlements(reach, (y, y), wall, 9, palette.wall)
        reach = (-inner[1] / 2 + 1, inner[1] / 2 - 1)
        solids += _battlements((x, x), reach, wall, 7, palette.wall)
        for end in (-1, 1):
            solids += _round_tower(x, end * depth / 2, radius, rise, palette, cone=cone, sides=sides)
    gate = (rng.uniform(7, 10), 4.0, wall * rng.uniform(1.1, 1.4))
    portal = Facade(1, 3, "square", 0.2, 0.5, palette.glass, span=(0.6, 0.95), door="arched")
    solids.append(block(0, -depth / 2 - 3.2, 0, gate, palette.trim, front=portal))
    solids += _battlements(
        (-gate[0] / 2 + 0.7, gate[0] / 2 - 0.7),
        (-depth / 2 - 3.2, -depth / 2 - 3.2),
        gate[2],
        4,
        palette.trim,
    )
    keep = rng.uniform(9, 14)
    tall, x = rise * rng.uniform(1.25, 1.8), rng.uniform(-0.2, 0.2) * width
    windows = Facade(
        int(rng.integers(3, 6)),
        int(rng.integers(2, 4)),
        "arched",
        0.3,
        0.5,
        palette.glass,
        palette.trim,
        span=(0.35, 0.95),
    )
    solids.append(block(x, depth * 0.1, 0, (keep, keep, tall), palette.wall, sides=windows))
    if rng.random() < 0.5:
        roof = (keep * 1.1, keep * 1.1, rng.uniform(5, 10))
        solids.append(block(x, depth * 0.1, tall, roof, palette.roof, top=(keep * 0.4, 0)))
    else:
        for y in (-1, 1):
            place = depth * 0.1 + y * (keep / 2 - 0.7)
            reach = (x - keep / 2 + 0.7, x + keep / 2 - 0.7)
            solids += _battlements(reach, (place, place), tall, 4, palette.wall)
    return solids


def skyscraper(rng: np.random.Generator, palette: Palette) -> list[Solid]:
    """A high-rise of setbacks, or a round or many-sided shaft, with a crown."""
    width, height = rng.uniform(22, 34), rng.uniform(85, 150)
    tiers = int(rng.integers(1, 5))
    sides = int(rng.choice([4, 4, 4, 6, 12]))
    style = int(rng.integers(3))
    shrink = rng.uniform(0.6, 0.82)
    shares = np.cumsum(0.62 ** np.arange(tiers)) / np.sum(0.62 ** np.arange(tiers))
    z, solids = 0.0, []
    for level in shares * height:
        rows = max(int((level - z) / (6.5 if style else 4.5)), 2)
        columns = max(int(width / 3.2 * 4 / sides), 2)
        grid = (
            Facade(rows, 1, "square", 1.0, 0.5, palette.glass, margin=0.0, span=(0, 1)),
            Facade(rows, columns, "square", 0.6, 0.6, palette.glass, margin=0.02, span=(0, 1)),
            Facade(1, columns, "square", 0.45, 0.96, palette.glass, margin=0.04, courses=rows),
        )[style]
        radius = width * (np.sqrt(0.5) if sides == 4 else 0.53)
        profile = [(radius, 0.0), (radius * (0.92 if tiers == 1 else 1), level - z)]
        solids += lathe(0, 0, z, profile, [palette.wall], sides=sides, facade=grid)
        z, width = level, width * shrink
    width /= shrink
    crown = int(rng.integers(4))
    rise = rng.uniform(10, 26)
    if crown == 0:
        solids += lathe(0, 0, z, [(width * 0.6, 0), (0, rise)], [palette.roof], sides=sides)
    elif crown == 1:
        solids += lathe(0, 0, z, [(1.6, 0), (0.9, rise * 0.6), (0, rise * 1.5)], [palette.trim])
    elif crown == 2:
        solids += lathe(0, 0, z, dome_profile(width * 0.45, rise * 0.7), [palette.dome])
    else:
        solids.append(block(0, 0, z, (width * 0.5, width * 0.4, rise * 0.4), palette.trim))
        solids.append(block(width * 0.1, 0, z + rise * 0.4, (0.7, 0.7, rise), palette.trim))
    if rng.random() < 0.5:
        hall = (width * 0.9, width * 1.4, height * 0.12)
        lobby = Facade(3, 6, "square", 0.7, 0.6, palette.glass)
        for side in (-1, 1):
            x = side * (solids[0].faces[0].points[:, 0].max() + hall[0] / 2 + 0.1)
            solids.append(block(x, 0, 0, hall, palette.trim, sides=lobby))
    return solids


def triumphal_arch(rng: np.random.Generator, palette: Palette) -> list[Solid]:
    """One or three passages under an attic, columns before the piers, a group on top."""
    passages = int(rng.choice([1, 3, 3]))
    spans = [rng.uniform(7, 10)] if passages == 1 else [3.6, rng.uniform(5.5, 7.5), 3.6]
    pier, thick = rng.uniform(3.0, 5.5), rng.uniform(7, 12)
    storey = rng.uniform(13, 18)
    spring = storey - max(spans) / 2 - rng.uniform(1.5, 3)
    solids, x = [], -(sum(spans) + pier * (passages + 1)) / 2
    width = -2 * x
    y = (-thick / 2, thick / 2)
    panel = Facade(2, 1, _draw_shape(rng), 0.5, 0.45, tint(palette.wall, 0.72), palette.trim)
    columns = rng.random() < 0.6
    for span in [*spans, None]:
        solids.append(block(x + pier / 2, 0, 0, (pier, thick, storey), palette.wall, sides=panel))
        if columns:
            shaft = [(0.75, 0.0), (0.75, 1.0), (0.55, 1.0), (0.48, storey - 1), (0.8, storey)]
            solids += lathe(x + pier / 2, -thick / 2 - 0.9, 0, shaft, [palette.trim], sides=8)
            solids += lathe(x + pier / 2, thick / 2 + 0.9, 0, shaft, [palette.trim], sides=8)
        if span is None:
            break
        x += pier
        low = spring if span == max(spans) else spring * 0.72
        solids += archway((x, x + span), y, (low, storey), palette.wall)
        x += span
    cornice, attic = storey + 1.0, rng.uniform(4, 8)
    solids.append(block(0, 0, storey, (width + 2.6, thick + 2.6, 1.0), palette.trim))
    text = Facade(1, 5, "square", 0.75, 0.55, tint(palette.wall, 0.8), palette.trim)
    solids.append(block(0, 0, cornice, (width, thick, attic), palette.wall, sides=text))
    lid = cornice + attic
    solids.append(block(0, 0, lid, (width + 1.5, thick + 1.5, 0.8), palette.trim))
    if rng.random() < 0.6:
        metal = GOLD if rng.random() < 0.3 else BRONZE
        solids.append(block(0, 0, lid + 0.8, (4, 3, 1), palette.trim))
        for place in (-1.5, -0.5, 0.5, 1.5):
            solids.append(block(place, -0.4, lid + 1.8, (0.7, 2.2, 2.2), metal, top=(0.4, 1.2)))
        solids += lathe(0, 1.3, lid + 1.8, [(0.5, 0), (0.7, 2.6), (0.2, 3.4), (0, 4.6)], [metal], sides=6)
    return solids


def _draw_shape(rng: np.random.Generator) -> Shape:
    """Draw an outline for niches and panels."""
    shapes: tuple[Shape, ...] = ("square", "arched", "round")
    return shapes[rng.integers(len(shapes))]


def victory_column(rng: np.random.Generator, palette: Palette) -> list[Solid]:
    """An obelisk or a column with a statue on a pedestal with steps."""
    base, height = rng.uniform(4, 7), rng.uniform(24, 42)
    solids, z = [], 0.0
    for step in range(int(rng.integers(2, 5))):
        side = base * (2.6 - 0.35 * step)
        solids.append(block(0, 0, z, (side, side, 0.7), tint(palette.wall, 0.9)))
        z += 0.7
    plinth = rng.uniform(3, 8)
    relief = Facade(1, 1, _draw_shape(rng), 0.6, 0.55, BRONZE, palette.trim)
    solids.append(block(0, 0, z, (base, base, plinth), palette.trim, sides=relief))
    z += plinth
    metal = GOLD if rng.random() < 0.5 else BRONZE
    if rng.random() < 0.5:
        girth = base * rng.uniform(0.5, 0.75)
        runes = Facade(9, 2, "square", 0.5, 0.4, tint(palette.wall, 0.75), span=(0.1, 0.9))
        size = (girth, girth, height)
        solids.append(
            block(
                0,
                0,
                z,
                size,
                palette.wall,
                top=(girth * 0.62, girth * 0.62),
                sides=runes if rng.random() < 0.5 else None,
            )
        )
        tip = (girth * 0.62, girth * 0.62, girth * 0.8)
        solids.append(block(0, 0, z + height, tip, metal, top=(0, 0)))
        return solids
    radius = base * rng.uniform(0.26, 0.36)
    drums = int(rng.choice([1, 5, 9]))
    for drum in range(drums):
        stone = palette.trim if drum % 2 else palette.wall
        part = [(radius, height * drum / drums), (radius * 0.97, height * (drum + 1) / drums)]
        solids += lathe(0, 0, z, part, [stone, tint(stone, 0.9)], sides=14)
    z += height
    solids += lathe(0, 0, z, [(radius, 0), (radius * 1.6, 1.4)], [palette.trim], sides=12)
    solids.append(block(0, 0, z + 1.4, (radius * 3, radius * 3, 0.8), palette.trim))
    figure = [(radius * 0.6, 2.2), (radius * 0.8, 5), (radius * 0.3, 6.4), (radius * 0.35, 7.4)]
    solids += lathe(0, 0, z, [*figure, (0, 7.9)], [metal], sides=7)
    if rng.random() < 0.5:
        for side in (-1, 1):
            wing = (radius * 1.6, 0.4, 2.6)
            solids.append(block(side * radius * 1.5, 0, z + 4.6, wing, metal, top=(0.3, 0.2)))
    return solids


def palace(rng: np.random.Generator, palette: Palette) -> list[Solid]:
    """A central block with wings and end pavilions, a portico, and often a dome."""
    floors, height = int(rng.integers(2, 5)), rng.uniform(12, 18)
    wing, depth, middle = rng.uniform(16, 26), rng.uniform(13, 18), rng.uniform(13, 20)
    shape: Shape = "arched" if rng.random() < 0.4 else "square"
    bays = int(rng.integers(4, 8))
    windows = Facade(
        floors,
        bays,
        shape,
        0.4,
        0.6,
        palette.glass,
        palette.trim,
        courses=int(rng.choice([0, floors - 1])),
    )
    tall = height * rng.uniform(1.1, 1.4)
    center = Facade(floors, 5, "arched", 0.45, 0.65, palette.glass, palette.trim, door="arched")
    body = (middle, depth + 4, tall)
    solids = [block(0, -1, 0, body, palette.wall, front=center, sides=windows, lid=palette.roof)]
    steep = rng.uniform(3, 7)
    for side in (-1, 1):
        x = side * (middle + wing) / 2
        solids.append(block(x, 0, 0, (wing, depth, height), palette.wall, sides=windows))
        solids.append(block(x, 0, height, (wing, depth, steep), palette.roof, top=(wing - 3, depth * 0.2)))
        pavilion = rng.uniform(8, 8.5)
        x = side * (middle / 2 + wing + pavilion / 2)
        size = (pavilion, depth + 3, tall)
        end = Facade(floors, 2, shape, 0.45, 0.6, palette.glass, palette.trim)
        solids.append(block(x, 0, 0, size, palette.wall, sides=end))
        mansard = (pavilion * 1.05, depth + 3.5, steep * 1.5)
        solids.append(block(x, 0, tall, mansard, palette.roof, top=(pavilion * 0.55, depth * 0.6)))
    if rng.random() < 0.6:
        solids += _portico(-1 - body[1] / 2, middle, tall, palette)
    crown = int(rng.integers(3))
    if crown == 0:
        solids += _palace_dome(-1, tall, middle * 0.34, palette)
    elif crown == 1:
        mansard = (middle, depth + 4, steep * 2)
        top = (middle * 0.5, depth * 0.4)
        solids.append(block(0, -1, tall, mansard, palette.roof, top=top))
    return solids


def _portico(y: float, width: float, height: float, palette: Palette) -> list[Solid]:
    """Return six columns and a pediment before a front that stands at y metres."""
    solids = []
    for x in (np.arange(6) - 2.5) * width / 6.5:
        solids += lathe(x, y - 2.5, 0, [(0.7, 0), (0.55, height)], [palette.trim], sides=8)
    solids.append(block(0, y - 2, height, (width, 4.0, 1.4), palette.trim))
    pediment = (width, 4.0, width * 0.18)
    return [*solids, gable(0, y - 2, height + 1.4, pediment, palette.roof, palette.wall)]


def _palace_dome(y: float, z: float, radius: float, palette: Palette) -> list[Solid]:
    """Return a ribbed dome with a lantern on a drum with windows."""
    windows = Facade(1, 1, "arched", 0.4, 0.7, palette.glass, palette.trim)
    drum = [(radius, 0.0), (radius, 5.0)]
    ribs = [palette.dome, tint(palette.dome, 0.88)]
    lantern = [(0.9, 0.0), (0.9, 2.0), (0.0, 5.0)]
    solids = lathe(0, y, z, drum, [palette.wall], sides=12, facade=windows)
    solids += lathe(0, y, z + 5, dome_profile(radius * 1.04, radius * 1.15), ribs, sides=12)
    return solids + lathe(0, y, z + 5 + radius * 1.15, lantern, [GOLD])
