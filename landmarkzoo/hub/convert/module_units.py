"""The units of a model of ours: its weights in order of execution, and which feed which."""

from __future__ import annotations

from collections import Counter
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from landmarkzoo.hub.convert.dataflow import IMAGES, NOTHING, Flow, Unit
from landmarkzoo.layers import GeM

# Backward functions of autograd, without their numbers; what is no activation is not listed.
_ACTIVATIONS = {
    "SiluBackward": "sigmoid",  # x * sigmoid(x): other code has these two
    "SigmoidBackward": "sigmoid",
    "ReluBackward": "relu",
    "HardtanhBackward": "clip",  # of ReLU6
    "SoftplusBackward": "softplus",
    "GeluBackward": "gelu",
    "TanhBackward": "tanh",
    "EluBackward": "elu",
    "LeakyReluBackward": "leaky relu",
    "HardswishBackward": "hard swish",
    "HardsigmoidBackward": "hard sigmoid",
}

_ARITHMETIC = {"AddBackward": "Add", "SubBackward": "Sub", "MulBackward": "Mul", "DivBackward": "Div"}


def units_of_module(model: nn.Module, image: Tensor) -> tuple[list[Unit[str]], Flow]:
    """The units of a model, whose weights are names in its state dict, and what its result is computed from.

    One image goes through the model in eval mode. Which weights feed which is read from what autograd keeps
    of the computation.

    Args:
        model: The model; it comes back in the mode that it was in.
        image: (1, 3, H, W), any values.
    """
    tracer = _Tracer()
    hooks = [
        module.register_forward_hook(tracer.hook(name, module))
        for name, module in model.named_modules()
        if isinstance(module, (nn.Conv2d, nn.Linear, _BatchNorm, nn.PReLU, GeM))
    ]
    was_training = model.training
    model.eval()
    try:
        with torch.enable_grad():
            result = model(image.clone().requires_grad_())
            return tracer.units, tracer.flow(result)
    finally:
        model.train(was_training)
        for hook in hooks:
            hook.remove()


def arithmetic_of(result: Tensor) -> Counter[str]:
    """How often values were added and multiplied on the way to a result that autograd has kept.

    Examples:
        >>> from landmarkzoo.hub.convert.module_units import arithmetic_of
        >>> x = torch.ones(2, requires_grad=True)
        >>> arithmetic_of(torch.sigmoid(x) * x + x)
        Counter({'Add': 1, 'Mul': 1})
    """
    found: Counter[str] = Counter()
    stack, seen = [result.grad_fn], set()
    while stack:
        node = stack.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        kind = _ARITHMETIC.get(type(node).__name__.rstrip("0123456789"))
        if kind is not None:
            found[kind] += 1
        stack += [following for following, _ in node.next_functions]
    return found


class _Tracer:
    def __init__(self) -> None:
        self.units: list[Unit[str]] = []
        self.flows: dict[Any, Flow] = {}  # of nodes of autograd, kept so that they stay the same objects

    def flow(self, value: Tensor, until: Any = None) -> Flow:
        """What a tensor is computed from; with ``until``, only the activations since that node."""
        found, stack, seen = NOTHING, [value.grad_fn], {until}
        while stack:
            node = stack.pop()
            if node is None or node in seen:
                continue
            seen.add(node)
            if node in self.flows:
                found |= self.flows[node]
                continue
            name = type(node).__name__.rstrip("0123456789")
            if name == "AccumulateGrad":  # parameters inside of a layer, or the images
                found |= Flow(IMAGES)
            elif name in _ACTIVATIONS:
                found |= Flow(0, frozenset({_ACTIVATIONS[name]}))
            stack += [following for following, _ in node.next_functions]
        return found

    def hook(self, name: str, module: nn.Module) -> Any:
        def record(_: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
            before = inputs[0]
            unit = self._unit(name, module, before, output)
            # Batch norms of timm have their activation inside.
            inside = self.flow(output, until=before.grad_fn).activations
            self.flows[output.grad_fn] = Flow(unit.bit, inside)

        return record

    def _unit(self, name: str, module: nn.Module, before: Tensor, after: Tensor) -> Unit[str]:
        flow = self.flow(before) if before.grad_fn is not None else Flow(IMAGES)
        weights = {key: f"{name}.{key}" for key, value in module.named_parameters() if value is not None}
        if isinstance(module, _BatchNorm):
            norm = {f"norm.{key}": name for key, name in weights.items()}
            norm |= {"norm.mean": f"{name}.running_mean", "norm.var": f"{name}.running_var"}
            last = next((unit for unit in self.units if flow == Flow(unit.bit)), None)
            if last is not None and last.kind in ("conv", "linear") and not last.has_norm:
                last.weights |= norm
                last.eps = module.eps
                return last
            return self._add(Unit("norm", name, 0, flow, norm, eps=module.eps))
        if isinstance(module, nn.Conv2d):
            geometry = {"stride": module.stride, "dilation": module.dilation, "groups": (module.groups,)}
            padding = _padding(module, before, after)
            return self._add(Unit("conv", name, 0, flow, weights, geometry, padding=padding))
        if isinstance(module, GeM):
            kernel = tuple(before.shape[-2:])
            return self._add(Unit("gem", name, 0, flow, {"p": f"{name}.p"}, eps=module.eps, kernel=kernel))
        kind = "linear" if isinstance(module, nn.Linear) else "prelu"
        return self._add(Unit(kind, name, 0, flow, weights))

    def _add(self, unit: Unit[str]) -> Unit[str]:
        unit.bit = 2 << len(self.units)  # the lowest bit is the images
        self.units.append(unit)
        return unit


def _padding(module: nn.Conv2d, before: Tensor, after: Tensor) -> tuple[int, ...] | None:
    """Padding of each side, or ``None`` if it depends on the size of the map."""
    reach = [d * (k - 1) for d, k in zip(module.dilation, module.kernel_size)]
    if isinstance(module.padding, str):
        return tuple(r // 2 for r in reach) if module.padding == "same" else (0, 0)
    padding = tuple(int(p) for p in module.padding)
    for size, result, p, r, stride in zip(before.shape[-2:], after.shape[-2:], padding, reach, module.stride):
        if result != (size + 2 * p - r - 1) // stride + 1:
            return None
    return padding
