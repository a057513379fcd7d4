"""The page of the docs that lists all models, made from the registry.

    python docs/zoo_page.py > docs/zoo.md

Multiply-adds are counted by torch while the model runs on the meta device, without weights or images.
"""

from __future__ import annotations

import torch
from torch.utils.flop_counter import FlopCounterMode

from landmarkzoo.models import DescriptorModel, ModelCfg, create_model
from landmarkzoo.models.registry import get_model_cfg, list_models

_HEAD = """# The zoo

Made by `python docs/zoo_page.py` from the registry: parameters in millions, multiply-adds
in billions for one image of the default size, size of the descriptor, and the scores that the paper states
for its own weights (private / public leaderboard of the Google Landmark competitions 2021: GAP of
recognition, mAP@100 of retrieval; a hidden test set, which nobody can re-run).

**No landmark weights can be loaded by name yet**, of any model.

| name | image | parameters (M) | GMACs | descriptor | recognition | retrieval |
|---|---|---|---|---|---|---|
"""


def zoo_page() -> str:
    """The page as Markdown."""
    return _HEAD + "".join(_row(name) for name in list_models())


def _row(name: str) -> str:
    cfg = get_model_cfg(name)
    with torch.device("meta"):
        model = create_model(name).eval()
    parameters = sum(p.numel() for p in model.parameters()) / 1e6
    cells = [
        f"`{name}`",
        f"{cfg.input_size[1]} px",
        f"{parameters:.1f}",
        f"{multiply_adds(model, cfg) / 1e9:.1f}",
        str(cfg.embedding_dim),
        _scores(cfg, "GAP"),
        _scores(cfg, "mAP@100"),
    ]
    return f"| {' | '.join(cells)} |\n"


@torch.no_grad()
def multiply_adds(model: DescriptorModel, cfg: ModelCfg) -> int:
    """Multiply-adds of one image of the default size.

    Args:
        model: A model on the meta device.
        cfg: Its cfg.
    """
    with FlopCounterMode(display=False) as counter:
        model(torch.empty(1, *cfg.input_size, device="meta"))
    return int(counter.get_total_flops()) // 2


def _scores(cfg: ModelCfg, metric: str) -> str:
    values = [f"{score.value:.3f}".lstrip("0") for score in cfg.scores if score.metric == metric]
    return " / ".join(values) or "-"


if __name__ == "__main__":
    print(zoo_page(), end="")
