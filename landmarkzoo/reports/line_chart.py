"""A curve as an SVG inside of a page: axes with numbers, and points that say their values. No script."""

from __future__ import annotations

import html
import math
from collections.abc import Sequence

CHART_STYLE = """
.chart { max-width: 480px; } .chart svg { width: 100%; height: auto; display: block; }
.chart text { font-size: 12px; fill: var(--ink); } .chart .grid { stroke: #8884; }
.chart .curve { fill: none; stroke: var(--curve); stroke-width: 2; } .chart circle { fill: var(--curve); }
:root { --curve: #3464be; } @media (prefers-color-scheme: dark) { :root { --curve: #82aaff; } }
"""
_WIDTH, _HEIGHT = 360, 220
_LEFT, _RIGHT, _TOP, _BOTTOM = 52, 12, 14, 40  # around the area of the curve
_CROWDED = 40  # points; more are drawn small


def ticks(low: float, high: float, most: int = 5) -> list[float]:
    """Round numbers, at least two, that enclose a range.

    Args:
        low: Its lower end.
        high: Its upper end.
        most: About how many numbers.

    Examples:
        >>> ticks(0.548, 0.642)
        [0.54, 0.56, 0.58, 0.6, 0.62, 0.64, 0.66]
        >>> ticks(1, 12)
        [0.0, 5.0, 10.0, 15.0]
    """
    if high <= low:
        low, high = low - (abs(low) or 1) / 10, low + (abs(low) or 1) / 10
    raw = (high - low) / most
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(nice * power for nice in (1, 2, 5, 10) if nice * power >= raw * (1 - 1e-9))
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [float(f"{number * step:.12g}") for number in range(first, last + 1)]


def chart_svg(name: str, x: Sequence[int], y: Sequence[float | None], x_name: str = "epoch") -> str:
    """A curve as an SVG element; all texts are escaped.

    Args:
        name: What the curve is of.
        x: Whole numbers, ascending.
        y: Values; the curve has a gap where one is ``None`` or not finite.
        x_name: What the whole numbers are.

    Examples:
        >>> svg = chart_svg("loss", [1, 2, 3], [2.5, 1.25, None])
        >>> svg.count("<circle"), "epoch 2: 1.25" in svg
        (2, True)
    """
    points = [(a, b) for a, b in zip(x, y) if b is not None and math.isfinite(b)]
    values = [b for _, b in points]
    y_ticks = ticks(min(values, default=0), max(values, default=1))
    first, last = (min(x), max(x)) if x else (0, 1)
    area = _Area(first, max(last, first + 1), y_ticks[0], y_ticks[-1])
    title = html.escape(f"{name} by {x_name}")
    parts = [f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img"><title>{title}</title>']
    for value in y_ticks:
        height = area.down(value)
        ends = f'x1="{area.left}" x2="{area.right}" y1="{height:.1f}" y2="{height:.1f}"'
        parts.append(f'<line class="grid" {ends}/>')
        parts.append(_text(area.left - 6, height + 4, _short(value), "end"))
    for number in _whole_ticks(area.first, area.last):
        parts.append(_text(area.across(number), _HEIGHT - _BOTTOM + 16, str(number), "middle"))
    parts.append(_text((area.left + area.right) / 2, _HEIGHT - 6, x_name, "middle"))
    for run in _runs(x, y):
        corners = " ".join(f"{area.across(a):.1f},{area.down(b):.1f}" for a, b in run)
        parts.append(f'<polyline class="curve" points="{corners}"/>')
    radius = 3 if len(points) <= _CROWDED else 1
    for a, b in points:
        said = html.escape(f"{x_name} {a}: {b:.4g}")
        place = f'cx="{area.across(a):.1f}" cy="{area.down(b):.1f}"'
        parts.append(f'<circle {place} r="{radius}"><title>{said}</title></circle>')
    return "".join([*parts, "</svg>"])


class _Area:
    """Where numbers lie in the picture."""

    left, right = _LEFT, _WIDTH - _RIGHT

    def __init__(self, first: int, last: int, low: float, high: float) -> None:
        self.first, self.last, self.low, self.high = first, last, low, high

    def across(self, number: float) -> float:
        return self.left + (self.right - self.left) * (number - self.first) / (self.last - self.first)

    def down(self, value: float) -> float:
        share = (value - self.low) / (self.high - self.low)
        return _HEIGHT - _BOTTOM - (_HEIGHT - _BOTTOM - _TOP) * share


def _short(value: float) -> str:
    """A round number in the seven characters that there is room for: 0.00025 is 2.5e-4."""
    text = f"{value:g}"
    if len(text) > 6 or "e" in text or 0 < abs(value) < 1e-3:
        mantissa, _, exponent = f"{value:.4e}".partition("e")
        text = f"{float(mantissa):g}e{int(exponent)}"
    return text


def _whole_ticks(first: int, last: int) -> list[int]:
    step = max(1, round(ticks(0, last - first, most=6)[1]))
    return [number for number in range(first, last + 1) if number % step == 0 or number == first]


def _runs(x: Sequence[int], y: Sequence[float | None]) -> list[list[tuple[int, float]]]:
    """The parts of the curve between its gaps."""
    runs: list[list[tuple[int, float]]] = [[]]
    for a, b in zip(x, y):
        if b is not None and math.isfinite(b):
            runs[-1].append((a, b))
        else:
            runs.append([])
    return [run for run in runs if len(run) > 1]


def _text(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{html.escape(text)}</text>'
