"""The ground about a landmark: what it is made of, seen from above, and its color from where one stands."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from landmarkzoo.rendered.camera import Camera
from landmarkzoo.rendered.facades import Color
from landmarkzoo.rendered.finishes import Choice, draw_finish
from landmarkzoo.rendered.light import Light
from landmarkzoo.rendered.surfaces import SunView, illuminate
from landmarkzoo.rendered.textures import SIDE, look_up, number_of

Float32s = npt.NDArray[np.float32]

#: Pixels on each side of a plan.
PLAN = 512


@dataclass(frozen=True)
class Soil:
    """What ground is made of: colors and textures to choose from."""

    colors: tuple[Color, ...]
    finishes: Choice


SOILS: Mapping[str, Soil] = {
    "grass": Soil(((0.36, 0.46, 0.20), (0.30, 0.42, 0.16), (0.46, 0.46, 0.24)), {"grass": (1, (3, 8))}),
    "woods": Soil(
        ((0.18, 0.26, 0.12), (0.24, 0.32, 0.14), (0.34, 0.30, 0.14)),
        {"rock": (0.5, (18, 40)), "grass": (0.5, (30, 60))},
    ),
    "paving": Soil(
        ((0.62, 0.58, 0.50), (0.55, 0.54, 0.52), (0.70, 0.62, 0.52), (0.62, 0.46, 0.38)),
        {"slabs": (0.6, (4, 12)), "ashlar": (0.2, (4, 8)), "rubble": (0.2, (2, 5))},
    ),
    "asphalt": Soil(((0.34, 0.34, 0.35), (0.44, 0.44, 0.44)), {"sand": (1, (3, 8))}),
    "sand": Soil(((0.76, 0.66, 0.48), (0.66, 0.54, 0.40), (0.80, 0.74, 0.62)), {"sand": (1, (6, 14))}),
    "water": Soil(((0.10, 0.16, 0.20), (0.12, 0.20, 0.18)), {"plaster": (1, (30, 60))}),
    "snow": Soil(((0.92, 0.93, 0.95),), {"sand": (1, (8, 16))}),
}


@dataclass(frozen=True)
class Ground:
    """The ground about a landmark.

    Attributes:
        plan: (PLAN, PLAN) which soil lies where, rows from the front (-y) to the back.
        reach: metres from the middle to the edge of the plan; outside the first soil goes on.
        center: (2,) metres, the middle of the plan.
        colors: (k, 3) reflectances of the soils.
        density: (k,) texels a metre.
        textures: (k,) the soils' textures, as `textures.number_of` counts.
        water: (k,) which soils are water.
    """

    plan: npt.NDArray[np.uint8]
    reach: float
    center: Float32s
    colors: Float32s
    density: Float32s
    textures: npt.NDArray[np.int32]
    water: npt.NDArray[np.bool_]

    def soil(self, point: Float32s) -> npt.NDArray[np.int32]:
        """Return which soil lies at points (n, 2 or 3) on the ground."""
        place = (point[:, :2] - self.center) * np.float32(PLAN / 2 / self.reach) + PLAN / 2
        x, y = place[:, 0].astype(np.int32), place[:, 1].astype(np.int32)
        inside = (x >= 0) & (x < PLAN) & (y >= 0) & (y < PLAN)
        cell = np.where(inside, y * PLAN + x, 0)
        return np.where(inside, self.plan.ravel()[cell], 0).astype(np.int32)

    def shade(
        self,
        soil: npt.NDArray[np.int32],
        point: Float32s,
        depth: Float32s,
        light: Light,
        sun: SunView,
        camera: Camera,
    ) -> Float32s:
        """Return the colors (n, 3) of points of the ground, before the air lies over them.

        Args:
            soil: (n,) as `soil` returns them.
            point: (n, 3) metres.
            depth: (n,) metres along the line of sight.
            light: the light.
            sun: what the sun sees of the landmark.
            camera: the camera.
        """
        density = self.density[soil]
        flat = np.sqrt(np.maximum(depth * np.float32(1 / camera.position[2]), 1))
        footprint = density * depth * np.float32(1 / camera.focal) * flat
        factors, across, up = look_up(
            self.textures[soil], point[:, 0] * density, point[:, 1] * density, footprint
        )
        normal = np.stack([-across, -up, np.ones_like(up)], axis=1)
        normal *= (1 / np.sqrt(across**2 + up**2 + 1))[:, None]
        return illuminate(light, self.colors[soil] * factors, normal, point + 3, sun.lights(point))


def draw_ground_plan(
    rng: np.random.Generator, lower: npt.NDArray[np.float64], upper: npt.NDArray[np.float64], *, wet: bool
) -> Ground:
    """Draw the ground about what fills a box: a plaza, paths, lawns, at times a pool or a river.

    Args:
        rng: where chance comes from.
        lower: (3,) metres, least corner of the box.
        upper: (3,) metres, greatest corner.
        wet: whether it stands in water.
    """
    names = [str(rng.choice(["grass", "grass", "asphalt", "sand", "sand", "woods"]))]
    names += [str(rng.choice(["paving", "sand", "paving", "grass"])) for _ in range(3)]
    names[3] = "grass" if rng.random() < 0.5 else names[3]
    names.append("water")
    center, extent = (lower + upper)[:2] / 2, (upper - lower)[:2]
    reach = float(1.4 * np.hypot(*extent) + 25)
    picture = Image.new("L", (PLAN, PLAN), 4 if wet else 0)
    draw = ImageDraw.Draw(picture)
    scale = PLAN / 2 / reach

    def box(x: float, y: float, width: float, depth: float, soil: int, *, round_: bool = False) -> None:
        x0, y0 = PLAN / 2 + (x - width / 2) * scale, PLAN / 2 + (y - depth / 2) * scale
        outline = (x0, y0, x0 + width * scale, y0 + depth * scale)
        (draw.ellipse if round_ else draw.rectangle)(outline, fill=soil)

    wide, deep = extent * rng.uniform(1.05, 1.7, 2) + 4
    if not wet:
        box(0, 0, wide, deep, 1, round_=rng.random() < 0.4)
        way = rng.uniform(3, 14)
        if rng.random() < 0.8:
            box(0, -reach / 2, way, reach, 2)
        if rng.random() < 0.5:
            box(0, -deep / 2 - way, 3 * reach, way, 2)
        front = float(-extent[1] / 2)
        if rng.random() < 0.55:
            beds = (rng.uniform(0.15, 0.5) * extent[0], rng.uniform(0.2, 0.8) * reach)
            for side in (-1, 1):
                box(side * (way + beds[0]) / 2 + side, front - 6 - beds[1] / 2, beds[0], beds[1], 3)
        if rng.random() < 0.28:
            pool = (rng.uniform(0.3, 1.3) * extent[0], rng.uniform(0.4, 1.2) * reach)
            away = rng.uniform(3, 12)
            box(0, front - away - pool[1] / 2, pool[0] + 2, pool[1] + 2, 1)
            box(0, front - away - pool[1] / 2, pool[0], pool[1], 4)
    colors, finishes = [], []
    for name in names:
        soil = SOILS[name]
        tone = np.array(soil.colors[rng.integers(len(soil.colors))]) * rng.uniform(0.85, 1.12)
        colors.append(tone)
        finishes.append(draw_finish(rng, soil.finishes))
    return Ground(
        plan=np.asarray(picture),
        reach=reach,
        center=center.astype(np.float32),
        colors=np.array(colors, dtype=np.float32),
        density=np.array([SIDE / one.metres for one in finishes], dtype=np.float32),
        textures=np.array([number_of(one.kind, one.variant) for one in finishes], dtype=np.int32),
        water=np.array([name == "water" for name in names]),
    )
