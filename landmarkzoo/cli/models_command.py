"""``landmarkzoo models``: the registered models, those of installed plug-ins too."""

from __future__ import annotations

import argparse
from typing import Any

from landmarkzoo.cli.printing import print_table


def add_parser(commands: Any) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser("models", help="list the registered models")
    parser.add_argument("filter", nargs="?", default="*", help="wildcard, such as 'dolg*'")
    parser.add_argument(
        "--pretrained", action="store_true", help="only models whose landmark weights can be loaded"
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    """Print a table of models.

    Raises:
        ValueError: If the filter fits none of them.
    """
    from landmarkzoo.models.registry import get_model_cfg, list_models

    names = list_models(arguments.filter, pretrained=arguments.pretrained)
    if not names and arguments.pretrained:
        raise ValueError(
            "no landmark weights can be loaded by name yet; 'landmarkzoo models' lists all models"
        )
    if not names:
        raise ValueError(f"no model fits {arguments.filter!r}; 'landmarkzoo models' lists all models")
    rows = []
    for name in names:
        cfg = get_model_cfg(name)
        size = f"{cfg.input_size[1]} px"
        # An argument of that name may be anything in the class of somebody else.
        parts = [str(cfg.args[part]) for part in ("backbone", "cnn", "transformer") if part in cfg.args]
        backbone = " + ".join(parts) or "its own"
        row = [name, cfg.architecture, backbone, size, str(cfg.embedding_dim), str(cfg.weights or "none")]
        rows.append(row)
    print_table(["model", "architecture", "backbone", "image", "descriptor", "landmark weights"], rows)
