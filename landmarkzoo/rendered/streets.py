"""Families of streets: fronts full of bays, rows of houses, painted walls, gates."""

from __future__ import annotations

import numpy as np

from landmarkzoo.rendered.assemblies import crown, draw_facade, pavilion
from landmarkzoo.rendered.facades import Facade, tint
from landmarkzoo.rendered.palettes import Palette
from landmarkzoo.rendered.solids import Solid, block, gable, lathe


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
        hue = np.clip(np.array(tone) * rng.normal(1, 0.2, 3), 0.05, 0.95).tolist()
        paint = (hue[0], hue[1], hue[2])
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
