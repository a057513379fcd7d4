"""What all models share: photos in, one descriptor each out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

import timm
from torch import Tensor, nn

from landmarkzoo.layers import Neck
from landmarkzoo.models.backbones import ImageSizeRule
from landmarkzoo.models.model_cfg import IMAGENET_MEAN, IMAGENET_STD, ModelCfg


class DescriptorModel(nn.Module, ABC):
    """Base of the architectures: maps -> pooled features -> neck -> descriptor.

    A subclass defines :meth:`forward_features` and :meth:`forward_pooled` and sets the attributes.

    Attributes:
        cfg: The model as data.
        neck: From pooled features to descriptor.
        size_rule: Image sizes that the model takes.
    """

    cfg: ModelCfg
    neck: Neck
    size_rule: ImageSizeRule

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


def cfg_by_hand(architecture: str, args: Mapping[str, Any], embedding_dim: int) -> ModelCfg:
    """Cfg of a model that was built without the registry: its input is that of its timm backbone."""
    backbone = timm.get_pretrained_cfg(args["backbone"])
    return ModelCfg(
        architecture=architecture,
        args=args,
        input_size=backbone.input_size if backbone else (3, 224, 224),
        mean=backbone.mean if backbone else IMAGENET_MEAN,  # type: ignore[arg-type]
        std=backbone.std if backbone else IMAGENET_STD,  # type: ignore[arg-type]
        embedding_dim=embedding_dim,
    )
