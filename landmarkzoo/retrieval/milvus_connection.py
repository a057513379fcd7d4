"""The connection to Milvus: a folder of milvus-lite in this process, or a server; its errors in one line."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import RLock
from typing import Any
from weakref import WeakSet

from landmarkzoo._utils.user_paths import user_path

_CONNECTING = 5.0  # seconds until a server counts as unreachable
_NEVER = 2**31 - 1  # milliseconds
_PACKAGES = "lz.Milvus needs pymilvus and milvus-lite: pip install 'landmarkzoo[milvus]'"


class MilvusConnection:
    """A client of pymilvus, made when it is first needed; any number of threads may use it.

    Args:
        uri: Address of a server, or a path that ends in ``.db``.
        token: ``"user:password"`` or a key, where the server wants one.
        timeout: Seconds that one request may take.
    """

    def __init__(self, uri: str | Path, token: str | None, timeout: float) -> None:
        self.uri, self.token, self.timeout = str(uri), token, timeout
        self.path: Path | None = None
        if "://" not in self.uri:
            self.path = user_path(uri).absolute()
            if self.path.suffix != ".db":
                raise ValueError(
                    "uri must be a path that ends in .db, for milvus-lite, or the address of a server such "
                    f"as 'http://localhost:19530', got {self.uri!r}"
                )
        self._client: Any = None
        self._lock = RLock()
        # Held while a collection is made or changed: milvus-lite lets two threads make one at once.
        self.changing = RLock() if self.path is None else _CHANGING.setdefault(str(self.path), RLock())

    def __repr__(self) -> str:
        return self.uri

    @property
    def client(self) -> Any:
        """The ``MilvusClient``, connected.

        Raises:
            ConnectionError: If there is no answer within five seconds.
            FileNotFoundError: If the folder of the ``.db`` does not exist.
            ModuleNotFoundError: If pymilvus or milvus-lite is not installed.
            OSError: If the ``.db`` cannot be opened.
        """
        with self._lock:
            if self._client is None:
                self._client = self._connected()
            return self._client

    def close(self) -> None:
        """Let go of it; a ``.db`` can be opened by other processes, once nobody here has it open."""
        with self._lock, _LOCK:
            client, self._client = self._client, None
            if client is None:
                return
            client.close()
            if self.path is not None:
                users = _USERS[str(self.path)]
                users.discard(self)
                if not users:
                    _release(self.path)

    @contextmanager
    def errors(self, doing: str) -> Iterator[None]:
        """What pymilvus raises becomes one line that says what failed and where.

        Args:
            doing: What is asked for, such as ``"search"``.

        Raises:
            ConnectionError: If there is no answer in time.
            RuntimeError: If Milvus refuses.
        """
        import grpc
        from pymilvus import MilvusException

        try:
            yield
        except (MilvusException, grpc.RpcError) as error:
            code = error.code() if callable(error.code) else error.code
            text = str(getattr(error, "message", None) or error).strip().partition("\n")[0]
            silent = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED)
            if code in silent or "Retry timeout" in text or "connect" in text.lower():
                raise ConnectionError(
                    f"Milvus at {self.uri} did not answer within {self.timeout:g} s ({doing}): is it running "
                    "and reachable? What was added before is there; the same call goes on"
                ) from error
            raise RuntimeError(f"Milvus at {self.uri} refused ({doing}): {text}") from error

    def _connected(self) -> Any:
        if self.path is not None and not self.path.parent.is_dir():
            raise FileNotFoundError(f"there is no folder {self.path.parent} for {self.path.name}")
        pymilvus = _import_pymilvus(local=self.path is not None)
        # pymilvus asks a server every ten seconds whether it is there; that of milvus-lite hangs up on this.
        options = {} if self.path is None else {"grpc_options": {"grpc.keepalive_time_ms": _NEVER}}
        with _LOCK:
            try:
                client = pymilvus.MilvusClient(
                    str(self.path or self.uri),
                    token=self.token or "",
                    timeout=min(_CONNECTING, self.timeout),
                    **options,
                )
            except pymilvus.MilvusException as error:
                if self.path is not None:
                    raise OSError(
                        f"cannot open {self.path} with milvus-lite: another process has it open, or it is "
                        "something else. For many processes take a server"
                    ) from error
                reason = str(error.message).partition("\n")[0]
                raise ConnectionError(f"cannot connect to Milvus at {self.uri}: {reason}") from error
            if self.path is not None:
                _USERS.setdefault(str(self.path), WeakSet()).add(self)
        return client


_USERS: dict[str, WeakSet[MilvusConnection]] = {}  # who in this process has a .db open
_CHANGING: dict[str, RLock] = {}
_LOCK = RLock()


def _import_pymilvus(local: bool) -> Any:
    first = "pymilvus" not in sys.modules
    try:
        import pymilvus

        if local:
            import milvus_lite.server_manager  # noqa: F401
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(_PACKAGES) from error
    if first:  # they print pages about each error, which is raised as well
        for name in ("pymilvus", "pymilvus.milvus_client", "milvus_lite"):
            logging.getLogger(name).setLevel(logging.CRITICAL)
    return pymilvus


def _release(path: Path) -> None:
    from milvus_lite.server_manager import server_manager_instance

    server_manager_instance.release_server(str(path))
