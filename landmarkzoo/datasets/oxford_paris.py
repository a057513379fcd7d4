"""Revisited Oxford and Revisited Paris."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from landmarkzoo._utils.user_paths import user_path
from landmarkzoo.datasets import restricted_pickle
from landmarkzoo.datasets.photo_dataset import PhotoFiles, PhotoTransform, is_file_name
from landmarkzoo.photos import PhotoError

# Boxes were drawn by hand, so they may pass the border by a few pixels. If one passes it by more, the photo
# is not the one that it was drawn on.
_BEYOND_BORDER = 16


class RevisitedPhotos(PhotoFiles):
    """The queries or the index of a Revisited data set.

    Attributes:
        ids: Names without suffix.
        targets: -1 for each: the ground truth is lists, not labels.
        boxes: Box (Q, 4) of each query, pixels x1, y1, x2, y2, that the photo is cropped to; ``None`` for the
            index, whose photos are whole.
    """

    def __init__(
        self,
        folder: Path,
        ids: list[str],
        boxes: NDArray[np.float64] | None = None,
        transform: PhotoTransform = None,
    ) -> None:
        super().__init__(transform)
        self.folder = folder
        self.ids = ids
        self.targets = np.full(len(ids), -1, dtype=np.int64)
        self.classes = []
        self.boxes = boxes

    def path(self, position: int) -> Path:
        """File of a photo, there or not."""
        return self.folder / f"{self.ids[position]}.jpg"

    def photo(self, position: int) -> Image.Image:
        """A photo alone, as RGB PIL image, not transformed; of a query only its box.

        Raises:
            FileNotFoundError: If its file is missing.
            PhotoError: If the file cannot be decoded, or is smaller than its box.
        """
        photo = super().photo(position)
        if self.boxes is None:
            return photo
        x1, y1, x2, y2 = self.boxes[position].tolist()
        width, height = photo.size
        beyond = max(-x1, -y1, x2 - width, y2 - height)
        if beyond > _BEYOND_BORDER:
            raise PhotoError(
                str(self.path(position)),
                f"its box {[x1, y1, x2, y2]} reaches {beyond:.0f} pixels beyond the photo of {width} x "
                f"{height}: boxes fit the photos as published, not resized ones",
            )
        return photo.crop((x1, y1, x2, y2))  # Pillow rounds, as it does in the authors' code

    def __repr__(self) -> str:
        return f"RevisitedPhotos({len(self)} {'photos' if self.boxes is None else 'query crops'})"


class _Revisited:
    """What the two data sets have in common."""

    _name: ClassVar[str]

    def __init__(self, root: str | Path, transform: PhotoTransform = None) -> None:
        folder = user_path(root)
        tried = [folder / f"gnd_{self._name}.pkl", folder / self._name / f"gnd_{self._name}.pkl"]
        path = next((path for path in tried if path.is_file()), None)
        if path is None:
            raise FileNotFoundError(
                f"no gnd_{self._name}.pkl: looked for {' and '.join(map(str, tried))}. It and the photos "
                "(jpg/) are at http://cmp.felk.cvut.cz/revisitop/"
            )
        content = restricted_pickle.load(path)
        if not isinstance(content, dict) or not {"imlist", "qimlist", "gnd"} <= content.keys():
            has = list(content) if isinstance(content, dict) else type(content).__name__
            raise ValueError(f"{path} must be a dict with imlist, qimlist and gnd, got {has}")
        index, queries = (_names(content[key], f"{path}: {key}") for key in ("imlist", "qimlist"))
        entries = content["gnd"]
        if not isinstance(entries, (list, tuple)) or len(entries) != len(queries):
            raise ValueError(f"{path}: gnd must be a list with an entry for each of {len(queries)} queries")
        self.root = path.parent
        self.gnd: list[dict[str, list[Any]]] = [
            _entry(entry, len(index), f"{path}: gnd[{row}]") for row, entry in enumerate(entries)
        ]
        boxes = np.array([entry["bbx"] for entry in self.gnd], dtype=np.float64).reshape(-1, 4)
        self.queries = RevisitedPhotos(self.root / "jpg", queries, boxes, transform)
        self.index = RevisitedPhotos(self.root / "jpg", index, None, transform)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({len(self.queries)} queries, {len(self.index)} index photos)"


class RevisitedOxford(_Revisited):
    """Revisited Oxford ([Radenovic et al. 2018](https://arxiv.org/abs/1803.11285)).

    70 queries, 4,993 index photos, three levels of difficulty.

    The clean landmarks of Google Landmarks v2 overlap those of 36 of the 70 queries: say so beside scores of
    models that were trained on it.

    Args:
        root: Folder with ``gnd_roxford5k.pkl`` and the photos in ``jpg/``, or the folder above with both in
            ``roxford5k/``. The pickle is read without running any code of it.
        transform: From an RGB PIL image to what ``queries[i]`` and ``index[i]`` give; ``None`` leaves it.

    Attributes:
        queries: The queries, each cropped to its box, as the protocol asks for: ``RevisitedPhotos``.
        index: The photos that are searched.
        gnd: For each query a dict of lists: rows of the index ``easy``, ``hard`` and ``junk``, and the box
            ``bbx``.

    Raises:
        FileNotFoundError: If the pickle is missing; the message says where it was looked for. Photos are
            looked for when they are asked for; ``queries.missing()`` and ``index.missing()`` list the missing
            ones.
        ValueError: If the pickle holds anything but plain containers and numbers, or another content.

    Examples:
        >>> import pathlib, pickle, tempfile
        >>> root = pathlib.Path(tempfile.mkdtemp())
        >>> truth = {"bbx": [10.0, 5.0, 60.0, 45.0], "easy": [1], "hard": [], "junk": [0]}
        >>> content = {"imlist": ["all_souls_000001", "radcliffe_000095"], "qimlist": ["all_souls_000013"]}
        >>> _ = (root / "gnd_roxford5k.pkl").write_bytes(pickle.dumps(content | {"gnd": [truth]}))
        >>> data = lz.datasets.RevisitedOxford(root)
        >>> data, data.gnd[0]["easy"], data.queries.boxes
        (RevisitedOxford(1 queries, 2 index photos), [1], array([[10., 5., 60., 45.]]))
    """

    _name = "roxford5k"


class RevisitedParis(_Revisited):
    """Revisited Paris ([Radenovic et al. 2018](https://arxiv.org/abs/1803.11285)).

    70 queries, 6,322 index photos, three levels of difficulty.

    The clean landmarks of Google Landmarks v2 overlap those of 38 of the 70 queries: say so beside scores of
    models that were trained on it. It has what ``RevisitedOxford`` has.

    Args:
        root: Folder with ``gnd_rparis6k.pkl`` and the photos in ``jpg/``, or the folder above with both in
            ``rparis6k/``.
        transform: From an RGB PIL image to what ``queries[i]`` and ``index[i]`` give; ``None`` leaves it.
    """

    _name = "rparis6k"


def _names(names: Any, what: str) -> list[str]:
    if not isinstance(names, (list, tuple)) or not all(isinstance(name, str) and name for name in names):
        raise ValueError(f"{what} must be a list of names, got {type(names).__name__}")
    if len(set(names)) != len(names):
        twice = next(name for row, name in enumerate(names) if name in names[:row])
        raise ValueError(f"{what}: {twice} occurs twice")
    outside = next((name for name in names if not is_file_name(name)), None)
    if outside is not None:
        raise ValueError(f"{what}: {outside!r} is not the name of a file in jpg/")
    return list(names)


def _entry(entry: Any, photos: int, what: str) -> dict[str, list[Any]]:
    needed = ("bbx", "easy", "hard", "junk")
    missing = [key for key in needed if not isinstance(entry, dict) or key not in entry]
    if missing:
        raise ValueError(
            f"{what} has no {', '.join(missing)}: the Revisited ground truth has {', '.join(needed)}; the "
            "files of the original Oxford and Paris, with ok and junk, do not fit"
        )
    box = _as_array(entry["bbx"])
    if (
        box.dtype.kind not in "fiu"
        or box.shape != (4,)
        or not np.isfinite(box).all()
        or not (box[0] < box[2] and box[1] < box[3])
    ):
        raise ValueError(f"{what}: bbx must be x1, y1, x2, y2 with x1 < x2 and y1 < y2, got {entry['bbx']}")
    box = box.astype(np.float64)
    lists = {key: _rows(entry[key], photos, f"{what}: {key}") for key in needed[1:]}
    return {"bbx": box.tolist(), **lists}


def _as_array(values: Any) -> NDArray[Any]:
    try:
        return np.asarray(values)
    except ValueError:  # rows of unequal length
        return np.array(None)


def _rows(rows: Sequence[int], photos: int, what: str) -> list[int]:
    array = _as_array(rows)
    if array.size == 0:
        return []
    if array.ndim != 1 or array.dtype.kind not in "iu" or array.min() < 0 or array.max() >= photos:
        raise ValueError(f"{what} must be rows of imlist, integers from 0 to {photos - 1}, got {rows!r}")
    return [int(row) for row in array]
