"""What a Hub name means, and how the Hub is to be asked."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from pathlib import Path

HUB = "hf-hub:"


@dataclass(frozen=True)
class HubOptions:
    """The arguments of every call to the Hub.

    Attributes:
        revision: Branch, tag or commit; ``None``: that of the name, else ``main``.
        token: Access token; ``None``: that of ``hf auth login`` or ``HF_TOKEN``; ``False``: none at all.
        cache_dir: Where downloads are kept; ``None``: the cache that all libraries of the Hub share.
        local_files_only: Take what is cached and ask nobody, as with ``HF_HUB_OFFLINE=1``.
        force_download: Download again what is cached.

    Raises:
        ValueError: If the last two contradict each other.
    """

    revision: str | None = None
    token: str | bool | None = field(default=None, repr=False)  # a token must not end up in a log
    cache_dir: str | Path | None = None
    local_files_only: bool = False
    force_download: bool = False

    def __post_init__(self) -> None:
        if self.local_files_only and self.force_download:
            raise ValueError(
                "force_download=True downloads, which local_files_only=True and HF_HUB_OFFLINE=1 forbid: "
                "leave one of them out"
            )

    def check_unused(self, name: object) -> None:
        """Raise if something was given for a name that has nothing to do with the Hub.

        Example:
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
        token: Access token, as in :class:`HubOptions`.
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
        revision: Revision that was given beside it.

    Raises:
        ValueError: If a part is empty, or name and ``revision`` contradict each other.

    Example:
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
