"""Names of ResNets in other code, as prefixes of timm's names, and their colours."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Mapping

from torch import Tensor

_BLOCKS = (3, 8, 36, 3)  # of a ResNet-152; a smaller one has fewer
_IN_A_BLOCK = (
    ("f.a.", "conv1."),
    ("f.a_bn.", "bn1."),
    ("f.b.", "conv2."),
    ("f.b_bn.", "bn2."),
    ("f.c.", "conv3."),
    ("f.c_bn.", "bn3."),
    ("proj.", "downsample.0."),
    ("bn.", "downsample.1."),
)
_BY_BLOCKS = {  # (bottlenecks, blocks of the four stages) -> timm's name
    (False, (2, 2, 2, 2)): "resnet18",
    (False, (3, 4, 6, 3)): "resnet34",
    (True, (2, 2, 2, 2)): "resnet26",
    (True, (3, 4, 6, 3)): "resnet50",
    (True, (3, 4, 23, 3)): "resnet101",
    (True, (3, 8, 36, 3)): "resnet152",
}
_IN_A_SEQUENTIAL = {0: "conv1", 1: "bn1", 4: "layer1", 5: "layer2", 6: "layer3", 7: "layer4"}


def pycls_resnet_prefixes(theirs: str, ours: str) -> tuple[tuple[str, str], ...]:
    """Pairs (their prefix, ours) for a bottleneck ResNet of [pycls](https://github.com/facebookresearch/pycls).

    Args:
        theirs: What stands before their names, such as ``"encoder_q."``.
        ours: What stands before timm's names, such as ``"backbone."``.

    Examples:
        >>> from landmarkzoo.hub.convert.pycls_names import pycls_resnet_prefixes
        >>> dict(pycls_resnet_prefixes("globalmodel.", "backbone."))["globalmodel.s3.b6.f.b_bn."]
        'backbone.layer3.5.bn2.'
    """
    stem = ((f"{theirs}stem.conv.", f"{ours}conv1."), (f"{theirs}stem.bn.", f"{ours}bn1."))
    blocks = tuple(
        (f"{theirs}s{stage}.b{block + 1}.{part}", f"{ours}layer{stage}.{block}.{our_part}")
        for stage, count in enumerate(_BLOCKS, start=1)
        for block in range(count)
        for part, our_part in _IN_A_BLOCK
    )
    return stem + blocks


def sequential_resnet_prefixes(theirs: str, ours: str) -> tuple[tuple[str, str], ...]:
    """Pairs (their prefix, ours) for ``nn.Sequential`` of the children of torchvision's ResNet.

    Examples:
        >>> from landmarkzoo.hub.convert.pycls_names import sequential_resnet_prefixes
        >>> sequential_resnet_prefixes("features.", "backbone.")[2]
        ('features.4.', 'backbone.layer1.')
    """
    return tuple((f"{theirs}{number}.", f"{ours}{name}.") for number, name in _IN_A_SEQUENTIAL.items())


def resnet_name(names: Collection[str], ours: str = "backbone.") -> str | None:
    """Name in timm of the ResNet that some tensors are of, or ``None`` if they are of none.

    Args:
        names: Our names of the tensors of a model.
        ours: What stands before timm's names.

    Examples:
        >>> from landmarkzoo.hub.convert.pycls_names import resnet_name
        >>> resnet_name([f"backbone.layer{stage}.{i}.conv2.weight" for stage in range(1, 5) for i in (0, 1)])
        'resnet18'
    """
    block = re.compile(re.escape(ours) + r"layer([1-4])\.\d+\.conv2\.weight")
    found = Counter(match[1] for match in map(block.fullmatch, names) if match)
    bottlenecks = f"{ours}layer1.0.conv3.weight" in names
    return _BY_BLOCKS.get((bottlenecks, (found["1"], found["2"], found["3"], found["4"])))


def rgb_input(tensors: Mapping[str, Tensor], name: str) -> dict[str, Tensor]:
    """Tensors whose first convolution, which took blue, green, red, takes red, green, blue.

    Args:
        tensors: Tensors by their names.
        name: The name of the weight of the first convolution, (C, 3, h, w).
    """
    weight = tensors.get(name)
    if weight is None or weight.ndim != 4 or weight.shape[1] != 3:  # an error when it is loaded
        return dict(tensors)
    return {**tensors, name: weight[:, [2, 1, 0]]}
