"""The head that landmark weights come with."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import distributed as dist

from landmarkzoo.hub.client import HUB, HubOptions
from landmarkzoo.hub.convert import LAYOUTS
from landmarkzoo.hub.loading import is_saved, saved_head
from landmarkzoo.losses import Head, read_head
from landmarkzoo.losses.head_files import HEAD_FILE
from landmarkzoo.models.packaged_weights import packaged_folder
from landmarkzoo.models.published_models import converted_folder, fetched_file
from landmarkzoo.models.registry import pretrained_cfg


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
) -> tuple[Head, list[str] | None]:
    """Load a head and the names of its classes: of a saved model, or of published landmark weights.

    Args:
        name: ``"local-dir:path"``, a ``Path``, or ``"hf-hub:org/repo"``, with ``@revision`` or without; or
            a name of ``list_models`` whose landmark weights have a head, such as ``"dolg_resnet50.gldv2"``.
        process_group: Split the classes over these processes, if the head can be; each reads its part of
            the file only.
        device: Where the head goes.
        revision: As in ``create_model``, like all that follow.
        token: Access token for the Hub.
        cache_dir: Where downloads are kept.
        local_files_only: Use the cache and make no request.
        force_download: Download again what is cached.

    Returns:
        The head, in training mode, and the class names, or ``None`` if no names were saved.

    Raises:
        ConnectionError: If the Hub does not answer.
        FileNotFoundError: If the folder, the repository, the revision or the head is missing.
        OSError: If a converted head cannot be kept beside the download.
        PermissionError: If the repository is gated, or the token was refused.
        ValueError: If the name is unknown or has no weights, or a file is damaged.

    Examples:
        >>> import tempfile
        >>> folder = tempfile.mkdtemp()
        >>> model = lz.create_model("efficientnet_lite0_gem", embedding_dim=8)
        >>> head = lz.SubCenterArcFaceDynamic(8, 2, margins=0.3)
        >>> model.save_pretrained(folder, head, class_names=["Taj Mahal", "Charminar"])
        >>> head, class_names = lz.load_head(f"local-dir:{folder}")
        >>> head.num_classes, class_names
        (2, ['Taj Mahal', 'Charminar'])
    """
    options = HubOptions(revision, token, cache_dir, local_files_only, force_download)
    if not isinstance(name, str) or not name or is_saved(name) or Path(name).is_dir():
        return saved_head(name, options, process_group=process_group, device=device)
    cfg = pretrained_cfg(name)
    if cfg.weights is None:
        raise ValueError(
            f"no landmark weights of {name!r} can be loaded by name, and so no head: one that was saved "
            "is 'hf-hub:org/repo' or 'local-dir:path'"
        )
    if packaged_folder(cfg.weights) is not None:
        raise FileNotFoundError(
            f"the landmark weights of {cfg.name!r} have no head: it is not in the package"
        )
    if isinstance(cfg.weights, str):
        return saved_head(f"{HUB}{cfg.weights}", options, process_group=process_group, device=device)
    if cfg.weights.layout in {layout.name for layout in LAYOUTS if layout.head is None}:  # no download for it
        raise FileNotFoundError(f"the landmark weights of {cfg.name!r} have no head: none was published")
    folder = converted_folder(cfg, fetched_file(cfg, options))
    if not (folder / HEAD_FILE).is_file():
        raise FileNotFoundError(
            f"the landmark weights of {cfg.name!r} have no head: there is none in {folder}"
        )
    return read_head(folder, process_group=process_group, device=device)
