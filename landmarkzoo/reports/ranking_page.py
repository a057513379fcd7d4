"""Rankings as one self-contained HTML page: each query with its results, right and wrong ones marked."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from landmarkzoo._utils.checks import check_count
from landmarkzoo.reports.photo_folder import PhotoFolder
from landmarkzoo.reports.photo_page import missing_photos, new_page, photo_figure
from landmarkzoo.reports.ranking_summary import Labels, summary
from landmarkzoo.retrieval import Ranking

_STYLE = """
figure.query img { border-color: #3464be; }
figure.right img { border-color: var(--right); }
figure.wrong img { border-color: var(--wrong); }
main:target section:not(:has(figure.query + figure.wrong)) { display: none; }
main:target .all-are-shown, main:not(:target) .wrong-are-shown { display: none; }
.right .mark { color: var(--right); } .wrong .mark { color: var(--wrong); }
"""
_FILTER = """<p class="all-are-shown"><a href="#wrong">wrong only</a></p>
<p class="wrong-are-shown">The first result is wrong. <a href="#">all queries</a></p>
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
    with new_page(path, title, lines, page.what_is_shown(max_queries), _STYLE, main_id="wrong") as file:
        file.write("" if labels is None else _FILTER)
        for row in range(min(len(ranking), max_queries)):
            file.write(page.section(row) + "\n")
        return missing_photos([queries] if queries is index else [queries, index])


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
        yield photo_figure(self.queries, ranking.query_ids[row], label or "", page=self.path, kind="query")
        found = zip(ranking.indices[row, : self.max_results].tolist(), ranking.scores[row])
        for rank, (image, score) in enumerate(found, start=1):
            if image < 0:
                continue
            kind, mark = "", ""
            if self.labels is not None and label is not None:  # a query without landmark has no right results
                kind = mark = "right" if self.labels[1][image] == label else "wrong"
            text, id_ = f"{rank}. {score:.3f}", ranking.index_ids[image]
            yield photo_figure(self.index, id_, text, page=self.path, kind=kind, mark=mark)
