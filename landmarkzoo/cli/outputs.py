"""Files that commands write: the user's are never overwritten, and what cannot be written is said first."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from landmarkzoo._utils.atomic_writing import check_name, check_writable

_HEAD = 1 << 16  # bytes of a file that say what it is


class Kind(NamedTuple):
    """A kind of file that commands write, and how it is recognised.

    Attributes:
        name: What it is called in messages.
        start: What its first bytes are, as a regular expression. A table that has one more column is no
            longer ours alone.
        mark: What stands somewhere in its first 64 KiB.
        suffix: Of names that messages propose.
    """

    name: str
    start: bytes = b""
    mark: bytes = b""
    suffix: str = ".csv"

    def fits(self, head: bytes) -> bool:
        """Whether a file with these first bytes is of this kind."""
        return re.match(self.start, head) is not None and self.mark in head

    def is_kind_of(self, path: Path) -> bool:
        """Whether a file is of this kind; ``False`` if it cannot be read."""
        try:
            with path.open("rb") as file:
                return self.fits(file.read(_HEAD))
        except (OSError, ValueError):
            return False


DESCRIPTORS = Kind("descriptors", mark=b'"format":"landmarkzoo.descriptors.', suffix=".safetensors")
RANKING = Kind("a table of results", start=rb"query,rank,id,score\r?\n")
ANSWERS = Kind("a table of landmarks", start=rb"id,label,score(,support\d+)+\r?\n")
PREDICTIONS = Kind("a table of classes", start=rb"id,rank,label,name,score\r?\n")
PAGE = Kind("a report", mark=b'<meta name="generator" content="landmarkzoo', suffix=".html")
PICTURE = Kind("a picture of rankings", start=b"\x89PNG", mark=b"Software\x00landmarkzoo", suffix=".png")
SCORES = Kind("scores", start=rb'\{\n "scores": \[', mark=b'"protocol":', suffix=".json")
DUPLICATES = Kind("a table of duplicates", start=rb"id,duplicate,cosine\r?\n")
SUSPICIONS = Kind("a table of suspicious labels", start=rb"id,label,likelier,score\r?\n")
CHECKLIST = Kind("a table of photos to check", start=rb"id,reason,label,likelier,score,other\r?\n")
INDEX = Kind("an index", start=rb'\{\s*"format": "landmarkzoo\.index\.', suffix="")
MODEL = Kind("a saved model", mark=b'"format": "landmarkzoo.model.', suffix=".json")
GLDV2_LIST = Kind("a list of GLDv2", start=rb"id,landmark_id,class_id\r?\n")
GLDV2_CLASSES = Kind("the classes of GLDv2", start=rb"class_id,landmark_id,clean_images,x_images\r?\n")
_TABLES = (RANKING, ANSWERS, PREDICTIONS, DUPLICATES, SUSPICIONS, CHECKLIST, GLDV2_LIST, GLDV2_CLASSES)
_KINDS = (DESCRIPTORS, PAGE, PICTURE, SCORES, MODEL, *_TABLES)


def check_outputs(
    outputs: Mapping[str, tuple[str | Path | None, Kind]],
    *,
    inputs: Iterable[str | Path | None] = (),
    overwrite: bool,
) -> None:
    """Check all files that a command will write, before it starts.

    Args:
        outputs: By option, such as ``"--out"``: the file, ``None`` if it is not written, and its kind.
        inputs: Files and folders of photos that the command reads; ``None`` is left out.
        overwrite: Whether files that landmarkzoo wrote may be replaced.

    Raises:
        FileExistsError: If a file exists and may not be replaced.
        OSError: If a file cannot be written.
        ValueError: If a file is an input, a photo, or another output.
    """
    given = [(option, path, kind) for option, (path, kind) in outputs.items() if path is not None]
    for _, text, _ in given:
        check_name(text)
    wanted = [(option, Path(path), kind) for option, path, kind in given]
    for position, (option, path, kind) in enumerate(wanted):
        for other_option, other, _ in wanted[:position]:
            if _is_same(path, other):
                raise ValueError(f"{other_option} and {option} are both {path}: give each a name of its own")
        check_output(path, kind, inputs=[i for i in inputs if i is not None], overwrite=overwrite)


def is_index(folder: Path) -> bool:
    """Whether a folder is an index."""
    return INDEX.is_kind_of(folder / "manifest.json")


def check_new_index(folder: Path) -> None:
    """Check that an index can be made, before the work starts.

    Raises:
        OSError: If there is one, or something else, or the folder cannot be written.
        ValueError: If the folder is within an index.
    """
    from landmarkzoo.index.index_folder import check_empty

    if is_index(folder):
        raise FileExistsError(
            f"{folder} is an index already: 'landmarkzoo index add' adds to it; give another name for a new "
            "one"
        )
    if (folder / "manifest.json").exists():
        raise FileExistsError(
            f"{folder} is a folder with other files, such as manifest.json: choose a new one"
        )
    check_empty(folder)
    _check_outside_of_indexes(folder, INDEX)
    _check_folder(folder, "manifest.json")


def check_output(path: Path, kind: Kind, *, inputs: Sequence[str | Path] = (), overwrite: bool) -> None:
    """Check one file; see ``check_outputs``."""
    for source in inputs:
        if _is_same(path, Path(source)):
            raise ValueError(f"cannot write {path}: it is {source}, which is read; give another name")
    _check_outside_of_indexes(path, kind)
    if kind is PICTURE and _is_photo(path) and any(_is_below(path, Path(i)) for i in inputs):
        raise ValueError(
            f"cannot write {kind.name} to {path}: that is the name of a photo; "
            "give one outside of their folder"
        )
    if kind is not PICTURE and _is_photo(path):
        raise ValueError(
            f"cannot write {kind.name} to {path}: that is the name of a photo; "
            f"give another, such as {path.with_suffix(kind.suffix).name}"
        )
    if path.exists() and not path.is_dir():
        _check_replaceable(path, kind, overwrite)
    check_writable(path)


def check_model_folder(folder: Path, names: Sequence[str], *, inputs: Sequence[str], overwrite: bool) -> None:
    """Check the folder that a model will be written to; see ``check_outputs``.

    Args:
        folder: The folder, there or not.
        names: Of the files of a model; the first one is its config.
        inputs: Files that the command reads.
        overwrite: Whether a model that landmarkzoo wrote may be replaced.
    """
    _check_outside_of_indexes(folder, MODEL)
    if os.path.lexists(folder) and not folder.is_dir():
        raise FileExistsError(f"cannot write the folder {folder}: it is a file, or a link to nothing")
    present = [name for name in names if os.path.lexists(folder / name)]
    for name in present:
        for source in inputs:
            if _is_same(folder / name, Path(source)):
                raise ValueError(f"cannot write {folder / name}: it is {source}, which is read")
    if present:
        _check_replaceable(folder / (names[0] if names[0] in present else present[0]), MODEL, overwrite)
    _check_folder(folder, names[0])


def check_training_folder(folder: Path, *, inputs: Sequence[str | Path]) -> None:
    """Check the folder of a training, before the photos are read; what lies in it is checked later.

    Args:
        folder: The folder, there or not.
        inputs: Files and folders of photos that the command reads.

    Raises:
        OSError: If it cannot be written.
        ValueError: If it is an input, or within an index.
    """
    _check_outside_of_indexes(folder, MODEL)
    for source in inputs:
        if _is_same(folder, Path(source)):
            raise ValueError(f"cannot write to {folder}: it is {source}, which is read; give another name")
    if os.path.lexists(folder) and not folder.is_dir():
        raise FileExistsError(f"cannot write the folder {folder}: it is a file, or a link to nothing")
    _check_folder(folder, "training.json")


def _check_folder(folder: Path, name: str) -> None:
    """Check that a folder can be written, or made, by a file of this name."""
    there = folder
    while not there.exists():
        there = there.parent
    if not there.is_dir():
        raise NotADirectoryError(f"cannot write the folder {folder}: {there} is a file")
    check_writable(there / name)


def _check_outside_of_indexes(path: Path, kind: Kind) -> None:
    where = Path(os.path.realpath(path))
    for folder in (where, *where.parents):
        if is_index(folder):
            raise ValueError(
                f"cannot write {kind.name} to {path}: {folder} is an index, whose files are its own; give a "
                "name outside of it"
            )


def free_name(path: Path) -> Path:
    """The path, or with a number if it is taken: a file that nobody named replaces none.

    Examples:
        >>> free_name(Path("no/such/demo.png")).name
        'demo.png'
    """
    number, free = 2, path
    while os.path.lexists(free):
        number, free = number + 1, path.with_stem(f"{path.stem}_{number}")
    return free


def _check_replaceable(path: Path, kind: Kind, overwrite: bool) -> None:
    if not path.is_file():
        raise FileExistsError(f"cannot write {path}: it is a device or a pipe, and no file")
    with path.open("rb") as file:
        head = file.read(_HEAD)
    if not head:  # as mktemp and touch make them: there is nothing to lose
        return
    if not kind.fits(head):
        what = next((k.name for k in _KINDS if k.fits(head)), "a file of another kind")
        raise FileExistsError(
            f"cannot write {kind.name} to {path}: it is {what} already; give another name, or delete it first"
        )
    if not overwrite:
        raise FileExistsError(f"{path} exists: give --overwrite to replace it, or another name")


def _is_same(path: Path, other: Path) -> bool:
    """Whether two paths are one file, also through links; for files that are not there, one path."""
    with suppress(OSError):
        return path.samefile(other)
    return os.path.realpath(path) == os.path.realpath(other)


def _is_photo(path: Path) -> bool:
    from landmarkzoo.photos.listing import PHOTO_SUFFIXES

    return path.suffix.lower() in PHOTO_SUFFIXES


def _is_below(path: Path, folder: Path) -> bool:
    return Path(os.path.realpath(folder)) in Path(os.path.realpath(path)).parents
