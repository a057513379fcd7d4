"""``landmarkzoo gldv2``: the lists GLDv2c and GLDv2x from the published CSV files."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from landmarkzoo.cli.outputs import GLDV2_CLASSES, GLDV2_LIST, check_outputs
from landmarkzoo.cli.printing import print_table
from landmarkzoo.cli.shared_options import add_shared_options, shows_progress


def add_parser(commands: Any) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "gldv2",
        help="build the lists GLDv2c and GLDv2x from the CSV files of Google Landmarks v2",
        description="Read train.csv and train_clean.csv in root or root/metadata and write gldv2c.csv and "
        "gldv2x.csv (id,landmark_id,class_id) and gldv2_classes.csv.",
    )
    parser.add_argument("root", help="folder of Google Landmarks v2")
    parser.add_argument("--out", metavar="DIR", required=True, help="folder to write to")
    add_shared_options(parser, "--overwrite", "--quiet")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    """Build the lists, write them and print their sizes."""
    from landmarkzoo.datasets import build_gldv2_lists

    out = Path(arguments.out)
    if not out.is_dir():
        raise FileNotFoundError(f"cannot write to {out}: the folder does not exist")
    kinds = {"gldv2c.csv": GLDV2_LIST, "gldv2x.csv": GLDV2_LIST, "gldv2_classes.csv": GLDV2_CLASSES}
    root = Path(arguments.root)
    inputs = [root / below / name for below in ("", "metadata") for name in ("train.csv", "train_clean.csv")]
    check_outputs(
        {name: (out / name, kind) for name, kind in kinds.items()},
        inputs=inputs,
        overwrite=arguments.overwrite,
    )
    lists = build_gldv2_lists(arguments.root, progress=shows_progress(arguments))
    lists.save(out)
    classes = f"{len(lists.landmark_ids):,}"
    rows = [
        ["GLDv2c", f"{len(lists.clean):,}", classes, str(out / "gldv2c.csv")],
        ["GLDv2x", f"{len(lists.x):,}", classes, str(out / "gldv2x.csv")],
    ]
    print_table(["list", "images", "classes", "file"], rows)
