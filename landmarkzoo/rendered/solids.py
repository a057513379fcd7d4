"""Convex solids made of flat faces: the bricks every rendered building is composed of.

World axes, in metres: x points right (east), y points away from a viewer who stands before the
front (north), z points up. Faces run anticlockwise when seen from outside, so that their normals
point outwards.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from landmarkzoo.rendered.facades import Color, Decoration, Facade, decorate

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Face:
    """A flat polygon: points (k, 3) in metres, reflectance in 0..1, share of light it emits."""

    points: Floats
    color: Color
    glow: float = 0.0


@dataclass(frozen=True)
class Solid:
    """A convex solid; a wall's windows follow the wall among its faces."""

    faces: tuple[Face, ...]


def _wall(points: Floats, color: Color, facade: Facade | None) -> list[Face]:
    """Return a quadrilateral wall followed by the windows on it."""
    decorations: Sequence[Decoration] = decorate(facade, color) if facade else ()
    faces = [Face(points, color)]
    bottom_left, bottom_right, top_right, top_left = points
    for decoration in decorations:
        across, upwards = decoration.outline[:, :1], decoration.outline[:, 1:]
        low = bottom_left + across * (bottom_right - bottom_left)
        high = top_left + across * (top_right - top_left)
        faces.append(Face(low + upwards * (high - low), decoration.color, decoration.glow))
    return faces


def hexahedron(
    bottom: Floats,
    top: Floats,
    color: Color,
    *,
    front: Facade | None = None,
    sides: Facade | None = None,
    lid: Color | None = None,
) -> Solid:
    """Join two quadrilaterals by four walls.

    Args:
        bottom: (4, 3) metres, anticlockwise seen from above, from the front left corner.
        top: (4, 3) metres, in the same order.
        color: reflectance of the walls.
        front: windows of the wall that faces -y; by default those of `sides`.
        sides: windows of the three other walls.
        lid: reflectance of the top; by default that of the walls.
    """
    faces: list[Face] = []
    for corner in range(4):
        following = (corner + 1) % 4
        points = np.stack([bottom[corner], bottom[following], top[following], top[corner]])
        faces += _wall(points, color, (front or sides) if corner == 0 else sides)
    faces.append(Face(top, lid or color))
    faces.append(Face(bottom[::-1], color))
    return Solid(tuple(faces))


def _rectangle(x: float, y: float, z: float, width: float, depth: float) -> Floats:
    """Return the corners of a level rectangle, anticlockwise from the front left one."""
    signs = np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)])
    corners = np.array([x, y]) + signs * np.array([width, depth]) / 2
    return np.column_stack([corners, np.full(4, z)])


def block(
    x: float,
    y: float,
    z: float,
    size: tuple[float, float, float],
    color: Color,
    *,
    top: tuple[float, float] | None = None,
    front: Facade | None = None,
    sides: Facade | None = None,
    lid: Color | None = None,
) -> Solid:
    """Stand a box, a tapering box, a hipped roof or a pyramid on the point (x, y, z).

    Args:
        x: metres, center of the base.
        y: metres, center of the base.
        z: metres, height of the base.
        size: width (x), depth (y) and height (z) in metres.
        color: reflectance of the walls.
        top: width and depth of the upper end in metres, zeros for a point; by default a box.
        front: windows of the front; by default those of `sides`.
        sides: windows of the other walls.
        lid: reflectance of the top; by default that of the walls.
    """
    width, depth, height = size
    upper = _rectangle(x, y, z + height, *(top or (width, depth)))
    lower = _rectangle(x, y, z, width, depth)
    return hexahedron(lower, upper, color, front=front, sides=sides, lid=lid)


