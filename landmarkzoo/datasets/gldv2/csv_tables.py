"""The CSV files of Google Landmarks v2 that name images and landmarks, one function a format.

Images are a dict from id to landmark id in the order of the file: at 4.1 million rows that is both the
compact form and the one that finds an id twice while it is read.
"""

from __future__ import annotations

from collections.abc import Container, Mapping
from pathlib import Path

from landmarkzoo.datasets.csv_files import csv_error, csv_rows, whole_number


def find_csv(root: str | Path, name: str) -> Path | None:
    """The file in ``root`` or in ``root/metadata``; ``None`` if neither exists.

    Raises:
        FileNotFoundError: If ``root`` is not a folder.
    """
    if not Path(root).is_dir():
        raise FileNotFoundError(f"no such folder: {root}")
    return next((path for path in _places(root, name) if path.is_file()), None)


def need_csv(root: str | Path, name: str) -> Path:
    """The file in ``root`` or in ``root/metadata``.

    Raises:
        FileNotFoundError: If neither exists; the message names both.
    """
    path = find_csv(root, name)
    if path is None:
        tried = " and ".join(str(place) for place in _places(root, name))
        raise FileNotFoundError(
            f"no {name}: looked for {tried}. It is part of the metadata of Google Landmarks v2, see "
            "https://github.com/cvdfoundation/google-landmark"
        )
    return path


def read_image_landmarks(
    path: Path, *, index: Container[str] | None = None, progress: bool = False
) -> dict[str, int]:
    """Landmark of each image, of ``train.csv`` and ``index_image_to_landmark.csv``.

    Args:
        path: The file.
        index: All index ids; if given, the file must have no others.
        progress: Show a progress bar on stderr.

    Raises:
        ValueError: If a column, an id or a landmark is wrong, an id is listed twice, or is not in
            ``index``; with file and line.
    """
    landmark_of: dict[str, int] = {}
    numbers: dict[str, int] = {}  # one object a landmark, not one an image
    for line, (id_, text) in csv_rows(path, ["id", "landmark_id"], progress=progress):
        landmark = numbers.get(text)
        if landmark is None:
            landmark = numbers[text] = whole_number(text, path, line, "landmark_id")
        if not id_ or id_ in landmark_of:
            raise _bad_id(path, line, id_)
        if index is not None and id_ not in index:
            raise csv_error(path, line, f"the image {id_} is not in index.csv")
        landmark_of[id_] = landmark
    return landmark_of


def read_clean_landmarks(path: Path, train: Mapping[str, int] | None = None) -> dict[str, int]:
    """Landmark of each image of ``train_clean.csv``, in its order.

    Args:
        path: The file.
        train: What ``train.csv`` says; if given, the file must not contradict it.

    Raises:
        ValueError: If a column, an id or a landmark is wrong, a landmark has no images, an id or a landmark
            is listed twice, or ``train`` lacks an image or gives it another landmark; with file and line.
    """
    landmark_of: dict[str, int] = {}
    landmarks = set[int]()
    for line, (text, images) in csv_rows(path, ["landmark_id", "images"]):
        landmark = whole_number(text, path, line, "landmark_id")
        ids = images.split()
        if landmark in landmarks or not ids:
            what = "has no images" if not ids else "occurs a second time"
            raise csv_error(path, line, f"the landmark {landmark} {what}")
        landmarks.add(landmark)
        for id_ in ids:
            if id_ in landmark_of:
                raise _bad_id(path, line, id_)
            landmark_of[id_] = landmark
            if train is not None and train.get(id_) != landmark:
                known = f"has the landmark {train[id_]} in" if id_ in train else "is not in"
                raise csv_error(path, line, f"the image {id_} of landmark {landmark} {known} train.csv")
    return landmark_of


def read_ids(path: Path) -> list[str]:
    """Ids of ``index.csv`` and ``test.csv``.

    Raises:
        ValueError: If the column is missing, or an id is empty or listed twice; with file and line.
    """
    ids: dict[str, None] = {}
    for line, (id_,) in csv_rows(path, ["id"]):
        if not id_ or id_ in ids:
            raise _bad_id(path, line, id_)
        ids[id_] = None
    return list(ids)


def read_categories(path: Path) -> dict[int, str]:
    """Category of each landmark, of ``train_label_to_category.csv`` and its twin of the index.

    Raises:
        ValueError: If a column is missing, or a landmark is not a number or is listed twice; with file and
            line.
    """
    category_of: dict[int, str] = {}
    for line, (text, category) in csv_rows(path, ["landmark_id", "category"]):
        landmark = whole_number(text, path, line, "landmark_id")
        if landmark in category_of:
            raise csv_error(path, line, f"the landmark {landmark} occurs a second time")
        category_of[landmark] = category
    return category_of


def index_to_train_landmarks(root: str | Path) -> dict[int, int]:
    r"""Train landmark of each landmark of the index that the train set knows, joined by category.

    The index numbers its landmarks on its own: its 5 is not the train set's 5. Both name them by their
    category on Wikimedia Commons. Where train landmarks share a category, the smallest id is taken.

    Args:
        root: Folder with ``train_label_to_category.csv`` and ``index_label_to_category.csv``, or with both in
            ``metadata``.

    Raises:
        FileNotFoundError: If one of the two is missing.
        ValueError: If one has other columns or values; with file and line.

    Examples:
        >>> import pathlib, tempfile
        >>> root = pathlib.Path(tempfile.mkdtemp())
        >>> train = "landmark_id,category\n7,Category:Dom\n8,Category:Burg\n"
        >>> index = "landmark_id,category\n0,Category:Burg\n1,Category:Turm\n"
        >>> _ = (root / "train_label_to_category.csv").write_text(train)
        >>> _ = (root / "index_label_to_category.csv").write_text(index)
        >>> lz.datasets.index_to_train_landmarks(root)
        {0: 8}
    """
    train = read_categories(need_csv(root, "train_label_to_category.csv"))
    index = read_categories(need_csv(root, "index_label_to_category.csv"))
    landmark_of = {category: landmark for landmark, category in sorted(train.items(), reverse=True)}
    return {
        landmark: landmark_of[category] for landmark, category in index.items() if category in landmark_of
    }


def _places(root: str | Path, name: str) -> tuple[Path, Path]:
    return Path(root) / name, Path(root) / "metadata" / name


def _bad_id(path: Path, line: int, id_: str) -> ValueError:
    return csv_error(path, line, f"the id {id_} occurs a second time" if id_ else "the id is empty")
