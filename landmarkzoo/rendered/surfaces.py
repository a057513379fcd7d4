"""From the face that each pixel shows to its color: textures, relief, sunlight, shadows and haze."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from landmarkzoo.rendered.camera import NEAR, Camera
from landmarkzoo.rendered.light import LAMP, Light
from landmarkzoo.rendered.rendering import Mesh, draw_faces
from landmarkzoo.rendered.textures import look_up

Float32s = npt.NDArray[np.float32]
Int32s = npt.NDArray[np.int32]
#: Pixels on each side of the picture that the sun sees.
SUN_PICTURE = 448


def rays(camera: Camera) -> Float32s:
    """Return the lines of sight of all pixels (height, width, 3), one metre deep."""
    right, up, forward = (axis.astype(np.float32) for axis in camera.axes())
    x = (np.arange(camera.width, dtype=np.float32) + 0.5 - camera.width / 2) / camera.focal
    y = (camera.height / 2 - np.arange(camera.height, dtype=np.float32) - 0.5) / camera.focal
    lines = np.empty((camera.height, camera.width, 3), dtype=np.float32)
    for axis in range(3):
        lines[..., axis] = (forward[axis] + x * right[axis]) + (y * up[axis])[:, None]
    return lines


def _dot(a: Float32s, b: Float32s) -> Float32s:
    """Return the products (n,) of vectors (n, 3)."""
    return np.asarray(np.einsum("ij,ij->i", a, b), dtype=np.float32)


def _unit(a: Float32s) -> Float32s:
    """Return vectors (n, 3) of length 1."""
    return np.asarray(a * (1 / np.sqrt(_dot(a, a)))[:, None], dtype=np.float32)


@dataclass(frozen=True)
class Hits:
    """What some pixels show.

    Attributes:
        face: (n,) which face.
        point: (n, 3) metres, which point of it.
        depth: (n,) metres along the line of sight.
    """

    face: Int32s
    point: Float32s
    depth: Float32s


def see_faces(mesh: Mesh, camera: Camera) -> Int32s:
    """Return which face each pixel of a camera shows, as `rendering.draw_faces` does."""
    eye = np.array(camera.position)
    pixels, depth = camera.project(mesh.points)
    towards = eye - mesh.points[mesh.starts[:-1]]
    seen = (mesh.normals * towards).sum(axis=1) > 0
    seen &= np.minimum.reduceat(depth, mesh.starts[:-1]) > NEAR
    return draw_faces(mesh, eye, pixels, seen, (camera.width, camera.height))


def hit(mesh: Mesh, eye: Float32s, lines: Float32s, face: Int32s) -> Hits:
    """Return where lines of sight (n, 3) meet the planes of faces (n,)."""
    normal = mesh.normals[face]
    slope = np.minimum(_dot(normal, lines), np.float32(-1e-3))
    depth = np.clip((mesh.offsets - mesh.normals @ eye)[face] / slope, 0.1, 5000)
    return Hits(face, eye + depth[:, None] * lines, depth)


@dataclass(frozen=True)
class SunView:
    """What the sun sees of a mesh: a picture of faces along parallel lines.

    Attributes:
        axes: (3, 3) to the right, up in the picture and towards the sun.
        origin: (2,) metres, the corner of the picture.
        scale: pixels a metre.
        faces: (SUN_PICTURE, SUN_PICTURE) faces counted from 1.
        planes: (f + 1, 3) how far towards the sun a face lies: at the origin, and how much more a metre
            to the right and up; the first for no face.
        slack: (f + 1,) metres by which a point must lie behind a face that shades it.
    """

    axes: Float32s
    origin: Float32s
    scale: float
    faces: Int32s
    planes: Float32s
    slack: Float32s

    def lights(self, point: Float32s) -> npt.NDArray[np.bool_]:
        """Return which of the points (n, 3) nothing stands before."""
        seen = point @ self.axes
        place = ((seen[:, :2] - self.origin) * np.float32(self.scale)).astype(np.int32)
        x, y = place[:, 0], place[:, 1]
        inside = (x >= 0) & (x < SUN_PICTURE) & (y >= 0) & (y < SUN_PICTURE)
        cell = np.where(inside, y * SUN_PICTURE + x, 0)
        face = np.where(inside, self.faces.ravel()[cell], 0)
        lit: npt.NDArray[np.bool_] = face == 0
        covered = np.flatnonzero(face)
        face, seen = face[covered], seen[covered]
        plane = self.planes[face]
        nearer = plane[:, 0] + plane[:, 1] * seen[:, 0] + plane[:, 2] * seen[:, 1] - seen[:, 2]
        lit[covered] = nearer < self.slack[face]
        return lit


def see_from_sun(mesh: Mesh, sun: tuple[float, float, float]) -> SunView:
    """Draw what the sun sees."""
    towards = np.array(sun)
    right = np.array([-towards[1], towards[0], 0.0])
    right /= max(float(np.linalg.norm(right)), 1e-6)
    axes = np.stack([right, np.cross(towards, right), towards], axis=1)
    flat = mesh.points @ axes[:, :2]
    origin = flat.min(axis=0)
    scale = float((SUN_PICTURE - 1) / max(np.ptp(flat, axis=0).max(), 1e-3))
    eye = mesh.points.mean(axis=0) + 1e5 * towards
    lean = mesh.normals @ axes  # (f, 3)
    size = (SUN_PICTURE, SUN_PICTURE)
    faces = draw_faces(mesh, eye, (flat - origin) * scale, lean[:, 2] > 0, size)
    facing = np.maximum(lean[:, 2], 0.05)
    planes = np.stack([mesh.offsets, -lean[:, 0], -lean[:, 1]], axis=1) / facing[:, None]
    return SunView(
        axes.astype(np.float32),
        origin.astype(np.float32),
        scale,
        faces,
        np.concatenate([[(-1e9, 0, 0)], planes]).astype(np.float32),
        np.concatenate([[0], 0.35 + 0.7 / scale / facing]).astype(np.float32),
    )


def illuminate(
    light: Light, factors: Float32s, normal: Float32s, point: Float32s, lit: npt.NDArray[np.bool_]
) -> Float32s:
    """Return the colors (n, 3) of surfaces in the light of sky, ground and sun.

    Args:
        light: the light.
        factors: (n, 3) reflectances.
        normal: (n, 3) unit vectors.
        point: (n, 3) metres.
        lit: (n,) whether the sun reaches them.
    """
    up = normal[:, 2]
    # The foot of a wall, and what looks down, sees less of the sky.
    open_sky = (0.72 + 0.28 * up) * (0.8 + 0.2 * np.clip(point[:, 2] / 3, 0, 1))
    facing = np.maximum(normal @ np.array(light.sun, dtype=np.float32), 0) * lit
    bounce = facing + np.float32(0.1) * np.maximum(-up, 0)
    shaded = np.empty_like(factors)
    for channel in range(3):
        shaded[:, channel] = factors[:, channel] * (
            np.float32(light.ambient[channel]) * open_sky + np.float32(light.direct[channel]) * bounce
        )
    return shaded


def shade(mesh: Mesh, hits: Hits, light: Light, sun: SunView, focal: float, lines: Float32s) -> Float32s:
    """Return the colors (n, 3) of what pixels show, before the air lies over them."""
    face = hits.face
    along, rise, normal = mesh.along[face], mesh.rise[face], mesh.normals[face]
    density = mesh.density[face]
    across, upwards = _dot(hits.point, along) * density, _dot(hits.point, rise) * density
    slant = np.abs(_dot(normal, lines)) / np.sqrt(_dot(lines, lines))
    footprint = density * hits.depth / (np.float32(focal) * np.sqrt(np.maximum(slant, 0.1)))
    factors, slope_across, slope_up = look_up(mesh.texture[face], across, upwards, footprint)
    glass = mesh.glow[face]
    panes = glass > 0
    slope_across[panes] *= 0.1
    slope_up[panes] *= 0.1
    bumpy = _unit(normal - slope_across[:, None] * along - slope_up[:, None] * rise)
    colors = illuminate(light, mesh.colors[face] * factors, bumpy, hits.point, sun.lights(hits.point))
    if panes.any():
        # Panes mirror sky or houses, each its own.
        mirrored = 0.55 * ((face[panes] * 7919) % 101 / 101.0).astype(np.float32)[:, None]
        sky = np.array(light.zenith, dtype=np.float32)
        colors[panes] = colors[panes] * (1 - mirrored) + sky * mirrored
    if light.lamps:
        share = (glass * light.lamps)[:, None]
        colors = colors * (1 - share) + np.array(LAMP, dtype=np.float32) * share
    return colors


def haze(light: Light, colors: Float32s, depth: Float32s) -> Float32s:
    """Return colors (n, 3) as seen through `depth` (n,) metres of air."""
    clear = np.exp(depth * np.float32(-1 / light.visibility))
    air = np.empty_like(colors)
    for channel in range(3):
        skyline = np.float32(light.skyline[channel])
        air[:, channel] = (colors[:, channel] - skyline) * clear + skyline
    return air
