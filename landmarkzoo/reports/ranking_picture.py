"""Rankings as a picture: each query in blue with its best results, right ones in green, wrong ones in red."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image, ImageDraw, ImageFont, ImageOps

_TILE, _FRAME, _GAP, _TEXT = 148, 6, 10, 17
_LINES = 2  # of a caption
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
    cell, line = _TILE + 2 * _FRAME + _GAP, _TILE + 2 * _FRAME + _LINES * _TEXT + _GAP
    top = 2 * _TEXT + 3 * _GAP
    picture = Image.new("RGB", (columns * cell + 3 * _GAP, len(rows) * line + top), _PAPER)
    draw = ImageDraw.Draw(picture)
    font = ImageFont.load_default(size=13)
    draw.text((_GAP, _GAP), heading, fill=_INK, font=ImageFont.load_default(size=16))
    _draw_legend(draw, font)
    for number, row in enumerate(rows):
        tiles = [(row.query, row.title, _BLUE)]
        tiles += [(photo, text, _GREEN if right else _RED) for photo, text, right in row.results]
        for column, (photo, text, color) in enumerate(tiles):
            corner = (_GAP + column * cell + (2 * _GAP if column else 0), top + number * line)
            picture.paste(_framed(photo, color), corner)
            caption = "\n".join(_in_lines(text, font, _TILE + 2 * _FRAME))
            below = (corner[0], corner[1] + _TILE + 2 * _FRAME + 2)
            draw.multiline_text(below, caption, fill=color, font=font, spacing=2)
    return picture


def _draw_legend(draw: ImageDraw.ImageDraw, font: ImageFont.FreeTypeFont | ImageFont.ImageFont) -> None:
    left, top = float(_GAP), _TEXT + 2 * _GAP
    for color, meaning in ((_BLUE, "query"), (_GREEN, "right"), (_RED, "wrong")):
        draw.rectangle((left, top + 2, left + 11, top + 13), fill=color)
        draw.text((left + 17, top), meaning, fill=_INK, font=font)
        left += 17 + font.getlength(meaning) + 2 * _GAP


def _framed(photo: Image.Image, color: tuple[int, int, int]) -> Image.Image:
    tile = ImageOps.pad(photo.convert("RGB"), (_TILE, _TILE), color=_PAPER)
    return ImageOps.expand(tile, border=_FRAME, fill=color)


def _in_lines(
    text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, width: int, lines: int = _LINES
) -> list[str]:
    """Text broken after spaces and underscores, or where it must be; only what is longer still is cut."""
    if font.getlength(text) <= width:
        return [text]
    if lines == 1:
        while text and font.getlength(text + "...") > width:
            text = text[:-1]
        return [text + "..."]
    end = len(text)
    while end > 1 and font.getlength(text[:end].rstrip()) > width:
        end -= 1
    at = max(text.rfind(mark, 0, end) for mark in " _-/")
    end = at + 1 if at > end // 2 else end
    return [text[:end].rstrip(), *_in_lines(text[end:].lstrip(), font, width, lines - 1)]
