"""Suspicious photos as one self-contained HTML page, beside photos that show what they should, or could."""

from __future__ import annotations

import html
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path

from landmarkzoo._utils.atomic_writing import atomic_write
from landmarkzoo._utils.checks import check_count
from landmarkzoo.reports.photo_folder import PhotoFolder
from landmarkzoo.reports.photo_page import missing_photos, page_start, photo_figure

_STYLE = """
figure.wrong img { border-color: var(--wrong); }
figure.right img { border-color: var(--right); }
"""
_EXAMPLES = 2
_MEANING = {
    "no landmark": "Far from all landmarks.",
    "wrong label": "Nearer to another landmark than to their own. A score of 1 is as much nearer as photos "
    "usually are to their own.",
    "duplicate elsewhere": "Nearly the same as a photo of another landmark; the score is the cosine.",
    "duplicate": "Nearly the same as a photo of the same landmark; the score is the cosine.",
}

Row = tuple[str, str, str, str, float, str]


def write_suspicions_page(
    path: str | Path,
    rows: Sequence[Row],
    photos: str | Path,
    *,
    examples: Mapping[str, Sequence[str]],
    lines: Sequence[str] = (),
    title: str | None = None,
    max_photos: int = 200,
) -> list[str]:
    """Write one HTML file, photos included, that opens in any browser without network.

    Each suspicious photo, in red, stands beside photos of its landmark, and in green photos of the likelier
    one or the photo that it is a duplicate of. Only photos in the folder get into the page: an id that leads
    out of it (an absolute path, ``..``) is a gap with a reason, as is a photo that is missing or cannot be
    read.

    Args:
        path: The file to write, whole or not at all.
        rows: Id, reason, label, likelier label, score and id of the other photo, as in
            ``lz.finetuning.Suspicion``; those of a reason stand together.
        photos: Folder that the ids are relative to.
        examples: Photos of the landmarks, by name.
        lines: The summary.
        title: Heading of the page; ``None``: how many photos.
        max_photos: How many photos of each reason the page shows: a page of 200 has about 5 MB.

    Returns:
        Ids of the photos that were not found in their folder. A ``UserWarning`` counts them.

    Raises:
        FileNotFoundError: If the folder of ``path`` does not exist, or not one of the photos was found.
        ValueError: If ``max_photos`` is not positive.
    """
    check_count(max_photos, "max_photos")
    folder, page = PhotoFolder(Path(photos)), Path(path)
    shown = (
        "The suspicious photo is red, beside photos of its landmark; green is the likelier landmark, or the "
        "photo that it is a duplicate of. A photo is a link to its file."
    )
    with (
        atomic_write(path) as temporary,
        temporary.open("w", encoding="utf-8", errors="backslashreplace") as file,
    ):
        file.write(page_start(title or f"{len(rows):,} photos to check", lines, shown, _STYLE) + "<main>\n")
        for reason, group in groupby(rows, key=lambda row: row[1]):
            of_reason = list(group)
            more = f", the first {max_photos:,}" if len(of_reason) > max_photos else ""
            file.write(f"<h2>{html.escape(reason)}: {len(of_reason):,}{more}</h2>\n")
            file.write(f"<p>{_MEANING.get(reason, '')}</p>\n")
            for row in of_reason[:max_photos]:
                file.write(f"<section>{''.join(_figures(folder, page, row, examples))}</section>\n")
        file.write("</main></body></html>\n")
        return missing_photos([folder])


def _figures(
    folder: PhotoFolder, page: Path, row: Row, examples: Mapping[str, Sequence[str]]
) -> Iterator[str]:
    id_, _, label, likelier, score, other = row
    yield photo_figure(folder, id_, f"{label}? {score:.2f}", page=page, kind="wrong")
    if not other or likelier:
        for example in examples.get(label, ())[:_EXAMPLES]:
            yield photo_figure(folder, example, label, page=page)
    if other:
        yield photo_figure(folder, other, likelier or label, page=page, kind="right")
    elif likelier:
        for example in examples.get(likelier, ())[:_EXAMPLES]:
            yield photo_figure(folder, example, likelier, page=page, kind="right")
