"""Weights that others have published: where a file is, and the file in the cache."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from landmarkzoo.hub.client import HUB, HubOptions


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
    raise NotImplementedError(f"{name}: {weights.address}, {options}, {license}")
