"""ICC profiles, written by hand, and what they mean, computed with NumPy alone."""

import struct
from itertools import product

import numpy as np

D50 = (0.9642, 1.0, 0.8249)
# Columns: red, green and blue in XYZ, adapted to D50.
SRGB = np.array([[0.4360, 0.3851, 0.1431], [0.2225, 0.7169, 0.0606], [0.0139, 0.0971, 0.7139]])
DISPLAY_P3 = np.array([[0.5151, 0.2920, 0.1571], [0.2412, 0.6922, 0.0666], [-0.0011, 0.0419, 0.7841]])
ADOBE_RGB = np.array([[0.6097, 0.2053, 0.1492], [0.3111, 0.6257, 0.0632], [0.0195, 0.0609, 0.7446]])
PROPHOTO = np.array([[0.7977, 0.1352, 0.0313], [0.2880, 0.7119, 0.0001], [0.0, 0.0, 0.8249]])
SRGB_CURVE = (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)


def profile(kind: str, space: str, tags: dict[str, bytes], connection: str = "XYZ ") -> bytes:
    """A profile of version 2.4, or 4.3 if a curve is parametric."""
    table, body = struct.pack(">I", len(tags)), b""
    start = 128 + 4 + 12 * len(tags)
    for name, content in tags.items():
        table += struct.pack(">4sII", name.encode(), start + len(body), len(content))
        body += content + b"\0" * (-len(content) % 4)
    version = 0x04300000 if any(content.startswith(b"para") for content in tags.values()) else 0x02400000
    names = [name.encode() for name in (kind, space, connection)]
    head = struct.pack(">I4xI4s4s4s", start + len(body), version, *names)
    head += struct.pack(">6H4s28x3I", 2026, 1, 1, 0, 0, 0, b"acsp", *(round(value * 65536) for value in D50))
    return head.ljust(128, b"\0") + table + body


def xyz(values) -> bytes:
    return b"XYZ \0\0\0\0" + struct.pack(">3i", *(round(value * 65536) for value in values))


def curve(gamma) -> bytes:
    """A power, or the five numbers of a parametric curve with a straight part, as sRGB's."""
    if isinstance(gamma, tuple):
        return b"para\0\0\0\0" + struct.pack(">HH5i", 3, 0, *(round(value * 65536) for value in gamma))
    return b"curv\0\0\0\0" + struct.pack(">IH", 1, round(gamma * 256))


def rgb_profile(primaries, gamma) -> bytes:
    tags = {f"{c}XYZ": xyz(primaries[:, row]) for row, c in enumerate("rgb")}
    tags |= {f"{c}TRC": curve(gamma) for c in "rgb"}
    return profile("mntr", "RGB ", {"wtpt": xyz(D50), **tags})


def gray_profile(gamma) -> bytes:
    return profile("mntr", "GRAY", {"wtpt": xyz(D50), "kTRC": curve(gamma)})


def press_reflectance(cmyk: np.ndarray) -> np.ndarray:
    """Linear sRGB (..., 3) of inks (..., 4) in [0, 1] of an invented press, which Pillow's formula misses."""
    cyan, magenta, yellow, black = np.moveaxis(cmyk, -1, 0)
    inks = [(1, 0.35, 0.1), (0.1, 1, 0.25), (0, 0.05, 1)]
    light = np.ones((*cmyk.shape[:-1], 3))
    for amount, absorbed in zip((cyan, magenta, yellow), inks, strict=True):
        light *= 1 - amount[..., None] * np.array(absorbed)
    return light * (1 - black[..., None]) ** 1.5


def press_profile(steps: int = 9) -> bytes:
    """A CMYK profile with a table of CIELAB, as those of presses are."""
    nodes = np.array(list(product(np.linspace(0, 1, steps), repeat=4)))
    lab = lab_of(press_reflectance(nodes) @ SRGB.T)
    table = np.clip(np.round(lab * [2.55, 1, 1] + [0, 128, 128]), 0, 255).astype(np.uint8)
    matrix = struct.pack(">9i", *(65536 * np.eye(3, dtype=int)).ravel())
    identity = bytes(range(256))
    content = b"mft1\0\0\0\0" + bytes([4, 3, steps, 0]) + matrix
    content += identity * 4 + table.tobytes() + identity * 3
    return profile("prtr", "CMYK", {"wtpt": xyz(D50), "A2B0": content}, "Lab ")


def lab_of(values: np.ndarray) -> np.ndarray:
    ratio = values / np.array(D50)
    root = np.where(ratio > (6 / 29) ** 3, np.cbrt(ratio), ratio / (3 * (6 / 29) ** 2) + 4 / 29)
    x, y, z = np.moveaxis(root, -1, 0)
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=-1)


def linear(values: np.ndarray, gamma) -> np.ndarray:
    if not isinstance(gamma, tuple):
        return values**gamma
    power, a, b, slope, start = gamma
    return np.where(values >= start, (a * values + b) ** power, slope * values)


def srgb_of_linear(light: np.ndarray) -> np.ndarray:
    light = np.clip(light, 0, 1)
    return 255 * np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)


def srgb_of(pixels: np.ndarray, primaries, gamma) -> np.ndarray:
    """8-bit RGB (..., 3) of a space with these primaries and curve, as 8-bit sRGB."""
    light = linear(pixels / 255, gamma) @ (np.linalg.inv(SRGB) @ primaries).T
    return srgb_of_linear(light)


def in_space(pixels: np.ndarray, primaries, gamma: float) -> np.ndarray:
    """8-bit sRGB as 8-bit RGB of a wide space, as a camera would save it."""
    light = linear(pixels / 255, SRGB_CURVE) @ (np.linalg.inv(primaries) @ SRGB).T
    return np.round(255 * np.clip(light, 0, 1) ** (1 / gamma)).astype(np.uint8)
