"""Predictions as one self-contained HTML page: each photo with its best classes, and their scores as bars."""

from __future__ import annotations

import html
from pathlib import Path

from landmarkzoo._utils.checks import check_count
from landmarkzoo.classification import Predictions
from landmarkzoo.reports.photo_folder import PhotoFolder
from landmarkzoo.reports.photo_page import missing_photos, new_page, photo_figure

_STYLE = """
table { align-self: center; border-spacing: .6rem .1rem; }
td.name { overflow-wrap: anywhere; } td.score { text-align: right; min-width: 3.5em; }
meter { width: 12rem; }
"""


def write_predictions_page(
    path: str | Path,
    predictions: Predictions,
    photos: str | Path,
    *,
    title: str | None = None,
    max_photos: int = 1000,
) -> list[str]:
    """Write one HTML file, photos included, that opens in any browser without network.

    Only photos in the folder get into the page: an id that leads out of it (an absolute path, ``..``) is a
    gap with a reason, as is a photo that is missing or cannot be read. A bar is full at a cosine of 1, and
    empty from 0 down.

    Args:
        path: The file to write, whole or not at all.
        predictions: What ``classify`` gave; the ids are paths of photos.
        photos: Folder that the ids are relative to.
        title: Heading of the page; ``None``: how many photos.
        max_photos: How many photos the page shows: a page of 1,000 has about 6 MB.

    Returns:
        Ids of the photos that were not found in their folder. A ``UserWarning`` counts them.

    Raises:
        FileNotFoundError: If the folder of ``path`` does not exist, or not one of the photos was found.
        ValueError: If ``max_photos`` is not positive.
    """
    check_count(max_photos, "max_photos")
    folder, count = PhotoFolder(Path(photos)), len(predictions)
    lines = [f"{count:,} photos, the best {predictions.labels.shape[1]} classes of each"]
    if predictions.skipped:
        lines.append(f"{len(predictions.skipped):,} photos were skipped")
    which = f"The first {max_photos:,} of {count:,} photos" if count > max_photos else "All photos"
    shown = f"{which}, with the cosine to each class. A photo is a link to its file."
    with new_page(path, title or f"Landmarks in {count:,} photos", lines, shown, _STYLE) as file:
        for one in predictions[:max_photos]:
            figure = photo_figure(folder, one.ids[0], "", page=Path(path))
            file.write(f"<section>{figure}{_classes(one)}</section>\n")
        return missing_photos([folder])


def _classes(one: Predictions) -> str:
    """The classes of one photo as a table: bar, score, name."""
    names = one.labels[0].tolist() if one.names is None else one.names[0]
    rows = [
        f'<tr><td><meter min="0" max="1" value="{max(score, 0):.4f}"></meter></td>'
        f"<td class=score>{score:.3f}</td><td class=name>{html.escape(str(name))}</td></tr>"
        for name, score in zip(names, one.scores[0].tolist())
    ]
    return f"<table>{''.join(rows)}</table>"
