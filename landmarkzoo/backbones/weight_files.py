"""ImageNet weights of timm models as files: from the cache, or from the Hub if it answers soon."""

from __future__ import annotations

import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import torch
from huggingface_hub import (
    constants,
    get_hf_file_metadata,
    hf_hub_download,
    hf_hub_url,
    try_to_load_from_cache,
)
from huggingface_hub.errors import EntryNotFoundError
from safetensors.torch import load_file
from timm.models._hub import _get_safe_alternatives, hf_split

from landmarkzoo._utils.network import answer_soon

_LIBRARY = "landmarkzoo"  # in the user agent: the Hub counts downloads by library
_TIMMS_FILE = "pytorch_model.bin"


@dataclass(frozen=True)
class WeightOptions:
    """How weights are fetched; the arguments of ``create_model`` of these names."""

    token: str | bool | None = field(default=None, repr=False)
    cache_dir: str | Path | None = None
    local_files_only: bool = False
    force_download: bool = False


_options: ContextVar[WeightOptions] = ContextVar("_options", default=WeightOptions())  # noqa: B039 - frozen


@contextmanager
def weights_with(options: WeightOptions) -> Iterator[None]:
    """Fetch all ImageNet weights of the block with these options."""
    token = _options.set(options)
    try:
        yield
    finally:
        _options.reset(token)


def hub_weights(hub_id: str, filename: str | None) -> dict[str, Any]:
    """The state dict of a timm repository, ``"timm/name"``, with or without ``"@revision"``.

    A file in the cache is taken without a request, unless ``force_download`` is set.

    Raises:
        FileNotFoundError: If nothing is cached and no request may be made.
        Exception: Whatever the client of the Hub raises.
    """
    options = _options.get()
    repo, revision = hf_split(hub_id)
    names = [*_get_safe_alternatives(filename or _TIMMS_FILE), filename or _TIMMS_FILE]
    for name in () if options.force_download else names:
        cached = try_to_load_from_cache(repo, name, cache_dir=options.cache_dir, revision=revision)
        if isinstance(cached, str):
            return _read(Path(cached))
    _check_may_ask(repo, str(options.cache_dir or constants.HF_HUB_CACHE))
    for name in names:
        url = hf_hub_url(repo, name, revision=revision)
        try:
            _check_there(url, options)
        except EntryNotFoundError:
            if name == names[-1]:
                raise
            continue
        path = hf_hub_download(
            repo,
            name,
            revision=revision,
            token=options.token,
            cache_dir=options.cache_dir,
            force_download=options.force_download,
            library_name=_LIBRARY,
        )
        return _read(Path(path))
    raise AssertionError  # the loop ends in a return or an error


def check_url(url: str) -> str | None:
    """Raise if a file that timm takes from an address of its own is not cached, and cannot be asked for.

    Returns:
        The folder that timm is to keep it in; ``None`` for torch's own.
    """
    options = _options.get()
    folder = Path(options.cache_dir or Path(torch.hub.get_dir()) / "checkpoints")
    if not (folder / Path(urlsplit(url).path).name).is_file():
        _check_may_ask(url, str(folder))
        answer_soon(lambda: urllib.request.urlopen(urllib.request.Request(url, method="HEAD")).close())
    return None if options.cache_dir is None else str(folder)


def _check_may_ask(what: str, cache: str) -> None:
    if constants.HF_HUB_OFFLINE:
        raise FileNotFoundError(f"HF_HUB_OFFLINE is set, and {what} is not in the cache {cache}")
    if _options.get().local_files_only:
        raise FileNotFoundError(f"with local_files_only=True nothing is asked, and {what} is not in {cache}")


def _check_there(url: str, options: WeightOptions) -> None:
    """Raise if there is no such file or no answer, once and soon; a download would try for half a minute."""
    try:
        answer_soon(lambda: get_hf_file_metadata(url, token=options.token, library_name=_LIBRARY))
    except Exception as error:
        status = getattr(getattr(error, "response", None), "status_code", None)
        if status is None or (status < 500 and status not in (408, 429)):
            raise
        # The Hub is there and cannot answer now: the download tries again.


def _read(path: Path) -> dict[str, Any]:
    if path.suffix == ".safetensors":
        return load_file(str(path))
    state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    return state
