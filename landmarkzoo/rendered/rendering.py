"""Solids to a mesh, and a mesh to the face that each pixel shows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from landmarkzoo.rendered.finishes import WALLS, Choice, draw_finishes
from landmarkzoo.rendered.solids import Solid
from landmarkzoo.rendered.textures import SIDE, number_of

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Float32s = npt.NDArray[np.float32]
Int32s = npt.NDArray[np.int32]


@dataclass(frozen=True)
class Mesh:
    """The faces of some solids as arrays, ready to be seen from many places.

    Attributes:
        points: (p, 3) metres, the corners of all faces one after the other.
        starts: (f + 1,) where each face's corners begin; the last entry is p.
        owners: (s + 1,) where each solid's faces begin; the last entry is f.
        lower: (s, 3) metres, least corner of each solid's bounding box.
        upper: (s, 3) metres, greatest corner.
        normals: (f, 3) outward unit vectors, zeros for faces without area.
        offsets: (f,) metres from the plane of a face to the origin.
        along: (f, 3) level unit vectors in the faces, across their textures.
        rise: (f, 3) unit vectors in the faces, up their textures.
        colors: (f, 3) reflectances.
        glow: (f,) share of light the faces emit at night.
        texture: (f,) which texture lies on a face, as `textures.number_of` counts.
        density: (f,) texels a metre.
    """

    points: Floats
    starts: Ints
    owners: Ints
    lower: Floats
    upper: Floats
    normals: Float32s
    offsets: Float32s
    along: Float32s
    rise: Float32s
    colors: Float32s
    glow: Float32s
    texture: Int32s
    density: Float32s


def _normals(points: Floats, starts: Ints) -> Floats:
    """Return the unit normals (f, 3) of polygons by Newell's method; zeros for those without area."""
    following = np.arange(1, len(points) + 1)
    following[starts[1:] - 1] = starts[:-1]  # the last corner of a face is followed by its first
    away, total = points - points[following], points + points[following]
    normals = np.add.reduceat(away[:, [1, 2, 0]] * total[:, [2, 0, 1]], starts[:-1], axis=0)
    length = np.linalg.norm(normals, axis=1, keepdims=True)
    return np.where(length > 1e-9, normals / np.maximum(length, 1e-9), 0.0)


def make_mesh(solids: Sequence[Solid], seed: int = 0, choice: Choice = WALLS) -> Mesh:
    """Gather the faces of solids whose bounding boxes overlap as little as possible.

    Args:
        solids: what to build.
        seed: decides the textures.
        choice: textures of walls.

    Raises:
        ValueError: If ``solids`` is empty.
    """
    if not solids:
        raise ValueError("a mesh needs at least one solid, got none")
    faces = [face for solid in solids for face in solid.faces]
    # Windows lie in the plane of their wall: bounds and normals are those of larger faces.
    corners = [np.concatenate([face.points for face in solid.faces]) for solid in solids]
    points = np.concatenate([face.points for face in faces])
    starts = np.cumsum([0, *(len(face.points) for face in faces)])
    normals = _normals(points, starts)
    level = np.column_stack([-normals[:, 1], normals[:, 0], np.zeros(len(faces))])
    flat = np.linalg.norm(level, axis=1, keepdims=True)
    along = np.where(flat > 1e-3, level / np.maximum(flat, 1e-3), (1.0, 0.0, 0.0))
    colors = np.array([face.color for face in faces])
    finishes, finish = draw_finishes(np.random.default_rng(seed), colors, normals, choice)
    metres = np.array([one.metres for one in finishes])
    numbers = np.array([number_of(one.kind, one.variant) for one in finishes], dtype=np.int32)
    return Mesh(
        points=points,
        starts=starts,
        owners=np.cumsum([0, *(len(solid.faces) for solid in solids)]),
        lower=np.stack([part.min(axis=0) for part in corners]),
        upper=np.stack([part.max(axis=0) for part in corners]),
        normals=normals.astype(np.float32),
        offsets=(normals * points[starts[:-1]]).sum(axis=1).astype(np.float32),
        along=along.astype(np.float32),
        rise=np.cross(normals, along).astype(np.float32),
        colors=colors.astype(np.float32),
        glow=np.array([face.glow for face in faces], dtype=np.float32),
        texture=numbers[finish],
        density=(SIDE / metres[finish]).astype(np.float32),
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


def draw_faces(
    mesh: Mesh, eye: Floats, pixels: Floats, seen: npt.NDArray[np.bool_], size: tuple[int, int]
) -> Int32s:
    """Return which face each pixel shows (height, width), counted from 1; 0 where it shows none.

    Args:
        mesh: the faces.
        eye: (3,) metres, where they are seen from.
        pixels: (p, 2) where the corners lie in the picture.
        seen: (f,) which faces can be drawn at all.
        size: width and height in pixels.
    """
    picture = Image.new("I", size)
    draw = ImageDraw.Draw(picture)
    coordinates = pixels.ravel().tolist()
    shown, begins = seen.tolist(), (2 * mesh.starts).tolist()
    for solid in painters_order(mesh.lower, mesh.upper, eye):
        for face in range(mesh.owners[solid], mesh.owners[solid + 1]):
            if shown[face]:
                draw.polygon(coordinates[begins[face] : begins[face + 1]], fill=face + 1)
    return np.asarray(picture, dtype=np.int32)
