"""Batch norms of a model in eval mode, put into the weights of the convolutions before them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import torch
from timm.layers.conv2d_same import Conv2dSame
from timm.layers.norm_act import BatchNormAct2d
from torch import Tensor, nn

# Exactly these: a class derived from them may compute something else from the same weights.
_CONVOLUTIONS = (nn.Conv2d, Conv2dSame)
_NORMS = (nn.BatchNorm2d, BatchNormAct2d)


def foldable_norms(model: nn.Module, run: Callable[[], object]) -> list[tuple[str, str]]:
    """Names of convolutions, each with that of the batch norm that takes what it gives.

    What the modules take and give is watched while the model runs. Whether something else uses the output of
    a convolution is not seen: compare the results after ``fold_norms``.

    Args:
        model: A model in eval mode that nobody else uses; for the time of the run its parts are watched.
        run: Runs it once.

    Examples:
        >>> from landmarkzoo.backbones.folded_norms import foldable_norms
        >>> model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU()).eval()
        >>> foldable_norms(model, lambda: model(torch.ones(1, 3, 8, 8)))
        [('0', '1')]
    """
    names = {module: name for name, module in model.named_modules() if type(module) in _CONVOLUTIONS + _NORMS}
    calls: Counter[nn.Module] = Counter()
    pairs: list[tuple[nn.Module, nn.Module]] = []

    def watched(module: nn.Module, forward: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
        def forward_and_note(x: Tensor) -> Tensor:
            calls[module] += 1
            result = forward(x)
            if type(module) in _CONVOLUTIONS:
                result._given_by = module  # type: ignore[attr-defined]
            elif (convolution := getattr(x, "_given_by", None)) is not None:
                pairs.append((convolution, module))
            return result

        return forward_and_note

    changed = [module for module in names if "forward" not in vars(module)]
    try:
        for module in changed:
            vars(module)["forward"] = watched(module, module.forward)
        run()
    finally:
        for module in changed:
            vars(module).pop("forward", None)
    once = [pair for pair in pairs if calls[pair[0]] == calls[pair[1]] == 1 and _has_statistics(pair[1])]
    return [(names[convolution], names[norm]) for convolution, norm in once]


def fold_norms(model: nn.Module, pairs: Sequence[tuple[str, str]]) -> None:
    """Give convolutions the weights that make the batch norms after them superfluous; these do nothing then.

    Args:
        model: A copy in eval mode that nobody else uses. The convolutions get weights of their own, with the
            layout that is fastest; those of the model that it was copied from stay as they are.
        pairs: What ``foldable_norms`` gives.

    Examples:
        >>> from landmarkzoo.backbones.folded_norms import fold_norms
        >>> model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU()).eval()
        >>> expected = model(torch.ones(1, 3, 8, 8))
        >>> fold_norms(model, [("0", "1")])
        >>> torch.allclose(model(torch.ones(1, 3, 8, 8)), expected, atol=1e-5)
        True
    """
    for convolution_name, norm_name in pairs:
        convolution, norm = model.get_submodule(convolution_name), model.get_submodule(norm_name)
        assert isinstance(convolution, nn.Conv2d)
        assert isinstance(norm, nn.BatchNorm2d)
        _fold(convolution, norm)


@torch.no_grad()
def _fold(convolution: nn.Conv2d, norm: nn.BatchNorm2d) -> None:
    assert norm.running_mean is not None
    assert norm.running_var is not None
    scale = (norm.running_var.double() + norm.eps).rsqrt()
    if norm.affine:
        scale = scale * norm.weight.double()
    shift = -norm.running_mean.double() * scale
    if convolution.bias is not None:
        shift = shift + convolution.bias.double() * scale
    if norm.affine:
        shift = shift + norm.bias.double()
    dtype = convolution.weight.dtype
    weight = (convolution.weight.double() * scale[:, None, None, None]).to(dtype)
    weight = weight.contiguous(memory_format=torch.channels_last)
    convolution.weight = nn.Parameter(weight, requires_grad=False)
    convolution.bias = nn.Parameter(shift.to(dtype), requires_grad=False)
    vars(norm)["forward"] = _activation(norm)


def _activation(norm: nn.BatchNorm2d) -> Callable[[Tensor], Tensor]:
    """What a batch norm still does."""
    after: list[Any] = [norm.drop, norm.act] if isinstance(norm, BatchNormAct2d) else []
    active = [layer for layer in after if not isinstance(layer, nn.Identity)]

    def forward(x: Tensor) -> Tensor:
        for layer in active:
            x = layer(x)
        return x

    return forward


def _has_statistics(norm: nn.Module) -> bool:
    return isinstance(norm, nn.BatchNorm2d) and norm.running_mean is not None
