"""``lz.datasets.build_wit_list`` on made-up pages: rows a second of a core, and peak memory.

    python benchmarks/wit_list.py [--rows 200000]

The table of categories has its real size, 203,094 landmarks; the rows are made up, 300 bytes when compressed,
many with quotes and line breaks, and one in twenty is of a landmark.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import random
import tempfile
import time
from pathlib import Path

from measuring import machine, peak_mib

import landmarkzoo as lz

LANDMARKS, CLEAN, ROWS = 203_094, 81_313, 37_100_000
COLUMNS = "language page_url image_url page_title section_title hierarchical_section_title"
COLUMNS += (
    " caption_reference_description caption_attribution_description caption_alt_text_description mime_type"
)
COLUMNS += " original_height original_width is_main_image attribution_passes_lang_id page_changed_recently"
COLUMNS += " context_page_description context_section_description"


def write_root(root: Path) -> None:
    url = "http://commons.wikimedia.org/wiki/Category:Page_%d"
    categories = [f"{n},{url % (20 * n)}" for n in range(LANDMARKS)]
    (root / "train_label_to_category.csv").write_text("\n".join(["landmark_id,category", *categories]))
    clean = [f"{n},image{n}" for n in range(CLEAN)]
    (root / "train_clean.csv").write_text("\n".join(["landmark_id,images", *clean]))


def write_wit(path: Path, rows: int) -> None:
    draw = random.Random(0)
    words = ["the", "tower", "of", "a", "church", "built", "1234", "by", "an", "architect", '"note"', "\n"]
    texts = [" ".join(draw.choices(words, k=180)) for _ in range(200)]
    with gzip.open(path, "wt", encoding="utf-8", newline="", compresslevel=6) as file:
        writer = csv.writer(file, delimiter="\t", lineterminator="\n")
        writer.writerow(COLUMNS.split())
        for n in range(rows):
            url = f"https://upload.wikimedia.org/wikipedia/commons/a/ab/Photograph_{n}.jpg"
            first = [
                "en",
                "https://en.wikipedia.org/wiki/Page",
                url,
                f"Page {n % (20 * LANDMARKS)}",
                "",
                "Page",
            ]
            captions = [texts[n % 199][:80], texts[n % 197][:120], "", "image/jpeg", "1000", "1500"]
            writer.writerow(
                [*first, *captions, "true", "true", "true", draw.choice(texts), draw.choice(texts)]
            )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rows", type=int, default=200_000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        root, path = Path(temporary), Path(temporary) / "wit.tsv.gz"
        write_root(root)
        write_wit(path, options.rows)
        size, started = path.stat().st_size / options.rows, time.process_time()
        wit = lz.datasets.build_wit_list(path, root)
        rate = options.rows / (time.process_time() - started)
        print(f"{machine()}\n{wit}\n{size:.0f} bytes a row, compressed")
        minutes = ROWS / rate / 60
        print(f"{rate:,.0f} rows a second of a core: {minutes:.0f} minutes for all; {peak_mib():,.0f} MiB")


if __name__ == "__main__":
    main()
