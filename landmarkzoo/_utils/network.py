"""A soon answer from a network that may not be there."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

_SECONDS = 4.0
_SETTING = "HF_HUB_ETAG_TIMEOUT"  # how long huggingface_hub waits for the same answer


def answer_soon(ask: Callable[[], T]) -> T:
    """What a request returns, if it does within 4 seconds, or those of ``HF_HUB_ETAG_TIMEOUT``.

    Timeouts of HTTP clients are not enough: they count for each address of a name anew, and not while the
    name is looked up. The request runs in a thread of its own, which is left alone when time is up.

    Args:
        ask: The request: a small one, without retries. A download takes as long as it takes.

    Raises:
        TimeoutError: If there is no answer in time.

    Examples:
        >>> answer_soon(lambda: 200)
        200
    """
    answers: list[T] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            answers.append(ask())
        except BaseException as error:
            errors.append(error)

    seconds = _patience()
    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(seconds)
    if errors:
        raise errors[0]
    if not answers:
        raise TimeoutError(f"no answer within {seconds:g} s; {_SETTING} sets how long is waited")
    return answers[0]


def _patience() -> float:
    try:
        return max(0.1, float(os.environ.get(_SETTING) or _SECONDS))
    except ValueError:
        return _SECONDS
