"""Ctrl-C and SIGTERM: a training saves its place, and then the signal does what it does elsewhere."""

from __future__ import annotations

import os
import signal
import sys
import time
from contextlib import ExitStack, suppress
from types import FrameType, TracebackType
from typing import Any

from landmarkzoo.finetuning.checkpoints import handled_signals

_REPEATED = 1.0  # seconds: shells, containers and impatient people send a signal twice


class StopSignals:
    """A block in which a signal is a ``KeyboardInterrupt``, or waits until the training has saved its place.

    Outside of the main thread, where Python has no signals, and for signals that are ignored, it does
    nothing. At the end of the block the handlers of before are there again, and get the signal that came: a
    process without a handler of its own is ended by SIGTERM.

    Attributes:
        came: The signal that came; 0 for none.
        waits: Whether the training looks at ``came`` by itself.
    """

    def __init__(self) -> None:
        self.came = 0
        self.waits = False
        self._time = 0.0
        self._pid = os.getpid()
        self._before: dict[int, Any] = {}
        self._stack = ExitStack()

    def __enter__(self) -> StopSignals:
        self._before = self._stack.enter_context(handled_signals(self._handle))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()
        if self.came and self._before[self.came] is not signal.default_int_handler:
            for stream in (sys.stdout, sys.stderr):
                with suppress(OSError, ValueError, AttributeError):  # closed, or none
                    stream.flush()
            signal.raise_signal(self.came)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if os.getpid() != self._pid:  # a process that reads photos, which this one ends
            if number != signal.SIGINT:
                os._exit(128 + number)
            return
        now = time.monotonic()
        if self.came and now - self._time < _REPEATED:
            return
        again, self.came, self._time = bool(self.came), number, now
        if again or not self.waits:
            raise KeyboardInterrupt
