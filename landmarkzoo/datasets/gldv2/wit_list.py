"""Photos of the landmarks of Google Landmarks v2 in WIT, the images of Wikipedia's pages."""

from __future__ import annotations

import csv
import gzip
import hashlib
import re
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO
from urllib.parse import parse_qs, unquote, urlsplit

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from landmarkzoo._utils.csv_and_pandas import write_csv
from landmarkzoo._utils.unicode_names import nfc
from landmarkzoo._utils.user_paths import user_path
from landmarkzoo.datasets.csv_files import csv_error, csv_rows
from landmarkzoo.datasets.gldv2.csv_tables import find_csv, need_csv, read_categories, read_clean_landmarks

_COLUMNS = ("page_title", "image_url", "mime_type", "is_main_image")
_LONGEST_CELL = 2**31 - 1  # the csv module refuses more than 131,072 characters, and sections have more
# As MediaWiki reads titles: marks of direction are left out, any spaces and underscores are one space.
_DIRECTIONS = re.compile("[\u200e\u200f\u202a-\u202e]")
_SPACES = re.compile("[ _\u00a0\u1680\u180e\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]+")


@dataclass(frozen=True)
class Ambiguity:
    """A page title or an image that several landmarks share, so that its images are not taken.

    Attributes:
        kind: ``"title"`` or ``"image"``.
        name: The title as WIT has it, or the address of the image.
        landmark_ids: The landmarks, ascending.
    """

    kind: str
    name: str
    landmark_ids: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class WitList:
    """Images of WIT that show landmarks of Google Landmarks v2.

    Attributes:
        ids: Image ids: 16 hexadecimal characters of a hash of the address.
        urls: Address of each image.
        landmark_ids: Train landmark id (N,) of each, int64.
        ambiguous: Titles and images that several landmarks share, in the order of WIT.
        in_train: How many more there are that ``train.csv`` has already.
        unreadable: File and line of rows that have too many or too few cells.
    """

    ids: list[str]
    urls: list[str]
    landmark_ids: NDArray[np.int64]
    ambiguous: list[Ambiguity]
    in_train: int
    unreadable: list[tuple[str, int]]

    @property
    def paths(self) -> list[str]:
        """Where each image is looked for, as in GLDv2: ``0/1/2/0123456789abcdef.jpg``."""
        return [f"{id_[0]}/{id_[1]}/{id_[2]}/{id_}.jpg" for id_ in self.ids]

    def save(self, folder: str | Path) -> None:
        """Write ``wit.csv`` (id, url, landmark_id, path) and ``wit_ambiguous.csv``.

        Once the images are there, ``CsvPhotos(folder / "wit.csv", label_column="landmark_id")`` reads them.

        Raises:
            FileNotFoundError: If the folder does not exist.
        """
        folder = user_path(folder)
        rows = zip(self.ids, self.urls, self.landmark_ids.tolist(), self.paths)
        write_csv(folder / "wit.csv", ["id", "url", "landmark_id", "path"], rows)
        shared = ([a.kind, a.name, " ".join(map(str, a.landmark_ids))] for a in self.ambiguous)
        write_csv(folder / "wit_ambiguous.csv", ["kind", "name", "landmark_ids"], shared)

    def __len__(self) -> int:
        return len(self.ids)

    def __repr__(self) -> str:
        landmarks = len(np.unique(self.landmark_ids))
        return (
            f"WitList({len(self)} images of {landmarks} landmarks, {len(self.ambiguous)} ambiguities, "
            f"{self.in_train} in train.csv, {len(self.unreadable)} unreadable rows)"
        )


