"""The one module that talks to the Hugging Face Hub: files of one commit in, files as one commit out."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path

from huggingface_hub import (
    CommitOperationAdd,
    CommitOperationDelete,
    HfApi,
    constants,
    get_hf_file_metadata,
    hf_hub_download,
    hf_hub_url,
    try_to_load_from_cache,
)
from huggingface_hub.errors import EntryNotFoundError, FileMetadataError, LocalEntryNotFoundError
from safetensors import SafetensorError, safe_open

from landmarkzoo._utils.network import answer_soon
from landmarkzoo.hub.client_errors import missing_file, translate_errors, warn_if_slow
from landmarkzoo.hub.model_files import CONFIG_FILE

HUB = "hf-hub:"
_LOGGER = logging.getLogger(__name__)
_LIBRARY = "landmarkzoo"  # in the user agent: the Hub counts downloads by library


@dataclass(frozen=True)
class HubOptions:
    """The arguments of every call to the Hub.

    Attributes:
        revision: Branch, tag or commit; ``None``: that of the name, else ``main``.
        token: Access token; ``None``: that of ``hf auth login`` or ``HF_TOKEN``; ``False``: send no token.
        cache_dir: Where downloads are kept; ``None``: the cache that all libraries of the Hub share.
        local_files_only: Use the cache and make no request, as with ``HF_HUB_OFFLINE=1``.
        force_download: Download again what is cached.

    Raises:
        ValueError: If both ``local_files_only`` and ``force_download`` are set.
    """

    revision: str | None = None
    token: str | bool | None = field(default=None, repr=False)  # a token must not end up in a log
    cache_dir: str | Path | None = None
    local_files_only: bool = False
    force_download: bool = False

    def __post_init__(self) -> None:
        if self.local_files_only and self.force_download:
            raise ValueError(
                "force_download=True cannot be combined with local_files_only=True or HF_HUB_OFFLINE=1: "
                "leave one of them out"
            )

    def check_unused(self, name: object) -> None:
        """Raise if options were given with a name that is not on the Hub.

        Examples:
            >>> HubOptions(revision="v1").check_unused("dolg_efficientnet_b5")
            Traceback (most recent call last):
            ValueError: revision is for the Hub, 'hf-hub:org/repo', not for 'dolg_efficientnet_b5'
        """
        given = [option.name for option in fields(self) if getattr(self, option.name) != option.default]
        if given:
            verb = "is" if len(given) == 1 else "are"
            raise ValueError(f"{', '.join(given)} {verb} for the Hub, '{HUB}org/repo', not for {str(name)!r}")


@dataclass(frozen=True)
class Target:
    """Where a push goes.

    Attributes:
        repo: ``"org/repo"``.
        revision: Branch; ``None``: ``main``.
        token: Access token, as in ``HubOptions``.
        private: Whether a new repository is private; ``None``: as its owner has set it.
        create_pr: Open a pull request instead.
        commit_message: First line of the commit.
    """

    repo: str
    revision: str | None = None
    token: str | bool | None = field(default=None, repr=False)
    private: bool | None = None
    create_pr: bool = False
    commit_message: str | None = None


def parse_hub_name(name: str, revision: str | None = None) -> tuple[str, str | None]:
    """Repository and revision of ``"hf-hub:org/repo@revision"``, with or without prefix and revision.

    Args:
        name: The name.
        revision: The ``revision`` argument that came with the name.

    Raises:
        ValueError: If a part is empty, or the name and ``revision`` name different revisions.

    Examples:
        >>> parse_hub_name("hf-hub:org/repo@v1"), parse_hub_name("org/repo")
        (('org/repo', 'v1'), ('org/repo', None))
    """
    repo, at, in_name = name.removeprefix(HUB).partition("@")
    if not repo or (at and not in_name):
        raise ValueError(f"{name!r}: a name on the Hub is '{HUB}org/repo' or '{HUB}org/repo@revision'")
    if in_name and revision not in (None, in_name):
        raise ValueError(
            f"{name!r} names the revision {in_name!r}, and revision={revision!r} another: give one of them"
        )
    return repo, in_name or revision


def download(name: str, options: HubOptions, files: Sequence[str], optional: Sequence[str] = ()) -> Path:
    """Files of a repository, all of one commit, from the cache or the Hub.

    A branch is resolved to a commit once, so a push between two files cannot mix versions. If the Hub does
    not answer, the cached files of that branch are used, with a warning.

    Args:
        name: ``"hf-hub:org/repo"`` or ``"hf-hub:org/repo@revision"``; the prefix may be left out.
        options: Revision, token, cache and the like.
        files: Files that must be there, in addition to ``config.json``.
        optional: Files that are downloaded if the repository has them.

    Returns:
        The folder in the cache that holds them.

    Raises:
        FileNotFoundError: If repository, revision or file is missing, or is not cached and no request may be
            made.
        PermissionError: If the repository is gated, or the token was refused.
        ConnectionError: If the Hub does not answer.
        ValueError: If the name cannot be that of a repository, or a file is damaged.
    """
    repo, revision = parse_hub_name(name, options.revision)
    options = replace(or_offline(options), revision=revision)
    folder, options = _resolve_commit(repo, options, (CONFIG_FILE, *files))
    for file in optional:  # first, so that a cache that has the needed files has these too
        try:
            _check_intact(_fetch(repo, file, options), _where(repo, options))
        except EntryNotFoundError:
            continue
    for file in files:
        _check_intact(_required(repo, file, options), _where(repo, options))
    return folder


def download_file(
    repo: str, file: str, options: HubOptions, starting: Callable[[], None] = lambda: None
) -> Path:
    """One file of a repository that is no model of ours, from the cache (without a request) or the Hub.

    Args:
        repo: ``"org/repo"``.
        file: Name of the file in it.
        options: Revision, token, cache and the like.
        starting: Called when the Hub has answered, before the first download.

    Returns:
        The file in the cache. The caller checks its content.

    Raises:
        OSError: As for :func:`download`.
        ValueError: If the name cannot be that of a repository.
    """
    options = or_offline(options)
    where = _where(repo, options)
    with translate_errors(where, repo, options.revision):
        cached = try_to_load_from_cache(repo, file, cache_dir=options.cache_dir, revision=options.revision)
    if isinstance(cached, str) and not options.force_download:
        return Path(cached)
    if options.local_files_only:
        raise FileNotFoundError(_not_cached(where, file, options))
    url = hf_hub_url(repo, file, revision=options.revision)
    try:
        with translate_errors(where, repo, options.revision):
            answer_soon(lambda: get_hf_file_metadata(url, token=options.token, library_name=_LIBRARY))
        if not isinstance(cached, str):
            starting()
        return _fetch(repo, file, options)
    except EntryNotFoundError as error:
        raise FileNotFoundError(f"{where} has no file {file}: it may have moved") from error


def or_offline(options: HubOptions) -> HubOptions:
    """The options, with ``local_files_only`` if ``HF_HUB_OFFLINE`` is set.

    Raises:
        ValueError: If ``force_download`` is set too.
    """
    return replace(options, local_files_only=True) if constants.HF_HUB_OFFLINE else options


def stored_sha256(path: Path) -> str | None:
    """The SHA-256 under which the cache of the Hub stores a large file; ``None`` for other files."""
    name = path.readlink().name if path.is_symlink() else ""
    return name if len(name) == 64 else None


def _resolve_commit(repo: str, options: HubOptions, needed: Sequence[str]) -> tuple[Path, HubOptions]:
    """The folder of one commit, with its config, and the options to get other files of that commit."""
    with translate_errors(_where(repo, options), repo, options.revision):  # a malformed name raises here
        cached = None if options.force_download else _cached(repo, options, needed)
    if cached is not None and (options.local_files_only or cached.name == options.revision):
        folder = cached
    elif cached is None:
        if not options.force_download and _cached(repo, options, (CONFIG_FILE,)) is not None:
            _commit(repo, options)  # if the Hub is down or cannot answer, this fails at once
        elif not options.local_files_only:
            _check_answers(repo, options)
        folder = _config(repo, options).parent
    else:
        try:
            folder = cached if _commit(repo, options) == cached.name else _config(repo, options).parent
        except ConnectionError as error:
            _LOGGER.warning("%s. Using what is cached, commit %s", error, cached.name)
            folder, options = cached, replace(options, local_files_only=True)
    _check_intact(folder / CONFIG_FILE, _where(repo, options))
    return folder, replace(options, revision=folder.name)


def _cached(repo: str, options: HubOptions, needed: Sequence[str]) -> Path | None:
    """Folder in the cache that has all needed files of the revision, if there is one."""
    paths = [
        try_to_load_from_cache(repo, file, cache_dir=options.cache_dir, revision=options.revision)
        for file in needed
    ]
    return Path(str(paths[0])).parent if all(isinstance(path, str) for path in paths) else None


def _config(repo: str, options: HubOptions) -> Path:
    """The config, downloaded by the name of the revision, so that the cache records its commit."""
    with warn_if_slow(_where(repo, options)):
        return _required(repo, CONFIG_FILE, options)


def _commit(repo: str, options: HubOptions) -> str:
    """The commit that the revision stands for now. One request, without retries."""
    where = _where(repo, options)
    url = hf_hub_url(repo, CONFIG_FILE, revision=options.revision)
    try:
        with translate_errors(where, repo, options.revision):
            metadata = answer_soon(
                lambda: get_hf_file_metadata(url, token=options.token, library_name=_LIBRARY)
            )
            if metadata.commit_hash is None:
                raise FileMetadataError(url)
            return metadata.commit_hash
    except EntryNotFoundError as error:
        raise FileNotFoundError(missing_file(where, CONFIG_FILE, _files(repo, options))) from error


def _check_answers(repo: str, options: HubOptions) -> None:
    """Raise if the Hub does not answer, once and soon: the client itself would try for half a minute."""
    with translate_errors(_where(repo, options), repo, options.revision):
        url = hf_hub_url(repo, CONFIG_FILE, revision=options.revision)
        try:
            answer_soon(lambda: get_hf_file_metadata(url, token=options.token, library_name=_LIBRARY))
        except Exception as error:
            if getattr(error, "response", None) is None:
                raise
            # The Hub answered with an error: the download explains it, or tries again.


def _fetch(repo: str, file: str, options: HubOptions) -> Path:
    if options.local_files_only:  # not by the client: some versions of it make requests even then
        path = _cached(repo, options, (file,))
        if path is None:
            raise LocalEntryNotFoundError(f"{file} is not cached")
        return path / file
    with translate_errors(_where(repo, options), repo, options.revision):
        downloaded = hf_hub_download(
            repo,
            file,
            revision=options.revision,
            token=options.token,
            cache_dir=options.cache_dir,
            force_download=options.force_download,
            library_name=_LIBRARY,
        )
    return Path(downloaded)


def _required(repo: str, file: str, options: HubOptions) -> Path:
    where = _where(repo, options)
    try:
        return _fetch(repo, file, options)
    except LocalEntryNotFoundError as error:
        raise FileNotFoundError(_not_cached(where, file, options)) from error
    except EntryNotFoundError as error:
        raise FileNotFoundError(missing_file(where, file, _files(repo, options))) from error


def _not_cached(where: str, file: str, options: HubOptions) -> str:
    return (
        f"{where}: {file} is not cached in {options.cache_dir or constants.HF_HUB_CACHE}, and with "
        "local_files_only=True or HF_HUB_OFFLINE=1 the Hub is not asked: load it once without them"
    )


def _files(repo: str, options: HubOptions) -> list[str]:
    """Names of the files in a repository, for an error message; empty if the Hub does not answer."""
    try:
        with translate_errors(_where(repo, options), repo, options.revision):
            api = HfApi(token=options.token, library_name=_LIBRARY)
            return api.list_repo_files(repo, revision=options.revision)
    except OSError:
        return []


def _check_intact(path: Path, where: str) -> None:
    """Raise if a file in the cache does not have the content that was uploaded, or cannot be read."""
    # The cache stores each file under its hash and links to it. On systems without links the hash is unknown.
    etag = path.readlink().name if path.is_symlink() else ""
    problem = "" if _has_hash(path, etag) else f"its content does not have the hash {etag}"
    if not problem and path.suffix == ".safetensors":
        try:
            with safe_open(str(path), framework="pt"):
                pass
        except SafetensorError as error:
            problem = str(error)
    if problem:
        raise ValueError(
            f"{where}: {path.name} is damaged: {problem}; force_download=True downloads it again, which does "
            "not help if the file in the repository is damaged too"
        )


def _has_hash(path: Path, etag: str) -> bool:
    """The etag of a large file is its SHA-256, of a small one its git hash or, on mirrors, its SHA-1."""
    if len(etag) == 64:
        return etag == file_digest(path, hashlib.sha256())
    if len(etag) == 40:
        of_git = hashlib.sha1(b"blob %d\0" % path.stat().st_size, usedforsecurity=False)
        return etag in (file_digest(path, of_git), file_digest(path, hashlib.sha1(usedforsecurity=False)))
    return True


def file_digest(path: Path, digest: hashlib._Hash) -> str:
    """The hash of a file in hexadecimal digits, by a fresh object of hashlib."""
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _where(repo: str, options: HubOptions) -> str:
    return f"{HUB}{repo}@{options.revision}" if options.revision else f"{HUB}{repo}"


def upload(folder: Path, target: Target, stale: Sequence[str]) -> str:
    """Push the files of a folder as one commit; repository and branch are created if they do not exist.

    Args:
        folder: The folder; folders inside it are not pushed.
        target: Where to, and the commit message.
        stale: Files that are deleted in the same commit unless the folder has them.

    Returns:
        Address of the commit, or of the pull request.

    Raises:
        ConnectionError: If the Hub does not answer.
        FileNotFoundError: If there is no such repository and it cannot be created.
        PermissionError: If the token may not write there.
        ValueError: If the name cannot be that of a repository.
    """
    repo, branch = target.repo, target.revision
    where = _where(repo, HubOptions(branch))
    api = HfApi(token=target.token, library_name=_LIBRARY)
    ours = {path.name: path for path in sorted(folder.iterdir())}
    _check_answers(repo, HubOptions(branch, target.token))
    with translate_errors(where, repo, branch):
        with warn_if_slow(where):
            api.create_repo(repo, private=target.private, exist_ok=True)
            if branch is not None and not target.create_pr and not branch.startswith("refs/"):
                api.create_branch(repo, branch=branch, exist_ok=True)
            theirs = set(api.list_repo_files(repo, revision=branch))
        operations: list[CommitOperationAdd | CommitOperationDelete] = [
            CommitOperationAdd(path_in_repo=name, path_or_fileobj=path) for name, path in ours.items()
        ]
        operations += [
            CommitOperationDelete(path_in_repo=name) for name in stale if name in theirs and name not in ours
        ]
        commit = api.create_commit(  # upload_folder may make several commits
            repo,
            operations,
            commit_message=target.commit_message or "",
            revision=branch,
            create_pr=target.create_pr,
        )
    return str(commit.pr_url or commit.commit_url)
