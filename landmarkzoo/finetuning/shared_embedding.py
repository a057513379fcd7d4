"""Descriptors of photos by one process or several, each of which embeds a share."""

from __future__ import annotations

from typing import Any

import numpy as np

from landmarkzoo.embedding import embed
from landmarkzoo.finetuning.photo_store import PhotoStore
from landmarkzoo.finetuning.processes import Processes
from landmarkzoo.models import DescriptorModel
from landmarkzoo.photos import PhotoSource
from landmarkzoo.retrieval import Descriptors


def embedded_photos(
    model: DescriptorModel, photos: PhotoSource | PhotoStore, processes: Processes, **how: Any
) -> Descriptors:
    """``lz.embed`` of photos, the same on all processes.

    Args:
        model: The model, the same on all of them.
        photos: All photos.
        processes: The processes.
        **how: Arguments of ``lz.embed``.
    """
    count, rows = processes.count, np.arange(len(photos))
    if count == 1:
        return embed(model, photos, **how)
    mine = rows[processes.rank :: count] if len(rows) >= count else rows  # of few photos, each embeds all
    here = embed(model, photos.take(mine.tolist()), **how)
    vectors = np.empty((len(photos), here.vectors.shape[1]), here.vectors.dtype)
    for places, part in processes.gather((mine, np.asarray(here.vectors))):
        vectors[places] = part
    return Descriptors(list(photos.ids), vectors, provenance=here.provenance)
