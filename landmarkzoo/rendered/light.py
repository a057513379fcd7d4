"""The light of a moment: where the sun stands, how bright it is, what color the sky has."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from landmarkzoo.rendered.facades import Color, tint

Floats = npt.NDArray[np.float64]
#: The color of a lit window.
LAMP = (1.0, 0.80, 0.46)
#: The color of the floodlights on landmarks at night.
FLOODLIGHT = (0.80, 0.62, 0.36)


@dataclass(frozen=True)
class Light:
    """Sun and sky; colors are intensities, 1 for a white surface that comes out white.

    Attributes:
        sun: unit vector (x, y, z) towards the sun.
        direct: color of the sunlight.
        ambient: color of the light from everywhere.
        zenith: color of the sky in the upper part of a picture.
        skyline: color of the sky, and of the haze, at the horizon.
        visibility: metres after which haze has swallowed two thirds of the contrast.
        clouds: share of the sky that clouds cover.
        lamps: 0 by day to 1 at night, how much the lit windows show.
    """

    sun: tuple[float, float, float]
    direct: Color
    ambient: Color
    zenith: Color
    skyline: Color
    visibility: float
    clouds: float
    lamps: float = 0.0

    def shade(self, colors: Floats, normals: Floats, glow: Floats | None = None) -> Floats:
        """Return the colors (n, 3) in which surfaces appear.

        Args:
            colors: (n, 3) reflectances.
            normals: (n, 3) unit vectors.
            glow: (n,) share of light the surfaces emit when the lamps are on.
        """
        facing = np.maximum(normals @ np.array(self.sun), 0.0)[:, None]
        # Upright and upward faces see more sky than overhangs do.
        open_sky = 0.8 + 0.2 * normals[:, 2:]
        light = np.array(self.ambient) * open_sky + np.array(self.direct) * facing
        shaded: Floats = colors * light
        if glow is None or not self.lamps:
            return shaded
        share = (glow * self.lamps)[:, None]
        lit: Floats = shaded * (1 - share) + np.array(LAMP) * share
        return lit

    def haze(self, colors: Floats, depth: float) -> Floats:
        """Return the colors (n, 3) as seen through `depth` metres of air."""
        clear = float(np.exp(-max(depth, 0.0) / self.visibility))
        return colors * clear + np.array(self.skyline) * (1 - clear)

    def tone(self, depth: float, *, level: bool = False, shadow: bool = False) -> Tone:
        """Return what becomes of colors `depth` metres away, on something upright or level."""
        normal = np.array([[0.0, 0.0, 1.0]] if level else [[0.0, -0.8, 0.6]])
        light = replace(self, direct=(0.0, 0.0, 0.0)) if shadow else self
        white = light.haze(light.shade(np.ones((1, 3)), normal), depth)[0]
        black = light.haze(np.zeros((1, 3)), depth)[0]
        return Tone(tuple((white - black).tolist()), tuple(black.tolist()))

    def on_landmark(self, bearing: float) -> Light:
        """Return the light on a building: at night a floodlight shines on the side one sees.

        Args:
            bearing: radians clockwise from +y, the direction from the building to the camera.
        """
        if self.lamps < 0.5:
            return self
        # A little aside of the camera: light from straight ahead shows no relief.
        beam = (0.85 * np.sin(bearing + 0.6), 0.85 * np.cos(bearing + 0.6), 0.53)
        return replace(self, sun=beam, direct=FLOODLIGHT)


@dataclass(frozen=True)
class Tone:
    """How light and air change colors: they are multiplied by `gain`, then `veil` is added."""

    gain: tuple[float, ...]
    veil: tuple[float, ...]

    def fill(self, color: Color) -> tuple[int, ...]:
        """Return a reflectance as an 8 bit color for Pillow."""
        channels = zip(color, self.gain, self.veil, strict=True)
        return tuple(max(0, min(255, int(255 * (part * gain + veil)))) for part, gain, veil in channels)


@dataclass(frozen=True)
class Weather:
    """A kind of light: its share of photos, the sun's height in degrees, the colors of `Light`."""

    share: float
    heights: tuple[float, float]
    direct: Color
    ambient: Color
    zenith: Color
    skyline: Color
    clouds: float
    lamps: float = 0.0


