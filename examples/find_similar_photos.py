"""Find the photos of a folder that show the same place: embed them, search the folder in itself.

python examples/find_similar_photos.py PHOTOS [--pairs 20]
"""

from __future__ import annotations

import argparse

import landmarkzoo as lz


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("photos", help="a folder of photos")
    parser.add_argument("--pairs", type=int, default=20, help="how many pairs to print")
    arguments = parser.parse_args()

    model = lz.create_model("efficientnet_lite0_gem", pretrained_backbone=True, neck="none")
    photos = lz.embed(model, arguments.photos, on_error="skip")
    nearest = lz.search(photos, photos, k=1, exclude_same_id=True)

    pairs = {
        tuple(sorted((photo, found))): score
        for photo, found, score in zip(photos.ids, nearest.ids[:, 0], nearest.scores[:, 0])
    }
    for (one, other), score in sorted(pairs.items(), key=lambda pair: -pair[1])[: arguments.pairs]:
        print(f"{score:.3f}  {one}  {other}")


if __name__ == "__main__":
    main()
