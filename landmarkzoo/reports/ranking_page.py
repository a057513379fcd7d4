"""Rankings as one self-contained HTML page: each query with its results, right and wrong ones marked."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Sequence
from pathlib import Path

from PIL import ImageOps

from landmarkzoo import __version__
from landmarkzoo._utils.atomic_writing import atomic_write
from landmarkzoo.photos import PhotoError, open_photo
from landmarkzoo.retrieval import Ranking

_SIDE, _QUALITY = 200, 80  # of the photos in the page
_STYLE = """
:root { color-scheme: light dark; --ink: #1e1e22; --paper: #fafaf8; --right: #22964a; --wrong: #cd3030; }
@media (prefers-color-scheme: dark) { :root { --ink: #eee; --paper: #18181b; } }
body { font: 15px/1.4 system-ui, sans-serif; color: var(--ink); background: var(--paper); margin: 2rem; }
section { display: flex; gap: .8rem; overflow-x: auto; padding: .8rem 0; border-top: 1px solid #8884; }
figure { margin: 0; flex: none; width: 150px; }
figure img, figure .none { width: 150px; height: 150px; object-fit: cover; box-sizing: border-box;
  border: 5px solid #8886; border-radius: 4px; }
figure .none { display: flex; align-items: center; justify-content: center; text-align: center; }
figure.query img { border-color: #3464be; }
figure.right img { border-color: var(--right); }
figure.wrong img { border-color: var(--wrong); }
figcaption { font-size: 12px; overflow-wrap: anywhere; }
.right .mark { color: var(--right); } .wrong .mark { color: var(--wrong); }
"""


def write_ranking_page(
    path: str | Path,
    ranking: Ranking,
    query_photos: Path,
    index_photos: Path,
    *,
    labels: tuple[Sequence[str | None], Sequence[str | None]] | None = None,
    title: str = "Ranking",
) -> None:
    """Write one HTML file, photos included, that opens in any browser without network.

    Args:
        path: The file to write, whole or not at all.
        ranking: A ranking with ids; the ids are paths of photos.
        query_photos: Folder that the ids of the queries are relative to.
        index_photos: Folder that the ids of the index are relative to.
        labels: Landmarks of the queries and of the index photos, ``None`` for a photo without landmark.
            Results that show the landmark of the query are marked right, others wrong.
        title: Heading of the page.

    Raises:
        FileNotFoundError: If the folder of ``path`` does not exist.
        ValueError: If the ranking has no ids.
    """
    if ranking.query_ids is None or ranking.index_ids is None:
        raise ValueError("the page needs ids, which are paths of photos: search with Descriptors, not arrays")
    sections = [_section(ranking, row, query_photos, index_photos, labels) for row in range(len(ranking))]
    heading = html.escape(title)
    page = (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{heading}</title>\n'
        f'<meta name="generator" content="landmarkzoo {__version__}">\n'
        f'<meta name="viewport" content="width=device-width">\n<style>{_STYLE}</style></head>\n'
        f"<body><h1>{heading}</h1>\n<p>{len(ranking)} queries, the query first, then its results.</p>\n"
    )
    with (
        atomic_write(path) as temporary,
        temporary.open("w", encoding="utf-8", errors="backslashreplace") as file,
    ):
        file.write(page + "\n".join(sections) + "\n</body></html>\n")


def _section(
    ranking: Ranking,
    row: int,
    query_photos: Path,
    index_photos: Path,
    labels: tuple[Sequence[str | None], Sequence[str | None]] | None,
) -> str:
    assert ranking.query_ids is not None
    assert ranking.index_ids is not None
    query = ranking.query_ids[row]
    label = None if labels is None else labels[0][row]
    figures = [_figure(query_photos / query, "query", query, label or "")]
    for rank, (image, score) in enumerate(zip(ranking.indices[row].tolist(), ranking.scores[row]), start=1):
        if image < 0:
            continue
        kind, mark = "", ""
        if labels is not None and label is not None:  # a query without landmark has no right results
            right = labels[1][image] == label
            kind, mark = ("right", "right") if right else ("wrong", "wrong")
        id_ = ranking.index_ids[image]
        figures.append(_figure(index_photos / id_, kind, id_, f"{rank}. {score:.3f}", mark))
    return f"<section>{''.join(figures)}</section>"


def _figure(path: Path, kind: str, id_: str, text: str, mark: str = "") -> str:
    caption = f"{html.escape(text)} <span class=mark>{mark}</span><br>{html.escape(id_)}"
    return f'<figure class="{kind}">{_image(path, id_)}<figcaption>{caption}</figcaption></figure>'


def _image(path: Path, id_: str) -> str:
    try:
        photo = open_photo(path if path.is_file() else id_)  # the id of a single photo is its path as given
    except (PhotoError, OSError) as error:  # a page with a gap is better than an error
        reason = error.reason if isinstance(error, PhotoError) else str(error)
        return f"<div class=none>{html.escape(reason)}</div>"
    buffer = io.BytesIO()
    ImageOps.fit(photo, (_SIDE, _SIDE)).save(buffer, "JPEG", quality=_QUALITY)
    data = base64.b64encode(buffer.getvalue()).decode()
    return f'<img alt="{html.escape(id_, quote=True)}" src="data:image/jpeg;base64,{data}">'
