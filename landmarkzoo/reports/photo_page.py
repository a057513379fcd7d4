"""What the HTML pages have in common: their look, and the photos inside of the file."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from PIL import ImageOps

from landmarkzoo import __version__
from landmarkzoo._utils.atomic_writing import atomic_write
from landmarkzoo._utils.user_warnings import warn_user
from landmarkzoo.photos import PhotoError, open_photo
from landmarkzoo.reports.photo_folder import PhotoFolder, link

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
figcaption { font-size: 12px; overflow-wrap: anywhere; }
figure a { color: inherit; }
ul.summary { padding-left: 1.2rem; }
"""


@contextmanager
def new_page(
    path: str | Path, title: str, lines: Sequence[str], shown: str, style: str, main_id: str = "all"
) -> Iterator[TextIO]:
    """A page to write photos to, between its start and its end; a file that is whole or not there.

    Args:
        path: The file.
        title: Heading, escaped here, as are all texts.
        lines: The summary.
        shown: One sentence about what the page shows.
        style: CSS of this kind of page, beside that of all.
        main_id: Id of the part with the photos, which the style may name.
    """
    with (
        atomic_write(path) as temporary,
        temporary.open("w", encoding="utf-8", errors="backslashreplace") as file,
    ):
        file.write(f'{_start(title, lines, shown, style)}<main id="{main_id}">\n')
        yield file
        file.write("</main></body></html>\n")


def _start(title: str, lines: Sequence[str], shown: str, style: str) -> str:
    heading = html.escape(title)
    entries = "".join(f"<li>{html.escape(line)}</li>" for line in lines)
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{heading}</title>\n'
        f'<meta name="generator" content="landmarkzoo {__version__}">\n'
        f'<meta name="viewport" content="width=device-width">\n<style>{_STYLE}{style}</style></head>\n'
        f'<body><h1>{heading}</h1>\n<ul class="summary">{entries}</ul>\n<p>{html.escape(shown)}</p>\n'
    )


def photo_figure(
    folder: PhotoFolder, id_: str, text: str, *, page: Path, kind: str = "", mark: str = ""
) -> str:
    """A photo, which is a link to its file, with a text and its id; a gap with the reason if there is none.

    Args:
        folder: Where the photo is.
        id_: Its id.
        text: What stands below it.
        page: The file that the figure gets into.
        kind: CSS class.
        mark: A word behind the text.
    """
    line = f"{html.escape(text)} <span class=mark>{mark}</span><br>" if text else ""
    image = _image(folder, id_, page)
    return f'<figure class="{kind}">{image}<figcaption>{line}{html.escape(id_)}</figcaption></figure>'


def _image(folder: PhotoFolder, id_: str, page: Path) -> str:
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
    return f'<a href="{html.escape(link(path, page), quote=True)}">{image}</a>'


def missing_photos(folders: list[PhotoFolder]) -> list[str]:
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
