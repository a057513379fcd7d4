"""Ctrl-C, SIGTERM and SIGHUP: an orderly stop at any moment of a command."""

from __future__ import annotations

import os
import signal
import threading
import time
from types import FrameType

from landmarkzoo.cli.stderr_lines import say

_REPEATED = 1.0  # seconds: shells, containers and impatient people send a signal twice


class OrderlyStop:
    """Turns signals into a ``KeyboardInterrupt``, so that a job keeps what it has done.

    A second signal within a second is ignored, as it would interrupt the saving. Before and after the work
    there is nothing to save, and the process ends at once. Processes that read photos ignore Ctrl-C: this one
    ends them.

    Attributes:
        nothing_to_keep: Whether a signal ends the process at once.
        came: The signal that came, 0 for none.
    """

    def __init__(self) -> None:
        self.nothing_to_keep = True
        self.came = 0
        self._time = 0.0
        self._finished: int | None = None
        self._handled: list[int] = []
        self._pid = os.getpid()

    def install(self) -> None:
        """Handle the signals of this process that nobody else handles or ignores."""
        if threading.current_thread() is not threading.main_thread():
            return
        for name in ("SIGINT", "SIGTERM", "SIGHUP"):
            number = getattr(signal, name, None)  # Windows has no SIGHUP
            if number and signal.getsignal(number) in (signal.SIG_DFL, signal.default_int_handler):
                signal.signal(number, self._handle)
                self._handled.append(number)

    def finish(self, code: int) -> None:
        """From now on a signal ends the process, silently and with this exit code."""
        self._finished = code
        if self.came:  # Python's end takes the handlers away: a second signal would change the exit code
            for number in self._handled:
                signal.signal(number, signal.SIG_IGN)

    @property
    def code(self) -> int:
        """Exit code: 130 for Ctrl-C."""
        return 128 + (self.came or signal.SIGINT)

    @property
    def line(self) -> str:
        """What the user is told."""
        interrupted = self.code == 128 + signal.SIGINT
        return "landmarkzoo: interrupted" if interrupted else "landmarkzoo: terminated"

    def _handle(self, number: int, _: FrameType | None) -> None:
        if os.getpid() != self._pid:  # a process that reads photos
            if number != signal.SIGINT:
                os._exit(128 + number)
            return
        if self._finished is not None:
            os._exit(self._finished)
        now = time.monotonic()
        if self.came and now - self._time < _REPEATED:
            return
        self.came, self._time = number, now
        if self.nothing_to_keep:  # within an import the exception could be lost
            say(self.line)
            os._exit(self.code)
        raise KeyboardInterrupt
