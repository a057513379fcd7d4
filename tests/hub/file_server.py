"""A web server on 127.0.0.1 that gives files as servers of authors do, with their faults."""

from __future__ import annotations

import contextlib
import hashlib
import re
import socket
import struct
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple


@dataclass
class Served:
    """A file, and how it is given."""

    body: bytes = b""
    status: int = 200
    location: str | None = None
    marks: bool = True  # an ETag with each version
    weak: bool = False
    ranges: bool = True
    early: int = 0  # bytes that a range begins before the one that was asked for
    next_body: bytes | None = None  # replaces the file when a range is asked for
    length: bool = True
    cut_after: int | None = None  # bytes of an answer after which the connection is closed
    wait: float = 0.0  # seconds in the middle of an answer
    reset: bool = False  # the connection breaks where it is cut, as if a cable was pulled

    @property
    def etag(self) -> str:
        """Changes with the content."""
        return f'{"W/" if self.weak else ""}"{hashlib.sha256(self.body).hexdigest()[:16]}"'


class Asked(NamedTuple):
    """A request, and the status that was answered."""

    path: str
    range: str | None
    if_range: str | None
    status: int


@dataclass
class FileServer:
    """Files by their path; every request is written down with what it asks for."""

    url: str
    files: dict[str, Served] = field(default_factory=dict)
    requests: list[Asked] = field(default_factory=list)

    def serve(self, path: str, body: bytes = b"", **how: object) -> str:
        """Give a file from now on; its address."""
        self.files[path] = Served(body, **how)  # type: ignore[arg-type]
        return self.url + path


class _Handler(BaseHTTPRequestHandler):
    server_of: FileServer

    def do_GET(self) -> None:
        span, condition = self.headers.get("Range"), self.headers.get("If-Range")
        file = self.server_of.files.get(self.path, Served(status=404))
        asked = re.fullmatch(r"bytes=(\d+)-", span or "")
        begin = int(asked[1]) - file.early if asked and file.ranges and condition in (None, file.etag) else 0
        if asked and file.next_body is not None:
            file.body = file.next_body
        status = 416 if begin and begin >= len(file.body) else 206 if begin else file.status
        body = b"" if status == 416 else file.body[begin:]
        self.server_of.requests.append(Asked(self.path, span, condition, status))
        self.send_response(status)
        if file.location:
            self.send_header("Location", file.location)
        if file.marks:
            self.send_header("ETag", file.etag)
        if file.length:
            self.send_header("Content-Length", str(len(body)))
        if status == 206:
            self.send_header("Content-Range", f"bytes {begin}-{len(file.body) - 1}/{len(file.body)}")
        self.end_headers()
        with contextlib.suppress(OSError):  # a client that knows enough hangs up
            self.wfile.write(body[: len(body) // 2][: file.cut_after])
            time.sleep(file.wait)
            if file.reset:
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                self.connection.close()
            elif file.cut_after is None:
                self.wfile.write(body[len(body) // 2 :])

    def log_message(self, *args: object) -> None:
        """Quiet: requests are written down."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False


@contextlib.contextmanager
def file_server() -> Iterator[FileServer]:
    """A server until the block ends."""
    handler = type("_Handler", (_Handler,), {})
    server = _Server(("127.0.0.1", 0), handler)
    handler.server_of = FileServer(f"http://127.0.0.1:{server.server_address[1]}")  # type: ignore[attr-defined]
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        yield handler.server_of  # type: ignore[attr-defined]
    finally:
        server.shutdown()
        server.server_close()


@contextlib.contextmanager
def silent_server() -> Iterator[str]:
    """Takes connections and never says a word."""
    server = socket.create_server(("127.0.0.1", 0))
    open_ones: list[socket.socket] = []

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                open_ones.append(server.accept()[0])

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"
    finally:
        server.close()
        for connection in open_ones:
            connection.close()
