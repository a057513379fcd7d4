"""A model on disk: ``config.json`` with its cfg, ``model.safetensors`` with its weights."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

from safetensors.torch import save_file
from torch import nn

from landmarkzoo.atomic_write import replacing
from landmarkzoo.models.model_cfg import ModelCfg

CONFIG_FILE = "config.json"
WEIGHTS_FILE = "model.safetensors"
FORMAT = "landmarkzoo.model.v1"


def save_model(model: nn.Module, cfg: ModelCfg, folder: Path) -> None:
    """Write weights and cfg into a folder; each file whole or not at all."""
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()}
    with replacing(folder / WEIGHTS_FILE) as temporary:
        save_file(tensors, str(temporary), {"format": "pt"})
    with replacing(folder / CONFIG_FILE) as temporary:
        config = {"format": FORMAT, **asdict(cfg)}
        temporary.write_text(json.dumps(config, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