def build_wit_list(
    wit: str | Path | Sequence[str | Path],
    root: str | Path,
    *,
    landmarks: Iterable[int] | None = None,
    mime_types: Sequence[str] = ("image/jpeg",),
    main_images_only: bool = False,
    progress: bool = False,
) -> WitList:
    r"""Find the photos of landmarks of Google Landmarks v2 in [WIT](https://arxiv.org/abs/2103.01913).

    [Henkel 2021](https://arxiv.org/abs/2110.03786), section 2.4, adds them to the labelled photos. How they
    are matched is ours: a landmark is a category of Wikimedia Commons, and an image is taken where the title
    of its Wikipedia page, in any language, is the name of the category. Titles are compared as MediaWiki
    does: spaces and underscores, percent-encoding, both Unicode forms and the case of the first letter make
    no difference, all else does. So ``Dom (Riga)`` is not ``Dom``, and few pages in other scripts are found.

    Nothing is guessed. A title that belongs to several landmarks, and an image on the pages of several, are
    listed as ambiguous and not taken. Images that ``train.csv`` has, by their address, are left out. Rows
    are read one by one, also of compressed files.

    Args:
        wit: A TSV file of WIT, ``.tsv`` or ``.tsv.gz``, several of them, or their folder.
        root: Folder with ``train_label_to_category.csv`` and, if they are there, ``train_clean.csv`` and
            ``train.csv``; or with a folder ``metadata`` that has them.
        landmarks: Ids of the landmarks that are wanted; those of ``train_clean.csv`` if ``None``.
        mime_types: Kinds of images that are taken. On pages of landmarks PNG and SVG are maps and arms.
        main_images_only: Take only the image that stands for its page.
        progress: Show a progress bar on stderr.

    Raises:
        FileNotFoundError: If a file is missing, or a folder has no TSV files.
        ValueError: If a file lacks a column, is damaged, or ends early; with file and line.

    Examples:
        >>> import pathlib, tempfile
        >>> root = pathlib.Path(tempfile.mkdtemp())
        >>> url = "http://commons.wikimedia.org/wiki/Category:St._Mary%27s_Church"
        >>> _ = (root / "train_label_to_category.csv").write_text(f"landmark_id,category\n7,{url}\n")
        >>> rows = ["page_title\timage_url\tmime_type\tis_main_image"]
        >>> rows += ["st. Mary's Church\thttp://x/a.jpg\timage/jpeg\ttrue"]
        >>> _ = (root / "wit.tsv").write_text("\n".join(rows))
        >>> found = lz.datasets.build_wit_list(root / "wit.tsv", root, landmarks=[7])
        >>> found.urls, found.landmark_ids
        (['http://x/a.jpg'], array([7]))
    """
    files = _tsv_files(wit)
    landmarks_of = _landmarks_of_titles(root)
    wanted = _clean_landmarks(root) if landmarks is None else {int(landmark) for landmark in landmarks}
    urls: dict[str, str] = {}  # by key, as first seen
    titles_of: dict[str, set[tuple[int, ...]]] = {}  # for each image the landmarks of each title
    shared_titles: dict[str, Ambiguity] = {}
    unreadable: list[tuple[str, int]] = []
    for title, url, mime_type, is_main in _rows(files, unreadable, progress):
        found = landmarks_of.get(title_key(title), ())
        if not found or mime_type not in mime_types or (main_images_only and is_main.lower() != "true"):
            continue
        if len(found) > 1 and not wanted.isdisjoint(found):
            shared_titles.setdefault(title_key(title), Ambiguity("title", title, found))
        urls.setdefault(_url_key(url), url)
        titles_of.setdefault(_url_key(url), set()).add(found)
    known = _in_train(root, urls)
    all_of = {key: {one for found in titles for one in found} for key, titles in titles_of.items()}
    of_wanted = [key for key in urls if not wanted.isdisjoint(all_of[key])]
    new = [key for key in of_wanted if key not in known]
    shared_images = [
        Ambiguity("image", urls[key], tuple(sorted(all_of[key]))) for key in new if len(titles_of[key]) > 1
    ]
    taken = [key for key in new if len(all_of[key]) == 1]
    return WitList(
        [hashlib.sha256(key.encode()).hexdigest()[:16] for key in taken],
        [urls[key] for key in taken],
        np.array([next(iter(all_of[key])) for key in taken], dtype=np.int64),
        [*shared_titles.values(), *shared_images],
        len(of_wanted) - len(new),
        unreadable,
    )


def title_key(title: str) -> str:
    """What the spellings of a title have in common that MediaWiki takes for one.

    Examples:
        >>> title_key("tour_Eiffel "), title_key("Tour%20Eiffel"), title_key("Dom (Riga)")
        ('Tour Eiffel', 'Tour Eiffel', 'Dom (Riga)')
    """
    # A title has no percent sign before two hexadecimal digits, so none is decoded that is meant.
    text = nfc(unquote(title)) if not title.isascii() or "%" in title else title
    text = _SPACES.sub(" ", _DIRECTIONS.sub("", text)).strip()
    first = text[:1].upper()
    return first + text[1:] if len(first) == 1 else text  # the capital of some letters is two


