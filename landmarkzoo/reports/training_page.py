"""A training as one self-contained HTML page: its curves, scores before and after, and what it confuses."""

from __future__ import annotations

import html
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from landmarkzoo._utils.atomic_writing import atomic_write
from landmarkzoo._utils.checks import check_count
from landmarkzoo.evaluation import Evaluation
from landmarkzoo.reports.line_chart import CHART_STYLE, chart_svg
from landmarkzoo.reports.photo_folder import ListedPhotos, PhotoFolder
from landmarkzoo.reports.photo_page import page_start, photo_figure

Confusion = tuple[str, str, int, Sequence[str]]

_NAMES = {"lr": "learning rate"}
_BETTER = {"loss": -1, "lr": 0, "seconds": 0}  # 1, the higher the better, of all scores

_STYLE = (
    CHART_STYLE
    + """
.charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(300px, 100%), 1fr)); gap: 1rem; }
.charts h3 { margin: 0 0 .3rem; } .charts p { margin: 0; font-size: 13px; }
details { margin-top: 1rem; }
.wide { overflow-x: auto; } table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: .25rem .8rem .25rem 0; text-align: right; border-bottom: 1px solid #8884; }
th:first-child, td:first-child { text-align: left; } td small { display: block; opacity: .75; }
td.up { color: var(--right); } td.down { color: var(--wrong); }
h3 { overflow-wrap: anywhere; margin-bottom: 0; } h3 + section { border-top: 0; }
@media (max-width: 600px) { body { margin: 1rem; } }
"""
)


def write_training_page(
    path: str | Path,
    *,
    title: str,
    history: Sequence[Mapping[str, float | None]],
    before: Evaluation | None = None,
    after: Evaluation | None = None,
    confusions: Sequence[Confusion] = (),
    photos: str | Path | Mapping[str, Path] | None = None,
    lines: Sequence[str] = (),
    max_confusions: int = 20,
    max_photos: int = 12,
) -> list[str]:
    """Write one HTML file, photos included, that opens in any browser without network.

    A photo that is missing or cannot be read is a gap with a reason, and so is, where a folder is given, an
    id that leads out of it (an absolute path, ``..``).

    Args:
        path: The file to write, whole or not at all.
        title: Heading of the page.
        history: One row an epoch: its number, ``"epoch"``, and all else that is a curve, by name: ``"loss"``,
            ``"lr"``, scores. ``None`` or NaN where there is no value.
        before: Scores of the validation photos before the training; ``None`` if there are none.
        after: Scores after it.
        confusions: Which landmarks are taken for which: landmark, what it is taken for, how often, and ids of
            these photos; the most frequent first.
        photos: Folder that the ids are relative to, or the file of each id; ``None``: no photos.
        lines: What the page says about the training below its heading.
        max_confusions: How many of the confusions the page shows.
        max_photos: How many photos of each.

    Returns:
        Ids of the photos that were not found.

    Raises:
        FileNotFoundError: If the folder of ``path`` does not exist.
        ValueError: If ``max_confusions`` or ``max_photos`` is not positive.
    """
    check_count(max_confusions, "max_confusions")
    check_count(max_photos, "max_photos")
    folder = _folder(photos)
    with (
        atomic_write(path) as temporary,
        temporary.open("w", encoding="utf-8", errors="backslashreplace") as file,
    ):
        file.write(page_start(title, lines, _what_is_shown(history), _STYLE) + "<main>\n")
        file.write(_curves(history))
        file.write(_scores(before, after))
        if after is not None:
            file.write(_heading(confusions, max_confusions))
        for landmark, taken_for, count, ids in confusions[:max_confusions]:
            times = f"{count:,} photo{'' if count == 1 else 's'}"
            file.write(f"<h3>{html.escape(f'{landmark} taken for {taken_for}: {times}')}</h3>\n")
            if folder is not None:
                figures = [photo_figure(folder, id_, "", page=Path(path)) for id_ in ids[:max_photos]]
                file.write(f"<section>{''.join(figures)}</section>\n")
        file.write("</main></body></html>\n")
    return [] if folder is None else folder.missing


def _folder(photos: str | Path | Mapping[str, Path] | None) -> PhotoFolder | None:
    if isinstance(photos, Mapping):
        return ListedPhotos(photos)
    return None if photos is None else PhotoFolder(Path(photos))


