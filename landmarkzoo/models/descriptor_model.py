"""What all models share: photos in, one descriptor each out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import timm
from torch import Tensor

from landmarkzoo.backbones.image_sizes import ImageSizeRule
from landmarkzoo.backbones.layer_order import set_part_checkpointing
from landmarkzoo.hub.mixin import HubMixin
from landmarkzoo.layers import Neck
from landmarkzoo.models.model_cfg import IMAGENET_MEAN, IMAGENET_STD, ModelCfg

if TYPE_CHECKING:
    from typing_extensions import Self


class DescriptorModel(HubMixin, ABC):
    """Base of the architectures: maps -> pooled features -> neck -> descriptor.

    A subclass defines :meth:`forward_features` and :meth:`forward_pooled` and sets the attributes.

    Attributes:
        cfg: The model as data.
        neck: From pooled features to descriptor.
        size_rule: Image sizes that the model takes.
        timm_parts: Names of the parts that are timm's, from the output to the input; the arguments that name
            their timm models are called the same.
        frozen_modules: Names of the modules that ``freeze`` keeps in eval mode.
    """

    timm_parts: ClassVar[tuple[str, ...]] = ("backbone",)
    cfg: ModelCfg
    neck: Neck
    size_rule: ImageSizeRule
    frozen_modules: frozenset[str] = frozenset()

    @property
    def embedding_dim(self) -> int:
        """Size of the descriptor."""
        return self.neck.out_features

    @abstractmethod
    def forward_features(self, images: Tensor) -> Any:
        """Maps before pooling and neck; each architecture says which."""

    @abstractmethod
    def forward_pooled(self, images: Tensor) -> Tensor:
        """Pooled features before the neck: (B, 3, H, W) -> (B, neck input)."""

    def forward(self, images: Tensor) -> Tensor:
        """Descriptors, not normalised: (B, 3, H, W) -> (B, embedding_dim).

        Raises:
            TypeError: If the images are not floating point.
            ValueError: If their shape or size does not fit.
        """
        descriptors: Tensor = self.neck(self.forward_pooled(images))
        return descriptors

    def train(self, mode: bool = True) -> Self:
        """Set training mode, but for what is frozen: its batch-norm statistics must not move."""
        super().train(mode)
        for name, module in self.named_modules():
            if name in self.frozen_modules:
                module.training = False
        return self

    def set_grad_checkpointing(self, enable: bool = True) -> None:
        """Compute the blocks of the timm parts again in the backward pass, instead of keeping what they gave.

        Less memory for more time; gradients stay the same. Batch norms inside these blocks see each batch
        twice, so their running statistics follow it a little faster.

        Raises:
            ValueError: If the timm model of a part cannot.
        """
        for part in self.timm_parts:
            set_part_checkpointing(getattr(self, part), enable)

    def check_images(self, images: Tensor) -> None:
        """Raise with the fix in the message if ``images`` are not a batch that the model takes."""
        if images.ndim != 4 or images.shape[1] != 3:
            raise ValueError(
                f"a model takes a batch of RGB images (B, 3, H, W), got {tuple(images.shape)}; "
                "one image is images[None]"
            )
        if not images.is_floating_point():
            raise TypeError(
                f"a model takes normalised floating point images, got {images.dtype}: apply "
                "lz.create_transform(model), or let lz.embed do it"
            )
        self.size_rule.check(images)


def default_cfg(
    architecture: str,
    args: Mapping[str, Any],
    embedding_dim: int,
    *,
    backbone: str,
    image_size: tuple[int, int] | None = None,
) -> ModelCfg:
    """Cfg of a model that was built without the registry: its input is that of a timm backbone."""
    cfg = timm.get_pretrained_cfg(backbone)
    return ModelCfg(
        architecture=architecture,
        args=args,
        input_size=(3, *image_size) if image_size else cfg.input_size if cfg else (3, 224, 224),
        mean=cfg.mean if cfg else IMAGENET_MEAN,  # type: ignore[arg-type]
        std=cfg.std if cfg else IMAGENET_STD,  # type: ignore[arg-type]
        embedding_dim=embedding_dim,
    )
