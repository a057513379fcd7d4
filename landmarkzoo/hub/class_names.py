"""Names of the classes of published heads: the table of the 81,313 landmarks of Google Landmarks v2 clean."""

from __future__ import annotations

import csv
from pathlib import Path
from urllib.parse import unquote

from landmarkzoo.hub.client import HubOptions
from landmarkzoo.hub.published_files import WeightsFile
from landmarkzoo.hub.resumable_download import Address
from landmarkzoo.hub.url_cache import cached_url

# Beside the authors' ONNX release of DOLG-EfficientNet-B5; the commit cannot change.
HENKEL_CLASS_NAMES = WeightsFile(
    "class2name",
    url="https://raw.githubusercontent.com/ChristofHenkel/kaggle-landmark-2021-1st-place/"
    "1ddd3f676431a7639f0b8a99606235548a0983d7/inference/imgs/class2name.csv",
)
_COLUMNS = ["class_id", "name"]


def read_class_names(path: str | Path) -> list[str]:
    r"""Read names of classes from a table ``class_id,name``, as people write them.

    Names are those of categories of Wikimedia Commons, as in an address: ``%C3%A9`` becomes "é", and an
    underscore a space.

    Args:
        path: The CSV file, such as ``class2name.csv`` of the authors' release.

    Returns:
        Name of class 0, 1, 2, ..., for ``save_pretrained(folder, head, class_names=...)``.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is not such a table, or its ids are not 0, 1, 2, ..., each once.

    Examples:
        >>> import pathlib, tempfile
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "class2name.csv"
        >>> _ = path.write_text('class_id,name\n0,Eiffel_Tower\n1,"Bro_kyrka,_Bohusl%C3%A4n"\n')
        >>> lz.hub.read_class_names(path)
        ['Eiffel Tower', 'Bro kyrka, Bohuslän']
    """
    path = Path(path).expanduser()
    names: dict[int, str] = {}
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = csv.reader(file, strict=True)
            if next(rows, None) != _COLUMNS:
                raise ValueError(f"{path} does not begin with the columns {','.join(_COLUMNS)}")
            for row in rows:
                number = row[0] if len(row) == 2 else ""
                if not (number.isascii() and number.isdigit() and len(number) < 10) or int(number) in names:
                    raise ValueError(
                        f"{path}, line {rows.line_num}: each line is a class that stands there once, and its "
                        f"name, got {','.join(row)[:60]!r}"
                    )
                # Line breaks and the like would break the tables that show names.
                names[int(number)] = " ".join(unquote(row[1]).replace("_", " ").split())
    except (csv.Error, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is not a CSV file in UTF-8: {error}") from error
    missing = next((number for number in range(len(names)) if number not in names), None)
    if not names or missing is not None:
        raise ValueError(
            f"{path} has {len(names)} classes"
            + (f", but no class {missing}: ids are 0, 1, 2, ..." if names else ": it is empty")
        )
    return [names[number] for number in range(len(names))]


def fetch_class_names(
    *, cache_dir: str | Path | None = None, local_files_only: bool = False, force_download: bool = False
) -> list[str]:
    """Names of the 81,313 classes of the authors' head, from their repository, downloaded once.

    Args:
        cache_dir: Where the download is kept; ``None``: the cache of ``torch.hub``.
        local_files_only: Take what is cached, without network, as with ``HF_HUB_OFFLINE=1``.
        force_download: Download again what is cached.

    Returns:
        As ``read_class_names``.

    Raises:
        ConnectionError: If the server does not answer, or the connection was lost.
        FileNotFoundError: If the address has moved, or the table is not cached and no request may be made.
        OSError: If it cannot be written.
        ValueError: If what came is no table of names.
    """
    options = HubOptions(None, None, cache_dir, local_files_only, force_download)
    address = Address(
        HENKEL_CLASS_NAMES.address,
        f"names of classes: {HENKEL_CLASS_NAMES.address}",
        "if you have the file, lz.hub.read_class_names(path) reads it",
    )
    return read_class_names(cached_url(address, HENKEL_CLASS_NAMES.known, options))
