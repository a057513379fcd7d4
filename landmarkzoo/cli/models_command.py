"""``landmarkzoo models``: the registered models, those of installed plug-ins too."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from landmarkzoo.cli.printing import print_table

if TYPE_CHECKING:
    from landmarkzoo.metrics import Score
    from landmarkzoo.models import ModelCfg


NOT_YET_LOADED = (
    "What lies in the package is ours. What landmarkzoo names otherwise was published by others, and is not "
    "yet loaded by us."
)


def add_parser(commands: Any) -> None:
    """Add the command to the parser."""
    listing = "list the registered models, or the landmark weights"
    parser = commands.add_parser("models", help=listing, description=f"{listing.capitalize()}.")
    parser.add_argument("filter", nargs="?", default="*", help="wildcard, such as 'dolg*'")
    parser.add_argument(
        "--pretrained",
        action="store_true",
        help="list the landmark weights that can be loaded by name: size, licence, training data, scores",
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    """Print a table of models.

    Raises:
        ValueError: If the filter fits none of them.
    """
    from landmarkzoo.models.registry import list_models

    names = list_models(arguments.filter, pretrained=arguments.pretrained)
    if not names and arguments.pretrained:
        raise ValueError(
            f"no landmark weights that can be loaded by name fit {arguments.filter!r}; "
            "'landmarkzoo models --pretrained' lists all"
        )
    if not names:
        listed = "'landmarkzoo models' lists all models"
        if list_models(arguments.filter, pretrained=True):
            listed = "landmark weights do: add --pretrained"
        raise ValueError(f"no model fits {arguments.filter!r}; {listed}")
    if arguments.pretrained:
        _print_weights(names)
    else:
        _print_models(names)


def _print_models(names: Sequence[str]) -> None:
    from landmarkzoo.models.registry import get_model_cfg, list_models

    rows = []
    for name in names:
        cfg = get_model_cfg(name)
        size = f"{cfg.input_size[1]} px" if cfg.resize != "none" else "any"
        # An argument of that name may be anything in the class of somebody else.
        parts = [str(cfg.args[part]) for part in ("backbone", "cnn", "transformer") if part in cfg.args]
        backbone = " + ".join(parts) or "its own"
        first = str(cfg.name).partition(".")[2]
        tags = [tagged.partition(".")[2] for tagged in list_models(name, pretrained=True)]
        tags.sort(key=lambda tag: tag != first)  # that of the name alone comes first
        weights = (
            cfg.weights if isinstance(cfg.weights, str) else ", ".join(tags) or ("yes" if tags else "none")
        )
        rows.append([name, cfg.architecture, backbone, size, str(cfg.embedding_dim), weights])
    print_table(["model", "architecture", "backbone", "image", "descriptor", "landmark weights"], rows)


def _print_weights(names: Sequence[str]) -> None:
    from landmarkzoo.models.registry import get_model_cfg

    rows, protocols = [], list[str]()
    for name in names:
        cfg = get_model_cfg(name)
        values, protocol = scores_and_protocol(cfg.scores)
        if protocol and protocol not in protocols:
            protocols.append(protocol)
        scores = f"{values} [{protocols.index(protocol) + 1}]" if protocol else values
        rows.append(
            [name, download_size(cfg), cfg.license or "unstated", cfg.training_data or "unstated", scores]
        )
    print_table(["weights", "download", "licence", "trained on", "scores"], rows)
    for number, protocol in enumerate(protocols, 1):
        print(f"[{number}] {protocol}")
    print(NOT_YET_LOADED)


def download_size(cfg: ModelCfg) -> str:
    """Size of the file of landmark weights, as far as it is known.

    Examples:
        >>> names = ("dolg_resnet101", "gem_resnet50", "efficientnet_lite0_gem.rendered")
        >>> [download_size(lz.get_model_cfg(name)) for name in names]
        ['354 MB', 'not stated', 'none, 8 MB in the package']
    """
    from landmarkzoo.models.packaged_weights import packaged_size

    here = packaged_size(cfg.weights)
    if here is not None:
        return f"none, {here / 1e6:.0f} MB in the package"
    size = getattr(cfg.weights, "size", None)
    return "not stated" if size is None else f"{size / 1e6:,.0f} MB"


def scores_and_protocol(scores: Sequence[Score]) -> tuple[str, str]:
    """Scores in one line, and what their protocols share.

    Examples:
        >>> rules = ", easy, not re-run"
        >>> scores_and_protocol([lz.Score("mAP", 0.5, "A" + rules), lz.Score("mAP", 0.25, "B" + rules)])
        ('mAP 0.500 A; mAP 0.250 B', 'easy, not re-run')
    """
    if not scores:
        return "none stated", ""
    parts = [score.protocol.split(", ") for score in scores]
    shared = 0
    while all(len(part) > shared + 1 for part in parts) and len({part[-1 - shared] for part in parts}) == 1:
        shared += 1
    own = [" ".join(part[: len(part) - shared]) for part in parts]
    line = "; ".join(f"{score.metric} {score.value:.3f} {text}" for score, text in zip(scores, own))
    return line, ", ".join(parts[0][len(parts[0]) - shared :])
