"""One file from a web server: what came before the connection was lost stays, and the next try goes on there.

``huggingface_hub.file_download.http_get`` is not used: it shows no ETag, so that a part of one file could be
continued with the rest of another; its oldest versions that we allow append the whole file to a part when a
server ignores ``Range``; and its errors belong to a different HTTP library in each generation.
"""

from __future__ import annotations

import glob
import hashlib
import http.client
import re
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

from landmarkzoo._utils.atomic_writing import cannot_write, check_writable
from landmarkzoo._utils.file_locks import beside
from landmarkzoo._utils.network import answer_soon

_BLOCK = 2**18  # bytes
_STALLED = 30.0  # seconds without a byte, after which the connection counts as lost
_WEB_PAGE = (b"<!doctype html", b"<html")
_Answer = http.client.HTTPResponse


@dataclass(frozen=True)
class Address:
    """Where a file is, and how messages name it.

    Attributes:
        url: Its address.
        where: How messages begin: what is downloaded.
        advice: How messages end: the way out if the address is of no use.
    """

    url: str
    where: str
    advice: str


def download_part(
    address: Address,
    target: Path,
    *,
    size: int | None = None,
    resume_unmarked: bool = False,
    starting: Callable[[], None] = lambda: None,
) -> Path:
    """Download a file under a temporary name beside its target, or the rest of it.

    Args:
        address: Where it is.
        target: The file that it will be; its folder must exist, and only one job may write it.
        size: Bytes that it must have; ``None``: not known.
        resume_unmarked: Continue a part even if the server marks no versions (no ``ETag`` and no
            ``Last-Modified``). Only for files whose hash is known.
        starting: Called when the file begins to come, but not when a part is continued.

    Returns:
        The part, with all bytes in it; the caller checks what it is, and gives it its name.

    Raises:
        ConnectionError: If there is no answer, or the connection was lost. What came is kept.
        FileNotFoundError: If there is no such file.
        OSError: If the file cannot be written; what came is removed, as a full disk needs its room.
        PermissionError: If the server refuses.
        ValueError: If what comes cannot be the file.
    """
    with _open(address, {}) as whole:
        total = _length(whole.headers)
        if total == 0 or (None not in (total, size) and total != size):
            published = f", and {size:,} were published" if size else ""
            raise ValueError(
                f"{address.where}: the server has a file of {total:,} bytes{published}: it was changed; "
                f"{address.advice}"
            )
        mark = _mark(whole.headers)
        part = _part(target, address, mark)
        have = part.stat().st_size if part.is_file() and (mark or resume_unmarked) else 0
        if have and have == total:
            return part
        rest = _rest(address, have, mark) if have else None
        have = have if rest else 0
        check_writable(target, (total or 0) - have)
        with rest or nullcontext(whole) as answer:
            block = _read(address, answer, have, total)
            if block and not rest:
                if block.lstrip().lower().startswith(_WEB_PAGE):
                    raise ValueError(
                        f"{address.where}: a web page came in place of the file, which may have moved; "
                        f"{address.advice}"
                    )
                _remove_parts(target)
                starting()
            if block:
                have = _write(address, answer, block, part, have, total, target.name)
    if have < (total or size or 1):
        raise ConnectionError(_lost(address, have, total or size, "the server ended it"))
    return part


def _write(
    address: Address, answer: _Answer, block: bytes, part: Path, have: int, total: int | None, name: str
) -> int:
    """Append a block, and all that come behind it, to the part; the number of bytes that it has then."""
    bar = tqdm(
        total=total,
        initial=have,
        desc=name,
        unit="B",
        unit_scale=True,
        unit_divisor=1024,
        disable=None,  # if stderr is no terminal
    )
    try:
        with bar, part.open("ab" if have else "wb") as file:
            while block:
                file.write(block)
                file.flush()  # before the next read, which may fail
                have += len(block)
                bar.update(len(block))
                block = _read(address, answer, have, total)
    except OSError as error:
        if error.errno is None:  # of the network: one line already
            raise
        with suppress(OSError):
            part.unlink()
        raise cannot_write(part.with_name(name), error.errno, str(error.strerror)) from error
    return have


