"""``landmarkzoo clean``: photos with a wrong label, of no landmark, or that are there twice."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from landmarkzoo._utils.user_paths import user_path
from landmarkzoo.cli.descriptor_inputs import holds_descriptors, load_descriptors, load_labelled
from landmarkzoo.cli.model_options import DEFAULT_MODEL
from landmarkzoo.cli.outputs import CHECKLIST, PAGE, check_outputs
from landmarkzoo.cli.photo_labels import labels_of_file
from landmarkzoo.cli.printing import print_table
from landmarkzoo.cli.shared_options import add_shared_options, shows_progress
from landmarkzoo.cli.stderr_lines import printable, say

if TYPE_CHECKING:
    from landmarkzoo.finetuning import Suspicions

_ROWS = 30  # that are printed at most; the file gets all


def add_parser(commands: Any) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "clean",
        help="find wrong labels, photos of no landmark, and duplicates, before training",
        description="Find photos that should not be trained on as they are: those nearer to another landmark "
        "than to their own, those far from all landmarks, and near duplicates within a landmark and across. "
        "No photo is changed or removed: look at the report, delete the lines of the table that are right, "
        "and give it to landmarkzoo finetune --exclude.",
    )
    parser.add_argument(
        "photos",
        metavar="PHOTOS",
        help="a folder with a folder for each landmark, a CSV file path,label, an index, or a "
        "descriptors file",
    )
    parser.add_argument(
        "--labels",
        metavar="FILE",
        help="CSV file with columns id,label, empty for no landmark, in place of the folders of the photos",
    )
    parser.add_argument(
        "--out", metavar="FILE", help="CSV file to write: id,reason,label,likelier,score,other"
    )
    parser.add_argument("--report", metavar="FILE", help="HTML page to write, with the photos")
    parser.add_argument(
        "--photos",
        metavar="DIR",
        dest="folder",
        help="folder that the ids of an index or a descriptors file start from, for the report",
    )
    parser.add_argument(
        "--model",
        metavar="NAME",
        help="a name of 'landmarkzoo models', whose ImageNet weights get a neck that is whitened on these "
        f"photos, local-dir:PATH or hf-hub:ORG/REPO; default: {DEFAULT_MODEL}",
    )
    parser.add_argument(
        "--non-landmark",
        metavar="DIR",
        help="photos that show no landmark: what is nearer to them than to any landmark is listed. Without "
        "it, what is farther from all landmarks than photos usually are from one that they do not show",
    )
    parser.add_argument(
        "--threshold",
        type=float,
        default=0.5,
        metavar="X",
        help="score from which a label is wrong, default: %(default)s; 1 is as much nearer to another "
        "landmark as photos usually are to their own",
    )
    parser.add_argument(
        "--duplicates",
        type=float,
        metavar="X",
        help="cosine from which photos are nearly the same; default: half way from the usual cosine of "
        "nearest neighbors to 1",
    )
    add_shared_options(parser, "--workers", "--device", "--overwrite", "--quiet")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    """Look at the photos, print what was found, and write the files.

    Raises:
        OSError: If a file is missing or cannot be written.
        ValueError: If an option is wrong or would be ignored, or photos have no labels.
    """
    from landmarkzoo.finetuning import suspicious_photos

    folder = _check(arguments)
    non_landmark: Any = None if arguments.non_landmark is None else user_path(arguments.non_landmark)
    if holds_descriptors(arguments.photos):
        non_landmark = None if non_landmark is None else load_descriptors(arguments.non_landmark)
    found = suspicious_photos(
        _labelled(arguments),
        model=arguments.model,
        non_landmark=non_landmark,
        threshold=arguments.threshold,
        duplicates=arguments.duplicates,
        device=arguments.device,
        num_workers=arguments.workers,
        progress=shows_progress(arguments),
    )
    for photo, reason in found.skipped:
        say(f"skipped {printable(photo)}: {printable(reason)}")
    if arguments.out is not None:
        found.to_csv(arguments.out)
    if arguments.report is not None:
        _report(arguments, found, folder)
    _show(arguments, found)


def _check(arguments: argparse.Namespace) -> Path:
    """Check the options; the folder that ids start from."""
    photos = user_path(arguments.photos)
    if not photos.exists():
        raise FileNotFoundError(f"no such folder or file: {arguments.photos}")
    if arguments.folder is not None and arguments.report is None:
        raise ValueError("--photos is for --report, which is not given")
    embedded = holds_descriptors(arguments.photos)
    if embedded and arguments.model is not None:
        raise ValueError(f"--model would be ignored: {arguments.photos} holds descriptors")
    if photos.is_file() and not embedded and arguments.labels is not None:
        raise ValueError(f"--labels would be ignored: {arguments.photos} is a table with its own labels")
    if not embedded and arguments.folder is not None:
        raise ValueError("--photos is for an index or a descriptors file: these are photos")
    if embedded and arguments.report is not None and arguments.folder is None:
        raise ValueError("--report needs the photos: --photos DIR, which the ids start from")
    if arguments.non_landmark is not None:
        _check_non_landmark(arguments, photos, embedded)
    if arguments.folder is not None and not user_path(arguments.folder).is_dir():
        raise FileNotFoundError(f"--photos: no such folder of photos: {arguments.folder}")
    check_outputs(
        {"--out": (arguments.out, CHECKLIST), "--report": (arguments.report, PAGE)},
        inputs=[arguments.photos, arguments.labels, arguments.non_landmark, arguments.folder],
        overwrite=arguments.overwrite,
    )
    if arguments.folder is not None:
        return user_path(arguments.folder)
    return photos if photos.is_dir() else photos.parent


def _check_non_landmark(arguments: argparse.Namespace, photos: Path, embedded: bool) -> None:
    others = user_path(arguments.non_landmark)
    if not others.exists():
        raise FileNotFoundError(f"--non-landmark: no such folder: {arguments.non_landmark}")
    if embedded != holds_descriptors(arguments.non_landmark):
        needed = "a descriptors file or an index" if embedded else "a folder of photos"
        raise ValueError(f"--non-landmark must be {needed}, as {arguments.photos} is")
    inside = Path(os.path.realpath(others))
    if photos.is_dir() and Path(os.path.realpath(photos)) in (inside, *inside.parents):
        raise ValueError(
            f"--non-landmark {arguments.non_landmark} lies in {arguments.photos}, where it would be a "
            "landmark: move it elsewhere"
        )


def _labelled(arguments: argparse.Namespace) -> Any:
    """What ``suspicious_photos`` takes."""
    if holds_descriptors(arguments.photos):
        return load_labelled(arguments.photos, arguments.labels)
    path = user_path(arguments.photos)
    return path if arguments.labels is None else (path, labels_of_file(arguments.labels))


def _report(arguments: argparse.Namespace, found: Suspicions, folder: Path) -> None:
    from landmarkzoo.reports import write_suspicions_page

    write_suspicions_page(
        arguments.report, found.rows, folder, examples=found.examples, lines=[*_summary(found)]
    )
    print(f"report: {printable(arguments.report)}")


def _summary(found: Suspicions) -> list[str]:
    counts = ", ".join(f"{count:,} {reason}" for reason, count in found.counts.items())
    lines = [f"{found.photos:,} photos of {found.landmarks:,} landmarks: {counts}"]
    if found.unjudged:
        lines.append(f"{len(found.unjudged):,} are the only photo of their landmark: not judged")
    return lines


def _show(arguments: argparse.Namespace, found: Suspicions) -> None:
    rows = [
        [one.id, one.reason, one.label, one.likelier, f"{one.score:.2f}", one.other]
        for one in found.rows[:_ROWS]
    ]
    if rows:
        print_table(["id", "reason", "label", "likelier", "score", "other"], rows)
    if len(found) > _ROWS:
        print(f"... {len(found) - _ROWS} more photos" + ("" if arguments.out else ": --out FILE writes all"))
    for line in _summary(found):
        print(line)
    if arguments.out is not None:
        print(f"{len(found)} photos to check: {printable(arguments.out)}")