#: The kinds of weather by name.
WEATHERS: dict[str, Weather] = {
    "clear": Weather(
        share=0.46,
        heights=(28, 62),
        direct=(0.86, 0.80, 0.70),
        ambient=(0.42, 0.45, 0.50),
        zenith=(0.25, 0.46, 0.76),
        skyline=(0.74, 0.84, 0.92),
        clouds=0.25,
    ),
    "overcast": Weather(
        share=0.15,
        heights=(35, 60),
        direct=(0.14, 0.14, 0.14),
        ambient=(0.70, 0.72, 0.75),
        zenith=(0.66, 0.70, 0.74),
        skyline=(0.86, 0.87, 0.88),
        clouds=0.9,
    ),
    "hazy": Weather(
        share=0.08,
        heights=(25, 45),
        direct=(0.55, 0.50, 0.40),
        ambient=(0.46, 0.46, 0.47),
        zenith=(0.52, 0.64, 0.76),
        skyline=(0.90, 0.86, 0.78),
        clouds=0.55,
    ),
    "sunset": Weather(
        share=0.09,
        heights=(8, 18),
        direct=(0.85, 0.50, 0.26),
        ambient=(0.36, 0.32, 0.40),
        zenith=(0.32, 0.34, 0.56),
        skyline=(0.98, 0.66, 0.42),
        clouds=0.5,
        lamps=0.25,
    ),
    "dusk": Weather(
        share=0.06,
        heights=(4, 12),
        direct=(0.35, 0.22, 0.20),
        ambient=(0.28, 0.24, 0.36),
        zenith=(0.30, 0.26, 0.52),
        skyline=(0.90, 0.55, 0.62),
        clouds=0.5,
        lamps=0.6,
    ),
    "blue_hour": Weather(
        share=0.04,
        heights=(20, 50),
        direct=(0.20, 0.18, 0.18),
        ambient=(0.26, 0.30, 0.46),
        zenith=(0.10, 0.20, 0.50),
        skyline=(0.42, 0.52, 0.78),
        clouds=0.3,
        lamps=0.95,
    ),
    "storm": Weather(
        share=0.05,
        heights=(20, 40),
        direct=(0.55, 0.50, 0.42),
        ambient=(0.36, 0.38, 0.42),
        zenith=(0.24, 0.27, 0.33),
        skyline=(0.52, 0.55, 0.60),
        clouds=0.8,
    ),
    "night": Weather(
        share=0.07,
        heights=(20, 50),
        direct=(0.20, 0.18, 0.16),
        ambient=(0.26, 0.27, 0.40),
        zenith=(0.06, 0.08, 0.20),
        skyline=(0.22, 0.24, 0.42),
        clouds=0.3,
        lamps=0.95,
    ),
}


def draw_light(rng: np.random.Generator) -> Light:
    """Draw a weather and the place of the sun."""
    kinds = list(WEATHERS.values())
    weather = kinds[rng.choice(len(kinds), p=[kind.share for kind in kinds])]
    height = np.radians(rng.uniform(*weather.heights))
    # Mostly from behind who looks at the front: few take pictures against the sun.
    bearing = rng.normal(np.pi, 1.1)
    sun = (
        float(np.sin(bearing) * np.cos(height)),
        float(np.cos(bearing) * np.cos(height)),
        float(np.sin(height)),
    )
    # Some nights are darker than others.
    dark = float(rng.uniform(0.25, 1.1)) if weather.lamps > 0.5 else 1.0
    return Light(
        sun=sun,
        direct=weather.direct,
        ambient=tint(weather.ambient, dark),
        zenith=tint(weather.zenith, dark),
        skyline=tint(weather.skyline, dark),
        visibility=float(np.exp(rng.uniform(np.log(300), np.log(5000)))),
        clouds=float(np.clip(rng.normal(weather.clouds, 0.2), 0, 1)),
        lamps=weather.lamps,
    )
