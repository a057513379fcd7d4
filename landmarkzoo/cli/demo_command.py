"""``landmarkzoo demo``: from photos to answers in one command, without network or data."""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from landmarkzoo import __version__
from landmarkzoo._utils.atomic_writing import atomic_write
from landmarkzoo.cli.outputs import PICTURE, check_outputs, free_name
from landmarkzoo.cli.printing import print_table
from landmarkzoo.cli.shared_options import add_shared_options, refuse_without, shows_progress
from landmarkzoo.cli.stderr_lines import printable, say

if TYPE_CHECKING:
    from PIL import Image

    from landmarkzoo.demo import Step

_LANDMARKS, _VIEWS, _SEED, _PICTURE = 40, 12, 0, "landmarkzoo_demo.png"


def add_parser(commands: Any) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "demo",
        help="embed, whiten, search, re-rank and measure, without network or data",
        description="Render landmarks (or take your own photos), embed them with ImageNet weights, "
        "whitened or not, and with landmark weights, search and rerank, and print mAP@100 and GAP of each "
        "step.",
    )
    parser.add_argument("--photos", metavar="DIR", help="your own photos, one folder per landmark")
    parser.add_argument(
        "--out",
        metavar="FILE",
        help=f"picture to write (PNG), default: {_PICTURE}, with a number in its name if that exists",
    )
    for name, default, what in (
        ("--landmarks", _LANDMARKS, "landmarks to render"),
        ("--views", _VIEWS, "photos of each"),
        ("--seed", _SEED, "of the rendered landmarks"),
    ):
        parser.add_argument(name, type=int, metavar="N", help=f"{what}, default: {default}")
    parser.add_argument(
        "--skip-errors", action="store_true", help="leave out photos that cannot be read, and list them"
    )
    add_shared_options(parser, "--workers", "--overwrite", "--quiet")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    """Run all steps, print the table and write the picture.

    Raises:
        ValueError: If an option is wrong, or would be ignored.
    """
    from landmarkzoo.demo import folder_split, picture_rows, rendered_split, run_steps
    from landmarkzoo.reports import draw_rankings

    start = time.perf_counter()
    out = _checked_out(arguments)
    progress = shows_progress(arguments)
    if arguments.photos is not None:
        split = folder_split(arguments.photos)
    else:
        numbers = ((arguments.landmarks, _LANDMARKS), (arguments.views, _VIEWS), (arguments.seed, _SEED))
        given = [default if number is None else number for number, default in numbers]
        split = rendered_split(*given, progress=progress)
    print(
        f"{len(split.targets)} photos of {len(split.classes)} landmarks: {len(split.train)} train, "
        f"{len(split.index)} index, {len(split.query)} queries"
    )
    split, steps = run_steps(
        split, progress=progress, num_workers=arguments.workers, skip_errors=arguments.skip_errors
    )
    for photo, reason in split.skipped:
        say(f"skipped {printable(photo)}: {printable(reason)}")
    _print_steps(steps)
    last = steps[-1]
    score = f"mAP@100 {last.mean_average_precision:.3f}"
    heading = f"{last.name[2:]}: {score}; in brackets: relevant photos in the index"
    _save(draw_rankings(picture_rows(split, last.ranking), heading), out)
    print(f"queries with their best results, right ones green, wrong ones red: {printable(str(out))}")
    print(f"{time.perf_counter() - start:.0f} s in all")


def _checked_out(arguments: argparse.Namespace) -> Path:
    refuse_without("--photos", arguments, "--skip-errors")
    if arguments.photos is not None:
        for name in ("landmarks", "views", "seed"):
            if getattr(arguments, name) is not None:
                raise ValueError(f"--{name} is for rendered landmarks, not for --photos")
    out = Path(arguments.out or _PICTURE)
    if arguments.out is None and not arguments.overwrite:
        out = free_name(out)
    check_outputs({"--out": (out, PICTURE)}, inputs=[arguments.photos], overwrite=arguments.overwrite)
    return out


def _save(picture: Image.Image, out: Path) -> None:
    from PIL.PngImagePlugin import PngInfo

    mark = PngInfo()
    mark.add_text("Software", f"landmarkzoo {__version__}")  # that the next run knows it as its own
    with atomic_write(out) as temporary:
        picture.save(temporary, format="PNG", pnginfo=mark)


def _print_steps(steps: list[Step]) -> None:
    rows = [[s.name, f"{s.mean_average_precision:.3f}", f"{s.gap:.3f}", f"{s.seconds:.1f}"] for s in steps]
    print_table(["step", "mAP@100", "GAP", "seconds"], rows)
