"""Google Landmarks v2, every split."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from landmarkzoo._utils.suggestions import did_you_mean
from landmarkzoo._utils.user_paths import user_path
from landmarkzoo.datasets.gldv2.csv_tables import (
    find_csv,
    index_to_train_landmarks,
    need_csv,
    read_categories,
    read_clean_landmarks,
    read_ids,
    read_image_landmarks,
)
from landmarkzoo.datasets.gldv2.lists import ImageList, build_gldv2_lists, ranked
from landmarkzoo.datasets.gldv2.solutions import (
    Solution,
    read_recognition_solution,
    read_retrieval_solution,
)
from landmarkzoo.datasets.photo_dataset import PhotoFiles, PhotoTransform, TargetTransform, is_file_name

Split = Literal["clean", "x", "full", "index", "test"]
_RECOGNITION, _RETRIEVAL = "recognition_solution_v2.1.csv", "retrieval_solution_v2.1.csv"


class GLDv2(PhotoFiles):
    r"""Google Landmarks v2 ([Weyand et al. 2020](https://arxiv.org/abs/2004.01804)): the photos of a split.

    ``"clean"`` is GLDv2c, in the order of ``train_clean.csv``, which is checked against ``train.csv`` if that
    is there too. ``"x"`` is GLDv2x, all train photos of the clean landmarks, of both files. ``"full"`` is
    all of ``train.csv``. ``"index"`` is the photos that are searched, of ``index.csv``; with
    ``index_image_to_landmark.csv`` and both ``*_label_to_category.csv`` they have labels. ``"test"`` is the
    queries of both competitions, of ``test.csv`` or else of a solution.

    CSV files lie in ``root`` or ``root/metadata``, photos in ``root/train/a/b/c/abc....jpg``,
    ``root/index/...`` and ``root/test/...``. Files are read when a photo is asked for; ``missing`` lists
    the missing ones.

    Labels count from 0; ``landmarks_of`` gives their landmark ids, which truths and submissions use.
    The clean landmarks overlap those of 36 of the 70 Revisited Oxford queries and of 38 of the 70 of
    Revisited Paris.

    Args:
        root: The folder.
        split: See above.
        transform: From an RGB PIL image to what ``dataset[i]`` gives; ``None`` leaves it.
        target_transform: The same for the label.

    Attributes:
        ids: Image ids.
        targets: Label (N,) of each photo, int64. ``"clean"`` and ``"x"``: the class id, which is the rank of
            the landmark among the sorted clean ones; ``"full"``: the rank among all of ``train.csv``;
            ``"index"``: the rank among the index's own landmarks, -1 without ``index_image_to_landmark.csv``;
            ``"test"``: -1, see ``truth``.
        landmark_ids: Train landmark id (C,) of each label; of the index joined by category, -1 for a landmark
            that the train set does not know.
        classes: Category of each label as the CSV file has it; the landmark id if there is no category.
        truth: ``"test"``: landmark ids of each photo, empty for no landmark; ``None`` without the solution.
        usage: ``"test"``: "Public", "Private" or "Ignored" in recognition for each photo; "Ignored" too if it
            is not in the solution; ``None`` without the solution.
        retrieval: ``"test"`` and ``"index"``: the retrieval ``Solution``, index ids of each test id;
            ``None`` without the file.

    Raises:
        FileNotFoundError: If a CSV file is missing; the message says where it was looked for.
        ValueError: If the split is unknown, or a CSV file has wrong columns or values, an id twice, or an id
            that the file it refers to does not have; with file and line.

    Examples:
        >>> import pathlib, tempfile
        >>> root = pathlib.Path(tempfile.mkdtemp())
        >>> clean = "landmark_id,images\n9,0a1c 0a1e\n5,0a1a\n"
        >>> _ = (root / "train_clean.csv").write_text(clean)
        >>> data = lz.datasets.GLDv2(root)
        >>> data
        GLDv2(split='clean': 3 photos of 2 landmarks)
        >>> data.ids, data.targets, data.landmark_ids
        (['0a1c', '0a1e', '0a1a'], array([1, 1, 0]), array([5, 9]))
        >>> data.path(0).relative_to(root).as_posix()
        'train/0/a/1/0a1c.jpg'
        >>> data.landmarks_of([0, 1, -1])
        array([ 5,  9, -1])
    """

    landmark_ids: NDArray[np.int64]

    def __init__(
        self,
        root: str | Path,
        split: Split = "clean",
        transform: PhotoTransform = None,
        target_transform: TargetTransform = None,
    ) -> None:
        super().__init__(transform, target_transform)
        if split not in get_args(Split):
            splits = get_args(Split)
            raise ValueError(f"split must be one of {splits}, got {split!r}.{did_you_mean(split, splits)}")
        self.root = user_path(root)
        self.split = split
        self.truth: list[tuple[int, ...]] | None = None
        self.usage: list[str] | None = None
        self.retrieval: Solution[str] | None = None
        if split == "index":
            self._read_index()
        elif split == "test":
            self._read_test()
        else:
            self._read_train()

    def _read_train(self) -> None:
        if self.split == "x":
            lists = build_gldv2_lists(self.root)
            images, self.landmark_ids = lists.x, lists.landmark_ids
        elif self.split == "full":
            images, self.landmark_ids = ranked(read_image_landmarks(need_csv(self.root, "train.csv")))
        else:
            clean, train = need_csv(self.root, "train_clean.csv"), find_csv(self.root, "train.csv")
            known = None if train is None else read_image_landmarks(train)
            images, self.landmark_ids = ranked(read_clean_landmarks(clean, known))
        self._take(images, self.landmark_ids, "train_label_to_category.csv")

    def _read_index(self) -> None:
        ids = read_ids(need_csv(self.root, "index.csv"))
        known = dict.fromkeys(ids, -1)
        retrieval = find_csv(self.root, _RETRIEVAL)
        if retrieval is not None:
            self.retrieval = read_retrieval_solution(retrieval, index=known)
        labels = find_csv(self.root, "index_image_to_landmark.csv")
        if labels is None:
            self._take_unlabelled(ids)
            return
        landmark_of = read_image_landmarks(labels, index=known)
        own = np.array(sorted(set(landmark_of.values())), dtype=np.int64)
        joined = index_to_train_landmarks(self.root)
        self.landmark_ids = np.array([joined.get(landmark, -1) for landmark in own.tolist()], dtype=np.int64)
        rank = {landmark: label for label, landmark in enumerate(own.tolist())}
        known.update((id_, rank[landmark]) for id_, landmark in landmark_of.items())
        images = ImageList(ids, np.fromiter(known.values(), np.int64, len(ids)))
        self._take(images, own, "index_label_to_category.csv")

    def _read_test(self) -> None:
        recognition, retrieval = (find_csv(self.root, name) for name in (_RECOGNITION, _RETRIEVAL))
        solved = recognition is not None or retrieval is not None
        listed = find_csv(self.root, "test.csv") if solved else need_csv(self.root, "test.csv")
        ids = [] if listed is None else read_ids(listed)
        known = None if listed is None else set(ids)
        if retrieval is not None:
            self.retrieval = read_retrieval_solution(retrieval, known)
            ids = self.retrieval.ids if listed is None else ids
        if recognition is not None:
            solution = read_recognition_solution(recognition, known)
            ids = solution.ids if listed is None else ids
            rows = {id_: row for row, id_ in enumerate(solution.ids)}
            self.truth = [solution.truth[rows[id_]] if id_ in rows else () for id_ in ids]
            self.usage = [solution.usage[rows[id_]] if id_ in rows else "Ignored" for id_ in ids]
        self._take_unlabelled(ids)

    def _take(self, images: ImageList, landmarks: NDArray[np.int64], categories: str) -> None:
        path = find_csv(self.root, categories)
        names = {} if path is None else read_categories(path)
        self.ids, self.targets = images.ids, images.labels
        self.classes = [names.get(landmark, str(landmark)) for landmark in landmarks.tolist()]

    def _take_unlabelled(self, ids: list[str]) -> None:
        self.ids, self.targets = ids, np.full(len(ids), -1, dtype=np.int64)
        self.landmark_ids, self.classes = np.empty(0, dtype=np.int64), []

    def landmarks_of(self, labels: NDArray[Any] | Sequence[int]) -> NDArray[np.int64]:
        """Train landmark id of each label (N,); -1 stays -1.

        Raises:
            TypeError: If labels are not integers.
            ValueError: If there is no such label.
        """
        rows = np.asarray(labels)
        if rows.size and rows.dtype.kind not in "iu":
            raise TypeError(f"labels must be integers, got dtype {rows.dtype}")
        count = len(self.landmark_ids)
        if rows.size and not (rows.min() >= -1 and rows.max() < count):
            raise ValueError(f"labels must be from -1 to {count - 1}, got {rows.min()} to {rows.max()}")
        table: NDArray[np.int64] = np.append(self.landmark_ids, -1)  # what -1 points to
        return table[rows.astype(np.int64)]

    def path(self, position: int) -> Path:
        """File of a photo, there or not.

        Raises:
            ValueError: If its id is too short or has a slash, so that its file could not be in the folder.
        """
        id_ = self.ids[position]
        if len(id_) < 3 or not is_file_name(id_):
            raise ValueError(
                f"{id_!r} is not an image id of GLDv2: these have 3 characters or more and no slashes"
            )
        folder = self.split if self.split in ("index", "test") else "train"
        return self.root / folder / id_[0] / id_[1] / id_[2] / f"{id_}.jpg"

    def __repr__(self) -> str:
        landmarks = f" of {len(self.classes)} landmarks" if self.classes else ""
        return f"GLDv2(split={self.split!r}: {len(self)} photos{landmarks})"
