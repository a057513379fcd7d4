"""Warnings that point at the user's line, however deep in landmarkzoo they come from."""

from __future__ import annotations

import sys
import warnings


class LandmarkzooWarning(UserWarning):
    """A result that is right, but perhaps not what was meant."""


def warn_user(message: str) -> None:
    """Warn at the line that called landmarkzoo.

    Args:
        message: What is odd, and the way out.

    Examples:
        >>> import warnings
        >>> with warnings.catch_warnings(record=True) as caught:
        ...     warn_user("7 photos are few: use a thousand")
        >>> caught[0].category.__name__
        'LandmarkzooWarning'
    """
    frame, level = sys._getframe(1), 2
    while frame.f_back is not None and frame.f_globals.get("__name__", "").partition(".")[0] == "landmarkzoo":
        frame, level = frame.f_back, level + 1
    warnings.warn(message, LandmarkzooWarning, stacklevel=level)
