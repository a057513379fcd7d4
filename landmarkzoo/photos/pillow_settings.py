"""Pillow's settings, which hold for one process, in all processes that read photos."""

from __future__ import annotations

import multiprocessing
import pickle
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from PIL import Image, ImageFile

from landmarkzoo._utils.user_warnings import warn_user


def allow_pixels(pixels: int | None) -> None:
    """Let photos have so many pixels, in this process and the worker processes of ``landmarkzoo``.

    The same as ``PIL.Image.MAX_IMAGE_PIXELS = pixels``. Pillow refuses photos of more than twice its limit,
    as a small file can hold an image that fills the memory.

    Args:
        pixels: Width times height; ``None``: no limit.

    Raises:
        ValueError: If it is not positive.

    Examples:
        >>> lz.photos.allow_pixels(12_000 * 20_000)
        >>> lz.photos.allow_pixels(89_478_485)  # Pillow's own limit
    """
    if pixels is not None and pixels < 1:
        raise ValueError(f"the largest number of pixels must be positive, or None for no limit, got {pixels}")
    Image.MAX_IMAGE_PIXELS = pixels


class SettingsForWorkers:
    """Brings Pillow's settings to a worker process: what holds one of these is pickled on its way there."""

    def __reduce__(self) -> tuple[Callable[..., SettingsForWorkers], tuple[_Settings]]:
        return _arrived, (_Settings.of_this_process(),)


def _arrived(settings: _Settings) -> SettingsForWorkers:
    # In the main process somebody reads a pickled file. It is told by its name: parent_process() is not set
    # yet in a worker that is starting.
    if multiprocessing.current_process().name != "MainProcess":
        settings.apply()
    return SettingsForWorkers()


@dataclass(frozen=True)
class _Settings:
    max_pixels: int | None
    load_truncated: bool
    openers: dict[str, Any]  # format -> what opens it; only those that are not Pillow's own
    extensions: dict[str, str]
    mime_types: dict[str, str]

    @staticmethod
    def of_this_process() -> _Settings:
        openers = {name: opener for name, opener in Image.OPEN.items() if not _is_pillows(opener[0])}
        for name, opener in list(openers.items()):
            try:
                pickle.dumps(opener)
            except Exception as error:
                warn_user(
                    f"worker processes do not read {name}, whose opener cannot be sent to them ({error}): "
                    "register functions of a module, or use num_workers=0"
                )
                del openers[name]
        return _Settings(
            Image.MAX_IMAGE_PIXELS,
            ImageFile.LOAD_TRUNCATED_IMAGES,
            openers,
            {suffix: name for suffix, name in Image.EXTENSION.items() if name in openers},
            {name: kind for name, kind in Image.MIME.items() if name in openers},
        )

    def apply(self) -> None:
        Image.MAX_IMAGE_PIXELS = self.max_pixels
        ImageFile.LOAD_TRUNCATED_IMAGES = self.load_truncated
        if self.openers:
            Image.init()  # Pillow's own first: one that replaces such a one comes later
        for name, opener in self.openers.items():
            Image.register_open(name, *opener)
        Image.EXTENSION.update(self.extensions)
        Image.MIME.update(self.mime_types)


def _is_pillows(factory: Any) -> bool:
    return str(getattr(factory, "__module__", "")).partition(".")[0] == "PIL"
