"""Photographs: a landmark, or a place without one, from a random viewpoint in random light."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from PIL import Image

from landmarkzoo.rendered.camera import NEAR, Camera, look_at
from landmarkzoo.rendered.lens import develop
from landmarkzoo.rendered.light import Light, draw_light
from landmarkzoo.rendered.plant_shapes import VARIANTS
from landmarkzoo.rendered.plants import LEAVES, draw_plant, stand_at
from landmarkzoo.rendered.props import Prop, draw_prop
from landmarkzoo.rendered.rendering import draw_faces
from landmarkzoo.rendered.scenery import draw_distance, draw_sky, smooth_noise
from landmarkzoo.rendered.solids import Solid, block
from landmarkzoo.rendered.surfaces import SunView, haze, hit, rays, see_faces, see_from_sun, shade
from landmarkzoo.rendered.surroundings import Subject, house, make_subject

Floats32 = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]

#: Pictures are drawn at this multiple of their size and then shrunk, which smooths edges.
SUPERSAMPLING = 1.5
#: What comes and goes in different places.
CROWDS: tuple[tuple[str, ...], ...] = (
    ("person", "person", "person", "person", "lamp_post", "flag"),
    ("broadleaf", "person", "person", "person", "bush"),
    ("car", "bus", "person", "car", "lamp_post", "broadleaf"),
    ("conifer", "bush", "person", "fence"),
    ("person", "person", "person", "stall", "lamp_post", "palm"),
    ("person",) * 9 + ("fence", "flag"),
)


def _picture_size(rng: np.random.Generator, longer: int, upright: float) -> tuple[int, int]:
    """Draw width and height in pixels; the more `upright` (0..1), the more portraits."""
    shorter = round(longer * float(rng.choice([2 / 3, 3 / 4, 3 / 4, 1.0])))
    return (shorter, longer) if rng.random() < upright else (longer, shorter)


def _bearing(rng: np.random.Generator) -> float:
    """Draw the azimuth of a viewpoint in radians: 0 before the front, now and then the back."""
    if rng.random() < 0.08:
        return float(rng.normal(np.pi, 0.6))
    return float(np.radians(np.clip(rng.normal(0, 34), -70, 70)))


def camera_inside(rng: np.random.Generator, lower: Floats, upper: Floats, *, longer: int) -> Camera:
    """Draw a viewpoint in the open front of what fills a box, like `draw_camera`."""
    extent, center = upper - lower, (lower + upper) / 2
    width, height = _picture_size(rng, longer, 0.4)
    aside, into, level = rng.uniform((-0.25, -0.35, 1.5), (0.25, 0.1, max(2.2, 0.3 * extent[2])))
    eye = (float(center[0] + aside * extent[0]), float(lower[1] + into * extent[1]), float(level))
    turn = rng.normal(0, 0.15)
    aim = (
        float(center[0] + turn * extent[0]),
        float(upper[1]),
        float(lower[2] + rng.uniform(0.15, 0.5) * extent[2]),
    )
    focal = float(rng.uniform(0.55, 1.3) * max(width, height))
    roll = float(np.radians(rng.normal(0, 1.5)))
    return look_at(eye, aim, roll=roll, focal=focal, width=width, height=height)


def draw_camera(rng: np.random.Generator, lower: Floats, upper: Floats, *, longer: int) -> Camera:
    """Draw a viewpoint and framing of what fills a box: mostly whole, at times a part or far off.

    Args:
        rng: where chance comes from.
        lower: (3,) metres, least corner of the box.
        upper: (3,) metres, greatest corner of the box.
        longer: longer side of the picture in pixels.
    """
    extent = upper - lower
    center = (lower + upper) / 2
    flat = float(np.hypot(extent[0], extent[1]))
    upright = float(np.clip(0.25 + 0.5 * (extent[2] / flat - 0.5), 0.1, 0.85))
    width, height = _picture_size(rng, longer, upright)
    azimuth = _bearing(rng)
    distance = (flat / 2 + 0.45 * extent[2]) * rng.uniform(1.2, 3.0) + 8
    # Mostly a pedestrian's eye; at times a hill or a window across the square, or a drone.
    standpoint = rng.random()
    level = 1.7 if standpoint < 0.66 else extent[2] * rng.uniform(0.15, 0.8) + 2
    if standpoint > 0.9:
        level = extent[2] + distance * rng.uniform(0.2, 0.9)
    eye = (
        float(center[0] + np.sin(azimuth) * distance),
        float(center[1] - np.cos(azimuth) * distance),
        float(level),
    )
    target = center.copy()
    fill = rng.uniform(0.65, 0.95)
    chance = rng.random()
    if chance < 0.06:
        fill = rng.uniform(2.0, 4.5)
        target += extent * rng.uniform((-0.25, -0.1, -0.05), (0.25, 0.1, 0.35))
    elif chance < 0.24:
        fill = rng.uniform(1.2, 2.0)
        target += extent * rng.uniform((-0.25, -0.1, -0.1), (0.25, 0.1, 0.32))
    elif chance < 0.36:
        fill = rng.uniform(0.32, 0.55)
    roll = float(np.radians(rng.normal(0, 1.5)))
    aim = (float(target[0]), float(target[1]), float(target[2]))
    camera = look_at(eye, aim, roll=roll, focal=1.0, width=width, height=height)
    corners = np.array(np.meshgrid(*zip(lower, upper, strict=True))).reshape(3, -1).T
    pixels, _ = camera.project(corners)
    spans = np.ptp(pixels, axis=0) / np.array([width, height])
    camera = replace(camera, focal=float(fill / spans.max()))
    # Nobody holds a camera quite straight at the middle of things.
    view = np.arctan(np.array([width, height]) / camera.focal / 2)
    nudge = rng.normal(0, 0.12, 2) * view + np.array([0, 0.12 * view[1]])
    return replace(camera, yaw=camera.yaw + float(nudge[0]), pitch=camera.pitch + float(nudge[1]))


def _props(
    rng: np.random.Generator, depths: tuple[float, float], count: int, crowd: tuple[str, ...]
) -> list[Prop]:
    """Draw props between two depths in metres, the farthest first."""
    if depths[1] <= depths[0]:
        return []
    spread = np.sort(rng.uniform(*depths, count))[::-1]
    return [
        Prop(
            kind=str(rng.choice(crowd)),
            across=float(rng.uniform(-0.05, 1.05)),
            depth=float(depth),
            size=float(rng.uniform(0.6, 1.4)),
            seed=int(rng.integers(2**31)),
        )
        for depth in spread
    ]


@dataclass(frozen=True)
class View:
    """A camera, its lines of sight (height, width, 3), and where chance comes from."""

    camera: Camera
    lines: Floats32
    rng: np.random.Generator


def _water(
    subject: Subject, view: View, light: Light, sun: SunView, rows: Ints, columns: Ints, canvas: Floats32
) -> Floats32:
    """Return the colors (n, 3) of water: the sky and the mesh upside down, and some of its own."""
    camera, mesh = view.camera, subject.mesh
    eye = np.array(camera.position) * (1, 1, -1)
    pixels, depth = camera.project(mesh.points * (1, 1, -1))
    seen = (mesh.normals * (eye - mesh.points[mesh.starts[:-1]])).sum(axis=1) > 0
    seen &= np.minimum.reduceat(depth, mesh.starts[:-1]) > NEAR
    faces = draw_faces(mesh, eye, pixels, seen, (camera.width, camera.height))
    ripple = smooth_noise(view.rng, (camera.width, camera.height), (40, 160))[rows, columns]
    rough = view.rng.uniform(0.0, 0.012) * camera.height
    rows = np.clip(rows + (ripple * rough).astype(int), 0, camera.height - 1)
    # The sky as far above the horizon as the water lies below it.
    above = (2 * camera.horizon()[:, 1].mean() - rows).astype(int)
    colors: Floats32 = canvas[np.clip(above, 0, camera.height - 1), columns].copy()
    face = faces[rows, columns] - 1
    on = face >= 0
    lines = view.lines[rows[on], columns[on]] * np.array([1, 1, -1], dtype=np.float32)
    hits = hit(mesh, eye.astype(np.float32), lines, face[on])
    colors[on] = haze(light, shade(mesh, hits, light, sun, camera.focal, lines), hits.depth)
    slope = np.clip(-view.lines[rows, columns, 2], 0.02, 1)[:, None]
    mirrored = 0.35 + 0.6 * (1 - slope) ** 3
    own = np.array(light.ambient, dtype=np.float32) * subject.ground.colors[subject.ground.water][0]
    return np.asarray(
        colors * mirrored * (1 + 0.05 * ripple[:, None]) + own * (1 - mirrored), dtype=np.float32
    )


def draw_ground(
    subject: Subject, view: View, light: Light, sun: SunView, canvas: Floats32, free: Bools
) -> None:
    """Lay the ground on the pixels of the canvas (h, w, 3) that are free and below the horizon."""
    rows, columns = np.nonzero(free & (view.lines[..., 2] < -1e-3))
    lines = view.lines[rows, columns]
    height = view.camera.position[2]
    depth = -np.float32(height) / lines[:, 2]
    point = np.array(view.camera.position, dtype=np.float32) + depth[:, None] * lines
    ground = subject.ground
    soil = ground.soil(point)
    colors = ground.shade(soil, point, depth, light, sun, view.camera)
    wet = ground.water[soil]
    if wet.any():
        colors[wet] = _water(subject, view, light, sun, rows[wet], columns[wet], canvas)
    canvas[rows, columns] = haze(light, colors, depth)


def _draw_plants(
    subject: Subject, camera: Camera, light: Light, picture: Image.Image, *, behind: bool
) -> None:
    """Draw the trees farther than the middle of the landmark, or those that are nearer."""
    middle = (subject.lower + subject.upper) / 2
    _, _, limit = stand_at(camera, float(middle[0]), float(middle[1]))
    seen = [(*stand_at(camera, plant.x, plant.y), plant) for plant in subject.plants]
    for foot, scale, depth, plant in sorted(seen, key=lambda one: -one[2]):
        # What stands right before the camera would hide everything, and more so from above.
        nearest = 0.4 if camera.position[2] < 2 else 0.75
        far = depth > limit if behind else nearest * limit < depth <= limit
        if scale and far:
            draw_plant(
                picture, light, plant.kind, plant.variant, foot, plant.height * scale, depth, plant.color
            )


def _compose(
    rng: np.random.Generator, subject: Subject, camera: Camera, crowd: tuple[str, ...]
) -> Image.Image:
    """Draw everything from the sky to the passers-by, back to front."""
    light = draw_light(rng)
    picture = draw_distance(draw_sky(rng, camera, light), rng, camera, light)
    view = View(camera, rays(camera), rng)
    on_landmark = light.on_landmark(camera.yaw + np.pi)
    if subject.inside and light.lamps:  # there are lamps inside, too
        on_landmark = replace(on_landmark, ambient=(0.50, 0.42, 0.32))
    mesh, faces = subject.mesh, see_faces(subject.mesh, camera)
    sun = see_from_sun(mesh, on_landmark.sun)
    canvas = np.asarray(picture, dtype=np.float32) / np.float32(255)
    draw_ground(subject, view, light, sun, canvas, faces == 0)
    picture = _picture(canvas)
    middle = (subject.lower + subject.upper) / 2
    reach = float(np.hypot(*(subject.upper - subject.lower)[:2])) / 2
    depth = float(np.hypot(*(middle - np.array(camera.position))[:2]))
    for prop in _props(rng, (depth + reach, 2.2 * depth + reach), 9, crowd):
        draw_prop(picture, camera, light, prop)
    _draw_plants(subject, camera, light, picture, behind=True)
    canvas = np.asarray(picture, dtype=np.float32) / np.float32(255)
    shown = faces > 0
    lines = view.lines[shown]
    hits = hit(mesh, np.array(camera.position, dtype=np.float32), lines, faces[shown] - 1)
    colors = shade(mesh, hits, on_landmark, sun, camera.focal, lines)
    canvas[shown] = haze(light, colors, hits.depth)
    picture = _picture(canvas)
    _draw_plants(subject, camera, light, picture, behind=False)
    # Nothing in front of a landmark may be so near that it fills the picture; people may be a little nearer.
    nearest = max(9.0, 0.35 * (depth - reach), 8.0 * camera.focal / max(camera.width, camera.height))
    for prop in _props(rng, (nearest, depth - reach), int(rng.integers(0, 9)), crowd):
        draw_prop(picture, camera, light, prop)
    people = int(rng.integers(4, 45)) if rng.random() < 0.3 else int(rng.integers(0, 4))
    near = max(4.0, 1.7 * camera.focal / camera.height)
    for prop in _props(rng, (near, max(depth - 0.8 * reach, near + 2)), people, ("person",)):
        draw_prop(picture, camera, light, prop)
    if rng.random() < 0.08:  # somebody who wants to be in the picture
        close = 1.7 * camera.focal / camera.height / rng.uniform(0.5, 0.9)
        for prop in _props(rng, (close, close + 1.5), int(rng.integers(1, 4)), ("person",)):
            draw_prop(picture, camera, light, prop)
    if rng.random() < 0.08:  # a branch that hangs into the picture
        side, size = int(rng.integers(2)), camera.height * rng.uniform(0.7, 1.4)
        foot = (side * camera.width, size * rng.uniform(0.75, 0.95))
        draw_plant(picture, light, "broadleaf", int(rng.integers(2 * VARIANTS)), foot, size, 6.0, LEAVES[2])
    width, height = (round(side / SUPERSAMPLING) for side in picture.size)
    return develop(picture, (width, height), rng)


def _picture(canvas: Floats32) -> Image.Image:
    """Return intensities (h, w, 3) as a picture."""
    return Image.fromarray((np.clip(canvas, 0, 1) * 255).astype(np.uint8))


def photograph(subject: Subject, rng: np.random.Generator, image_size: int) -> Image.Image:
    """Take a picture of a landmark.

    Args:
        subject: the landmark.
        rng: where viewpoint, light and passers-by come from.
        image_size: longer side of the picture in pixels.
    """
    place = camera_inside if subject.inside else draw_camera
    camera = place(rng, subject.lower, subject.upper, longer=round(image_size * SUPERSAMPLING))
    crowd = CROWDS[rng.integers(len(CROWDS))]
    return _compose(rng, subject, camera, crowd)


def photograph_anywhere(rng: np.random.Generator, image_size: int) -> Image.Image:
    """Take a picture without a landmark: a street, a few houses, a park, traffic or a field.

    Args:
        rng: where everything comes from; another state gives another place.
        image_size: longer side of the picture in pixels.
    """
    houses = int(rng.choice([0, 0, 1, 2, 4]))
    solids: list[Solid] = []
    for number in range(houses):
        x = (number - (houses - 1) / 2) * rng.uniform(19, 24)
        solids += house(rng, x, float(rng.uniform(-3, 3)))
    # A bench or a wall where no house was drawn, so that something is in the middle of the scene.
    solids = solids or [block(0, 0, 0, (2.0, 0.6, 0.5), (0.4, 0.3, 0.2))]
    subject = make_subject(solids, rng)
    if not houses:
        subject = replace(subject, lower=np.array([-14.0, -3, 0]), upper=np.array([14.0, 3, 10]))
    return photograph(subject, rng, image_size)