def _open(address: Address, headers: Mapping[str, str]) -> _Answer:
    request = urllib.request.Request(address.url, headers={"User-Agent": "landmarkzoo", **headers})
    try:
        answer: _Answer = answer_soon(lambda: urllib.request.urlopen(request, timeout=_STALLED))
    except urllib.error.HTTPError as error:
        error.close()
        raise _refusal(address, error.code) from error
    except (OSError, http.client.HTTPException) as error:
        cause = error.reason if isinstance(error, urllib.error.URLError) else error
        text = " ".join(str(cause).split())
        text = text if isinstance(cause, str) else f"{type(cause).__name__}: {text}"
        raise ConnectionError(
            f"{address.where}: no connection ({text}): check the network and try again; {address.advice}"
        ) from error
    return answer


def _refusal(address: Address, status: int) -> OSError:
    """The error for an HTTP status."""
    where, advice = address.where, address.advice
    said = f"{status} {http.client.responses.get(status, '')}".strip()
    if status in (404, 410):
        return FileNotFoundError(f"{where}: there is no such file ({said}): it may have moved; {advice}")
    if status in (401, 403):
        return PermissionError(f"{where}: the server refuses access ({said}); {advice}")
    if 300 <= status < 400:
        return ConnectionError(f"{where}: the server redirects without end ({said}); {advice}")
    if status in (408, 429) or status >= 500:
        return ConnectionError(f"{where}: the server cannot answer now ({said}): try again later; {advice}")
    return OSError(f"{where}: the server refuses the request ({said}); {advice}")


def _rest(address: Address, have: int, mark: str) -> _Answer | None:
    """The answer with the bytes behind the first ``have`` of this version, if the server can do that."""
    headers = {"Range": f"bytes={have}-"}
    if mark and not mark.startswith("W/"):  # a weak mark is not allowed there
        headers["If-Range"] = mark
    try:
        answer = _open(address, headers)
    except OSError as error:
        if isinstance(error.__cause__, urllib.error.HTTPError) and error.__cause__.code == 416:
            return None
        raise
    begin = re.match(r"bytes (\d+)-", answer.headers.get("Content-Range", ""))
    if answer.status == 206 and begin and int(begin[1]) == have and _mark(answer.headers) == mark:
        return answer
    answer.close()
    return None


def _read(address: Address, answer: _Answer, have: int, total: int | None) -> bytes:
    try:
        return answer.read1(_BLOCK)
    except (OSError, http.client.HTTPException) as error:
        raise ConnectionError(_lost(address, have, total, type(error).__name__)) from error


def _lost(address: Address, have: int, total: int | None, cause: str) -> str:
    of = f" of {total:,}" if total else ""
    return (
        f"{address.where}: the connection was lost after {have:,}{of} bytes ({cause}): try again, "
        f"which goes on from there if the server can; {address.advice}"
    )


def _length(headers: http.client.HTTPMessage) -> int | None:
    text = headers.get("Content-Length", "")
    return int(text) if text.isascii() and text.isdigit() else None


def _mark(headers: http.client.HTTPMessage) -> str:
    """What a server marks a version of a file with; empty if it does not."""
    return str(headers.get("ETag") or headers.get("Last-Modified") or "")


def _part(target: Path, address: Address, mark: str) -> Path:
    """The name of the part of this version: another version must not be continued."""
    version = hashlib.sha256(f"{address.url}\n{mark}".encode()).hexdigest()[:8]
    return beside(target, f".{version}.part")


def _remove_parts(target: Path) -> None:
    """Remove the parts of all versions: the server has one version, and it begins anew."""
    for part in target.parent.glob(f"{glob.escape(target.name)}.????????.part"):
        part.unlink(missing_ok=True)
