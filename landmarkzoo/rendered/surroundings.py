"""What stands about a landmark for good: neighbours, trees, hedges; and what the ground is made of."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from landmarkzoo.rendered.facades import Color, Facade
from landmarkzoo.rendered.finishes import WALLS, Choice
from landmarkzoo.rendered.grounds import Ground, draw_ground_plan
from landmarkzoo.rendered.palettes import PLASTERS, STONES, draw_palette
from landmarkzoo.rendered.plant_shapes import PLANTS, VARIANTS
from landmarkzoo.rendered.plants import LEAVES
from landmarkzoo.rendered.rendering import Mesh, make_mesh
from landmarkzoo.rendered.solids import Solid, block, gable

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Plant:
    """A plant that always stands there; sizes in metres."""

    kind: str
    variant: int
    x: float
    y: float
    height: float
    color: Color


@dataclass(frozen=True)
class Subject:
    """What a photo is of.

    Attributes:
        mesh: the landmark and its neighbours.
        lower: (3,) metres, least corner of the landmark alone.
        upper: (3,) metres, greatest corner.
        ground: the ground about it.
        plants: trees and bushes.
        inside: whether the camera stands in its open front.
    """

    mesh: Mesh
    lower: Floats
    upper: Floats
    ground: Ground
    plants: tuple[Plant, ...] = ()
    inside: bool = False


def house(rng: np.random.Generator, x: float, y: float, tallest: float = 14) -> list[Solid]:
    """Return a plain house, which is not a landmark."""
    palette = draw_palette(rng, PLASTERS + STONES)
    width, depth, height = rng.uniform((8, 8, 5), (18, 12, tallest))
    windows = Facade(
        max(int(height / 3.5), 1), int(width / 3), "square", 0.35, 0.5, palette.glass, palette.trim
    )
    front = replace(windows, door="square" if rng.random() < 0.5 else None)
    solids = [block(x, y, 0, (width, depth, height), palette.wall, front=front, sides=windows)]
    if rng.random() < 0.6:
        roof = (width * 1.04, depth * 1.06, rng.uniform(2.5, 5))
        ridge = "x" if rng.random() < 0.7 else "y"
        solids.append(gable(x, y, height, roof, palette.roof, palette.wall, ridge=ridge))
        chimney = (1.0, 1.0, roof[2] + 0.8)
        solids.append(block(x + width * 0.3, y, height, chimney, palette.roof))
    return solids


def _neighbours(rng: np.random.Generator, lower: Floats, upper: Floats) -> list[Solid]:
    """Return houses beside and behind the landmark, as in a town."""
    solids: list[Solid] = []
    middle, extent = (lower + upper) / 2, upper - lower
    tallest = float(rng.choice([rng.uniform(8, 26), rng.uniform(8, 26), rng.uniform(26, 90)]))
    for side in (-1, 1):
        if rng.random() < 0.25:
            continue
        x = float(middle[0] + side * (extent[0] / 2 + rng.uniform(12, 26)))
        for number in range(int(rng.integers(1, 4))):
            y = float(lower[1] + 6 + number * rng.uniform(13, 17))
            solids += house(rng, x, y, tallest)
    for row in range(int(rng.choice([1, 1, 2, 4]))):
        for number in range(int(rng.integers(0, 6 + 2 * row))):
            x = float(middle[0] + (number - 2.5 - row) * 19)
            solids += house(rng, x, float(upper[1] + rng.uniform(16, 24) + 26 * row), tallest)
    return solids


def _plants(rng: np.random.Generator, lower: Floats, upper: Floats) -> tuple[Plant, ...]:
    """Return a grove, an avenue, a hedge or single trees."""
    middle, extent = (lower + upper) / 2, upper - lower
    reach = float(np.hypot(*extent[:2]))
    kinds = [str(rng.choice(list(PLANTS), p=[kind.share for kind in PLANTS.values()])) for _ in range(2)]
    leaves = [LEAVES[rng.integers(len(LEAVES))] for _ in kinds]
    plants: list[Plant] = []

    def plant(x: float, y: float, which: int, tallest: float = 99.0) -> None:
        height = min(float(rng.uniform(*PLANTS[kinds[which]].heights)), tallest)
        color = np.clip(np.array(leaves[which]) * rng.uniform(0.85, 1.15, 3), 0, 1).tolist()
        variant = int(rng.integers(2 * VARIANTS))
        plants.append(Plant(kinds[which], variant, x, y, height, (color[0], color[1], color[2])))

    if rng.random() < 0.6:  # behind
        for x in rng.uniform(-1.0, 1.0, int(rng.integers(3, 18))):
            plant(float(middle[0] + x * (reach + 15)), float(upper[1] + rng.uniform(5, 30)), 0)
    if rng.random() < 0.5:  # beside
        for side in (-1, 1):
            for _ in range(int(rng.integers(0, 5))):
                x = middle[0] + side * (extent[0] / 2 + rng.uniform(5, 0.5 * reach + 12))
                plant(float(x), float(rng.uniform(lower[1] - 10, upper[1] + 5)), 1)
    if rng.random() < 0.35:  # an avenue or flower beds before it
        way, step = rng.uniform(0.2, 0.6) * extent[0] + 3, rng.uniform(4, 9)
        for number in range(int(rng.integers(2, 7))):
            for side in (-1, 1):
                x = float(middle[0] + side * way)
                plant(x, float(lower[1] - 6 - step * number), 1, 0.4 * float(extent[2]))
    return tuple(plants)


def make_subject(
    solids: list[Solid],
    rng: np.random.Generator,
    choice: Choice = WALLS,
    *,
    wet: bool = False,
    inside: bool = False,
) -> Subject:
    """Put a landmark into its surroundings.

    Args:
        solids: the landmark.
        rng: where its textures, its neighbours, the ground and the trees come from.
        choice: textures of walls.
        wet: whether it stands in water, as a bridge does.
        inside: whether it is looked into through its open front.
    """
    points = np.concatenate([face.points for solid in solids for face in solid.faces])
    lower, upper = points.min(axis=0), points.max(axis=0)
    seed = int(rng.integers(2**31))
    town = not (wet or inside) and choice is WALLS and rng.random() < 0.5
    neighbours = _neighbours(rng, lower, upper) if town else []
    ground = draw_ground_plan(rng, lower, upper, wet=wet)
    plants = () if wet or inside else _plants(rng, lower, upper)
    return Subject(make_mesh([*solids, *neighbours], seed, choice), lower, upper, ground, plants, inside)
