"""A miniature Google Landmarks v2, to try what reads one: of rendered landmarks, or of your own photos.

    python examples/miniature_gldv2.py mini
    python examples/miniature_gldv2.py mini --photos photos.csv --label landmark
    python examples/miniature_gldv2.py mini --photos photos/

ROOT gets the CSV files and the photos of all splits as they are published, non_landmark/ with photos of no
landmark, wit.tsv.gz, and in wit/ the list that is made of it, with its images. Rendered landmarks need no
network, and the same seed gives the same photos. Photos without label in a CSV file are those of no landmark.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from urllib.parse import quote

import landmarkzoo as lz

# What the photos of a landmark, and those of no landmark, become in turn.
OF_LANDMARKS = ("clean", "index", "test", "clean", "wit", "index", "x")
OF_NOTHING = ("test", "index", "non_landmark", "non_landmark")
FOLDERS = {"clean": "train", "x": "train", "full": "train", "index": "index", "test": "test"}
COMMONS = "http://commons.wikimedia.org/wiki/Category:"
UPLOAD = "https://upload.wikimedia.org/wikipedia/commons/"
WIT_COLUMNS = (
    *("language", "page_url", "image_url", "page_title", "section_title", "hierarchical_section_title"),
    *("caption_reference_description", "caption_attribution_description", "caption_alt_text_description"),
    *("mime_type", "original_height", "original_width", "is_main_image", "attribution_passes_lang_id"),
    *("page_changed_recently", "context_page_description", "context_section_description"),
)


@dataclass(frozen=True)
class Photo:
    """A photo in its part; ``row`` is that of the data set, ``label`` -1 for no landmark."""

    row: int
    label: int
    part: str
    id: str

    @property
    def landmark_id(self) -> int:
        """Its landmark in the train set."""
        return 3 * self.label + 2

    @property
    def url(self) -> str:
        """Where it would be on Commons."""
        return f"{UPLOAD}{self.id[0]}/{self.id[:2]}/View_%28{self.id}%29.jpg"


def dealt(data: lz.datasets.PhotoDataset) -> list[Photo]:
    """Photos of each landmark to its parts. The last landmark is in none of the clean photos."""
    turns = {label: cycle(OF_LANDMARKS) for label in range(len(data.classes))} | {-1: cycle(OF_NOTHING)}
    photos = []
    for row, label in enumerate(data.targets.tolist()):
        part = next(turns[label])
        if label == len(data.classes) - 1 and part in ("clean", "x", "wit"):
            part = "full"
        photos.append(Photo(row, label, part, hashlib.sha256(data.ids[row].encode()).hexdigest()[:16]))
    return photos


def write_csv(path: Path, header: str, rows: Iterable[Sequence[object]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([header.split(","), *rows])


def write_lists(root: Path, photos: list[Photo], classes: list[str]) -> None:
    """All CSV files but those of the solutions."""
    train = [photo for photo in photos if FOLDERS.get(photo.part) == "train"]
    index = [photo for photo in photos if photo.part == "index"]
    clean: dict[int, list[str]] = {}
    for photo in train:
        if photo.part == "clean":
            clean.setdefault(photo.landmark_id, []).append(photo.id)
    categories = [COMMONS + quote(name.replace(" ", "_"), safe="_()',") for name in classes]
    # The index numbers its landmarks on its own.
    own = [(len(classes) - 1 - label, category) for label, category in enumerate(categories)]
    of_index = [(p.id, len(classes) - 1 - p.label) for p in index if p.label >= 0]
    write_csv(root / "train.csv", "id,url,landmark_id", [(p.id, p.url, p.landmark_id) for p in train])
    write_csv(root / "train_clean.csv", "landmark_id,images", [(k, " ".join(v)) for k, v in clean.items()])
    labels = [(Photo(0, label, "", "").landmark_id, category) for label, category in enumerate(categories)]
    write_csv(root / "train_label_to_category.csv", "landmark_id,category", labels)
    write_csv(root / "index.csv", "id", [(photo.id,) for photo in index])
    write_csv(root / "index_image_to_landmark.csv", "id,landmark_id", of_index)
    write_csv(root / "index_label_to_category.csv", "landmark_id,category", own)
    write_csv(root / "test.csv", "id", [(photo.id,) for photo in photos if photo.part == "test"])


def write_solutions(root: Path, photos: list[Photo]) -> None:
    """What is right for each test photo; the last one counts for neither leaderboard."""
    test = [photo for photo in photos if photo.part == "test"]
    recognition, retrieval = [], []
    for number, photo in enumerate(test):
        same = [p.id for p in photos if p.part == "index" and p.label == photo.label >= 0]
        usage = "Ignored" if photo is test[-1] else ("Public", "Private")[number % 2]
        recognition.append((photo.id, photo.landmark_id if photo.label >= 0 else "", usage))
        found = same and usage != "Ignored"
        retrieval.append((photo.id, " ".join(same) if found else "None", usage if found else "Ignored"))
    write_csv(root / "recognition_solution_v2.1.csv", "id,landmarks,Usage", recognition)
    write_csv(root / "retrieval_solution_v2.1.csv", "id,images,Usage", retrieval)


def wit_rows(photos: list[Photo], classes: list[str]) -> list[dict[str, str]]:
    """Rows of WIT: pages of the landmarks in two languages, and what is not to be taken."""
    wit = [photo for photo in photos if photo.part == "wit"]
    pages = [(classes[photo.label], photo.url) for photo in wit]
    pages += [(name[0].lower() + name[1:].replace(" ", "_"), url) for name, url in pages]
    known = next(photo for photo in photos if photo.part == "clean")
    pages.append((classes[known.label], known.url))  # in train.csv
    pages.append((classes[(wit[0].label + 1) % len(classes)], wit[0].url))  # on the pages of two
    pages.append(("A page of something else", f"{UPLOAD}a/aa/Else.jpg"))
    rows = [
        {"page_title": title, "image_url": url, "mime_type": "image/jpeg", "is_main_image": "true"}
        for title, url in pages
    ]
    return [*rows, {**rows[0], "image_url": f"{UPLOAD}a/ab/Map.png", "mime_type": "image/png"}]


def write_wit(root: Path, data: lz.datasets.PhotoDataset, photos: list[Photo]) -> lz.datasets.WitList:
    """``wit.tsv.gz``, the list that is made of it, and the images of that list."""
    with gzip.open(root / "wit.tsv.gz", "wt", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, WIT_COLUMNS, restval="", delimiter="\t", lineterminator="\n")
        writer.writeheader()
        writer.writerows(wit_rows(photos, data.classes))
    wit = lz.datasets.build_wit_list(root / "wit.tsv.gz", root)
    (root / "wit").mkdir()
    wit.save(root / "wit")
    row_of = {photo.url: photo.row for photo in photos}
    for url, path in zip(wit.urls, wit.paths):
        save(data, row_of[url], root / "wit" / path)
    return wit


def save(data: lz.datasets.PhotoDataset, row: int, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    data.photo(row).save(path, quality=95)


def write_gldv2(root: str | Path, data: lz.datasets.PhotoDataset) -> lz.datasets.WitList:
    """Write a miniature of the photos of a data set: of two landmarks or more, five photos each or more."""
    root = Path(root)
    if root.exists() and any(root.iterdir()):
        raise FileExistsError(f"{root} is not empty: give the name of a new folder")
    root.mkdir(parents=True, exist_ok=True)
    photos = dealt(data)
    write_lists(root, photos, data.classes)
    write_solutions(root, photos)
    for photo in photos:
        id_, folder = photo.id, root / FOLDERS.get(photo.part, photo.part)
        if photo.part in FOLDERS:
            save(data, photo.row, folder / id_[0] / id_[1] / id_[2] / f"{id_}.jpg")
        elif photo.part == "non_landmark":
            save(data, photo.row, folder / f"{id_}.jpg")
    return write_wit(root, data, photos)


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("root", help="folder to write, new or empty")
    parser.add_argument(
        "--photos", help="CSV file, or folder with a folder a landmark, in place of rendered ones"
    )
    parser.add_argument("--label", default="label", help="column of the CSV file with the landmark")
    parser.add_argument("--landmarks", type=int, default=16, help="rendered ones")
    parser.add_argument("--views", type=int, default=14, help="photos of each")
    parser.add_argument("--distractors", type=int, default=40, help="photos of no landmark")
    parser.add_argument("--image-size", type=int, default=192)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(argv)
    data: lz.datasets.PhotoDataset
    if options.photos is None:
        sizes = (options.landmarks, options.views, options.distractors)
        data = lz.rendered.RenderedLandmarks(*sizes, image_size=options.image_size, seed=options.seed)
    elif options.photos.endswith(".csv"):
        data = lz.datasets.CsvPhotos(options.photos, label_column=options.label)
    else:
        data = lz.datasets.ImageFolder(options.photos)
    wit = write_gldv2(options.root, data)
    for split in ("clean", "x", "full", "index", "test"):
        print(lz.datasets.GLDv2(options.root, split))
    print(wit)


if __name__ == "__main__":
    main()
