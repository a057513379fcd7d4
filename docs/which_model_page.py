"""The table of the page "Which model should I take?", made from the registry and from what was measured.

    python docs/which_model_page.py

writes it into `docs/guide/which-model.md`, between its two marks; the text around it stays. Seconds and
memory are those of `docs/model_cost.json`, which another script writes:

    python benchmarks/model_cost.py --out docs/model_cost.json
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from timm import get_pretrained_cfg

from landmarkzoo.models import ModelCfg
from landmarkzoo.models.packaged_weights import packaged_folder
from landmarkzoo.models.published_entries import BY_HAND
from landmarkzoo.models.registry import get_model_cfg, list_models

_PAGE = Path(__file__).parent / "guide" / "which-model.md"
_COST = Path(__file__).parent / "model_cost.json"
_BEGIN, _END = "<!-- table: python docs/which_model_page.py -->\n", "<!-- end of table -->\n"

# What people choose among, and what for. Of each family, one or two sizes.
MODELS = {
    "efficientnet_lite0_gem": "anything",
    "efficientnet_lite0_gem.rendered": "landmarks",
    "dinov2_vit_small": "anything",
    "dinov2_vit_base": "anything",
    "dinov3_vit_small": "anything",
    "siglip2_vit_base": "anything",
    "gem_resnet50.gl18": "landmarks",
    "gem_resnet101.gl18": "landmarks",
    "dolg_resnet50.gldv2": "landmarks",
    "dolg_resnet101.gldv2": "landmarks",
    "cvnet_resnet101.gldv2": "landmarks",
    "superglobal_resnet101.gldv2": "landmarks",
    "dolg_efficientnet_b5.gldv2x": "landmarks",
    "megaloc": "places and landmarks",
    "cosplace_resnet50.sf_xl_512": "places",
    "eigenplaces_resnet50.sf_xl_512": "places",
}
_LOADED = {"efficientnet_lite0_gem", "efficientnet_lite0_gem.rendered"}  # whose weights we have run

_COLUMNS = [
    "name",
    "for",
    "quality, as published or measured",
    "descriptor",
    "seconds",
    "GiB",
    "licence",
    "weights",
    "loaded by us",
]


def page(text: str) -> str:
    """The page with the table of today.

    Args:
        text: The page as it is.
    """
    before, _, rest = text.partition(_BEGIN)
    _, _, after = rest.partition(_END)
    return f"{before}{_BEGIN}{table()}{_END}{after}"


def table() -> str:
    """The table and its notes as Markdown."""
    cost = json.loads(_COST.read_text(encoding="utf-8"))
    protocols: list[str] = []
    rows = "".join(_row(name, cost["models"], protocols) for name in MODELS)
    notes = "".join(f"{number}. {protocol}\n" for number, protocol in enumerate(protocols, 1))
    width, height = cost["photo"]
    precisions = ", ".join(sorted({found["precision"] for found in cost["models"].values()}))
    measured = (
        f"Seconds a photo and peak memory of the process: photos of {width}x{height} px, one a call, median "
        f"of {cost['photos']}, at the size and scales of the entry, random weights, {precisions}. "
        f"{cost['settings']}.\n"
    )
    if cost["load"] > 0.5:
        measured += (
            f"\n**Other programs kept the machine busy (load {cost['load']})**: at rest it takes a fraction "
            "of these seconds. They do not touch the memory.\n"
        )
    head = f"| {' | '.join(_COLUMNS)} |\n{'|---' * len(_COLUMNS)}|\n"
    return f"\n{head}{rows}\nProtocols of the scores, by the number in brackets:\n\n{notes}\n{measured}"


def _row(name: str, cost: dict[str, Any], protocols: list[str]) -> str:
    cfg = get_model_cfg(name)
    found = cost.get(name)
    cells = [
        f"`{name}`",
        MODELS[name],
        _quality(cfg, protocols),
        str(cfg.embedding_dim),
        _seconds(found["seconds"]) if found else "not measured",
        f"{found['peak'] / 2**30:.1f}" if found else "not measured",
        _license(name, cfg),
        _weights(name),
        "yes" if name in _LOADED else "not yet",
    ]
    return f"| {' | '.join(cells)} |\n"


def _seconds(value: float) -> str:
    return f"{value:.0f}" if value >= 10 else f"{value:.2g}"


def _quality(cfg: ModelCfg, protocols: list[str]) -> str:
    """Scores by data set, with the number of their protocol."""
    values: dict[str, list[str]] = {}
    notes = set()
    for score in cfg.scores:
        data, part, protocol = score.protocol.split(", ", 2)
        protocol += "; of the paper's model, whether also of this file is not said" * score.of_paper
        if protocol not in protocols:
            protocols.append(protocol)
        notes.add(protocols.index(protocol) + 1)
        part = part.removesuffix(" leaderboard")
        values.setdefault(f"{data} {score.metric}", []).append(f"{score.value:.3f} {part}".removeprefix("0"))
    groups = [f"{head} {', '.join(found)}" for head, found in values.items()]
    return f"{'; '.join(groups)} [{', '.join(map(str, sorted(notes)))}]" if groups else "none stated"


def _license(name: str, cfg: ModelCfg) -> str:
    """That of the landmark weights, or of the backbone's where there are no others."""
    if cfg.license or name in list_models(pretrained=True):
        return cfg.license or "unstated"
    backbone = get_pretrained_cfg(cfg.args["backbone"])
    return str((backbone and backbone.license) or "unstated")


def _weights(name: str) -> str:
    if packaged_folder(get_model_cfg(name).weights):
        return "in the package"
    if name in list_models(pretrained=True):
        return "by name"
    by_hand = name.partition(".")[0] in BY_HAND
    return "[by hand](weights.md#by-hand)" if by_hand else "of the backbone, frozen"


if __name__ == "__main__":
    _PAGE.write_text(page(_PAGE.read_text(encoding="utf-8")), encoding="utf-8")
