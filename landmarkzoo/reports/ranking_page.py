"""Rankings as one self-contained HTML page: each query with its results, right and wrong ones marked."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Iterator, Sequence
from pathlib import Path

from PIL import ImageOps

from landmarkzoo import __version__
from landmarkzoo._utils.atomic_writing import atomic_write
from landmarkzoo._utils.checks import check_count
from landmarkzoo._utils.user_warnings import warn_user
from landmarkzoo.photos import PhotoError, open_photo
from landmarkzoo.reports.photo_folder import PhotoFolder, link
from landmarkzoo.reports.ranking_summary import Labels, summary
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
figure a { color: inherit; }
ul.summary { padding-left: 1.2rem; }
main:target section:not(:has(figure.query + figure.wrong)) { display: none; }
main:target .all-are-shown, main:not(:target) .wrong-are-shown { display: none; }
.right .mark { color: var(--right); } .wrong .mark { color: var(--wrong); }
"""


def write_ranking_page(
    path: str | Path,
    ranking: Ranking,
    query_photos: str | Path,
    index_photos: str | Path,
    *,
    labels: Labels | None = None,
    title: str | None = None,
    max_queries: int = 100,
    max_results: int = 20,
) -> list[str]:
    """Write one HTML file, photos included, that opens in any browser without network.

    Only photos in the two folders get into the page: an id that leads out of its folder (an absolute path,
    ``..``) is a gap with a reason, as is a photo that is missing or cannot be read.

    Args:
        path: The file to write, whole or not at all.
        ranking: A ranking with ids; the ids are paths of photos.
        query_photos: Folder that the ids of the queries are relative to.
        index_photos: Folder that the ids of the index are relative to.
        labels: Landmarks of the queries and of the index photos, ``None`` for a photo without landmark.
            Results that show the landmark of the query are marked right, others wrong. The page then says how
            many queries are right, and can show the wrong ones only.
        title: Heading of the page; ``None``: how many queries and photos.
        max_queries: How many queries the page shows: a page of 100 has about 10 MB.
        max_results: How many results of each.

    Returns:
        Ids of the photos that were not found in their folder. A ``UserWarning`` counts them.

    Raises:
        FileNotFoundError: If the folder of ``path`` does not exist, or not one of the photos was found.
        ValueError: If the ranking has no ids, labels do not fit, or a number is not positive.
    """
    if ranking.query_ids is None or ranking.index_ids is None:
        raise ValueError("the page needs ids, which are paths of photos: search with Descriptors, not arrays")
    check_count(max_queries, "max_queries")
    check_count(max_results, "max_results")
    lines = summary(ranking, labels)  # of all queries
    queries, index = PhotoFolder(Path(query_photos)), PhotoFolder(Path(index_photos))
    index = queries if queries.folder == index.folder else index
    page = _Page(Path(path), ranking, queries, index, labels, max_results)
    title = title or f"{len(ranking):,} queries in {len(ranking.index_ids):,} photos"
    with (
        atomic_write(path) as temporary,
        temporary.open("w", encoding="utf-8", errors="backslashreplace") as file,
    ):
        file.write(_start(title, lines, page.what_is_shown(max_queries), filtered=labels is not None))
        for row in range(min(len(ranking), max_queries)):
            file.write(page.section(row) + "\n")
        file.write("</main></body></html>\n")
        return _missing([queries] if queries is index else [queries, index])


def _missing(folders: list[PhotoFolder]) -> list[str]:
    """Photos that are not there: an error if these are all, otherwise a warning."""
    asked, missing = sum(len(f.asked) for f in folders), [id_ for f in folders for id_ in f.missing]
    if asked and len(missing) == asked:
        names = " and ".join(str(f.folder) for f in folders)
        raise FileNotFoundError(
            f"none of the {asked} photos of the report is in {names}, such as {missing[0]!r}: "
            "give the folder that was embedded"
        )
    for folder in folders:
        if folder.missing:
            count = f"{len(folder.missing):,} of {len(folder.asked):,} photos were"
            message = f"{count} not found in {folder.folder}, such as {folder.missing[0]!r}"
            warn_user(message)
    return missing


