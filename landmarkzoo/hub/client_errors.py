"""Errors of the Hub client as Python's own, each with one sentence that says what to do."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from huggingface_hub import constants
from huggingface_hub.errors import (
    DisabledRepoError,
    EntryNotFoundError,
    FileMetadataError,
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    LocalEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

_LOGGER = logging.getLogger(__name__)
_LOG_IN = "give token=..., or log in with 'hf auth login'"
_CACHED = "local_files_only=True uses what was downloaded before"
_SLOW_SECONDS = 3.0  # after which a warning says what is waited for
_PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl")

# Lost connections raise errors of the client's HTTP library: requests in some versions of huggingface_hub,
# httpx in others. The root of these errors is the last base of HfHubHTTPError that is not built in.
_TRANSPORT_ERROR: type[Exception] = [
    base for base in HfHubHTTPError.__mro__ if base.__module__ != "builtins"
][-1]

_CLOSED = "client has been closed"  # some versions close their connection, then try again on it


@contextmanager
def translate_errors(where: str, repo: str, revision: str | None) -> Iterator[None]:
    """Raise errors of the Hub client again as Python's own, each with advice.

    A missing file stays ``EntryNotFoundError``: only the caller knows whether the file is optional.

    Args:
        where: What was asked for, as it is named in the messages.
        repo: The repository.
        revision: Its revision.

    Raises:
        FileNotFoundError: If there is no such repository or revision.
        PermissionError: If it is gated or disabled, or the token was refused.
        ConnectionError: If the Hub does not answer, or its answer makes no sense.
        ValueError: If the name cannot be that of a repository.
    """
    try:
        yield
    except Exception as error:
        ours = _explanation(_root(error), where, repo, revision)
        if ours is None:
            raise
        raise ours from error


def _root(error: Exception) -> Exception:
    """The error behind the client's "not cached either" and "forced download failed"."""
    wrapped = isinstance(error, LocalEntryNotFoundError) or type(error) is ValueError
    cause = error.__cause__ if wrapped else None
    return cause if isinstance(cause, Exception) else error


def _explanation(error: Exception, where: str, repo: str, revision: str | None) -> Exception | None:
    hub = constants.ENDPOINT
    if isinstance(error, GatedRepoError):  # first: it is a RepositoryNotFoundError too
        return PermissionError(
            f"{where} is gated: accept its terms at {hub}/{repo}, then, as that user, {_LOG_IN}"
        )
    if isinstance(error, RepositoryNotFoundError):
        return FileNotFoundError(
            f"{where}: there is no such repository on {hub}, or it is private: check the name, and for a "
            f"private one {_LOG_IN}"
        )
    if isinstance(error, RevisionNotFoundError):
        return FileNotFoundError(
            f"{where}: the repository has no revision {revision or 'main'!r}: {hub}/{repo}/tree/main lists "
            "those it has"
        )
    if isinstance(error, EntryNotFoundError):
        return None
    if isinstance(error, HFValidationError):
        return ValueError(f"{where}: {repo!r} cannot be a repository, whose name is 'org/repo' ({error})")
    if isinstance(error, DisabledRepoError):
        return PermissionError(f"{where} was disabled by its owner or by the Hub: ask its owner")
    status = getattr(getattr(error, "response", None), "status_code", None)
    if isinstance(error, _TRANSPORT_ERROR) and status is not None:
        return _answer(status, error, where)
    if isinstance(error, FileMetadataError):
        return ConnectionError(f"{where}: {hub} does not answer as a Hub does: check HF_ENDPOINT and proxies")
    if isinstance(error, (_TRANSPORT_ERROR, ConnectionError, TimeoutError)) or _CLOSED in str(error):
        cause = " ".join(str(error).split())
        return ConnectionError(
            f"{where}: no connection to {hub} ({type(error).__name__}: {cause}): check the network and try "
            f"again; {_CACHED}"
        )
    return None


def _answer(status: int, error: Exception, where: str) -> OSError:
    """An HTTP status that the client has no class for."""
    message = getattr(error, "server_message", None)
    said = f": {message}" if message else ""
    if status in (401, 403):
        return PermissionError(
            f"{where}: {constants.ENDPOINT} refuses the token, or the token has no right to this "
            f"({status}{said}): {_LOG_IN}, with a token that has it"
        )
    if status in (408, 429) or status >= 500:
        return ConnectionError(
            f"{where}: {constants.ENDPOINT} cannot answer now ({status}{said}): try again later; {_CACHED}"
        )
    return OSError(f"{where}: {constants.ENDPOINT} refuses the request ({status}{said or f': {error}'})")


def missing_file(where: str, file: str, there: list[str]) -> str:
    """The message for a file that a repository lacks.

    Args:
        where: The repository, as it is named in the message.
        file: The missing file.
        there: The files it has; empty if that is not known.

    Examples:
        >>> missing_file("hf-hub:org/repo", "config.json", ["README.md"])
        'hf-hub:org/repo is not a complete landmarkzoo model: it has no config.json; ...'
    """
    if file == "head.safetensors":
        return (
            f"{where} has no {file}: it was pushed without a head; model.push_to_hub(..., head=head) adds it"
        )
    message = f"{where} is not a complete landmarkzoo model: it has no {file}"
    pickles = [name for name in there if name.endswith(_PICKLES)]
    if not pickles:
        return f"{message}; model.push_to_hub(...) writes one"
    return (
        f"{message}, only {', '.join(pickles[:3])}. Pickles can run code, so only safetensors are read: if "
        "you trust the file, load it yourself into a model of that architecture with "
        "model.load_state_dict(torch.load(path, weights_only=True)), then call model.push_to_hub(...)"
    )


@contextmanager
def warn_if_slow(where: str) -> Iterator[None]:
    """Log a warning if the block takes long: the client may retry for half a minute and say nothing.

    Args:
        where: What is waited for.
    """
    message = (
        "%s: no answer from %s for %g seconds, still trying. Press Ctrl-C to stop; to use only what was "
        "downloaded before, give local_files_only=True or set HF_HUB_OFFLINE=1"
    )
    arguments = (message, where, constants.ENDPOINT, _SLOW_SECONDS)
    timer = threading.Timer(_SLOW_SECONDS, _LOGGER.warning, arguments)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