def _what_is_shown(history: Sequence[Mapping[str, float | None]]) -> str:
    epochs = f"{len(history):,} epoch{'' if len(history) == 1 else 's'}"
    return f"{epochs}. A photo is a link to its file; a point of a curve says its value."


def _curves(history: Sequence[Mapping[str, float | None]]) -> str:
    """A chart of each value, and all of them as a table."""
    if not history:
        return ""
    keys = list(dict.fromkeys(key for row in history for key in row if key != "epoch"))
    epochs = [int(row["epoch"] or 0) for row in history]
    charts = []
    for key in keys:
        name, values = _NAMES.get(key, key), [row.get(key) for row in history]
        said = html.escape(_in_words(epochs, values, _BETTER.get(key, 1)))
        svg = chart_svg(name, epochs, values)
        charts.append(f'<div class="chart"><h3>{html.escape(name)}</h3>{svg}<p>{said}</p></div>')
    head = "".join(f"<th>{html.escape(_NAMES.get(key, key))}</th>" for key in ("epoch", *keys))
    rows = [
        f"<tr><td>{epoch}</td>{''.join(f'<td>{_number(row.get(key))}</td>' for key in keys)}</tr>"
        for epoch, row in zip(epochs, history)
    ]
    table = f'<div class="wide"><table><tr>{head}</tr>{"".join(rows)}</table></div>'
    return (
        f'<h2>Curves</h2>\n<div class="charts">{"".join(charts)}</div>\n'
        f"<details><summary>All epochs as a table</summary>{table}</details>\n"
    )


def _in_words(epochs: list[int], values: list[float | None], better: int) -> str:
    """The last value and the best one; ``better``: 1 for the highest, -1 for the lowest, 0 for none."""
    there = [(b, a) for a, b in zip(epochs, values) if b is not None and math.isfinite(b)]
    if not there:
        return "no value"
    last = f"{there[-1][0]:.4g} in the end"
    if not better:
        return last
    value, epoch = max(there, key=lambda pair: better * pair[0])
    return f"{last}; {'highest' if better > 0 else 'lowest'} {value:.4g}, epoch {epoch}"


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}"


def _scores(before: Evaluation | None, after: Evaluation | None) -> str:
    """Scores before and after as a table, with their protocol."""
    if before is None and after is None:
        return "<p>There were no validation photos: nothing was measured.</p>\n"
    of = {score.metric: score.protocol for scores in (before, after) if scores for score in scores.scores}
    rows = []
    for metric in of:
        cells = [_score(before, metric), _score(after, metric)]
        if before is not None and after is not None and {metric} <= {*before.metrics} & {*after.metrics}:
            change = after[metric] - before[metric]
            kind = "up" if change > 0 else "down" if change < 0 else ""
            cells.append(f'<td class="{kind}">{change:+.3f}</td>')
        rows.append(f"<tr><td>{html.escape(metric)}</td>{''.join(cells)}</tr>")
    header = "<tr><th>metric</th><th>before</th><th>after</th><th>change</th></tr>"
    notes = [
        f"{', '.join(metric for metric in of if of[metric] == text)}: {text}."
        for text in dict.fromkeys(of.values())
    ]
    notes.append("In brackets: confidence intervals, by the bootstrap over photos.")
    return (
        f"<h2>Before and after</h2>\n<table>{header}{''.join(rows)}</table>\n"
        + "".join(f"<p>{html.escape(note)}</p>" for note in notes)
        + "\n"
    )


def _score(scores: Evaluation | None, metric: str) -> str:
    if scores is None or metric not in scores.metrics:
        return "<td></td>"
    value, _, interval = str(scores.intervals[metric]).partition(" ")
    return f"<td>{value}<small>{interval}</small></td>"


def _heading(confusions: Sequence[Confusion], most: int) -> str:
    count = f"{len(confusions):,} pair{'' if len(confusions) == 1 else 's'}"
    which = f"The {most:,} most frequent of {count}" if len(confusions) > most else count
    said = f"{which}: validation photos that the head gives to another landmark."
    if not confusions:
        said = "No validation photo is taken for another landmark."
    return f"<h2>Confusions</h2>\n<p>{said}</p>\n"
