"""Weights that others have published: where a file is, and the file in the cache."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path, PureWindowsPath
from urllib.parse import urlsplit

from landmarkzoo.hub.client import HUB, HubOptions, download_file, stored_sha256
from landmarkzoo.hub.resumable_download import Address
from landmarkzoo.hub.url_cache import Known, cached_url, recorded_sha256, say, sha256_of

_ADVICE = 'if you have the file, lz.create_model("{name}", weights_file="path") reads it'
_OPEN = {"mit", "apache-2.0", "cc-by-4.0", "cc0", "cc0-1.0"}  # and those of BSD
_ERRORS = (FileNotFoundError, PermissionError, ConnectionError, OSError, ValueError)  # that can be raised
# As in torch.hub: "x-a155e54.pth". A date is no hash, so there must be a letter in it.
_DIGITS = re.compile(r"-((?=[0-9]*[a-f])[0-9a-f]{7,64})\.\w+$")


@dataclass(frozen=True)
class WeightsFile:
    """A file of weights, as its authors published it.

    Attributes:
        layout: Name of the layout of its tensors, as in ``landmarkzoo.hub.convert``.
        url: Its address; or, in place of it:
        repo: Repository on the Hugging Face Hub, ``"org/repo"``.
        file: Name of the file in the repository.
        revision: Branch, tag or commit of the repository; a commit cannot change.
        sha256: Its hash in hexadecimal digits, whole or the first ones; ``None``: not known, or the digits at
            the end of the name in ``url``, ``x-a155e54.pth``.
        size: Bytes; ``None``: not known.

    Raises:
        ValueError: If it has no address or two, or hash or size cannot be right.

    Examples:
        >>> from landmarkzoo.hub.published_files import WeightsFile
        >>> WeightsFile("cirtorch", url="http://host.org/net-a155e54.pth").address
        'http://host.org/net-a155e54.pth'
        >>> WeightsFile("megaloc", repo="org/repo", file="model.safetensors", revision="v1").address
        'hf-hub:org/repo@v1 model.safetensors'
    """

    layout: str
    url: str | None = None
    repo: str | None = None
    file: str | None = None
    revision: str | None = None
    sha256: str | None = None
    size: int | None = None

    def __post_init__(self) -> None:
        if (self.url is None) == (self.repo is None):
            raise ValueError(f"WeightsFile({self.layout!r}): give either url or repo")
        if (self.file is None) != (self.repo is None):
            raise ValueError(f"WeightsFile({self.layout!r}): repo and file go together")
        if self.repo is None and self.revision is not None:
            raise ValueError(f"WeightsFile({self.layout!r}): revision is for repo, not for url")
        if self.url is not None and not _names_a_file(self.url):
            raise ValueError(
                f"WeightsFile({self.layout!r}): url is http(s)://host/folder/file, got {self.url!r}"
            )
        if self.sha256 is not None and not re.fullmatch("[0-9a-f]{6,64}", self.sha256):
            raise ValueError(
                f"WeightsFile({self.layout!r}): sha256 is 6 to 64 digits of 0-9a-f, got {self.sha256!r}"
            )
        if self.size is not None and self.size < 1:
            raise ValueError(f"WeightsFile({self.layout!r}): size is a number of bytes, got {self.size}")

    @property
    def address(self) -> str:
        """What a person can open, or pass on."""
        if self.url is not None:
            return self.url
        revision = f"@{self.revision}" if self.revision else ""
        return f"{HUB}{self.repo}{revision} {self.file}"

    @property
    def known(self) -> Known:
        """What is known of its content.

        Examples:
            >>> from landmarkzoo.hub.published_files import WeightsFile
            >>> WeightsFile("cirtorch", url="http://host.org/net-a155e54.pth").known.sha256
            'a155e54'
        """
        digits = _DIGITS.search(self.url or self.file or "")
        return Known(self.sha256 or (digits[1] if digits else None), self.size)


def fetch(weights: WeightsFile, options: HubOptions, *, name: str, license: str | None) -> Path:
    """A published file in the cache, downloaded if it is not there yet.

    Args:
        weights: Where it is.
        options: Cache, token and the like; its ``revision`` goes before that of ``weights``.
        name: ``"model.tag"``, for messages.
        license: Licence of the weights, as in ``ModelCfg``; ``None``: its authors state none.

    Returns:
        The file, whole and checked.

    Raises:
        ConnectionError: If the server does not answer, or the connection was lost.
        FileNotFoundError: If the address has moved, or the file is not cached and no request may be made.
        OSError: If the file cannot be written.
        PermissionError: If the server refuses.
        ValueError: If what came is not what was published.
    """
    where, advice = f"{name}: {weights.address}", _ADVICE.format(name=name)

    def say_license() -> None:
        if license is None:
            say(f"{where}: no licence is stated: ask its authors before you use it for more than research")
        elif not _is_open(license):
            say(f"{where}: its licence is {license}: read there what you may use it for")

    if weights.url is not None:
        if options.revision is not None:
            raise ValueError(f"revision is for the Hub, and the weights of {name} are at {weights.url}")
        return cached_url(Address(weights.url, where, advice), weights.known, options, say_license)
    try:
        return _from_hub(weights, options, say_license)
    except (OSError, ValueError) as error:
        if isinstance(error, OSError) and error.errno is not None:  # of the disk
            advice = "cache_dir= names another folder, or HF_HOME"
        kind = next(kind for kind in _ERRORS if isinstance(error, kind))
        raise kind(f"{name}: {' '.join(str(error).split())}; {advice}") from error


def sha256_of_fetched(path: Path) -> str:
    """The SHA-256 of a file that ``fetch`` has checked: as it was written down, else computed again."""
    return stored_sha256(path) or recorded_sha256(path) or sha256_of(path)


def _from_hub(weights: WeightsFile, options: HubOptions, say_license: Callable[[], None]) -> Path:
    options = replace(options, revision=options.revision or weights.revision)
    came = False

    def starting() -> None:
        nonlocal came
        came = True
        say_license()

    path = download_file(str(weights.repo), str(weights.file), options, starting)
    digest = sha256_of(path)
    if digest != (stored_sha256(path) or digest):
        raise ValueError(f"{path} is damaged; force_download=True downloads it again")
    problem = weights.known.problem(path.stat().st_size, digest)
    if problem is not None:
        if came:  # what other libraries had stored stays
            path.resolve().unlink()
            path.unlink(missing_ok=True)
        raise ValueError(f"{weights.address}: the file was changed: {problem}")
    return path


def _names_a_file(url: str) -> bool:
    parts = urlsplit(url)
    name = parts.path.rpartition("/")[2]
    return (
        parts.scheme in ("http", "https")
        and bool(parts.netloc)
        and name not in ("", ".", "..")
        and name == PureWindowsPath(name).name
        and url.isascii()
        and url.isprintable()
        and " " not in url
    )


def _is_open(license: str | None) -> bool:
    """Whether a licence lets everybody use the weights for everything.

    Examples:
        >>> _is_open("BSD-3-Clause"), _is_open("CC-BY-NC-4.0"), _is_open(None)
        (True, False, False)
    """
    known = (license or "").lower()
    return known in _OPEN or known.startswith("bsd-")
