"""Colors as they are meant: from the ICC profile of a photo to sRGB."""

from __future__ import annotations

from functools import lru_cache
from io import BytesIO
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

if TYPE_CHECKING:
    from PIL.ImageCms import ImageCmsTransform

_SPACES = {"RGB": "RGB", "L": "GRAY", "CMYK": "CMYK"}  # mode of an image -> color space of its profile
_SAME = 2  # of 255: profiles that call themselves sRGB differ by so much in their rounding


def rgb_of(image: Image.Image, profile: object) -> Image.Image:
    """An image without transparency as RGB: sRGB if its profile fits, or else as Pillow converts it.

    Args:
        image: An image with 8 bits a channel.
        profile: Content of its ICC profile, or ``None``.
    """
    if isinstance(profile, bytes) and image.mode != "LAB":
        if image.mode not in _SPACES:
            image = image.convert("L" if image.mode == "1" else "RGB")
        transform = _to_srgb(profile, image.mode)
        if transform is not None:
            return transform.apply(image)
    return image.convert("RGB")


@lru_cache(maxsize=64)  # building a transform takes longer than decoding a small photo
def _to_srgb(profile: bytes, mode: str) -> ImageCmsTransform | None:
    """Transform from a profile to sRGB; ``None`` if there is nothing to do, or nothing can be done."""
    from PIL import ImageCms  # only where there is a profile: Pillow may be built without LittleCMS

    try:
        source = ImageCms.ImageCmsProfile(BytesIO(profile))
        if source.profile.xcolor_space.strip() != _SPACES[mode]:
            return None
        transform = ImageCms.ImageCmsTransform(
            source,
            ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")),
            mode,
            "RGB",
            ImageCms.Intent.RELATIVE_COLORIMETRIC,  # what both spaces have keeps its color, white stays white
            flags=ImageCms.Flags.BLACKPOINTCOMPENSATION
            # the curves apart from the table of colors, which is too coarse for gray that is linear
            | ImageCms.Flags.CLUT_PRE_LINEARIZATION
            | ImageCms.Flags.CLUT_POST_LINEARIZATION,
        )
        colors = _sample(mode)
        changed = np.asarray(transform.apply(colors)).astype(int)
    except Exception:  # unreadable, or no profile of an input: as if it were not there
        return None
    is_srgb = np.abs(changed - np.asarray(colors.convert("RGB"))).max() <= _SAME
    return None if mode != "CMYK" and is_srgb else transform


def _sample(mode: str) -> Image.Image:
    """Colors that tell one profile from another: a grid over all channels."""
    steps = np.linspace(0, 255, 16).astype(np.uint8)
    channels = np.meshgrid(*[steps] * len(mode))
    return Image.merge(mode, [Image.fromarray(channel.reshape(16, -1)) for channel in channels])
