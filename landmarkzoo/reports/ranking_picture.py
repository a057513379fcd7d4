"""Rankings as a picture: each query with its best results, right ones framed green, wrong ones red."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image, ImageDraw, ImageFont, ImageOps

_TILE, _FRAME, _GAP, _TEXT = 148, 6, 10, 20
_BLUE, _GREEN, _RED = (52, 100, 190), (34, 150, 72), (205, 48, 48)
_INK, _PAPER = (30, 30, 34), (250, 250, 248)


@dataclass(frozen=True, eq=False)
class RankedPhotos:
    """One row of the picture.

    Attributes:
        query: The query photo.
        title: Text below the query photo.
        results: Its best results, best first: photo, caption, and whether it is right.
    """

    query: Image.Image
    title: str
    results: Sequence[tuple[Image.Image, str, bool]]


def draw_rankings(rows: Sequence[RankedPhotos], heading: str) -> Image.Image:
    """Draw rankings, a row a query: the query in blue, right results in green, wrong ones in red.

    Args:
        rows: The rankings.
        heading: Text above all rows.

    Raises:
        ValueError: If ``rows`` is empty.
    """
    if not rows:
        raise ValueError("there is nothing to draw: rows is empty")
    columns = 1 + max(len(row.results) for row in rows)
    cell, line = _TILE + 2 * _FRAME + _GAP, _TILE + 2 * _FRAME + _TEXT + _GAP
    size = (columns * cell + 3 * _GAP, len(rows) * line + _TEXT + 3 * _GAP)
    picture = Image.new("RGB", size, _PAPER)
    draw = ImageDraw.Draw(picture)
    font = ImageFont.load_default(size=13)
    draw.text((_GAP, _GAP), heading, fill=_INK, font=ImageFont.load_default(size=16))
    for number, row in enumerate(rows):
        top = number * line + _TEXT + 2 * _GAP
        tiles = [(row.query, row.title, _BLUE)]
        tiles += [(photo, text, _GREEN if right else _RED) for photo, text, right in row.results]
        for column, (photo, text, color) in enumerate(tiles):
            left = _GAP + column * cell + (2 * _GAP if column else 0)
            picture.paste(_framed(photo, color), (left, top))
            caption = _shorten(text, font, _TILE + 2 * _FRAME)
            draw.text((left, top + _TILE + 2 * _FRAME + 2), caption, fill=color, font=font)
    return picture


def _framed(photo: Image.Image, color: tuple[int, int, int]) -> Image.Image:
    tile = ImageOps.pad(photo.convert("RGB"), (_TILE, _TILE), color=_PAPER)
    return ImageOps.expand(tile, border=_FRAME, fill=color)


def _shorten(text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, width: int) -> str:
    if font.getlength(text) <= width:
        return text
    while text and font.getlength(text + "...") > width:
        text = text[:-1]
    return text + "..."
