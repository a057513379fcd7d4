"""Files from addresses of their own, in torch.hub's cache: each comes once, and a changed one is refused.

Beside ``net.pth`` lies ``net.pth.source.json``: the address that it came from, and its SHA-256. A file of
that name that came from elsewhere stays, and ours becomes ``net.<digits of the address>.pth``.
"""

from __future__ import annotations

import hashlib
import json
import logging
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import torch

from landmarkzoo._utils.atomic_writing import atomic_write, made_folder, move_into_place
from landmarkzoo._utils.file_locks import beside, writer_in_turn
from landmarkzoo.hub.client import HubOptions, file_digest, or_offline
from landmarkzoo.hub.resumable_download import Address, download_part

_LOGGER = logging.getLogger(__name__)


@dataclass(frozen=True)
class Known:
    """What is known of a file.

    Attributes:
        sha256: Its hash in hexadecimal digits, or the first ones.
        size: Bytes.
    """

    sha256: str | None = None
    size: int | None = None

    def problem(self, size: int, sha256: str) -> str | None:
        """What is wrong with a file of this size and hash, if anything is.

        Examples:
            >>> Known("a155e54", 3).problem(3, "97bf9100")
            'its SHA-256 is 97bf9100..., and a155e54... was published'
        """
        if self.size is not None and size != self.size:
            return f"it has {size:,} bytes, and {self.size:,} were published"
        if self.sha256 is not None and not sha256.startswith(self.sha256):
            digits = len(self.sha256) + 4
            return f"its SHA-256 is {sha256[:digits]}..., and {self.sha256}... was published"
        return None


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal digits."""
    return file_digest(path, hashlib.sha256())


def say(line: str) -> None:
    """Print a line to stderr: what a user should know once, before or after a download."""
    with suppress(OSError, ValueError):  # nobody may listen
        print(line, file=sys.stderr, flush=True)


def cached_url(
    address: Address, known: Known, options: HubOptions, starting: Callable[[], None] = lambda: None
) -> Path:
    """The file of an address in the cache; downloaded if it is not there yet.

    Args:
        address: Where it is.
        known: What is known of it.
        options: ``cache_dir`` (``None``: that of torch.hub), ``local_files_only``, ``force_download``.
        starting: Called when the first download of it begins.

    Raises:
        ConnectionError: If there is no answer, or the connection was lost.
        FileNotFoundError: If there is no such file, or it is not cached and no request may be made.
        OSError: If it cannot be written.
        PermissionError: If the server refuses access.
        ValueError: If the file is damaged, or another one than was published or came first.
    """
    options = or_offline(options)
    folder = Path(options.cache_dir or Path(torch.hub.get_dir()) / "checkpoints").expanduser().absolute()
    plain = folder / Path(urlsplit(address.url).path).name
    found = None if options.force_download else _cached(plain, address, known)
    if found is not None:
        return found
    if options.local_files_only:
        raise FileNotFoundError(
            f"{address.where} is not cached in {folder}, and with local_files_only=True or HF_HUB_OFFLINE=1 "
            f"nothing is asked: load it once without them; {address.advice}"
        )
    try:
        with made_folder(folder), writer_in_turn(plain):
            found = None if options.force_download else _cached(plain, address, known)  # by another job
            return found or _download(plain, address, known, starting)
    except OSError as error:
        if error.errno is None:  # of the network, or about a wrong file
            raise
        raise type(error)(
            f"{address.where}: {error}; cache_dir= names another folder, or TORCH_HOME"
        ) from error


def _cached(plain: Path, address: Address, known: Known) -> Path | None:
    """The file, if it is there and came from this address, or is known to be the same."""
    for path in (plain, _own(plain, address)):
        source = _source(path)
        if not path.is_file() or (source is not None and source["url"] != address.url):
            continue
        if source is None:  # torch.hub or the user put it there
            if known.sha256 is not None and known.problem(path.stat().st_size, sha256_of(path)) is None:
                return path
            continue
        digest = sha256_of(path)
        problem = known.problem(path.stat().st_size, digest)
        if digest != source["sha256"]:
            problem = "its content is not what was downloaded"
        if problem is None:
            return path
        raise ValueError(
            f"{address.where}: {path} is damaged: {problem}; force_download=True downloads it again, or "
            f"{address.advice}"
        )
    return None


def _download(plain: Path, address: Address, known: Known, starting: Callable[[], None]) -> Path:
    source = _source(plain)
    is_free = not plain.exists() if source is None else source["url"] == address.url
    target = plain if is_free else _own(plain, address)
    source = _source(target)
    part = download_part(
        address,
        target,
        size=known.size,
        resume_unmarked=known.sha256 is not None,
        starting=starting if source is None else lambda: None,
    )
    digest, size = sha256_of(part), part.stat().st_size
    problem = known.problem(size, digest)
    if problem is None and source is not None and digest != source["sha256"]:
        problem = (
            f"its SHA-256 is {digest[:8]}..., and the first download had {source['sha256'][:8]}...; if you "
            f"trust the new one, remove {_source_path(target)}"
        )
    if problem is not None:
        part.unlink()
        raise ValueError(f"{address.where}: the file was changed: {problem}; {address.advice}")
    record = json.dumps({"url": address.url, "sha256": digest, "size": size}, indent=1)
    # First what the file is: without that a job that is killed here would leave a file of unknown origin.
    with atomic_write(_source_path(target)) as temporary:
        temporary.write_text(record, encoding="utf-8")
    move_into_place(part, target)
    _LOGGER.info("%s: %s bytes, SHA-256 %s, in %s", address.where, f"{size:,}", digest, target)
    if known.sha256 is None and source is None:
        say(f"{address.where}: no hash was published; this download has the SHA-256 {digest}")
    return target


def _own(plain: Path, address: Address) -> Path:
    """The name of a file whose plain name is taken."""
    digits = hashlib.sha256(address.url.encode()).hexdigest()[:8]
    return plain.with_name(f"{plain.stem}.{digits}{plain.suffix}")


def _source_path(path: Path) -> Path:
    return beside(path, ".source.json")


def recorded_sha256(path: Path) -> str | None:
    """The SHA-256 that a file had when it was downloaded; ``None`` if we did not download it."""
    source = _source(path)
    return None if source is None else source["sha256"]


def _source(path: Path) -> dict[str, str] | None:
    """Where a file came from, and its hash, if we downloaded it."""
    try:
        source = json.loads(_source_path(path).read_text(encoding="utf-8"))
        return {"url": str(source["url"]), "sha256": str(source["sha256"])}
    except (OSError, ValueError, KeyError, TypeError):
        return None
