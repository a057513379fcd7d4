"""Textures: tiles of stone, brick, roof, ornament and ground, with relief, drawn from a number.

A texture repeats without a seam. Each texel has three factors on the color of what it covers, and the slopes
of its relief across and up, which the light then falls on.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

Floats = npt.NDArray[np.float32]
#: A texture before it is stored: factors on the color (SIDE, SIDE, 3) and heights (SIDE, SIDE) in texels.
Relief = tuple[Floats, Floats]

SIDE = 256
#: The finest and six coarser copies, for what is far away.
LEVELS = 7
#: Texels of a texture with all its copies.
TEXELS = sum((SIDE >> level) ** 2 for level in range(LEVELS))
#: How factors and slopes are stored in 8 bits.
FACTOR, SLOPE = 100.0, 48.0
#: Textures of each kind that differ; another landmark may have the same.
VARIANTS = 8


def noise(rng: np.random.Generator, roughness: float = 1.5, coarsest: int = 1) -> Floats:
    """Return noise (SIDE, SIDE) that repeats, about 0 with a spread of 1.

    Args:
        rng: where it comes from.
        roughness: 0 for grains that know nothing of each other, 2 for smooth hills.
        coarsest: number of waves a tile of the coarsest part.
    """
    across = np.fft.rfftfreq(SIDE, 1 / SIDE)
    frequency = np.hypot(np.fft.fftfreq(SIDE, 1 / SIDE)[:, None], across)
    gain = np.where(frequency >= coarsest, np.maximum(frequency, 1) ** -roughness, 0)
    waves = np.fft.irfft2(np.fft.rfft2(rng.standard_normal((SIDE, SIDE))) * gain, (SIDE, SIDE))
    return np.asarray(waves / waves.std(), dtype=np.float32)


def _grey(brightness: Floats) -> Floats:
    """Return the same factor for all three channels."""
    return np.repeat(brightness[..., None], 3, axis=2)


def _blocks(rng: np.random.Generator, rows: int, columns: int, spread: float, joint: float) -> Relief:
    """Blocks in running bond, each of a shade of its own, with sunken joints `joint` texels wide."""
    y, x = np.mgrid[:SIDE, :SIDE].astype(np.float32)
    row = (y * rows / SIDE).astype(int)
    shift = rng.uniform(0, 1, rows) if rng.random() < 0.4 else 0.5 * (np.arange(rows) % 2)
    place = (x * columns / SIDE + shift[row]) % columns
    column = place.astype(int)
    shades = 1 + spread * rng.standard_normal((rows, columns, 3)) * (0.3, 0.3, 0.4)
    shades += spread * rng.standard_normal((rows, columns, 1))
    to_joint = np.minimum((place % 1) * SIDE / columns, (1 - place % 1) * SIDE / columns)
    share = y * rows / SIDE % 1
    to_joint = np.minimum(to_joint, np.minimum(share, 1 - share) * SIDE / rows)
    inside = np.clip(to_joint / joint, 0, 1)
    mortar = rng.uniform(0.55, 1.15)
    grain = noise(rng, 0.8)
    factors = shades[row, column] * inside[..., None] + mortar * (1 - inside[..., None])
    factors *= (1 + 0.06 * grain + 0.06 * noise(rng, 1.6))[..., None]
    return factors.astype(np.float32), (2.2 * inside + 0.25 * grain).astype(np.float32)


def ashlar(rng: np.random.Generator) -> Relief:
    """Return large cut stones."""
    return _blocks(rng, int(rng.choice([6, 8, 10])), int(rng.integers(3, 6)), rng.uniform(0.03, 0.12), 2.5)


def brick(rng: np.random.Generator) -> Relief:
    """Return courses of bricks."""
    return _blocks(rng, 32, int(rng.choice([10, 12])), rng.uniform(0.06, 0.16), 1.6)


def slabs(rng: np.random.Generator) -> Relief:
    """Return paving slabs."""
    rows = int(rng.choice([4, 6, 8]))
    return _blocks(rng, rows, rows, rng.uniform(0.02, 0.1), 2.0)


def rubble(rng: np.random.Generator) -> Relief:
    """Return stones of any shape, as in old walls and cobbled streets."""
    count = int(rng.integers(60, 160))
    seeds = rng.uniform(0, SIDE, (count, 2))
    seeds = np.concatenate([seeds + np.array(shift) * SIDE for shift in np.ndindex(3, 3)]) - SIDE
    near = seeds[((seeds > -40) & (seeds < SIDE + 40)).all(axis=1)]
    number = np.concatenate([np.arange(count)] * 9)[((seeds > -40) & (seeds < SIDE + 40)).all(axis=1)]
    y, x = np.mgrid[:SIDE:2, :SIDE:2].astype(np.float32)
    away = (x[..., None] - near[:, 0].astype(np.float32)) ** 2
    away += 1.7 * (y[..., None] - near[:, 1].astype(np.float32)) ** 2
    two = np.argpartition(away, 1, axis=2)[..., :2]
    distances = np.sqrt(np.take_along_axis(away, two, axis=2))
    edge = np.abs(distances[..., 1] - distances[..., 0])
    owner = np.where(distances[..., 0] < distances[..., 1], two[..., 0], two[..., 1])
    shades = 1 + 0.13 * rng.standard_normal((count, 1)) + 0.05 * rng.standard_normal((count, 3))
    inside = np.clip(edge / 4, 0, 1).repeat(2, 0).repeat(2, 1)
    stones = shades[number[owner]].repeat(2, 0).repeat(2, 1)
    grain = noise(rng, 0.9)
    factors = stones * inside[..., None] + 0.62 * (1 - inside[..., None])
    return (factors * (1 + 0.09 * grain)[..., None]).astype(np.float32), (
        3.5 * np.sqrt(inside) + 0.6 * grain
    ).astype(np.float32)


def plaster(rng: np.random.Generator) -> Relief:
    """Return plaster with stains that run down and patches that have come off."""
    stains = noise(rng, 1.7)
    runs = np.asarray(Image.fromarray(noise(rng, 0.9)).resize((SIDE, 8)).resize((SIDE, SIDE)))
    worn = np.clip((noise(rng, 1.4, 2) - rng.uniform(1.0, 2.5)) * 4, 0, 1)
    shade = 1 + rng.uniform(0.02, 0.1) * stains + rng.uniform(0, 0.1) * runs + 0.02 * noise(rng, 0.4)
    return _grey(shade * (1 - 0.35 * worn)), (0.25 * noise(rng, 0.9) - 1.5 * worn).astype(np.float32)


def tiles(rng: np.random.Generator) -> Relief:
    """Return roof tiles: rounded rows that lie over each other."""
    rows, columns = int(rng.choice([10, 14, 20])), int(rng.choice([10, 16, 24]))
    y, x = np.mgrid[:SIDE, :SIDE].astype(np.float32)
    down, across = y * rows / SIDE, x * columns / SIDE
    row, column = down.astype(int), (across + 0.5 * (down.astype(int) % 2)).astype(int) % columns
    shades = (
        1 + 0.11 * rng.standard_normal((rows, columns, 1)) + 0.05 * rng.standard_normal((rows, columns, 3))
    )
    dome = np.abs(np.sin(np.pi * across))
    share = down % 1
    factors = shades[row, column] * (0.72 + 0.28 * np.clip(share * 4, 0, 1) * (0.6 + 0.4 * dome))[..., None]
    factors *= (1 + 0.08 * noise(rng, 1.5))[..., None]
    return factors.astype(np.float32), (2.5 * dome + 3 * share).astype(np.float32)


def seams(rng: np.random.Generator) -> Relief:
    """Return metal sheets or boards with upright seams."""
    columns = int(rng.choice([6, 9, 14]))
    x = np.arange(SIDE, dtype=np.float32)[None] * columns / SIDE
    share = x % 1
    ridge = np.exp(-(((np.minimum(share, 1 - share)) * SIDE / columns / 2) ** 2))
    shades = 1 + 0.06 * rng.standard_normal(columns)[x.astype(int)]
    streaks = np.asarray(Image.fromarray(noise(rng, 1.0)).resize((SIDE, 16)).resize((SIDE, SIDE)))
    shade = shades * (1 - 0.25 * ridge) + 0.06 * streaks
    return _grey(shade.astype(np.float32)), np.broadcast_to(3 * ridge, (SIDE, SIDE)).astype(np.float32)


def fluting(rng: np.random.Generator) -> Relief:
    """Return upright ribs, as on columns and modern fronts."""
    ribs = int(rng.choice([8, 12, 16]))
    wave = np.cos(2 * np.pi * ribs * np.arange(SIDE) / SIDE).astype(np.float32)[None]
    sharp = np.abs(wave) if rng.random() < 0.5 else wave
    shade = 0.93 + 0.12 * sharp + 0.06 * noise(rng, 1.3)
    return _grey(shade), (SIDE / ribs * 0.22 * sharp + 0 * shade).astype(np.float32)


def carving(rng: np.random.Generator) -> Relief:
    """Return ornament: a symmetrical scroll between level mouldings, deep enough for shadows."""
    bands = int(rng.choice([1, 2, 3, 4]))
    motifs = int(rng.choice([2, 4, 6]))
    waves = np.zeros((SIDE, SIDE), dtype=np.float32)
    y, x = np.mgrid[:SIDE, :SIDE].astype(np.float32) / SIDE
    across = np.abs((x * motifs) % 1 - 0.5) * 2  # each motif is its own mirror image
    up = (y * bands) % 1
    for _ in range(9):
        fx, fy, phase = rng.uniform(0.5, 5), rng.uniform(0.5, 5), rng.uniform(0, 6.28, 2)
        waves += np.sin(fx * 3 * across + phase[0] + 2 * np.sin(fy * 3 * up + phase[1]))
    waves += 0.6 * noise(rng, 1.2)
    depth = np.tanh(waves * rng.uniform(0.5, 1.2))
    moulding = np.where(np.minimum(up, 1 - up) < 0.06, 1.6, 0)
    height = np.maximum(depth, moulding)
    shade = 0.86 + 0.17 * height + 0.05 * noise(rng, 1.2)
    return _grey(shade.astype(np.float32)), (4.5 * height).astype(np.float32)


def niches(rng: np.random.Generator) -> Relief:
    """Return rows of blind arches, panels and roundels between cornices."""
    columns, rows = int(rng.choice([2, 3, 4])), int(rng.choice([1, 2, 3]))
    picture = Image.new("F", (SIDE, SIDE), 0.0)
    draw = ImageDraw.Draw(picture)
    wide, tall = SIDE / columns, SIDE / rows
    width, height = rng.uniform(0.4, 0.75) * wide, rng.uniform(0.5, 0.75) * tall
    shape = int(rng.integers(4))
    for row in range(rows):
        top = row * tall
        draw.rectangle((0, top, SIDE, top + 0.05 * tall), fill=2.0)
        draw.rectangle((0, top + 0.07 * tall, SIDE, top + 0.085 * tall), fill=1.2)
        for column in range(columns):
            x, y = (column + 0.5) * wide, top + tall * 0.95
            for grow, fill in ((0.06 * wide, 1.0), (0.0, -2.5)):
                box = (x - width / 2 - grow, y - height - grow, x + width / 2 + grow, y)
                if shape == 0:
                    draw.rectangle(box, fill=fill)
                elif shape == 1:
                    draw.rectangle((box[0], y - height + width / 2, box[2], y), fill=fill)
                    draw.ellipse((box[0], box[1], box[2], box[1] + width + 2 * grow), fill=fill)
                elif shape == 2:
                    middle = y - height * 0.5
                    draw.polygon(
                        [box[0], y, box[2], y, box[2], middle, x, box[1] - 0.1 * tall, box[0], middle],
                        fill=fill,
                    )
                else:
                    middle = y - height / 2
                    reach = min(width, height) / 2 + grow
                    draw.ellipse((x - reach, middle - reach, x + reach, middle + reach), fill=fill)
    heights = np.asarray(picture, dtype=np.float32)[::-1]
    factors, grain = _blocks(rng, 16, 6, 0.05, 1.5)
    dark = rng.uniform(0.35, 0.8)
    inlay = 1 + rng.uniform(-0.4, 0.3, 3) if rng.random() < 0.35 else np.full(3, dark)
    sunk = (heights < -1)[..., None]
    return np.where(sunk, inlay, factors * (1 + 0.06 * heights)[..., None]).astype(np.float32), (
        1.4 * heights + 0.4 * grain
    )


def stripes(rng: np.random.Generator) -> Relief:
    """Return courses of two colors."""
    factors, height = _blocks(rng, 16, 5, 0.04, 1.6)
    other = rng.uniform(0.45, 1.3) * (1 + rng.normal(0, 0.12, 3))
    rows = (np.arange(SIDE) * int(rng.choice([4, 8])) // SIDE) % 2
    return (factors * np.where(rows[:, None, None] > 0, other, 1)).astype(np.float32), height


def mosaic(rng: np.random.Generator) -> Relief:
    """Return colored tiles in a pattern of stars."""
    fold = int(rng.choice([4, 6, 8]))
    repeats = int(rng.choice([2, 4]))
    y, x = np.mgrid[:SIDE, :SIDE].astype(np.float32) / SIDE * repeats
    dx, dy = x % 1 - 0.5, y % 1 - 0.5
    radius, angle = np.hypot(dx, dy) * 2, np.arctan2(dy, dx)
    star = radius * (1 + 0.25 * np.cos(fold * angle)) + 0.1 * np.cos(2 * fold * angle)
    level = np.clip((star * rng.uniform(4, 7)).astype(int), 0, 9)
    colors = np.clip(1 + rng.normal(0, 0.32, (10, 3)), 0.25, 1.7)
    return (colors[level] * (1 + 0.05 * noise(rng, 0.8))[..., None]).astype(np.float32), (
        0.8 * (level % 2) + 0.1 * noise(rng, 0.8)
    ).astype(np.float32)


def mural(rng: np.random.Generator) -> Relief:
    """Return a painted wall: strokes and patches of color."""
    picture = Image.new("RGB", (SIDE, SIDE), tuple(rng.integers(60, 200, 3).tolist()))
    draw = ImageDraw.Draw(picture)
    for _ in range(60):
        x, y = rng.uniform(0, SIDE, 2)
        fill = tuple(rng.integers(0, 256, 3).tolist())
        points = (np.array([x, y]) + rng.normal(0, 28, (int(rng.integers(3, 8)), 2))).ravel().tolist()
        if rng.random() < 0.5:
            draw.polygon(points, fill=fill)
        else:
            draw.line(points, fill=fill, width=int(rng.integers(2, 12)))
    return np.asarray(picture, dtype=np.float32) / np.float32(150), np.float32(0.2) * noise(rng, 0.9)


def rock(rng: np.random.Generator) -> Relief:
    """Return bare rock in strata."""
    rough, level = noise(rng, 1.35), np.arange(SIDE, dtype=np.float32)[:, None] / SIDE
    strata = np.sin(2 * np.pi * int(rng.integers(3, 9)) * level + 1.2 * noise(rng, 1.8))
    ridge = 1 - np.abs(rough)
    shade = 0.92 + 0.13 * ridge + 0.08 * strata + 0.05 * noise(rng, 0.5)
    return _grey(shade.astype(np.float32)), (9 * ridge + 3 * strata).astype(np.float32)


def grass(rng: np.random.Generator) -> Relief:
    """Return grass, leaves or gravel: grains that differ."""
    shade = 1 + rng.uniform(0.1, 0.2) * noise(rng, 0.5) + 0.1 * noise(rng, 1.6)
    factors = _grey(shade.astype(np.float32))
    factors[..., 0] *= 1 + 0.12 * noise(rng, 1.3)
    return factors, 1.0 * noise(rng, 0.6)


def sand(rng: np.random.Generator) -> Relief:
    """Return sand, asphalt or gravel."""
    return _grey(1 + 0.06 * noise(rng, 0.3) + 0.06 * noise(rng, 1.6)), 0.7 * noise(rng, 0.9)


#: Kinds of textures by name.
KINDS: dict[str, Callable[[np.random.Generator], Relief]] = {
    "ashlar": ashlar,
    "brick": brick,
    "slabs": slabs,
    "rubble": rubble,
    "plaster": plaster,
    "tiles": tiles,
    "seams": seams,
    "fluting": fluting,
    "carving": carving,
    "niches": niches,
    "stripes": stripes,
    "mosaic": mosaic,
    "mural": mural,
    "rock": rock,
    "grass": grass,
    "sand": sand,
}
_NUMBERS = {name: number for number, name in enumerate(KINDS)}


def draw_texture(kind: str, variant: int) -> npt.NDArray[np.uint8]:
    """Draw a texture and its coarser copies (TEXELS, 5): factors on red, green, blue; slopes across, up.

    Args:
        kind: a key of `KINDS`.
        variant: 0 to `VARIANTS` - 1.
    """
    factors, height = KINDS[kind](np.random.default_rng([_NUMBERS[kind], variant]))
    across = (np.roll(height, -1, axis=1) - np.roll(height, 1, axis=1)) / 2
    # Rows run up the wall.
    up = (np.roll(height, -1, axis=0) - np.roll(height, 1, axis=0)) / 2
    texels = np.concatenate([factors, across[..., None], up[..., None]], axis=2).astype(np.float32)
    copies: list[Floats] = []
    for _ in range(LEVELS):
        copies.append(texels.reshape(-1, 5))
        half = len(texels) // 2
        texels = texels.reshape(half, 2, half, 2, 5).mean(axis=(1, 3))
    stored = np.concatenate(copies)
    stored[:, :3] *= FACTOR
    stored[:, 3:] = stored[:, 3:] * SLOPE + 128
    return np.asarray(np.clip(stored + 0.5, 0, 255), dtype=np.uint8)


@lru_cache(maxsize=1)
def _bank() -> npt.NDArray[np.uint8]:
    """Return the place of all textures (kinds * VARIANTS * TEXELS, 5), 56 MB once all are drawn."""
    return np.zeros((len(KINDS) * VARIANTS * TEXELS, 5), dtype=np.uint8)


@lru_cache(maxsize=len(KINDS) * VARIANTS)
def number_of(kind: str, variant: int) -> int:
    """Return the number of a texture for `look_up`; the first time in a process it is drawn."""
    number = _NUMBERS[kind] * VARIANTS + variant
    _bank()[number * TEXELS : (number + 1) * TEXELS] = draw_texture(kind, variant)
    return number


#: Where each copy begins among the texels of a texture (LEVELS,).
_BEGINS = np.cumsum([0, *((SIDE >> level) ** 2 for level in range(LEVELS - 1))]).astype(np.int32)


def look_up(
    number: npt.NDArray[np.int32], across: Floats, up: Floats, footprint: Floats
) -> tuple[Floats, Floats, Floats]:
    """Return factors on colors (n, 3) and the slopes across (n,) and up (n,) at points of surfaces.

    Args:
        number: (n,) textures, as `number_of` counts them.
        across: (n,) texels.
        up: (n,) texels.
        footprint: (n,) texels that a pixel covers, which decides how coarse a copy is read.
    """
    level = np.clip(np.log2(np.maximum(footprint, 1)), 0, LEVELS - 1).astype(np.int32)
    mask = (SIDE >> level) - 1
    row = (np.floor(up).astype(np.int32) >> level) & mask
    column = (np.floor(across).astype(np.int32) >> level) & mask
    texels = _bank()[number * TEXELS + _BEGINS[level] + (row << (8 - level)) + column]
    factors = texels[:, :3] * np.float32(1 / FACTOR)
    slopes = (texels[:, 3:].astype(np.float32) - 128) * np.float32(1 / SLOPE)
    return factors, slopes[:, 0], slopes[:, 1]
