"""``landmarkzoo index``: a folder of descriptors that grows, is corrected and is searched for years."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

from landmarkzoo.cli import index_changes, index_questions
from landmarkzoo.cli.shared_options import add_shared_options

_GOES_ON = "; what is done is kept, and the same command goes on from there"


def add_parser(commands: Any) -> None:
    """Add the command, with its actions, to the parser."""
    parser = commands.add_parser(
        "index",
        help="a folder of descriptors that grows, is corrected and searched",
        description="An index is a folder with the descriptors, ids and labels of photos. It is written in "
        "commits: whatever stops a command, the last one stays whole, and others can search meanwhile.",
    )
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    _add_create(actions)
    _add_add(actions)
    _add_update(actions)
    _add_relabel(actions)
    _add_remove(actions)
    compact = _action(
        actions,
        "compact",
        index_changes.run_compact,
        "rewrite it without what was removed: smaller, and quicker",
    )
    add_shared_options(compact, "--quiet")
    _add_search(actions)
    _add_duplicates(actions)
    _add_suspicious(actions)
    info = _action(actions, "info", index_questions.run_info, "what it is, in a few numbers")
    info.add_argument("--json", action="store_true", help="print JSON")


def _action(actions: Any, name: str, run: Callable[[argparse.Namespace], None], text: str) -> Any:
    parser = actions.add_parser(name, help=text, description=f"{text[0].upper()}{text[1:]}.")
    parser.add_argument("index", metavar="DIR", help="folder of the index")
    parser.set_defaults(run=run)
    return parser


def _add_create(actions: Any) -> None:
    parser = _action(
        actions,
        "create",
        index_changes.run_create,
        "make an empty index; what makes its descriptors is fixed now, and need not be given again",
    )
    parser.add_argument(
        "--model",
        metavar="NAME",
        help="a name of 'landmarkzoo models', local-dir:PATH or hf-hub:ORG/REPO; without it the index takes "
        "descriptors files, and no photos",
    )
    add_shared_options(parser, "--whiten", "--shrinkage", "--image-size", "--scales", "--flip", "--precision")
    parser.add_argument(
        "--batch-size", type=int, metavar="N", help="photos for each forward pass, default: 32"
    )
    parser.add_argument(
        "--storage",
        choices=("float32", "float16"),
        default="float32",
        help="type that vectors are kept in, default: %(default)s; float16 takes half the room",
    )
    add_shared_options(parser, "--workers", "--device", "--skip-errors", "--quiet")


def _add_add(actions: Any) -> None:
    parser = _action(
        actions,
        "add",
        index_changes.run_add,
        "add photos that are new, and embed those again that have changed",
    )
    parser.add_argument(
        "photos",
        metavar="PHOTOS",
        nargs="+",
        help="folders, with all their subfolders, photos, descriptors files, or other indexes",
    )
    _add_adding_options(parser)


def _add_update(actions: Any) -> None:
    parser = _action(
        actions,
        "update",
        index_changes.run_update,
        "as add, and drop photos that were added from this folder and are not in it any more",
    )
    parser.add_argument("photos", metavar="PHOTOS", help="a folder, with all its subfolders")
    _add_adding_options(parser)


def _add_adding_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--labels", metavar="FILE", help="CSV file with columns id,label: landmarks of the photos"
    )
    parser.add_argument(
        "--folder-labels", action="store_true", help="the landmark is the first folder of the id of a photo"
    )
    parser.add_argument(
        "--skip-errors",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="leave out photos that cannot be read, and list them: the default here",
    )
    add_shared_options(parser, "--workers", "--device", "--quiet")
    parser.set_defaults(when_stopped=_GOES_ON)


def _add_relabel(actions: Any) -> None:
    parser = _action(
        actions, "relabel", index_changes.run_relabel, "correct labels of photos; nothing is embedded"
    )
    parser.add_argument(
        "--labels",
        metavar="FILE",
        required=True,
        help="CSV file with columns id,label, empty for no landmark; others stay as they are",
    )
    add_shared_options(parser, "--quiet")


def _add_remove(actions: Any) -> None:
    parser = _action(actions, "remove", index_changes.run_remove, "take photos out, by id")
    parser.add_argument("ids", metavar="ID", nargs="*", help="ids of photos")
    parser.add_argument("--from", metavar="FILE", dest="from_file", help="text file with one id a line")
    parser.add_argument(
        "--missing-ok", action="store_true", help="take out the ids that are there, as after a killed call"
    )
    add_shared_options(parser, "--quiet")


def _add_search(actions: Any) -> None:
    parser = _action(
        actions,
        "search",
        index_questions.run_search,
        "find the most similar photos of the index for each query",
    )
    parser.add_argument(
        "queries",
        metavar="PHOTO",
        nargs="+",
        help="photos, or folders of photos; or one descriptors file, or another index",
    )
    add_shared_options(parser, "-k")
    parser.add_argument("--out", metavar="FILE", help="CSV file to write: query,rank,id,score")
    parser.add_argument("--report", metavar="FILE", help="HTML page to write, with queries and their results")
    parser.add_argument(
        "--photos", metavar="DIR", help="folder that the ids of the index start from, for the report"
    )
    add_shared_options(parser, "--device", "--overwrite", "--quiet")


def _add_duplicates(actions: Any) -> None:
    parser = _action(
        actions, "duplicates", index_questions.run_duplicates, "find pairs of photos that are nearly the same"
    )
    parser.add_argument(
        "--threshold", type=float, default=0.95, metavar="X", help="least cosine, default: %(default)s"
    )
    parser.add_argument("--out", metavar="FILE", help="CSV file to write: id,duplicate,cosine")
    add_shared_options(parser, "--overwrite", "--quiet")


def _add_suspicious(actions: Any) -> None:
    parser = _action(
        actions,
        "suspicious",
        index_questions.run_suspicious,
        "find photos whose neighbors, or the head of the model, have another label",
    )
    parser.add_argument(
        "--neighbors", type=int, default=10, metavar="N", help="photos that vote, default: %(default)s"
    )
    parser.add_argument(
        "--head",
        metavar="NAME",
        help="local-dir:PATH, hf-hub:ORG/REPO, or a name of 'landmarkzoo models': the head that the model of "
        "the index was trained with, which names photos far from the centers of their class; default: the "
        "one in the folder of the model, if there is one",
    )
    parser.add_argument("--out", metavar="FILE", help="CSV file to write: id,label,likelier,score")
    add_shared_options(parser, "--overwrite", "--quiet")
