"""Windows, doors and string courses: flat decorations on the walls of rendered buildings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

Color = tuple[float, float, float]
Shape = Literal["square", "arched", "pointed", "round"]


@dataclass(frozen=True)
class Decoration:
    """A polygon on a wall: outline (k, 2), as shares of the wall's width and height."""

    outline: npt.NDArray[np.float64]
    color: Color
    glow: float = 0.0


@dataclass(frozen=True)
class Facade:
    """A grid of equal windows on a wall.

    Attributes:
        rows: number of rows.
        columns: number of columns.
        shape: outline of a window.
        width: width of a window as a share of its grid cell.
        height: height of a window as a share of its grid cell.
        glass: reflectance of the panes.
        frame: reflectance of the frames; None for none.
        margin: share of the wall that stays free at each side.
        span: the heights between which the grid lies, as shares of the wall's height.
        courses: number of string courses, level lines along the wall.
        door: shape of a door in the middle of the foot of the wall; None for none.
        clock: whether the windows are clock faces.
    """

    rows: int
    columns: int
    shape: Shape = "square"
    width: float = 0.45
    height: float = 0.55
    glass: Color = (0.13, 0.16, 0.22)
    frame: Color | None = None
    margin: float = 0.06
    span: tuple[float, float] = (0.06, 0.94)
    courses: int = 0
    door: Shape | None = None
    clock: bool = False


def _outline(shape: Shape) -> npt.NDArray[np.float64]:
    """Return a unit outline: x in -0.5..0.5, y in 0..1, anticlockwise."""
    if shape == "round":
        angles = np.linspace(0, 2 * np.pi, 12, endpoint=False)
        return np.column_stack([0.5 * np.cos(angles), 0.5 + 0.5 * np.sin(angles)])
    heads = {
        "square": [(0.5, 1.0), (-0.5, 1.0)],
        "arched": [
            (0.5, 0.68),
            (0.43, 0.84),
            (0.25, 0.96),
            (0.0, 1.0),
            (-0.25, 0.96),
            (-0.43, 0.84),
            (-0.5, 0.68),
        ],
        "pointed": [(0.5, 0.55), (0.36, 0.8), (0.0, 1.0), (-0.36, 0.8), (-0.5, 0.55)],
    }
    return np.array([(-0.5, 0.0), (0.5, 0.0), *heads[shape]])


def tint(color: Color, factor: float) -> Color:
    """Return the color made darker (factor < 1) or lighter (factor > 1), within 0..1."""
    red, green, blue = (min(max(channel * factor, 0.0), 1.0) for channel in color)
    return red, green, blue


def _clock_hands(center: tuple[float, float], size: tuple[float, float]) -> list[Decoration]:
    """Return two hands that show ten to two, in wall shares."""
    hands = []
    for angle, reach in ((np.radians(150), 0.3), (np.radians(60), 0.42)):
        along = np.array([np.cos(angle), np.sin(angle)])
        across = np.array([-along[1], along[0]]) * 0.04
        outline = np.stack([-across, along * reach - across, along * reach + across, across])
        hands.append(Decoration(np.array(center) + outline * np.array(size), (0.1, 0.1, 0.1)))
    return hands


def _windows(facade: Facade) -> list[Decoration]:
    """Return the windows of the grid, each with its frame below it."""
    unit = _outline(facade.shape)
    low, high = facade.span
    cell = np.array([(1 - 2 * facade.margin) / facade.columns, (high - low) / facade.rows])
    size = cell * np.array([facade.width, facade.height])
    decorations = []
    for row in range(facade.rows):
        for column in range(facade.columns):
            foot = np.array([facade.margin, low]) + cell * np.array([column + 0.5, row])
            foot[1] += (cell[1] - size[1]) / 2
            if facade.frame:
                # Equal margins in shares of the cell keep a frame even all round.
                rim = unit * (size + 0.18 * cell) + foot - np.array([0, 0.09 * cell[1]])
                decorations.append(Decoration(np.clip(rim, 0, 1), facade.frame))
            # A fixed pattern of lit windows: what is lit tonight is lit every night.
            glow = (0.0, 1.0, 0.6, 0.15, 0.9)[(3 * row + 2 * column + row * column) % 5]
            glow = 0.8 if facade.clock else glow
            decorations.append(Decoration(unit * size + foot, facade.glass, glow))
            if facade.clock:
                middle = (float(foot[0]), float(foot[1] + size[1] / 2))
                decorations += _clock_hands(middle, (float(size[0]), float(size[1])))
    return decorations


def decorate(facade: Facade, wall: Color) -> list[Decoration]:
    """Return the decorations of a wall of the given reflectance, in the order to draw them."""
    decorations = []
    for course in range(facade.courses):
        height = (course + 1) / (facade.courses + 1)
        line = [(0, height), (1, height), (1, height + 0.012), (0, height + 0.012)]
        decorations.append(Decoration(np.array(line), tint(wall, 0.8)))
    decorations += _windows(facade)
    if facade.door:
        door = _outline(facade.door) * np.array([0.16, 0.3]) + np.array([0.5, 0])
        rim = _outline(facade.door) * np.array([0.21, 0.35]) + np.array([0.5, 0])
        decorations.append(Decoration(rim, facade.frame or tint(wall, 1.15)))
        decorations.append(Decoration(door, (0.2, 0.13, 0.09), 0.3))
    return decorations
