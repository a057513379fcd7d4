"""``landmarkzoo models``: what is registered."""

from __future__ import annotations

import argparse
from typing import Any

from landmarkzoo.cli.printing import print_table
from landmarkzoo.models.registry import get_model_cfg, list_models


def add_parser(commands: Any) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser("models", help="list the registered models")
    parser.add_argument("filter", nargs="?", default="*", help="wildcard, such as 'dolg*'")
    parser.add_argument(
        "--pretrained", action="store_true", help="only models with published landmark weights"
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    """Print a table of models.

    Raises:
        ValueError: If no model fits.
    """
    names = list_models(arguments.filter, pretrained=arguments.pretrained)
    if not names and arguments.pretrained:
        raise ValueError("no landmark weights are published yet; 'landmarkzoo models' lists all models")
    if not names:
        raise ValueError(f"no model fits {arguments.filter!r}; 'landmarkzoo models' lists all models")
    rows = []
    for name in names:
        cfg = get_model_cfg(name)
        size = f"{cfg.input_size[1]} px"
        backbone = cfg.args.get("backbone") or f"{cfg.args['cnn']} + {cfg.args['transformer']}"
        rows.append([name, backbone, size, str(cfg.embedding_dim), cfg.weights or "none"])
    print_table(["model", "backbone", "image", "descriptor", "landmark weights"], rows)
