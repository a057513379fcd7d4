"""``landmarkzoo demo``: from photos to answers in one command, without network or data."""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

from landmarkzoo._utils.atomic_writing import atomic_write
from landmarkzoo.cli.printing import print_table
from landmarkzoo.cli.shared_options import add_shared_options
from landmarkzoo.demo import Step, folder_split, picture_rows, rendered_split, run_steps
from landmarkzoo.reports import draw_rankings


def add_parser(commands: Any) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "demo",
        help="embed, whiten, search, re-rank and measure, without network or data",
        description="Render landmarks (or take your own photos), embed them with ImageNet weights, whiten "
        "the neck, search and rerank, and print mAP@100 and GAP of each step.",
    )
    parser.add_argument("--photos", metavar="DIR", help="your own photos, one folder per landmark")
    parser.add_argument(
        "--out",
        default="landmarkzoo_demo.png",
        metavar="FILE",
        help="picture to write (PNG), default: %(default)s",
    )
    parser.add_argument(
        "--landmarks", type=int, default=40, metavar="N", help="landmarks to render, default: %(default)s"
    )
    parser.add_argument(
        "--views", type=int, default=12, metavar="N", help="photos of each, default: %(default)s"
    )
    parser.add_argument(
        "--seed", type=int, default=0, metavar="N", help="of the rendered landmarks, default: %(default)s"
    )
    add_shared_options(parser, "--workers", "--quiet")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    """Run all steps, print the table and write the picture."""
    start = time.perf_counter()
    out = Path(arguments.out)
    if not out.absolute().parent.is_dir():
        raise FileNotFoundError(f"cannot write {out}: its folder does not exist")
    progress = not arguments.quiet
    if arguments.photos is not None:
        split = folder_split(arguments.photos)
    else:
        split = rendered_split(arguments.landmarks, arguments.views, arguments.seed, progress=progress)
    print(
        f"{len(split.targets)} photos of {len(split.classes)} landmarks: {len(split.train)} train, "
        f"{len(split.index)} index, {len(split.query)} queries"
    )
    steps = run_steps(split, progress=progress, num_workers=arguments.workers)
    _print_steps(steps)
    last = steps[-1]
    score = f"mAP@100 {last.mean_average_precision:.3f}"
    heading = f"{last.name[2:]}: {score}; in brackets: relevant photos in the index"
    picture = draw_rankings(picture_rows(split, last.ranking), heading)
    with atomic_write(out) as temporary:
        picture.save(temporary, format="PNG")
    print(f"queries with their best results, right ones green, wrong ones red: {out}")
    print(f"{time.perf_counter() - start:.0f} s in all")


def _print_steps(steps: list[Step]) -> None:
    rows = [[s.name, f"{s.mean_average_precision:.3f}", f"{s.gap:.3f}", f"{s.seconds:.1f}"] for s in steps]
    print_table(["step", "mAP@100", "GAP", "seconds"], rows)
