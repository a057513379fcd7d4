"""Whatever a user calls "my photos", as images with ids."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any, Literal, Protocol, TypeAlias, TypeGuard

import numpy as np
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, IterableDataset, Subset

from landmarkzoo._utils.user_paths import user_path
from landmarkzoo.photos.crops import Box, crop
from landmarkzoo.photos.dataset_items import file_of, ids_of, is_named, item_of
from landmarkzoo.photos.decoding import bytes_of, from_array, is_url, open_photo, to_rgb
from landmarkzoo.photos.listing import PHOTO_SUFFIXES, photo_files
from landmarkzoo.photos.photo_error import DECODING_ERRORS, PhotoError, blame, photo_errors, reason_of


class MapStyle(Protocol):
    """What has a length and items by number: data sets of PyTorch and of Hugging Face, and lists."""

    def __len__(self) -> int: ...

    def __getitem__(self, position: int, /) -> Any: ...


Photos: TypeAlias = (
    "str | Path | bytes | IO[bytes] | Image.Image | np.ndarray | Tensor | Dataset[Any] | MapStyle | "
    "Iterable[Any] | PhotoSource"
)


@dataclass(frozen=True, eq=False)
class PhotoSource:
    """Photos with ids; each is read when it is asked for.

    Attributes:
        ids: One a photo.
        items: Paths, images in memory, or a data set of either.
        root: Folder that relative paths start from; ``None`` for paths as given.
        boxes: The box that each photo is cropped to, ``None`` for a whole photo; ``None`` for no crops.
        named: Whether the ids are names. They are running numbers, which say nothing in another source, for
            images in memory and data sets without ids.
    """

    ids: list[str]
    items: Any
    root: Path | None = None
    boxes: Sequence[Box | None] | None = None
    named: bool = True

    def __len__(self) -> int:
        return len(self.ids)

    def file(self, position: int) -> Path | None:
        """The file of a photo, there or not, found without reading it.

        ``None`` for what is not known to be in a file: images in memory, and data sets that do not say. A
        data set says it by a method ``path`` or a list ``samples`` or ``imgs``, also inside a ``Subset`` or
        ``ConcatDataset``.

        Examples:
            >>> lz.photos.photo_source(["photos/1.jpg", "photos/2.jpg"]).file(1).as_posix()
            'photos/2.jpg'
        """
        if isinstance(self.items, _DatasetPhotos):
            return file_of(self.items.dataset, position)
        item = self.items[position] if isinstance(self.items, Sequence) else None
        return self._path(item) if isinstance(item, (str, Path)) else None

    def take(self, positions: Sequence[int]) -> PhotoSource:
        """Some of the photos.

        Examples:
            >>> lz.photos.photo_source(["1.jpg", "2.jpg", "3.jpg"]).take([2, 0]).ids
            ['3.jpg', '1.jpg']
        """
        items = self.items
        if isinstance(items, _DatasetPhotos):
            chosen: Any = _DatasetPhotos(Subset(items.dataset, positions))  # type: ignore[arg-type]
        else:
            chosen = [items[position] for position in positions]
        boxes = None if self.boxes is None else [self.boxes[position] for position in positions]
        return replace(self, ids=[self.ids[position] for position in positions], items=chosen, boxes=boxes)

    def load(self, position: int) -> Image.Image | Tensor:
        """An RGB image, or a float tensor (3, H, W) that is ready for the model.

        Other errors, such as of a data set's own transform, stay what they are, with a note that names the
        photo.

        Raises:
            PhotoError: If the photo cannot be read.
            TypeError: If the item is not a photo.
        """
        try:
            return self._cropped(self._load(self._item(position)), position)
        except PhotoError as error:
            raise PhotoError(self.ids[position], error.reason) from error

    def is_transformed(self) -> bool:
        """Whether the photos are float tensors, ready for the model: as the first that can be read is."""
        for position in range(min(len(self), 32)):  # not all of a million that are missing
            try:
                item = self._item(position)
            except PhotoError:
                continue
            return isinstance(item, Tensor) and item.is_floating_point()
        return False

    def _item(self, position: int) -> Any:
        try:
            item = self.items[position]
        except PhotoError:
            raise
        except DECODING_ERRORS as error:  # of a data set that decodes by itself
            raise PhotoError(self.ids[position], reason_of(error)) from error
        except Exception as error:  # such as of its transform: no fault of the photo
            note = f"The data set failed on the photo {self.ids[position]}."
            blame(error, f"{note} If that cannot be read, let it raise landmarkzoo.PhotoError.")
            raise
        return _image_of(item)

    def _path(self, item: str | Path) -> Path:
        return user_path(item) if self.root is None else self.root / item

    def _cropped(self, photo: Image.Image | Tensor, position: int) -> Image.Image | Tensor:
        box = None if self.boxes is None else self.boxes[position]
        if box is None:
            return photo
        if isinstance(photo, Tensor):
            raise TypeError("boxes are for photos, not for tensors that are transformed already: crop these")
        try:
            return crop(photo, box)
        except ValueError as error:
            raise PhotoError(self.ids[position], str(error)) from error

    def _load(self, item: Any) -> Image.Image | Tensor:
        if isinstance(item, (str, Path)):
            return open_photo(self._path(item))
        if _is_content(item):
            return open_photo(item)
        if isinstance(item, Image.Image):
            with photo_errors("in memory"):
                return to_rgb(item)
        if isinstance(item, np.ndarray):
            return from_array(item)
        if isinstance(item, Tensor) and item.ndim == 3 and item.is_floating_point():
            return item
        if isinstance(item, Tensor) and item.ndim == 3:  # torch images are (C, H, W)
            return from_array(item.permute(1, 2, 0).cpu().numpy())
        raise TypeError(
            "a photo must be a path, bytes, a PIL image, a uint8 array (H, W, 3), a uint8 tensor (3, H, W), "
            f"or a float tensor (3, H, W) that is transformed already, got {type(item).__name__}"
        )


def _image_of(item: Any) -> Any:
    """The photo in an item of a data set: of ``(image, label)`` or ``{"image": ..., "label": ...}``."""
    if isinstance(item, (tuple, list)):
        return item[0] if item else item
    if not isinstance(item, Mapping):
        return item
    if "image" not in item:
        raise TypeError(
            f"an item that is a dict must have its photo under the key 'image', got {list(item)}; a data set "
            "of Hugging Face is renamed by dataset.rename_column(old, 'image')"
        )
    return item["image"]


def _is_content(item: object) -> bool:
    """Whether it is the content of a file: bytes, or an open file."""
    is_file = callable(getattr(item, "read", None)) and not hasattr(item, "__getitem__")
    return is_file or isinstance(item, (bytes, bytearray, memoryview))


def photo_source(photos: Photos, *, on_error: Literal["raise", "skip"] = "raise") -> PhotoSource:
    """Photos of any kind as a ``PhotoSource``.

    Args:
        photos: One of

            - a folder, searched through all levels in sorted order, see ``photo_files``; or a file;
            - a list of paths, PIL images or uint8 arrays (H, W, 3); or one of these alone;
            - bytes of a file, or a file open in binary mode, which is read at once and stays open, where it
              was; or a list of these;
            - a uint8 array (N, H, W, 3) or tensor (N, 3, H, W);
            - a float tensor (N, 3, H, W) that is transformed already;
            - a map-style data set, of PyTorch or of Hugging Face, whose items are any of these, or
              ``(image, label)``, or ``{"image": ..., "label": ...}``. Its ids are its attribute ``ids``, or
              else the paths in its ``samples``, or running numbers. One with a method ``photo``, as those of
              landmarkzoo, is read by it: its own transform is not applied.
            - a ``Subset`` or ``ConcatDataset`` of ``torch.utils.data``: ids and photos are those of its data
              sets.

            An iterator is read to its end before the first photo is embedded: let it give paths, or make it
            a data set.
        on_error: ``"skip"``: a folder below that may not be listed takes the place of its photos, and cannot
            be read.

    Raises:
        FileNotFoundError: If a folder or file does not exist.
        PermissionError: If a folder may not be listed.
        TypeError: If ``photos`` is something else.
        ValueError: If there are no photos.

    Examples:
        >>> from torch.utils.data import Subset
        >>> landmarks = lz.rendered.RenderedLandmarks(2, 4, 0, image_size=32)
        >>> source = lz.photos.photo_source(Subset(landmarks, [0, 5]))
        >>> source.ids, max(source.load(1).size)
        (['building_00/view_00', 'building_01/view_01'], 32)
    """
    if isinstance(photos, PhotoSource):
        return photos
    if isinstance(photos, (str, Path)):
        return _path_source(photos, on_error)
    if isinstance(photos, Image.Image) or _is_content(photos):
        return _list_source([photos])
    if isinstance(photos, np.ndarray) and photos.dtype.kind in "UO":
        return photo_source(photos.tolist())  # of paths, such as a column of a table
    if isinstance(photos, (np.ndarray, Tensor)):
        photos = photos[None] if photos.ndim in (2, 3) else photos
        if len(photos) == 0:
            raise ValueError("there are no photos: the array is empty")
        return PhotoSource(_numbers(len(photos)), photos, named=False)
    if isinstance(photos, DataLoader):
        raise TypeError(
            "photos are given as a data set, not as a DataLoader: pass its dataset; lz.embed batches"
        )
    if isinstance(photos, IterableDataset):
        raise TypeError("an IterableDataset has no order to rely on: pass a map-style Dataset")
    if isinstance(photos, Mapping):  # also the DatasetDict of Hugging Face, with its splits
        raise TypeError(f"photos must not be a dict: pass one of its values, by one of {list(photos)}")
    if not isinstance(photos, Dataset) and hasattr(photos, "columns"):
        raise TypeError(
            "photos must not be a table: pass its column of paths, table[name], one of "
            f"{list(photos.columns)}"
        )
    if _is_dataset(photos):
        return _dataset_source(photos)
    if not isinstance(photos, Iterable):
        raise TypeError(
            "photos must be a folder, paths, PIL images, uint8 arrays or a data set, got "
            f"{type(photos).__name__}"
        )
    return _list_source(photos)


def _list_source(photos: Iterable[Any]) -> PhotoSource:
    items = list(photos)
    if len(items) == 0:
        raise ValueError("there are no photos: the list is empty")
    if any(isinstance(item, list) for item in items):
        raise TypeError("there is a list inside the list of photos: give one flat list")
    items = [_image_of(item) for item in items]
    paths = [isinstance(item, (str, Path)) for item in items]
    if all(paths):
        return PhotoSource([str(item) for item in items], items)
    if any(paths):
        other = paths.index(False)
        raise TypeError(
            "a list of photos must hold paths only, or images in memory only: at position "
            f"{other} there is {type(items[other]).__name__}, at {paths.index(True)} a path"
        )
    # An open file may be closed, moved, or shared between worker processes before its turn.
    items = [bytes_of(item) if _is_content(item) else item for item in items]
    return PhotoSource(_numbers(len(items)), items, named=False)


def _path_source(path: str | Path, on_error: Literal["raise", "skip"]) -> PhotoSource:
    if user_path(path).is_file():
        return PhotoSource([str(path)], [path])
    if not user_path(path).exists() and is_url(path):
        raise ValueError(f"photos are read from folders and files, and {path} is a URL: download it first")
    files = photo_files(path, on_error=on_error)
    if not files:
        raise ValueError(f"no photos in {path}: looked for {', '.join(sorted(PHOTO_SUFFIXES))}")
    return PhotoSource(files, files, user_path(path))


def _is_dataset(photos: object) -> TypeGuard[MapStyle]:
    """Whether items are to be read one by one, by number: lists and columns of a table hold them already."""
    holds_them = isinstance(photos, Sequence) or hasattr(photos, "__array__")
    map_style = hasattr(photos, "__len__") and hasattr(photos, "__getitem__")
    return map_style and (isinstance(photos, Dataset) or not holds_them)


def _dataset_source(dataset: MapStyle) -> PhotoSource:
    if len(dataset) == 0:
        raise ValueError("there are no photos: the data set is empty")
    ids = ids_of(dataset)
    if len(ids) != len(dataset):
        raise ValueError(f"the data set has {len(dataset)} photos but {len(ids)} ids")
    return PhotoSource(ids, _DatasetPhotos(dataset), named=is_named(dataset))


@dataclass(frozen=True, eq=False)
class _DatasetPhotos:
    """The items of a data set, by number."""

    dataset: MapStyle

    def __getitem__(self, position: int) -> Any:
        return item_of(self.dataset, position)


def _numbers(length: int) -> list[str]:
    return [str(i) for i in range(length)]