def category_title(category: str) -> str:
    """Title of a category of Wikimedia Commons, from its address or its name.

    Examples:
        >>> category_title("http://commons.wikimedia.org/wiki/Category:Dom_(Riga)")
        'Dom_(Riga)'
    """
    if "://" in category:
        parts = urlsplit(category)
        page = parts.path.partition("/wiki/")[2]
        category = unquote(page) if page else parse_qs(parts.query).get("title", [""])[0]
    prefix, colon, title = category.partition(":")
    return title if colon and prefix.strip("_ ").lower() == "category" else category


def _landmarks_of_titles(root: str | Path) -> dict[str, tuple[int, ...]]:
    """Landmarks by the key of their category's title, ascending."""
    landmarks_of: dict[str, list[int]] = {}
    for landmark, category in sorted(read_categories(need_csv(root, "train_label_to_category.csv")).items()):
        landmarks_of.setdefault(title_key(category_title(category)), []).append(landmark)
    landmarks_of.pop("", None)  # a category without name
    return {key: tuple(found) for key, found in landmarks_of.items()}


def _clean_landmarks(root: str | Path) -> set[int]:
    return set(read_clean_landmarks(need_csv(root, "train_clean.csv")).values())


def _in_train(root: str | Path, urls: dict[str, str]) -> set[str]:
    """Keys of the images that ``train.csv`` has."""
    path = find_csv(root, "train.csv")
    if path is None:
        return set()
    keys = (_url_key(url) for _, (url,) in csv_rows(path, ["url"]))
    return {key for key in keys if key in urls}


def _url_key(url: str) -> str:
    """What the spellings of an address have in common."""
    return nfc(unquote(url.partition("://")[2] or url))


def _tsv_files(wit: str | Path | Sequence[str | Path]) -> list[Path]:
    given = [wit] if isinstance(wit, (str, Path)) else list(wit)
    files: list[Path] = []
    for path in map(user_path, given):
        inside = sorted(path.glob("*.tsv")) + sorted(path.glob("*.tsv.gz")) if path.is_dir() else [path]
        if not inside or not inside[0].is_file():
            what = "no .tsv or .tsv.gz files in the folder" if path.is_dir() else "no such file:"
            raise FileNotFoundError(f"{what} {path}")
        files += inside
    if not files:
        raise FileNotFoundError("no files of WIT were given")
    return files


def _rows(
    files: Sequence[Path], unreadable: list[tuple[str, int]], progress: bool
) -> Iterator[tuple[str, ...]]:
    """Cells of ``_COLUMNS`` of every row; rows that have too many or too few cells are listed."""
    for path in files:
        bar: Any = tqdm(desc=path.name, unit=" rows", unit_scale=True, disable=not progress)
        opened = gzip.open if path.suffix == ".gz" else open
        with (
            bar,
            opened(path, "rt", encoding="utf-8-sig", errors="replace", newline="") as file,
            _long_cells(),
        ):
            for line, row, header, places in _cells(path, file):
                bar.update()
                if len(row) == header:
                    yield tuple(row[place] for place in places)
                elif row:
                    unreadable.append((str(path), line))


def _cells(path: Path, file: TextIO) -> Iterator[tuple[int, list[str], int, list[int]]]:
    """Last line and cells of each row, how many cells it should have, and which are those of ``_COLUMNS``."""
    reader = csv.reader(file, delimiter="\t")
    try:
        header = next(reader, [])
        missing = [column for column in _COLUMNS if column not in header]
        if missing:
            raise csv_error(
                path, 1, f"no column {missing[0]}: WIT has {', '.join(_COLUMNS)} and more, with tabs"
            )
        places = [header.index(column) for column in _COLUMNS]
        for row in reader:
            yield reader.line_num, row, len(header), places
    except (csv.Error, EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise csv_error(path, reader.line_num + 1, f"damaged, or not all of it is there: {error}") from error


@contextmanager
def _long_cells() -> Iterator[None]:
    """Let the csv module read cells of any length."""
    before = csv.field_size_limit(_LONGEST_CELL)
    try:
        yield
    finally:
        csv.field_size_limit(before)
