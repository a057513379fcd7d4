"""``landmarkzoo index search | duplicates | suspicious | info``: what an index is asked."""

from __future__ import annotations

import argparse
import json
import os
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from landmarkzoo._utils.user_paths import user_path
from landmarkzoo.cli.descriptor_inputs import (
    check_takes_photos,
    holds_descriptors,
    load_descriptors,
    open_index,
)
from landmarkzoo.cli.outputs import DUPLICATES, PAGE, RANKING, SUSPICIONS, check_outputs
from landmarkzoo.cli.printing import show_findings, show_ranking
from landmarkzoo.cli.shared_options import refuse_without, shows_progress

if TYPE_CHECKING:
    from landmarkzoo.retrieval import Ranking


def run_search(arguments: argparse.Namespace) -> None:
    """Search, print the results of the first queries, and write the files.

    Raises:
        OSError: If a file is missing or cannot be written.
        ValueError: If a query does not fit the index, or an option would be ignored.
    """
    _check_search(arguments)
    index = open_index(arguments.index, arguments.device)
    if not all(map(holds_descriptors, arguments.queries)):
        check_takes_photos(index, arguments.index)
    queries = _queries(arguments.queries)
    snapshot = index.snapshot()
    ranking, labels = snapshot.search(queries, arguments.k), snapshot.labels
    if arguments.report is not None:
        _report(arguments, ranking)
    show_ranking(ranking, arguments.out, "cosine", labels if any(labels) else None)


def run_duplicates(arguments: argparse.Namespace) -> None:
    """Find pairs of photos that are nearly the same.

    Raises:
        OSError: If the file cannot be written.
    """
    _check_table(arguments, DUPLICATES)
    index = open_index(arguments.index)
    pairs = index.duplicates(arguments.threshold, progress=shows_progress(arguments))
    show_findings(["id", "duplicate", "cosine"], pairs, arguments.out, "pairs")


def run_suspicious(arguments: argparse.Namespace) -> None:
    """Find photos whose neighbors, or a head, have another label.

    Raises:
        OSError: If the file cannot be written, or there is no such head.
        ValueError: If there are no labels, or the head does not fit.
    """
    from landmarkzoo.models import load_head

    _check_table(arguments, SUSPICIONS)
    index = open_index(arguments.index)
    if not any(index.labels):
        raise ValueError(
            f"the photos of {arguments.index} have no labels: 'landmarkzoo index add' takes --labels FILE or "
            "--folder-labels, also for photos that are there"
        )
    head, class_names = (None, None) if arguments.head is None else load_head(arguments.head)
    found = index.suspicious_labels(
        arguments.neighbors, head=head, class_names=class_names, progress=shows_progress(arguments)
    )
    show_findings(["id", "label", "likelier", "score"], found, arguments.out, "photos")


def run_info(arguments: argparse.Namespace) -> None:
    """Print what an index is."""
    info = open_index(arguments.index).info
    if arguments.json:
        print(json.dumps(asdict(info), indent=1))
        return
    skipped = f", and {info.skipped} that could not be read" if info.skipped else ""
    room = f"; 'landmarkzoo index compact' drops {info.tombstones} removed rows" if info.tombstones else ""
    lines = {
        "photos": f"{info.rows}{skipped}",
        "labels": f"{info.labels} different",
        "model": info.model or "unknown: it takes descriptors",
        "image size": info.image_size or "unknown",
        "vectors": f"{info.dimensions or 'no'} dimensions, {info.storage}",
        "on disk": f"{info.bytes / 1e6:.1f} MB in {info.shards} shards{room}",
        "created": info.created,
        "changed": f"{info.committed}, commit {info.generation}",
    }
    for name, text in lines.items():
        print(f"{name:12}{text}")


def _check_search(arguments: argparse.Namespace) -> None:
    refuse_without("--report", arguments, "--photos")
    for path in arguments.queries:
        if not user_path(path).exists():
            raise FileNotFoundError(f"no such folder or photo: {path}")
    check_outputs(
        {"--out": (arguments.out, RANKING), "--report": (arguments.report, PAGE)},
        inputs=[*arguments.queries, arguments.index, arguments.photos],
        overwrite=arguments.overwrite,
    )
    if arguments.report is None:
        return
    if arguments.photos is None:
        raise ValueError("--report needs the photos of the index: --photos DIR, which their ids start from")
    if not user_path(arguments.photos).is_dir():
        raise FileNotFoundError(f"--report: no such folder of photos: {arguments.photos}")
    if any(map(holds_descriptors, arguments.queries)):
        raise ValueError(
            "--report is for queries that are photos: for descriptors 'landmarkzoo search --report' has "
            "--query-photos"
        )


def _check_table(arguments: argparse.Namespace, kind: Any) -> None:
    check_outputs({"--out": (arguments.out, kind)}, inputs=[arguments.index], overwrite=arguments.overwrite)


def _queries(paths: list[str]) -> Any:
    """What ``Index.search`` takes."""
    if len(paths) == 1:
        return load_descriptors(paths[0]) if holds_descriptors(paths[0]) else user_path(paths[0])
    if descriptors := [path for path in paths if holds_descriptors(path)]:
        raise ValueError(f"{descriptors[0]} holds descriptors: give it alone, or photos and folders")
    return _photo_paths(paths)


def _photo_paths(paths: list[str]) -> list[str]:
    """Photos, and all in folders, as paths."""
    from landmarkzoo.photos import photo_files

    found = []
    for path in paths:
        folder = user_path(path)
        found += [str(folder / name) for name in photo_files(folder)] if folder.is_dir() else [path]
    return found


def _report(arguments: argparse.Namespace, ranking: Ranking) -> None:
    from landmarkzoo.reports import write_ranking_page

    # The page takes ids that start from a folder: of photos from several places, the one above them all.
    photos = [user_path(path) for path in _photo_paths(arguments.queries)]
    photos = [Path(os.path.realpath(photo.parent), photo.name) for photo in photos]
    folder = os.path.commonpath([photo.parent for photo in photos])
    named = replace(ranking, query_ids=[os.path.relpath(photo, folder) for photo in photos])
    write_ranking_page(arguments.report, named, folder, user_path(arguments.photos))
    print(f"report: {arguments.report}")
