"""Crops of photos: boxes in pixels."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TypeAlias

from PIL import Image

Box: TypeAlias = tuple[float, float, float, float]


def check_boxes(boxes: Sequence[Sequence[float] | None], photos: int) -> list[Box | None]:
    """One box (x1, y1, x2, y2) a photo, or ``None`` for the whole of it.

    Raises:
        ValueError: If there are more or fewer boxes than photos, or one is not a box.
    """
    if len(boxes) != photos:
        raise ValueError(
            f"got {len(boxes)} boxes for {photos} photos: give one for each, None for a whole photo"
        )
    checked: list[Box | None] = []
    for row, box in enumerate(boxes):
        if box is None:
            checked.append(None)
            continue
        try:
            numbers = tuple(float(side) for side in box)
        except (TypeError, ValueError):
            numbers = ()
        if len(numbers) != 4 or not all(map(math.isfinite, numbers)):
            raise ValueError(f"box {row} must be (x1, y1, x2, y2) in pixels, got {box!r}")
        x1, y1, x2, y2 = numbers
        if x1 >= x2 or y1 >= y2:
            raise ValueError(
                f"box {row} is empty: (x1, y1, x2, y2) must have x1 < x2 and y1 < y2, got {box!r}"
            )
        checked.append((x1, y1, x2, y2))
    return checked


def crop(photo: Image.Image, box: Box) -> Image.Image:
    """The part of a photo in a box, rounded to whole pixels and cut at the photo's edges.

    Raises:
        ValueError: If the box lies outside of the photo.

    Examples:
        >>> crop(Image.new("RGB", (100, 80)), (9.6, 20, 300, 60)).size
        (90, 40)
    """
    x1, y1, x2, y2 = (round(side) for side in box)
    x1, y1, x2, y2 = max(x1, 0), max(y1, 0), min(x2, photo.width), min(y2, photo.height)
    if x1 >= x2 or y1 >= y2:
        raise ValueError(f"the box {box} lies outside of the photo, which is {photo.width} x {photo.height}")
    return photo.crop((x1, y1, x2, y2))