def gable(
    x: float,
    y: float,
    z: float,
    size: tuple[float, float, float],
    roof: Color,
    wall: Color,
    *,
    ridge: str = "y",
) -> Solid:
    """Stand a gabled roof on the point (x, y, z), its ridge along the axis `ridge` ("x" or "y").

    Sizes are in metres as in `block`; `wall` colors the two triangular ends.
    """
    width, depth, height = size
    base = _rectangle(x, y, z, width, depth)
    if ridge == "y":
        ends = np.array([(x, y - depth / 2, z + height), (x, y + depth / 2, z + height)])
    else:
        base = np.roll(base, -1, axis=0)
        ends = np.array([(x + width / 2, y, z + height), (x - width / 2, y, z + height)])
    near, far = ends
    return Solid(
        (
            Face(np.stack([base[0], base[1], near]), wall),
            Face(np.stack([base[1], base[2], far, near]), roof),
            Face(np.stack([base[2], base[3], far]), wall),
            Face(np.stack([base[3], base[0], near, far]), roof),
            Face(base[::-1], wall),
        )
    )


def lathe(
    x: float,
    y: float,
    z: float,
    profile: Sequence[tuple[float, float]],
    colors: Sequence[Color],
    *,
    sides: int = 12,
    facade: Facade | None = None,
) -> list[Solid]:
    """Turn a profile about a vertical axis: a column, tower, cone, dome or onion.

    Args:
        x: metres, the axis.
        y: metres, the axis.
        z: metres, added to the heights of the profile.
        profile: (radius, height) in metres, from the bottom up; each step makes one solid.
        colors: reflectances, taken in turn round the axis, so that two make ribs.
        sides: number of faces round the axis.
        facade: windows of every upright face.
    """
    # Half a step of phase turns a face, not an edge, to the front.
    angles = 2 * np.pi * (np.arange(sides) - 0.5) / sides - np.pi / 2
    circle = np.column_stack([np.cos(angles), np.sin(angles), np.zeros(sides)])
    rings = [circle * radius + np.array([x, y, z + height]) for radius, height in profile]
    solids = []
    for step, (lower, upper) in enumerate(pairwise(rings)):
        upright = np.isclose(profile[step][0], profile[step + 1][0], rtol=0.2)
        faces: list[Face] = []
        for side in range(sides):
            following = (side + 1) % sides
            points = np.stack([lower[side], lower[following], upper[following], upper[side]])
            faces += _wall(points, colors[side % len(colors)], facade if upright else None)
        faces += [Face(upper, colors[0]), Face(lower[::-1], colors[0])]
        solids.append(Solid(tuple(faces)))
    return solids


def dome_profile(radius: float, height: float, steps: int = 5) -> list[tuple[float, float]]:
    """Return the profile of half an ellipsoid, radius and height in metres."""
    angles = np.linspace(0, np.pi / 2, steps + 1)
    return [(float(radius * np.cos(a)), float(height * np.sin(a))) for a in angles]


def onion_profile(radius: float, height: float) -> list[tuple[float, float]]:
    """Return the profile of an onion dome: a narrow neck, a belly and a point, in metres."""
    shape = ((0.62, 0.0), (0.95, 0.12), (1.0, 0.25), (0.85, 0.42), (0.5, 0.6), (0.16, 0.78), (0, 1))
    return [(radius * across, height * upwards) for across, upwards in shape]


def archway(
    x: tuple[float, float],
    y: tuple[float, float],
    z: tuple[float, float],
    color: Color,
    *,
    slices: int = 7,
) -> list[Solid]:
    """Fill the space above a round arch that spans x, springs at z[0] and is walled up to z[1].

    The ranges are in metres; z[1] must lie above the crown, z[0] + half the span. The head of an
    arch is not convex: it is cut into upright slices that are.
    """
    center, radius = (x[0] + x[1]) / 2, (x[1] - x[0]) / 2
    edges = center - radius * np.cos(np.linspace(0, np.pi, slices + 1))
    soffit = z[0] + np.sqrt(np.maximum(radius**2 - (edges - center) ** 2, 0))
    solids = []
    for i in range(slices):
        (left, right), (low, high) = edges[i : i + 2], soffit[i : i + 2]
        bottom = [(left, y[0], low), (right, y[0], high), (right, y[1], high), (left, y[1], low)]
        lower = np.array(bottom)
        upper = lower.copy()
        upper[:, 2] = z[1]
        solids.append(hexahedron(lower, upper, color))
    return solids
