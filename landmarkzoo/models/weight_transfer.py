"""Training in stages: the weights of a trained model go on in a larger one."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from landmarkzoo.backbones.layer_depth import whole_name
from landmarkzoo.models.descriptor_model import DescriptorModel, timm_part
from landmarkzoo.models.wrappers import unwrapped

# Tensors of these names under one module belong together: half a layer is worth nothing.
_OF_A_LAYER = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
_NUMBER = re.compile(r"\b\d+\b")


@dataclass(frozen=True)
class TransferReport:
    """What ``transfer_weights`` did, by names of the state dicts. ``print`` shows it by module.

    Attributes:
        matched: {name in the target: name in the source} of all tensors that were copied.
        missing_keys: Names in the target that got nothing. They are as they were: fresh, or ImageNet weights
            if the target was made with ``pretrained_backbone=True``.
        unexpected_keys: Names in the source that found no place.
    """

    matched: Mapping[str, str]
    missing_keys: tuple[str, ...]
    unexpected_keys: tuple[str, ...]

    def __str__(self) -> str:
        lines = (
            ("matched", self.matched, self.missing_keys),
            ("missing", self.missing_keys, self.matched),
            ("unexpected", self.unexpected_keys, self.matched.values()),
        )
        return "\n".join(
            f"{title}: {_by_module(names, others) if names else 'nothing'}" for title, names, others in lines
        )


def transfer_weights(source: nn.Module, target: nn.Module) -> TransferReport:
    """Copy all weights that fit from one model into another, in place, and say which.

    A layer is copied whole or not at all: its weight, bias and batch-norm statistics must fit in name and
    shape; the neck counts as one layer. Parameters that belong to no layer (tokens, position embeddings,
    bias tables, the power of GeM) are copied one by one. The timm parts have different names in different
    architectures (``backbone``, ``cnn``, ``transformer``); between them the names inside count, so a Swin
    alone becomes the transformer of a hybrid, and an EfficientNet its ``cnn``. Nothing is resized: the bias
    table of another window size, for instance, stays as it is in the target. Only weights are copied,
    neither ``cfg`` nor which parts are frozen.

    Args:
        source: The trained model, also inside ``torch.compile``, ``DataParallel`` and the like; not changed.
        target: The model to go on with, on any device and in any dtype.

    Returns:
        Which names matched, and which were missing or unexpected.

    Raises:
        TypeError: If one of them is not a landmarkzoo model.
        ValueError: If nothing fits.

    Examples:
        >>> swin = lz.GlobalDescriptor("swin_tiny_patch4_window7_224", pool="avg")
        >>> hybrid = lz.create_model("hybrid_efficientnet_b0_swin_tiny_224")
        >>> print(lz.transfer_weights(swin, hybrid))
        matched: transformer 167, neck 8
        missing: position 1, token 1, cnn 110, project 2, token_key_bias 11
        unexpected: backbone.patch_embed 4
    """
    source, target = unwrapped(source), unwrapped(target)
    if not isinstance(source, DescriptorModel) or not isinstance(target, DescriptorModel):
        raise TypeError(
            f"transfer_weights takes two landmarkzoo models, got {type(source).__name__} and "
            f"{type(target).__name__}"
        )
    theirs, ours = _layers(source), _layers(target)
    same_place = defaultdict(list)
    for layer in theirs:
        same_place[_place(source, layer)].append(layer)
    matched: dict[str, str] = {}  # name in the target -> name in the source
    for layer, tensors in ours.items():
        for candidate in (layer, *same_place[_place(target, layer)]):
            if candidate in theirs and _shapes(theirs[candidate]) == _shapes(tensors):
                for leaf, tensor in tensors.items():
                    with torch.no_grad():
                        tensor.copy_(theirs[candidate][leaf])
                    matched[layer + leaf] = candidate + leaf
                break
    if not matched:
        raise ValueError(
            f"no weight of the {type(source).__name__} {dict(source.cfg.args)} fits the "
            f"{type(target).__name__} {dict(target.cfg.args)}: their timm parts must be of one family"
        )
    used = set(matched.values())
    return TransferReport(
        matched=matched,
        missing_keys=tuple(name for name in target.state_dict() if name not in matched),
        unexpected_keys=tuple(name for name in source.state_dict() if name not in used),
    )


def _layers(model: DescriptorModel) -> dict[str, dict[str, Tensor]]:
    """Tensors of the state dict by layer: layer + key is the name of a tensor."""
    layers: dict[str, dict[str, Tensor]] = defaultdict(dict)
    for name, tensor in model.state_dict().items():
        owner, dot, leaf = name.rpartition(".")
        together = leaf in _OF_A_LAYER
        if name.startswith("neck."):  # its batch norm and activation mean nothing without its Linear
            owner, dot, leaf = name.partition(".")
            together = True
        layers[owner if together else name][dot + leaf if together else ""] = tensor
    return dict(layers)


def _shapes(tensors: dict[str, Tensor]) -> dict[str, torch.Size]:
    return {leaf: tensor.shape for leaf, tensor in tensors.items()}


def _place(model: DescriptorModel, layer: str) -> str:
    """A name that is equal for the same layer of a timm model, whatever part and wrapper it stands in."""
    part, _, inside = layer.partition(".")
    return f"timm {whole_name(timm_part(model, part), inside)}" if part in model.timm_parts else layer


def _by_module(names: Iterable[str], others: Iterable[str]) -> str:
    """Counts by the largest modules that hold ``names`` only, and not any of ``others``."""
    taken = {prefix for name in others for prefix in _prefixes(name)}
    groups = Counter(next(p for p in _prefixes(name) if p not in taken) for name in names)
    alike = Counter(_NUMBER.sub("*", group) for group in groups)
    merged: Counter[str] = Counter()
    for group, count in groups.items():
        pattern = _NUMBER.sub("*", group)
        merged[pattern if alike[pattern] > 3 else group] += count  # one layer of many blocks: once
    return ", ".join(f"{group} {count}" for group, count in merged.items())


def _prefixes(name: str) -> list[str]:
    """Names of the modules that hold a tensor, the outermost first, and its own."""
    parts = name.split(".")
    return [".".join(parts[: i + 1]) for i in range(len(parts))]
