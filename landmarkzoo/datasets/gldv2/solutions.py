"""The solutions of the two competitions: what is right for each test image."""

from __future__ import annotations

from collections.abc import Container, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from landmarkzoo.datasets.csv_files import csv_error, csv_rows, whole_number

T = TypeVar("T")
_USAGES = ("Public", "Private", "Ignored")


@dataclass(frozen=True, eq=False)
class Solution(Generic[T]):
    """What is right for each test image.

    Attributes:
        ids: Test images.
        truth: For each image, its landmark ids (recognition) or the ids of its index images (retrieval);
            empty if there is nothing to find.
        usage: For each image, the leaderboard that it counts for, "Public" or "Private", or "Ignored".
    """

    ids: list[str]
    truth: list[tuple[T, ...]]
    usage: list[str]

    def __len__(self) -> int:
        return len(self.ids)

    def __repr__(self) -> str:
        counts = ", ".join(f"{self.usage.count(usage)} {usage}" for usage in _USAGES)
        return f"Solution({len(self)} test images: {counts})"


def read_recognition_solution(path: Path, test: Container[str] | None = None) -> Solution[int]:
    """Read ``recognition_solution_v2.1.csv``: columns id, landmarks, Usage.

    Args:
        path: The file.
        test: All test ids, where they are known.

    Raises:
        ValueError: If a column, id, landmark or usage is wrong, an id is listed twice, or is not in
            ``test``; with file and line.
    """
    solution = Solution[int]([], [], [])
    for line, id_, cell, usage in _rows(path, "landmarks", test):
        landmarks = tuple(whole_number(text, path, line, "a landmark") for text in cell.split())
        solution.ids.append(id_)
        solution.truth.append(landmarks)
        solution.usage.append(usage)
    return solution


def read_retrieval_solution(
    path: Path, test: Container[str] | None = None, index: Container[str] | None = None
) -> Solution[str]:
    """Read ``retrieval_solution_v2.1.csv``: columns id, images, Usage.

    Args:
        path: The file.
        test: All test ids, where they are known.
        index: All index ids, where they are known.

    Raises:
        ValueError: If a column, id or usage is wrong, an id is listed twice or is not in ``test``, or one of
            its images is not in ``index``; with file and line.
    """
    solution = Solution[str]([], [], [])
    for line, id_, cell, usage in _rows(path, "images", test):
        images = tuple(cell.split())
        unknown = [image for image in images if image not in index] if index is not None else []
        if unknown:
            raise csv_error(path, line, f"the image {unknown[0]} is not in index.csv")
        solution.ids.append(id_)
        solution.truth.append(images)
        solution.usage.append(usage)
    return solution


def _rows(path: Path, column: str, test: Container[str] | None) -> Iterator[tuple[int, str, str, str]]:
    seen = set[str]()
    for line, (id_, cell, usage) in csv_rows(path, ["id", column, "Usage"]):
        if usage not in _USAGES:
            raise csv_error(path, line, f"Usage must be one of {', '.join(_USAGES)}, got {usage!r}")
        if not id_ or id_ in seen:
            raise csv_error(path, line, f"the id {id_} occurs a second time" if id_ else "the id is empty")
        if test is not None and id_ not in test:
            raise csv_error(path, line, f"the id {id_} is not in test.csv")
        seen.add(id_)
        yield line, id_, "" if cell == "None" else cell, usage
