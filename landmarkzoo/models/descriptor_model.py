"""What all models share: photos in, one descriptor each out; and which classes of models there are."""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import Mapping
from itertools import chain
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

import torch
from torch import Tensor, nn

from landmarkzoo._utils.registering import check_registered, is_same_class
from landmarkzoo.backbones.image_sizes import ImageSizeRule, timm_input
from landmarkzoo.backbones.layer_depth import set_part_checkpointing
from landmarkzoo.hub.mixin import HubMixin
from landmarkzoo.layers import Neck
from landmarkzoo.models.model_cfg import ModelCfg
from landmarkzoo.models.rebuilding import check_comes_back

if TYPE_CHECKING:
    from typing_extensions import Self

Architecture = TypeVar("Architecture", bound="type[DescriptorModel]")

# Every class of models that config.json may name, by the name of the class.
ARCHITECTURES: dict[str, type[DescriptorModel]] = {}


class DescriptorModel(HubMixin, ABC):
    """Base of the architectures: maps -> pooled features -> neck -> descriptor.

    A subclass defines ``forward_features`` and ``forward_pooled`` and sets ``cfg`` and ``neck``.
    ``landmarkzoo.register_architecture`` lets its models be saved and loaded.

    Attributes:
        cfg: The model as data. Its ``args`` are the arguments of the class, all but ``pretrained_backbone``:
            a saved model is built again by ``Class(**cfg.args)``.
        neck: From pooled features to descriptor.
        size_rule: Image sizes that the model takes; any size by default.
        timm_parts: Names of the pretrained parts, such as ``"backbone"``, from the output to the input.
            ``landmarkzoo.parameter_groups`` gives their layers smaller steps.
        frozen_modules: Names of the modules that ``freeze`` keeps in eval mode.
    """

    timm_parts: ClassVar[tuple[str, ...]] = ()
    cfg: ModelCfg
    neck: Neck
    size_rule: ImageSizeRule = ImageSizeRule()
    frozen_modules: frozenset[str] = frozenset()

    @property
    def embedding_dim(self) -> int:
        """Size of the descriptor."""
        return self.neck.out_features

    @property
    def device(self) -> torch.device:
        """Where the model is: the device of its first floating point parameter.

        Examples:
            >>> lz.create_model("efficientnet_lite0_gem").device
            device(type='cpu')
        """
        return _first_floating_point(self).device

    @property
    def dtype(self) -> torch.dtype:
        """The type of its first floating point parameter; images of this type go in.

        Examples:
            >>> lz.create_model("efficientnet_lite0_gem", dtype=torch.bfloat16).dtype
            torch.bfloat16
        """
        return _first_floating_point(self).dtype

    @abstractmethod
    def forward_features(self, images: Tensor) -> Any:
        """Maps before pooling and neck; each architecture says which."""

    @abstractmethod
    def forward_pooled(self, images: Tensor) -> Tensor:
        """Pooled features before the neck: (B, 3, H, W) -> (B, neck input)."""

    def forward(self, images: Tensor) -> Tensor:
        """Descriptors, not normalised: (B, 3, H, W) -> (B, embedding_dim).

        Raises:
            TypeError: If the images are not a floating point tensor of the dtype of the weights.
            ValueError: If their shape or size does not fit.
        """
        self.check_images(images)
        descriptors: Tensor = self.neck(self.forward_pooled(images))
        return descriptors

    def train(self, mode: bool = True) -> Self:
        """Set training mode, except for frozen modules: their batch-norm statistics must not move."""
        super().train(mode)
        for name, module in self.named_modules():
            if name in self.frozen_modules:
                module.training = False
        return self

    def set_grad_checkpointing(self, enable: bool = True) -> None:
        """Compute the blocks of the backbone again in the backward pass, instead of keeping activations.

        This takes less memory and more time; gradients stay the same. Batch norms inside these blocks see
        each batch twice, so their running statistics follow it a little faster.

        Raises:
            ValueError: If a backbone cannot.
        """
        for part in self.timm_parts:
            set_part_checkpointing(timm_part(self, part), enable)

    def check_images(self, images: Tensor) -> None:
        """Raise with the fix in the message if ``images`` are not a batch that the model takes."""
        if not isinstance(images, Tensor):
            raise TypeError(
                f"a model takes a tensor (B, 3, H, W) of normalised images, got {type(images).__name__}: "
                "lz.embed(model, photos) takes photos of all kinds; lz.create_transform(model) makes tensors"
            )
        if images.ndim != 4 or images.shape[1] != 3:
            last = images.ndim == 4 and images.shape[3] == 3
            fix = "images.permute(0, 3, 1, 2) puts channels first" if last else "one image is images[None]"
            raise ValueError(
                f"a model takes a batch of RGB images (B, 3, H, W), got {tuple(images.shape)}; {fix}"
            )
        if not images.is_floating_point():
            raise TypeError(
                f"a model takes normalised floating point images, got {images.dtype}: apply "
                "lz.create_transform(model), or let lz.embed do it"
            )
        self.size_rule.check(images)
        kind = images.device.type
        autocast = torch.amp.is_autocast_available(kind) and torch.is_autocast_enabled(kind)  # not of meta
        if not autocast and not torch.compiler.is_compiling():
            self._check_dtype(images.dtype)

    def _check_dtype(self, dtype: torch.dtype) -> None:
        """Raise if timm's part at the input has weights of another type, which its layers do not cast to."""
        part = getattr(self, self.timm_parts[-1], None) if self.timm_parts else None
        if not isinstance(part, nn.Module) or not hasattr(part, "timm_name"):
            return  # a module of the user's may cast by itself
        weights = next((p.dtype for p in part.parameters() if p.is_floating_point()), dtype)
        if weights != dtype:
            raise TypeError(
                f"the images are {dtype}, the model is {weights}: images.to(model.dtype) fits them, or "
                f"model.to({dtype})"
            )

    def check_saveable(self) -> None:
        """Raise if a saved copy would not come back as this model.

        Raises:
            TypeError: If the class is not registered, or an argument is a module, which has no name, or
                anything else that ``config.json`` cannot hold.
            ValueError: If the class cannot be built again from ``cfg.args``, or gives another model.
        """
        kind = type(self)
        call = f"call lz.register_architecture({kind.__name__}) after the definition of the class"
        check_registered(kind, ARCHITECTURES.get(kind.__name__), call)
        if self.cfg.architecture != kind.__name__:
            raise ValueError(
                f"cfg.architecture is {self.cfg.architecture!r}, but the model is a {kind.__name__}"
            )
        check_comes_back(self)


