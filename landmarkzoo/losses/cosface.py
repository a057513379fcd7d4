"""CosFace: the smallest head, and the example of how to write one."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from landmarkzoo.layers.autocast import without_autocast
from landmarkzoo.losses.base_head import Head, register_head, unit_vectors
from landmarkzoo.losses.head_checks import check_labels, positive_number


@register_head
class CosFace(Head):
    """Softmax of cosines with a margin on the target ([Wang et al. 2018](https://arxiv.org/abs/1801.09414)).

    One center a class. Logits are ``scale * cosine``, and ``scale * (cosine - margin)`` for the target class;
    their cross entropy is the loss, in float32 at least. With margin 0 this is the softmax of scaled cosines.
    Several arrays (B, C) are held; for very many classes ``landmarkzoo.SubCenterArcFaceDynamic`` needs
    less memory.

    Args:
        embedding_dim: Size D of the embeddings.
        num_classes: Number C of classes.
        margin: What is taken from the cosine with the target class, in [0, 1].
        scale: Factor from cosines to logits.
        device: Where the weight is made.
        dtype: Of the weight.

    Raises:
        ValueError: If an argument is out of range.

    Shape:
        embeddings (B, D), labels (B,) -> loss.

    Examples:
        >>> head = lz.losses.CosFace(512, 3)
        >>> loss = head(torch.randn(8, 512), torch.randint(3, (8,)))
        >>> head.weight.shape
        torch.Size([3, 512])
    """

    def __init__(
        self,
        embedding_dim: int,
        num_classes: int,
        *,
        margin: float = 0.35,
        scale: float = 64.0,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__(embedding_dim, num_classes)
        self.margin, self.scale = float(margin), positive_number(scale, "scale")
        if not 0 <= self.margin <= 1:
            raise ValueError(f"margin is taken from a cosine and must be in [0, 1], got {margin}")
        weight = torch.empty(self.num_classes, self.embedding_dim, device=device, dtype=dtype)
        self.weight = nn.Parameter(weight)
        self.reset_parameters()

    def forward(self, embeddings: Tensor, labels: Tensor) -> Tensor:
        """Mean loss of embeddings (B, D), of any length, with their classes (B,).

        Raises:
            TypeError: If embeddings are not floating point, or labels not integers.
            ValueError: If shapes do not fit, a label is out of range, or a value is not finite.
        """
        cosine = self.cosine(embeddings)  # (B, C)
        labels = check_labels(labels, len(cosine), self.num_classes, self.weight.device)
        cosine[torch.arange(len(labels), device=labels.device), labels] -= self.margin
        return F.cross_entropy(self.scale * cosine, labels)

    def cosine(self, embeddings: Tensor) -> Tensor:
        """Cosine with the center of each class: (B, D) -> (B, C), float32 at least, with gradient.

        Raises:
            TypeError: If embeddings are not floating point.
            ValueError: If their shape does not fit, or a value is not finite.
        """
        self.check_embeddings(embeddings)
        dtype = self.compute_dtype(embeddings)
        with without_autocast(embeddings.device):
            return unit_vectors(embeddings.to(dtype)) @ unit_vectors(self.weight.to(dtype)).T

    def fixed_numbers(self) -> dict[str, Tensor]:
        """The margin, which travels in the state dict as ``margins``."""
        return {**super().fixed_numbers(), "margins": torch.tensor(self.margin, device=self.weight.device)}
