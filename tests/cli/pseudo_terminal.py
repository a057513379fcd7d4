"""A terminal for a command to write to."""

import os


def open_terminal():
    """File descriptors of a terminal of 24 rows and 80 columns: to read what is shown, and to write to."""
    import fcntl
    import pty
    import struct
    import termios

    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    return ours, theirs


def rest_of(terminal):
    """All that is shown until nobody writes any more."""
    shown = b""
    while True:
        try:
            read = os.read(terminal, 4096)
        except OSError:
            read = b""
        if not read:
            os.close(terminal)
            return shown.decode().replace("\r\n", "\n")
        shown += read
