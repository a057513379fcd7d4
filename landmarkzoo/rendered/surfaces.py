"""From the face that each pixel shows to its color: textures, relief, sunlight, shadows and haze."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from landmarkzoo.rendered.camera import NEAR, Camera
from landmarkzoo.rendered.light import Light
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
    lines: Float32s = forward + x[None, :, None] * right + y[:, None, None] * up
    return lines.astype(np.float32)


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
    slope = np.minimum((normal * lines).sum(axis=1), np.float32(-1e-3))
    depth = (mesh.offsets[face] - normal @ eye) / slope
    depth = np.clip(depth, 0.1, 5000)
    return Hits(face, eye + depth[:, None] * lines, depth)


@dataclass(frozen=True)
class SunView:
    """What the sun sees of a mesh: a picture of faces along parallel lines.

    Attributes:
        mesh: the faces.
        sun: (3,) unit vector towards the sun.
        axes: (3, 2) to the right and up in the picture.
        origin: (2,) metres, the corner of the picture.
        scale: pixels a metre.
        faces: (SUN_PICTURE, SUN_PICTURE) faces counted from 1.
    """

    mesh: Mesh
    sun: Float32s
    axes: Float32s
    origin: Float32s
    scale: float
    faces: Int32s

    def shadow(self, point: Float32s) -> npt.NDArray[np.bool_]:
        """Return which of the points (n, 3) something stands before."""
        place = ((point @ self.axes - self.origin) * self.scale).astype(np.int32)
        inside = ((place >= 0) & (place < SUN_PICTURE)).all(axis=1)
        place = np.clip(place, 0, SUN_PICTURE - 1)
        face = self.faces[place[:, 1], place[:, 0]] - 1
        normal = self.mesh.normals[face]
        facing = np.maximum(normal @ self.sun, 0.05)
        # How far towards the sun the plane lies of the face that the sun sees there.
        away = (self.mesh.offsets[face] - (normal * point).sum(axis=1)) / facing
        dark: npt.NDArray[np.bool_] = inside & (face >= 0) & (away > 0.35 + 0.7 / self.scale / facing)
        return dark


def see_from_sun(mesh: Mesh, sun: tuple[float, float, float]) -> SunView:
    """Draw what the sun sees."""
    towards = np.array(sun)
    right = np.array([-towards[1], towards[0], 0.0])
    right /= max(float(np.linalg.norm(right)), 1e-6)
    axes = np.stack([right, np.cross(towards, right)], axis=1)
    flat = mesh.points @ axes
    origin = flat.min(axis=0)
    scale = float((SUN_PICTURE - 1) / max(np.ptp(flat, axis=0).max(), 1e-3))
    eye = mesh.points.mean(axis=0) + 1e5 * towards
    faces = draw_faces(
        mesh, eye, (flat - origin) * scale, mesh.normals @ towards > 0, (SUN_PICTURE, SUN_PICTURE)
    )
    small = [part.astype(np.float32) for part in (towards, axes, origin)]
    return SunView(mesh, small[0], small[1], small[2], scale, faces)


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
    ambient, direct = (np.array(part, dtype=np.float32) for part in (light.ambient, light.direct))
    bounce = 0.10 * np.maximum(-up, 0)[:, None] * direct
    shaded: Float32s = factors * (open_sky[:, None] * ambient + facing[:, None] * direct + bounce)
    return shaded


def shade(mesh: Mesh, hits: Hits, light: Light, sun: SunView, focal: float, lines: Float32s) -> Float32s:
    """Return the colors (n, 3) of what pixels show, before the air lies over them."""
    face = hits.face
    along, rise, normal = mesh.along[face], mesh.rise[face], mesh.normals[face]
    density = mesh.density[face]
    across = (hits.point * along).sum(axis=1) * density
    upwards = (hits.point * rise).sum(axis=1) * density
    slant = np.abs((normal * lines).sum(axis=1)) / np.linalg.norm(lines, axis=1)
    footprint = density * hits.depth / (focal * np.sqrt(np.maximum(slant, 0.1)))
    factors, slope_across, slope_up = look_up(mesh.textures, mesh.finish[face], across, upwards, footprint)
    glass = mesh.glow[face]
    panes = glass > 0
    slope_across[panes] *= 0.1
    slope_up[panes] *= 0.1
    bumpy = normal - slope_across[:, None] * along - slope_up[:, None] * rise
    bumpy /= np.linalg.norm(bumpy, axis=1, keepdims=True)
    colors = illuminate(light, mesh.colors[face] * factors, bumpy, hits.point, ~sun.shadow(hits.point))
    if panes.any():
        # Panes mirror sky or houses, each its own.
        mirrored = 0.55 * ((face[panes] * 7919) % 101 / 101.0).astype(np.float32)[:, None]
        sky = np.array(light.zenith, dtype=np.float32)
        colors[panes] = colors[panes] * (1 - mirrored) + sky * mirrored
    if light.lamps:
        from landmarkzoo.rendered.light import LAMP

        share = (glass * light.lamps)[:, None]
        colors = colors * (1 - share) + np.array(LAMP, dtype=np.float32) * share
    return colors


def haze(light: Light, colors: Float32s, depth: Float32s) -> Float32s:
    """Return colors (n, 3) as seen through `depth` (n,) metres of air."""
    clear = np.exp(-depth / light.visibility)[:, None].astype(np.float32)
    air: Float32s = colors * clear + np.array(light.skyline, dtype=np.float32) * (1 - clear)
    return air
