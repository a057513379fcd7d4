"""Freezing: parts of a model that are not trained for a while."""

from __future__ import annotations

from torch import nn
from torch.nn.parallel import DistributedDataParallel

from landmarkzoo._utils.suggestions import did_you_mean
from landmarkzoo.models.descriptor_model import DescriptorModel
from landmarkzoo.models.wrappers import unwrapped


def freeze(model: nn.Module, *parts: str) -> None:
    """Stop the training of parts of a model: no gradients, and fixed batch-norm statistics.

    The modules of a frozen part stay in eval mode whatever ``model.train()`` says, so their dropout and
    stochastic depth are off as well. Make the optimizer after this, or make it again. A copy of the model is
    frozen too; saved files do not keep it. All other modules get the mode that the model is in.

    Args:
        model: A landmarkzoo model, also inside ``torch.compile`` or ``DataParallel``.
        *parts: Names of modules or parameters, such as ``"backbone"``, ``"neck"``, ``"token"`` or
            ``"backbone.blocks.0"``.

    Raises:
        TypeError: If ``model`` is not a model of landmarkzoo, or is inside ``DistributedDataParallel``, which
            must know what is trained when it is made.
        ValueError: If no part is named, or the model has no part of that name.

    Examples:
        >>> model = lz.create_model("efficientnet_lite0_gem")
        >>> lz.freeze(model, "backbone")
        >>> [name for name, p in model.named_parameters() if p.requires_grad]
        ['global_pool.p', 'neck.0.weight', 'neck.0.bias', 'neck.1.weight', 'neck.1.bias', 'neck.2.weight']
        >>> model.train().backbone.training
        False
    """
    model = _checked(model, parts)
    if not parts:
        raise ValueError(f"freeze needs the name of at least one part. {_parts_of(model)}")
    frozen = set(model.frozen_modules)
    for part in parts:
        frozen |= {name for name, _ in model.named_modules() if _inside(name, part)}
        for name, parameter in model.named_parameters():
            if _inside(name, part):
                parameter.requires_grad_(False)
    model.frozen_modules = frozenset(frozen)
    model.train(model.training)


def unfreeze(model: nn.Module, *parts: str) -> None:
    """Train parts of a model again, with all that is inside them; without a name, the whole model.

    Args:
        model: A landmarkzoo model.
        *parts: As for ``freeze``.

    Raises:
        TypeError: If ``model`` is not a model of landmarkzoo.
        ValueError: If the model has no part of that name.

    Examples:
        >>> model = lz.create_model("efficientnet_lite0_gem")
        >>> lz.freeze(model, "backbone")
        >>> lz.unfreeze(model, "backbone.conv_head", "backbone.bn2")
        >>> sum(p.requires_grad for p in model.backbone.parameters())
        3
    """
    model = _checked(model, parts)
    frozen = set(model.frozen_modules)
    for part in parts or ("",):
        frozen -= {name for name, _ in model.named_modules() if _inside(name, part)}
        for name, parameter in model.named_parameters():
            if _inside(name, part):
                parameter.requires_grad_(True)
    model.frozen_modules = frozenset(frozen)
    model.train(model.training)


def _inside(name: str, part: str) -> bool:
    return not part or name == part or name.startswith(f"{part}.")


def _checked(wrapper: nn.Module, parts: tuple[str, ...]) -> DescriptorModel:
    """The model in a wrapper, if it has these parts and may change what is trained."""
    model = unwrapped(wrapper)
    if not isinstance(model, DescriptorModel):
        raise TypeError(f"a landmarkzoo model is needed, got {type(model).__name__}")
    if any(isinstance(module, DistributedDataParallel) for module in wrapper.modules()):
        raise TypeError(
            "the model is inside DistributedDataParallel, which waits for a gradient of all that was trained "
            "when it was made: freeze or unfreeze the model before it is wrapped"
        )
    names = {name for name, _ in model.named_modules()} | {name for name, _ in model.named_parameters()}
    for part in parts:
        if not isinstance(part, str):
            raise TypeError(f"a part is named by a string, got {part!r}; several are freeze(model, *parts)")
        if not part or part not in names:
            near = did_you_mean(part, names) if part else ""
            raise ValueError(f"{type(model).__name__} has no part {part!r}.{near} {_parts_of(model)}")
    return model


def _parts_of(model: DescriptorModel) -> str:
    own = [name for name, _ in model.named_parameters() if "." not in name]
    parts = [name for name, _ in model.named_children()] + own
    return f"It has {', '.join(parts)}, and what is inside them, with dots."
