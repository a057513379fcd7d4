"""Solids to pixels: hidden faces, painter's order, flat shading, shadows on the ground."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import ImageDraw

from landmarkzoo.rendered.camera import NEAR, Camera
from landmarkzoo.rendered.light import Light
from landmarkzoo.rendered.solids import Solid

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Mesh:
    """The faces of some solids as arrays, ready to be seen from many places.

    Attributes:
        points: (p, 3) metres, the corners of all faces one after the other.
        starts: (f + 1,) where each face's corners begin; the last entry is p.
        normals: (f, 3) outward unit vectors, zeros for faces without area.
        colors: (f, 3) reflectances.
        glow: (f,) share of light the faces emit at night.
        owners: (s + 1,) where each solid's faces begin; the last entry is f.
        lower: (s, 3) metres, least corner of each solid's bounding box.
        upper: (s, 3) metres, greatest corner.
    """

    points: Floats
    starts: Ints
    normals: Floats
    colors: Floats
    glow: Floats
    owners: Ints
    lower: Floats
    upper: Floats


def _normal(points: Floats) -> Floats:
    """Return the unit normal of a polygon by Newell's method; zeros if it has no area."""
    following = np.concatenate([points[1:], points[:1]])
    away, total = points - following, points + following
    normal: Floats = (away[:, [1, 2, 0]] * total[:, [2, 0, 1]]).sum(axis=0)
    length = float(np.sqrt(normal @ normal))
    return normal / length if length > 1e-9 else np.zeros(3)


def make_mesh(solids: Sequence[Solid]) -> Mesh:
    """Gather the faces of solids whose bounding boxes overlap as little as possible.

    Raises:
        ValueError: If ``solids`` is empty.
    """
    if not solids:
        raise ValueError("a mesh needs at least one solid, got none")
    faces = [face for solid in solids for face in solid.faces]
    # Windows lie in the plane of their wall: bounds and normals are those of larger faces.
    corners = [np.concatenate([face.points for face in solid.faces]) for solid in solids]
    return Mesh(
        points=np.concatenate([face.points for face in faces]),
        starts=np.cumsum([0, *(len(face.points) for face in faces)]),
        normals=np.stack([_normal(face.points) for face in faces]),
        colors=np.array([face.color for face in faces]),
        glow=np.array([face.glow for face in faces]),
        owners=np.cumsum([0, *(len(solid.faces) for solid in solids)]),
        lower=np.stack([points.min(axis=0) for points in corners]),
        upper=np.stack([points.max(axis=0) for points in corners]),
    )


def painters_order(lower: Floats, upper: Floats, eye: Floats) -> list[int]:
    """Order boxes so that each comes before all those that may hide parts of it.

    One box cannot hide another if a plane across an axis parts them with the eye on the other's
    side. Drawing only what hides nothing left to draw is exact as long as such planes leave no
    circle; a circle is broken at the farthest box.

    Args:
        lower: (n, 3) metres, the least corner of each box.
        upper: (n, 3) metres, the greatest corner.
        eye: (3,) metres.
    """
    slack = 1e-6
    below = upper[:, None] <= lower[None] + slack  # [a, b, axis]: a lies before b on the axis.
    above = lower[:, None] >= upper[None] - slack
    parted = (below & (eye >= upper[:, None] - slack)) | (above & (eye <= lower[:, None] + slack))
    hides = ~(parted.any(axis=2) | np.eye(len(lower), dtype=np.bool_))
    distance = np.linalg.norm((lower + upper) / 2 - eye, axis=1)
    left = np.argsort(-distance)
    order: list[int] = []
    while len(left):
        free = np.flatnonzero(~hides[np.ix_(left, left)].any(axis=1))
        if not len(free):
            free = np.array([0])
        order += left[free].tolist()
        left = np.delete(left, free)
    return order


def _rgb(colors: Floats) -> list[tuple[int, ...]]:
    """Return intensities (n, 3) as 8 bit colors for Pillow."""
    return [tuple(row) for row in (np.clip(colors, 0, 1) * 255).astype(int).tolist()]


def draw_mesh(draw: ImageDraw.ImageDraw, mesh: Mesh, camera: Camera, light: Light) -> None:
    """Draw the faces that look at the camera, the farthest solids first."""
    eye = np.array(camera.position)
    pixels, depth = camera.project(mesh.points)
    starts = mesh.starts
    towards = eye - mesh.points[starts[:-1]]
    visible = (mesh.normals * towards).sum(axis=1) > 0
    visible &= np.minimum.reduceat(depth, starts[:-1]) > NEAR
    shaded = light.shade(mesh.colors, mesh.normals, mesh.glow)
    fills = _rgb(light.haze(shaded, float(np.median(depth))))
    coordinates = pixels.ravel().tolist()
    shown, begins = visible.tolist(), (2 * starts).tolist()
    for solid in painters_order(mesh.lower, mesh.upper, eye):
        for face in range(mesh.owners[solid], mesh.owners[solid + 1]):
            if shown[face]:
                outline = coordinates[begins[face] : begins[face + 1]]
                draw.polygon(outline, fill=fills[face])


def draw_shadow(
    draw: ImageDraw.ImageDraw, mesh: Mesh, camera: Camera, light: Light, fill: tuple[int, ...]
) -> None:
    """Draw the shadow that sunlit faces cast on the ground, z = 0, in one flat color."""
    sun = np.array(light.sun)
    # Low suns cast shadows of any length; beyond this one they only darken the picture.
    slope = sun[:2] / max(float(sun[2]), 0.45)
    ground = mesh.points.copy()
    ground[:, :2] -= ground[:, 2:] * slope
    ground[:, 2] = 0
    pixels, depth = camera.project(ground)
    starts = mesh.starts
    lit = (mesh.normals @ sun > 0) & (np.minimum.reduceat(depth, starts[:-1]) > NEAR)
    coordinates = pixels.ravel().tolist()
    for face in np.flatnonzero(lit).tolist():
        draw.polygon(coordinates[2 * starts[face] : 2 * starts[face + 1]], fill=fill)
