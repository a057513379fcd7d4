"""Finishes: which texture, and how large, lies on each color of a building, and on the ground."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from landmarkzoo.rendered.textures import VARIANTS

#: Textures with how often they are taken and how many metres a tile measures.
Choice = Mapping[str, tuple[float, tuple[float, float]]]

WALLS: Choice = {
    "ashlar": (0.20, (2.5, 7.0)),
    "brick": (0.10, (2.0, 3.5)),
    "rubble": (0.10, (2.0, 6.0)),
    "plaster": (0.16, (6.0, 14.0)),
    "carving": (0.14, (2.0, 9.0)),
    "niches": (0.13, (3.0, 12.0)),
    "stripes": (0.05, (4.0, 9.0)),
    "fluting": (0.03, (3.0, 8.0)),
    "mosaic": (0.04, (2.0, 8.0)),
    "slabs": (0.05, (4.0, 10.0)),
}
BARE: Choice = {"rock": (0.8, (8.0, 30.0)), "rubble": (0.1, (5.0, 10.0)), "carving": (0.1, (4.0, 12.0))}
OLD: Choice = {"rubble": (0.4, (2.0, 5.0)), "ashlar": (0.35, (2.0, 5.0)), "carving": (0.25, (2.0, 6.0))}
PLAIN: Choice = {"plaster": (0.5, (4.0, 10.0)), "rock": (0.25, (6.0, 20.0)), "carving": (0.25, (2.0, 6.0))}
IRON: Choice = {"seams": (0.6, (2.0, 6.0)), "fluting": (0.4, (2.0, 6.0))}
PAINTED: Choice = {"mural": (0.9, (6.0, 16.0)), "mosaic": (0.1, (4.0, 8.0))}
ROOFS: Choice = {
    "tiles": (0.45, (3.0, 6.0)),
    "seams": (0.25, (4.0, 9.0)),
    "brick": (0.08, (2.0, 4.0)),
    "plaster": (0.10, (6.0, 12.0)),
    "mosaic": (0.06, (3.0, 8.0)),
    "carving": (0.06, (3.0, 8.0)),
}
FLOORS: Choice = {
    "slabs": (0.5, (4.0, 10.0)),
    "ashlar": (0.2, (3.0, 6.0)),
    "plaster": (0.3, (6.0, 12.0)),
}


@dataclass(frozen=True)
class Finish:
    """A texture and the size of its tile in metres."""

    kind: str
    variant: int
    metres: float


def draw_finish(rng: np.random.Generator, choice: Choice) -> Finish:
    """Draw one of the textures of a choice."""
    names = list(choice)
    shares = np.array([choice[name][0] for name in names])
    name = names[rng.choice(len(names), p=shares / shares.sum())]
    return Finish(name, int(rng.integers(VARIANTS)), float(np.exp(rng.uniform(*np.log(choice[name][1])))))


def draw_finishes(
    rng: np.random.Generator,
    colors: npt.NDArray[np.float64],
    normals: npt.NDArray[np.float64],
    choice: Choice = WALLS,
) -> tuple[list[Finish], npt.NDArray[np.int32]]:
    """Give each color of a building a texture: walls, roofs and terraces are told apart by how they lean.

    Args:
        rng: where chance comes from.
        colors: (f, 3) reflectances of the faces.
        normals: (f, 3) unit vectors.
        choice: textures of walls.

    Returns:
        The finishes, and for each face (f,) which of them it has.
    """
    kinds, number = np.unique(colors, axis=0, return_inverse=True)
    number = number.reshape(-1)
    finishes = [draw_finish(rng, FLOORS)]
    walls = len(kinds)
    finishes += [draw_finish(rng, choice) for _ in range(walls)]
    roofs = ROOFS if choice is WALLS else choice
    finishes += [draw_finish(rng, roofs) for _ in range(walls)]
    up = normals[:, 2]
    of_face = np.where(up > 0.95, 0, np.where(up > 0.3, 1 + walls + number, 1 + number))
    used, of_face = np.unique(of_face, return_inverse=True)
    return [finishes[index] for index in used], of_face.reshape(-1).astype(np.int32)
