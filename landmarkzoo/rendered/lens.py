"""What camera, phone, editor and collector do to a picture after the light has fallen in."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFilter

from landmarkzoo.photos.decoding import jpeg_round_trip

Float32s = npt.NDArray[np.float32]
_GREY = np.array([0.299, 0.587, 0.114], dtype=np.float32)


def _expose(rng: np.random.Generator, picture: Float32s) -> Float32s:
    """Return the picture (h, w, 3) with a white balance, exposure, contrast and saturation of its own."""
    height, width = picture.shape[:2]
    across, down = np.linspace(-1, 1, width), np.linspace(-1, 1, height)[:, None]
    vignette = (1 - rng.uniform(0, 0.18) * (across**2 + down**2)).astype(np.float32)
    balance = (rng.normal(1, 0.03, 3) * np.exp(rng.normal(0.0, 0.1))).astype(np.float32)
    warmth = np.float32(rng.normal(0, 0.04))
    balance *= np.array([1 + warmth, 1, 1 - warmth], dtype=np.float32)
    # Cameras expose for what lies in the middle, and not all the way.
    middle = picture[height // 4 :, width // 5 : -width // 5 or None]
    balance *= np.float32(np.clip((0.46 / max(float((middle @ _GREY).mean()), 0.01)) ** 0.65, 0.75, 1.6))
    exposed = np.clip(picture * balance * vignette[..., None], 0, 1.3)
    exposed = exposed ** np.float32(np.exp(rng.normal(0, 0.12)))
    steep = np.float32(np.exp(rng.normal(0.1, 0.14)))
    exposed = (exposed - 0.45) * steep + 0.45
    grey = (exposed @ _GREY)[..., None]
    style = rng.random()
    tint = np.array([1.07, 0.94, 0.74] if style < 0.02 else [1, 1, 1], dtype=np.float32)
    saturation = np.float32(0 if style < 0.05 else np.exp(rng.normal(0.1, 0.28)))
    return np.asarray((grey + (exposed - grey) * saturation) * tint, dtype=np.float32)


def _decorate(rng: np.random.Generator, picture: Image.Image) -> None:
    """Write a watermark or a date on it, or put a frame round it."""
    draw = ImageDraw.Draw(picture)
    width, height = picture.size
    style = rng.random()
    if style < 0.03:
        letters = "".join(chr(97 + int(n)) for n in rng.integers(0, 26, int(rng.integers(4, 14))))
        place = rng.uniform(0, 0.7) * width, float(rng.choice([0.03, 0.5, 0.9])) * height
        draw.text(place, letters, fill=(235, 235, 235), font_size=float(rng.uniform(0.03, 0.1) * height))
    elif style < 0.06:
        tone = int(rng.choice([0, 255, 255, 40]))
        draw.rectangle((0, 0, width - 1, height - 1), outline=(tone,) * 3, width=int(rng.integers(2, 10)))
    elif style < 0.075:
        bar = int(height * rng.uniform(0.04, 0.12))
        draw.rectangle((0, height - bar, width, height), fill=(int(rng.choice([0, 255])),) * 3)


def _store(rng: np.random.Generator, picture: Image.Image) -> Image.Image:
    """Return what is left after it was stored as JPEG, at times twice and smaller between."""
    if rng.random() < 0.25:
        share = rng.uniform(0.35, 0.8)
        small = (max(int(picture.width * share), 8), max(int(picture.height * share), 8))
        picture = picture.resize(small, Image.Resampling.BILINEAR).resize(
            picture.size, Image.Resampling.BICUBIC
        )
    return jpeg_round_trip(picture, int(rng.integers(35, 96)))


def develop(picture: Image.Image, size: tuple[int, int], rng: np.random.Generator) -> Image.Image:
    """Shrink a picture that was drawn too large and make a photo of it.

    Args:
        picture: RGB.
        size: width and height of the photo in pixels.
        rng: where exposure, colors, sharpness, grain, marks and JPEG quality come from.
    """
    small = picture.resize(size, Image.Resampling.BOX)
    light = np.asarray(small, dtype=np.float32) / np.float32(255)
    exposed = _expose(rng, light)
    grain = rng.standard_normal((*exposed.shape[:2], 1), dtype=np.float32)
    exposed = exposed + grain * np.float32(np.exp(rng.uniform(-6.5, -4.0)))
    photo = Image.fromarray((np.clip(exposed, 0, 1) * 255).astype(np.uint8))
    how = rng.random()
    if how < 0.12:
        photo = photo.filter(ImageFilter.GaussianBlur(float(rng.uniform(0.4, 1.3))))
    elif how < 0.45:
        photo = photo.filter(
            ImageFilter.UnsharpMask(float(rng.uniform(0.8, 3)), int(rng.integers(40, 160)), 2)
        )
    elif how < 0.55:  # local contrast, as of phones and "HDR"
        photo = photo.filter(
            ImageFilter.UnsharpMask(float(rng.uniform(10, 30)), int(rng.integers(30, 90)), 0)
        )
    _decorate(rng, photo)
    return _store(rng, photo)