def _start(title: str, lines: Sequence[str], shown: str, *, filtered: bool) -> str:
    """The page up to the first query."""
    heading = html.escape(title)
    entries = "".join(f"<li>{html.escape(line)}</li>" for line in lines)
    links = ""
    if filtered:
        links = (
            '<p class="all-are-shown"><a href="#wrong">wrong only</a></p>\n'
            '<p class="wrong-are-shown">The first result is wrong. <a href="#">all queries</a></p>\n'
        )
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{heading}</title>\n'
        f'<meta name="generator" content="landmarkzoo {__version__}">\n'
        f'<meta name="viewport" content="width=device-width">\n<style>{_STYLE}</style></head>\n'
        f'<body><h1>{heading}</h1>\n<ul class="summary">{entries}</ul>\n<p>{html.escape(shown)}</p>\n'
        f'<main id="wrong">\n{links}'
    )


class _Page:
    """What is the same for all queries of a page."""

    def __init__(
        self,
        path: Path,
        ranking: Ranking,
        queries: PhotoFolder,
        index: PhotoFolder,
        labels: Labels | None,
        max_results: int,
    ) -> None:
        self.path, self.ranking, self.labels, self.max_results = path, ranking, labels, max_results
        self.queries, self.index = queries, index

    def what_is_shown(self, max_queries: int) -> str:
        """One sentence."""
        count, k = self.ranking.indices.shape
        queries = f"The first {max_queries:,} of {count:,} queries" if count > max_queries else "All queries"
        results = (
            f"their first {self.max_results} of {k} results" if k > self.max_results else "their results"
        )
        return f"{queries}, with {results}. A photo is a link to its file."

    def section(self, row: int) -> str:
        """A query and its results."""
        return f"<section>{''.join(self._figures(row))}</section>"

    def _figures(self, row: int) -> Iterator[str]:
        ranking = self.ranking
        assert ranking.query_ids is not None
        assert ranking.index_ids is not None
        label = None if self.labels is None else self.labels[0][row]
        yield self._figure(self.queries, "query", ranking.query_ids[row], label or "")
        found = zip(ranking.indices[row, : self.max_results].tolist(), ranking.scores[row])
        for rank, (image, score) in enumerate(found, start=1):
            if image < 0:
                continue
            kind, mark = "", ""
            if self.labels is not None and label is not None:  # a query without landmark has no right results
                kind = mark = "right" if self.labels[1][image] == label else "wrong"
            yield self._figure(self.index, kind, ranking.index_ids[image], f"{rank}. {score:.3f}", mark)

    def _figure(self, folder: PhotoFolder, kind: str, id_: str, text: str, mark: str = "") -> str:
        caption = f"{html.escape(text)} <span class=mark>{mark}</span><br>{html.escape(id_)}"
        return f'<figure class="{kind}">{self._image(folder, id_)}<figcaption>{caption}</figcaption></figure>'

    def _image(self, folder: PhotoFolder, id_: str) -> str:
        try:
            path = folder.find(id_)
            photo = open_photo(path)
        except (PhotoError, OSError) as error:  # a page with a gap is better than an error
            reason = error.reason if isinstance(error, PhotoError) else str(error)
            return f"<div class=none>{html.escape(reason)}</div>"
        buffer = io.BytesIO()
        ImageOps.fit(photo, (_SIDE, _SIDE)).save(buffer, "JPEG", quality=_QUALITY)
        data = base64.b64encode(buffer.getvalue()).decode()
        image = f'<img alt="{html.escape(id_, quote=True)}" src="data:image/jpeg;base64,{data}">'
        return f'<a href="{html.escape(link(path, self.path), quote=True)}">{image}</a>'
