"""A pinhole camera."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

#: Metres before the camera under which nothing can be drawn.
NEAR = 0.2


@dataclass(frozen=True)
class Camera:
    """A pinhole camera over a world with x to the right, y ahead and z up.

    Attributes:
        position: x, y, z in metres.
        yaw: radians; 0 looks along +y, positive turns to the right (+x).
        pitch: radians; positive looks up.
        roll: radians; positive turns the camera clockwise, the picture anticlockwise.
        focal: focal length in pixels.
        width: width of the picture in pixels.
        height: height of the picture in pixels.
    """

    position: tuple[float, float, float]
    yaw: float
    pitch: float
    roll: float
    focal: float
    width: int
    height: int

    def axes(self) -> tuple[Floats, Floats, Floats]:
        """Return the unit vectors (right, up, forward) of the camera in the world, each (3,)."""
        sin, cos = np.sin, np.cos
        forward = np.array(
            [
                sin(self.yaw) * cos(self.pitch),
                cos(self.yaw) * cos(self.pitch),
                sin(self.pitch),
            ]
        )
        level = np.array([cos(self.yaw), -sin(self.yaw), 0.0])
        upright = np.array(
            [
                -sin(self.yaw) * sin(self.pitch),
                -cos(self.yaw) * sin(self.pitch),
                cos(self.pitch),
            ]
        )
        right = cos(self.roll) * level - sin(self.roll) * upright
        up = sin(self.roll) * level + cos(self.roll) * upright
        return right, up, forward

    def project(self, points: Floats) -> tuple[Floats, Floats]:
        """Project points of the world into the picture.

        Args:
            points: (n, 3) metres.

        Returns:
            Pixels (n, 2), x to the right and y down from the top left corner, and the depths (n,)
            in metres along the line of sight. Pixels of points nearer than `NEAR`, or behind the
            camera, mean nothing.
        """
        seen = (points - np.array(self.position)) @ np.stack(self.axes(), axis=1)
        depth = seen[:, 2]
        scale = self.focal / np.maximum(depth, NEAR)
        pixels = np.column_stack([self.width / 2 + seen[:, 0] * scale, self.height / 2 - seen[:, 1] * scale])
        return pixels, depth

    def horizon(self) -> Floats:
        """Return two pixels (2, 2) on the horizon, left and right of the picture."""
        headings = self.yaw + np.radians([-75.0, 75.0])
        far = np.column_stack([np.sin(headings), np.cos(headings), np.zeros(2)]) * 1e6
        pixels, _ = self.project(far + np.array(self.position))
        return pixels


def look_at(
    position: tuple[float, float, float],
    target: tuple[float, float, float],
    *,
    roll: float = 0.0,
    focal: float,
    width: int,
    height: int,
) -> Camera:
    """Return a camera that has `target` in the middle of its picture.

    Args:
        position: x, y, z of the camera in metres.
        target: x, y, z in metres.
        roll: radians.
        focal: focal length in pixels.
        width: pixels.
        height: pixels.

    Raises:
        ValueError: If the target is where the camera is.
    """
    x, y, z = (there - here for there, here in zip(target, position, strict=True))
    if x == y == z == 0:
        raise ValueError(f"target must differ from the camera's position, both are {target}")
    return Camera(
        position=position,
        yaw=float(np.arctan2(x, y)),
        pitch=float(np.arctan2(z, np.hypot(x, y))),
        roll=roll,
        focal=focal,
        width=width,
        height=height,
    )
