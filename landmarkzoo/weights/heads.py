"""Heads by name."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import distributed as dist

from landmarkzoo.losses import SubCenterArcFaceDynamic, read_head
from landmarkzoo.losses.head_files import CLASSES_FILE, HEAD_FILE
from landmarkzoo.weights.hub_options import HubOptions
from landmarkzoo.weights.sources import saved_folder


def load_head(
    name: str | Path,
    *,
    process_group: dist.ProcessGroup | None = None,
    device: torch.device | str | None = None,
    revision: str | None = None,
    token: str | bool | None = None,
    cache_dir: str | Path | None = None,
    local_files_only: bool = False,
    force_download: bool = False,
) -> tuple[SubCenterArcFaceDynamic, list[str] | None]:
    """Load a head and the names of its classes, as ``save_pretrained`` or ``push_to_hub`` wrote them.

    Args:
        name: ``"local-dir:path"``, a ``Path``, or ``"hf-hub:org/repo"``, with ``@revision`` or without.
        process_group: Spread the classes over these processes; each reads its part of the file only.
        device: Where the head goes.
        revision: As in :func:`create_model`, like all that follow.
        token: Access token for the Hub.
        cache_dir: Where downloads are kept.
        local_files_only: Take what is cached and ask nobody.
        force_download: Download again what is cached.

    Returns:
        The head, in training mode, and the class names, or ``None`` if none were saved.

    Raises:
        ConnectionError: If the Hub does not answer.
        FileNotFoundError: If the folder, the repository, the revision or the head is missing.
        PermissionError: If the repository is gated, or the token was refused.
        ValueError: If the name or a file is not as it should be.
    """
    options = HubOptions(revision, token, cache_dir, local_files_only, force_download)
    folder = saved_folder(name, options, (HEAD_FILE,), (CLASSES_FILE,))
    return read_head(folder, process_group=process_group, device=device)
