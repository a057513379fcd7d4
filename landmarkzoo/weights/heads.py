"""Heads by name."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import distributed as dist

from landmarkzoo.losses import SubCenterArcFaceDynamic, read_head
from landmarkzoo.weights.sources import saved_folder


def load_head(
    name: str | Path,
    *,
    process_group: dist.ProcessGroup | None = None,
    device: torch.device | str | None = None,
) -> tuple[SubCenterArcFaceDynamic, list[str] | None]:
    """Load a head and the names of its classes, as ``save_pretrained`` wrote them.

    Args:
        name: ``"local-dir:path"``, or a ``Path``.
        process_group: Spread the classes over these processes; each reads its part of the file only.
        device: Where the head goes.

    Returns:
        The head, in training mode, and the class names, or ``None`` if none were saved.

    Raises:
        FileNotFoundError: If the folder or its head is missing.
        ValueError: If the name or a file is not as it should be.
    """
    return read_head(saved_folder(name), process_group=process_group, device=device)