def register_architecture(architecture: Architecture) -> Architecture:
    """Let models of a class be saved and loaded as themselves; usable as a decorator.

    To load such a model, import the module that registers it first. An installed package saves its users that
    import by an entry point of the group ``landmarkzoo.models``, which names the module.

    Args:
        architecture: A subclass of ``landmarkzoo.models.DescriptorModel``. Its arguments are numbers,
            strings, and tuples or dictionaries of these; all of them are in its ``cfg.args``, except
            ``pretrained_backbone``, which it may take. A class that is defined again, as in a notebook,
            replaces the one before, whose models are then not saved: they could come back as others.

    Returns:
        The class.

    Raises:
        TypeError: If it is not such a class, or does not define all abstract methods.
        ValueError: If another class has that name.

    Examples:
        >>> from dataclasses import replace
        >>> @lz.register_architecture
        ... class TinyGeM(lz.GlobalDescriptor):
        ...     def __init__(self, embedding_dim=64, *, pretrained_backbone=False):
        ...         super().__init__(
        ...             "test_efficientnet",
        ...             embedding_dim=embedding_dim,
        ...             pretrained_backbone=pretrained_backbone,
        ...         )
        ...         self.cfg = replace(self.cfg, args={"embedding_dim": embedding_dim})
        >>> lz.register_model("tiny_gem", lz.ModelCfg("TinyGeM", {"embedding_dim": 32}, embedding_dim=32))
        >>> lz.create_model("tiny_gem").embedding_dim
        32
    """
    if not isinstance(architecture, type) or not issubclass(architecture, DescriptorModel):
        raise TypeError(
            "register_architecture takes a class, a subclass of lz.models.DescriptorModel or of one of the "
            f"architectures, such as lz.GlobalDescriptor, got {architecture!r}"
        )
    if inspect.isabstract(architecture):
        missing = ", ".join(sorted(architecture.__abstractmethods__))
        raise TypeError(f"{architecture.__name__} must define {missing} before it is registered")
    other = ARCHITECTURES.get(architecture.__name__)
    if other is not None and not is_same_class(other, architecture):
        raise ValueError(
            f"there is an architecture {architecture.__name__!r} already, {other.__module__}."
            f"{other.__qualname__}: give the class another name"
        )
    ARCHITECTURES[architecture.__name__] = architecture
    return architecture


def default_cfg(
    model: DescriptorModel,
    args: Mapping[str, Any],
    *,
    backbone: str | nn.Module,
    image_size: int | tuple[int, int] | None = None,
) -> ModelCfg:
    """Cfg of a model that was built without the registry: its images are those of its backbone.

    Args:
        model: The model, with its neck.
        args: Arguments of its class.
        backbone: Name of the timm model that the images go into, or a module.
        image_size: Side in pixels, or (height, width); that of the backbone if ``None``.
    """
    fields = timm_input(backbone, {"img_size": image_size})
    return ModelCfg(type(model).__name__, args, embedding_dim=model.embedding_dim, **fields)


def timm_part(model: DescriptorModel, name: str) -> nn.Module:
    """A part that ``timm_parts`` names.

    Raises:
        ValueError: If the model does not have it.
    """
    part = getattr(model, name, None)
    if not isinstance(part, nn.Module):
        raise ValueError(
            f"{type(model).__name__}.timm_parts names {name!r}, which is not a module of the model: "
            f"name some of {', '.join(child for child, _ in model.named_children())}"
        )
    return part


def _first_floating_point(model: nn.Module) -> Tensor:
    tensors = chain(model.parameters(), model.buffers())
    return next((tensor for tensor in tensors if tensor.is_floating_point()), torch.empty(0))
