"""The page of the docs that lists all models, made from the registry.

    python docs/zoo_page.py > docs/zoo.md

Multiply-adds are counted by torch while the model runs on the meta device, without weights or images.
"""

from __future__ import annotations

import re

import torch
from torch.utils.flop_counter import FlopCounterMode

from landmarkzoo.cli.models_command import download_size, scores_and_protocol
from landmarkzoo.models import DescriptorModel, ModelCfg, create_model
from landmarkzoo.models.packaged_weights import packaged_folder
from landmarkzoo.models.registry import get_model_cfg, list_models

_HEAD = """# The zoo

Made by `python docs/zoo_page.py` from the registry: parameters in millions, multiply-adds
in billions for one image of the default size, size of the descriptor, and the scores that the paper states
for its own weights (private / public leaderboard of the Google Landmark competitions 2021: GAP of
recognition, mAP@100 of retrieval; a hidden test set, which nobody can re-run).

A name with a `*` has [landmark weights](#landmark-weights) by name; their scores are there.
[Which model should I take?](guide/which-model.md) has the few to choose from, with seconds and memory.

| name | image | parameters (M) | GMACs | descriptor | recognition | retrieval |
|---|---|---|---|---|---|---|
"""

_WEIGHTS = """
## Landmark weights

What `lz.create_model(name, pretrained=True)` loads ([how](guide/weights.md)). Those of the tag `rendered` are
[ours and lie in the package](guide/weights.md#in-the-package). The others were published by others and are
downloaded and converted. **None of these files has been loaded by us**: this library was written without a
network. That they compute what their authors' code computes is shown by tests on random weights, against
independent formulations. `benchmarks/published_weights.py` checks the real files, for whoever has a network.

Their scores are those of the authors, as published, not re-run. Sizes with "about" are those of the
parameters alone, of the largest descriptor; the others are published. A name without its tag takes the first
tag that `landmarkzoo models` shows. The paper's own `dolg_efficientnet_b5.gldv2x` has to be
[fetched by hand](guide/weights.md#by-hand).

| name | download | licence | descriptor | trained on | photos | scores | paper | loaded by us |
|---|---|---|---|---|---|---|---|---|
"""


def zoo_page() -> str:
    """The page as Markdown."""
    models = "".join(_row(name) for name in list_models())
    weights = "".join(_weights_rows())
    return f"{_HEAD}{models}{_WEIGHTS}{weights}"


def _row(name: str) -> str:
    cfg = get_model_cfg(name)
    with torch.device("meta"):
        model = create_model(name).eval()
    parameters = sum(p.numel() for p in model.parameters()) / 1e6
    cells = [
        f"`{name}`" + (r"\*" if list_models(name, pretrained=True) else ""),
        _image(cfg),
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


def _weights_rows() -> list[str]:
    """One row for the tags of a name that differ in the size of the descriptor only."""
    groups: dict[object, list[ModelCfg]] = {}
    for name in list_models(pretrained=True):
        cfg = get_model_cfg(name)
        key = (name.partition(".")[0], cfg.training_data, cfg.scores)
        groups.setdefault(key, []).append(cfg)
    return [_weights_row(sorted(cfgs, key=lambda cfg: cfg.embedding_dim)) for cfgs in groups.values()]


def _weights_row(cfgs: list[ModelCfg]) -> str:
    """The row of weights that differ in the size of the descriptor only."""
    cfg = cfgs[-1]
    others = [f"`.{str(other.name).partition('.')[2]}`" for other in cfgs[1:]]
    scores, protocol = scores_and_protocol(cfg.scores)
    protocol = protocol.replace(", as published (not re-run)", "")
    views = [f"scales {', '.join(f'{scale:.4g}' for scale in cfg.scales)}"] if len(cfg.scales) > 1 else []
    views += [f"combined by {cfg.combine}"] if views else []
    cells = [
        ", ".join([f"`{cfgs[0].name}`", *others]),
        _download(cfg),
        cfg.license or "unstated",
        ", ".join(str(cfg.embedding_dim) for cfg in cfgs),
        cfg.training_data or "unstated",
        ", ".join([_image(cfg).partition(";")[0], *views]),
        f"{scores} ({protocol})" if protocol else scores,
        re.sub(r"arXiv (\S+)", r"[arXiv \1](https://arxiv.org/abs/\1)", cfg.paper or ""),
        "not yet loaded by us" if packaged_folder(cfg.weights) is None else "yes, ours",
    ]
    return f"| {' | '.join(cells)} |\n"


def _download(cfg: ModelCfg) -> str:
    """Size of the file of the largest descriptor."""
    if packaged_folder(cfg.weights) or getattr(cfg.weights, "size", None):
        return download_size(cfg)
    with torch.device("meta"):
        parameters = sum(p.numel() for p in create_model(str(cfg.name)).parameters())
    return f"about {4 * parameters / 1e6:.0f} MB or more"


def _image(cfg: ModelCfg) -> str:
    size = f"{cfg.input_size[1]} px"
    of_own_size = f"own size; {size} here"
    ways = {"longest": f"longer side {size}", "shortest": f"shorter side {size}", "none": of_own_size}
    return ways.get(cfg.resize, size)


def _scores(cfg: ModelCfg, metric: str) -> str:
    values = [f"{score.value:.3f}".lstrip("0") for score in cfg.scores if score.metric == metric]
    return " / ".join(values) or "-"


if __name__ == "__main__":
    print(zoo_page(), end="")
