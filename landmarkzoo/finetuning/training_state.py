"""A training: its parts, what changes from step to step, and the state that a checkpoint keeps."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from landmarkzoo.finetuning.processes import Processes
from landmarkzoo.finetuning.recipes import Recipe
from landmarkzoo.finetuning.weight_average import WeightAverage
from landmarkzoo.layers.autocast import has_bfloat16
from landmarkzoo.losses import SubCenterArcFaceDynamic
from landmarkzoo.models import DescriptorModel, parameter_groups


@dataclass
class Place:
    """Where a training is.

    Attributes:
        epoch: Epochs that are finished.
        batch: Batches of the next one that are done.
        loss_sum: Sum of their losses.
        history: One row for each finished epoch.
        best_epoch: The epoch with the best validation score so far; 0 for none.
    """

    epoch: int = 0
    batch: int = 0
    loss_sum: float = 0.0
    history: list[dict[str, Any]] = field(default_factory=list)
    best_epoch: int = 0


class Training:
    """A model and a head with all that changes them, on the device of this process.

    Args:
        model: The model, with what is not trained frozen.
        head: The head.
        recipe: The settings.
        processes: The processes that train together.
        batches: Steps of an epoch.
    """

    def __init__(
        self,
        model: DescriptorModel,
        head: SubCenterArcFaceDynamic,
        recipe: Recipe,
        processes: Processes,
        batches: int,
    ) -> None:
        self.model = model.to(processes.device).to(memory_format=torch.channels_last)
        self.head = head.to(processes.device)
        self.head.check_values = False  # a step looks at its loss: so all processes learn of it
        self.recipe, self.processes, self.batches = recipe, processes, batches
        self.class_parallel = head.processes.group is not None
        self.dtype = training_dtype(recipe, processes.device, self.class_parallel)
        self.place = Place()
        groups = parameter_groups(self.model, lr=recipe.lr, layer_decay=recipe.layer_decay)
        groups.append({"params": list(self.head.parameters()), "lr": recipe.head_lr})
        groups = [{**group, "peak": group["lr"]} for group in groups]
        self.optimizer = torch.optim.AdamW(groups, weight_decay=0, fused=True)
        self.scaler = torch.amp.GradScaler(processes.device.type, enabled=self.dtype == torch.float16)
        self.average = WeightAverage([*self.model.parameters(), *self.head.parameters()], recipe.average)
        self.net = processes.together(self.model)
        self.criterion: nn.Module = self.head if self.class_parallel else processes.together(self.head)

    def shared_state(self) -> dict[str, Any]:
        """What all processes have alike."""
        return {
            "model": dict(self.model.state_dict()),
            "scaler": self.scaler.state_dict(),
            "place": {**vars(self.place), "history": list(self.place.history)},
        }

    def own_state(self) -> dict[str, Any]:
        """What is of this process, where processes split the landmarks."""
        return {
            "head": dict(self.head.state_dict()),
            "optimizer": self.optimizer.state_dict(),
            "average": self.average.state(),
        }

    def load(self, shared: dict[str, Any], own: dict[str, Any]) -> None:
        """Become what these states were of: bit by bit on one thread of a CPU."""
        self.model.load_state_dict(shared["model"])
        self.scaler.load_state_dict(shared["scaler"])
        self.place = Place(**shared["place"])
        self.head.load_state_dict(own["head"])
        self.optimizer.load_state_dict(own["optimizer"])
        self.average.load(own["average"])


def training_dtype(recipe: Recipe, device: torch.device, class_parallel: bool) -> torch.dtype:
    """In which type steps are computed.

    Raises:
        ValueError: If the recipe asks for float16 where it cannot be: overflows differ by process.
    """
    if recipe.precision == "auto":
        if has_bfloat16(device):
            return torch.bfloat16
        return torch.float16 if device.type == "cuda" and not class_parallel else torch.float32
    if recipe.precision == "float16" and (class_parallel or device.type != "cuda"):
        raise ValueError(
            "precision='float16' is for GPUs, and for processes that do not split the landmarks: use 'auto'"
        )
    dtype: torch.dtype = getattr(torch, recipe.precision)
    return dtype
