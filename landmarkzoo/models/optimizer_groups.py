"""Parameters of a model for an optimizer: smaller steps near the input, weight decay where it makes sense."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from torch import nn

from landmarkzoo.backbones.layer_depth import layer_numbers
from landmarkzoo.models.descriptor_model import DescriptorModel, timm_part
from landmarkzoo.models.wrappers import unwrapped


def parameter_groups(
    model: nn.Module,
    *,
    lr: float,
    weight_decay: float = 0.0,
    layer_decay: float = 0.75,
    head: nn.Module | None = None,
) -> list[dict[str, Any]]:
    """Groups of parameters for any optimizer of PyTorch, with layer-wise decay of the learning rate.

    A parameter of depth d has the learning rate ``lr * layer_decay ** d``. What stands outside of the
    backbone (neck, branches, projection, token, and the head) starts without pretrained weights and has
    depth 0. The layers of the backbone have depths 1, 2, 3, ... from its last to its first; in a hybrid those
    of the ``cnn`` go on where those of the ``transformer`` end. A layer is mostly one block, or the stem, as
    timm's ``group_matcher`` says. In a backbone without one it is a child, or a child's numbered child.

    Weight decay goes to parameters called ``weight`` of two or more dimensions: the matrices and filters. It
    does not go to biases, norms, PReLU and GeM, nor to tokens, position embeddings and bias tables. Frozen
    parameters are left out.

    Args:
        model: A landmarkzoo model, also inside ``torch.compile``, ``DataParallel`` and the like.
        lr: Learning rate at depth 0.
        weight_decay: Weight decay of those that get any.
        layer_decay: Factor from layer to layer, in (0, 1]; 1 gives all parameters one learning rate, as in
            [Henkel 2021](https://arxiv.org/abs/2110.03786).
        head: The head that is trained with the model.

    Returns:
        Dictionaries with ``params``, ``lr`` and ``weight_decay``, from the output to the input.

    Raises:
        TypeError: If ``model`` is not a model of landmarkzoo.
        ValueError: If a number is out of its range, nothing is left to train, or ``timm_parts`` of the model
            names what it does not have.

    Examples:
        >>> model = lz.create_model("efficientnet_lite0_gem")
        >>> groups = lz.parameter_groups(model, lr=1e-3, weight_decay=1e-4)
        >>> optimizer = torch.optim.AdamW(groups)
        >>> [(len(g["params"]), g["lr"], g["weight_decay"]) for g in groups[:3]]
        [(1, 0.001, 0.0001), (5, 0.001, 0.0), (4, 0.00075, 0.0001)]
    """
    model = unwrapped(model)
    if not isinstance(model, DescriptorModel):
        raise TypeError(f"a landmarkzoo model is needed, got {type(model).__name__}")
    if lr < 0 or weight_decay < 0 or not 0 < layer_decay <= 1:
        raise ValueError(
            "parameter_groups needs lr >= 0, weight_decay >= 0 and 0 < layer_decay <= 1, got "
            f"lr={lr}, weight_decay={weight_decay}, layer_decay={layer_decay}"
        )
    groups = _by_depth(model, head)
    if not groups:
        raise ValueError("nothing is left to train: all is frozen, see lz.unfreeze")
    return [
        {
            "params": parameters,
            "lr": lr * layer_decay**depth,
            "weight_decay": 0.0 if plain else weight_decay,
        }
        for (depth, plain), parameters in sorted(groups.items(), key=lambda group: group[0])
    ]


def _by_depth(model: DescriptorModel, head: nn.Module | None) -> dict[tuple[int, bool], list[nn.Parameter]]:
    """What is trained, by its depth and whether it goes without weight decay."""
    depths = layer_depths(model)
    named = [(depths.get(name, 0), name, parameter) for name, parameter in model.named_parameters()]
    if head is not None:
        named += [(0, name, parameter) for name, parameter in head.named_parameters()]
    groups: dict[tuple[int, bool], list[nn.Parameter]] = defaultdict(list)
    for depth, name, parameter in named:
        decays = name.rpartition(".")[2] == "weight" and parameter.ndim >= 2
        if parameter.requires_grad:
            groups[depth, not decays].append(parameter)
    return dict(groups)


def layer_depths(model: DescriptorModel) -> dict[str, int]:
    """Depth from the output of each parameter of a backbone by its name, 1 for the last layer."""
    depths: dict[str, int] = {}
    behind = 0
    for part in model.timm_parts:
        numbers = layer_numbers(timm_part(model, part))
        layers = max(numbers.values(), default=-1) + 1
        depths.update({f"{part}.{name}": behind + layers - number for name, number in numbers.items()})
        behind += layers
    return depths
