"""Sub-center ArcFace with dynamic margins: the head of the paper.

From ``head(x, y)`` to the loss: this file checks the batch and looks up margins, ``margin_softmax.py``
computes loss and gradient from cosines, ``center_blocks.py`` the cosines and their gradients, and
``margins.py`` is the formula of the margin. ``class_parallel.py`` says what changes when the classes are
split over processes.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch import distributed as dist
from torch.nn import functional as F

from landmarkzoo.losses.arcface.center_blocks import (
    MatmulDtype,
    NearestCosines,
    own_cosines,
    resolve_matmul_dtype,
)
from landmarkzoo.losses.arcface.class_parallel import DistributedBatch, ShardedHead
from landmarkzoo.losses.arcface.label_noise import (
    OUTLIER_ANGLE,
    CenterUsage,
    Outliers,
    Reference,
    find_outliers,
)
from landmarkzoo.losses.arcface.margin_softmax import MarginSoftmax, Targets, rows_among, sample_classes
from landmarkzoo.losses.arcface.margins import margins_of_classes
from landmarkzoo.losses.arcface.reusable_buffer import ReusableBuffer
from landmarkzoo.losses.base_head import BestClasses, best_of, register_head, top_classes, unit_vectors
from landmarkzoo.losses.head_checks import (
    PerClass,
    check_finite,
    check_labels,
    one_of,
    per_class,
    positive_integer,
    positive_number,
)

if TYPE_CHECKING:
    from typing_extensions import Self

Reduction = Literal["mean", "sum", "none"]

_BLOCK_VALUES = 2**24  # computed at a time by outliers, center_usage, and predict on several processes


@register_head
class SubCenterArcFaceDynamic(ShardedHead):
    """Sub-center ArcFace whose margin is larger for rarer classes.

    It is the head of [Henkel 2021](https://arxiv.org/abs/2110.03786), section 2.3, with the margins of
    [Ha et al. 2020](https://arxiv.org/abs/2010.05350). The cosine with a class is that with the nearest of
    its K centers. The angle to the target class is enlarged by the margin of that class, cosines are scaled
    to logits, and their cross entropy is the loss: exact, in float32 at least, in the memory of the weights,
    their gradient and one (B, C) array.

    With ``margins=0.3`` all classes have one margin; with ``sub_centers=1`` as well this is ArcFace
    ([Deng et al. 2019](https://arxiv.org/abs/1801.07698)).

    Args:
        embedding_dim: Size D of the embeddings.
        num_classes: Number C of classes.
        class_counts: Images of each class (C,): margins are ``dynamic_margins(class_counts)``.
        margins: Or the margins themselves in radians, (C,) or one for all. With neither, cosines and
            predictions work and the loss raises.
        sub_centers: Centers K of each class, 1 to 255.
        scale: Factor from cosines to logits; 45 in the paper.
        label_smoothing: Share of the target spread over all classes, as in ``F.cross_entropy``.
        class_weights: Weight of each class (C,), as in ``F.cross_entropy``.
        reduction: ``"mean"``, ``"sum"`` or ``"none"``, as in ``F.cross_entropy``.
        matmul_dtype: In which dtype embeddings and centers are multiplied: ``"float32"``, ``"bfloat16"``, or
            ``"auto"``: bfloat16 inside autocast, for large heads on devices that have it, float32 elsewhere.
            The cosine with the target class is always computed in float32.
        sample_rate: Share of the classes that a training step is computed on: those of the batch and random
            others (Partial FC, [An et al. 2021](https://arxiv.org/abs/2010.05222)). The gradient of the
            weight is then sparse, for SGD or SparseAdam.
        process_group: Split the classes over these processes, such as ``torch.distributed.group.WORLD``
            (which is ``None``, so one process, before ``init_process_group``). The call stays the same; the
            loss is that of the batches of all of them.
        device: Where the weight is made.
        dtype: Of the weight.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If one is out of range, class_counts and margins are both given, or a class has no image.

    Shape:
        embeddings (B, D), labels (B,) -> loss, or (B,) losses with ``reduction="none"``.

    Examples:
        >>> head = lz.SubCenterArcFaceDynamic(512, 3, class_counts=[900, 40, 7])
        >>> loss = head(torch.randn(8, 512), torch.randint(3, (8,)))
        >>> loss.backward()
        >>> head.weight.grad.shape  # rows c * K + k
        torch.Size([9, 512])
    """

    not_saved = ShardedHead.not_saved | {"class_counts"}  # which are margins by now
    margins: Tensor | None
    class_weights: Tensor | None

    def __init__(
        self,
        embedding_dim: int,
        num_classes: int,
        *,
        class_counts: PerClass | None = None,
        margins: PerClass | float | None = None,
        sub_centers: int = 3,
        scale: float = 45.0,
        label_smoothing: float = 0.0,
        class_weights: PerClass | None = None,
        reduction: Reduction = "mean",
        matmul_dtype: MatmulDtype = "auto",
        sample_rate: float | None = None,
        process_group: dist.ProcessGroup | None = None,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__(embedding_dim, num_classes, sub_centers, process_group, device, dtype)
        self.scale = positive_number(scale, "scale")
        self.label_smoothing = float(label_smoothing)
        if not 0 <= self.label_smoothing <= 1:
            raise ValueError(f"label_smoothing must be in [0, 1], got {label_smoothing}")
        one_of(reduction, get_args(Reduction), "reduction")
        self.reduction: Reduction = reduction
        one_of(matmul_dtype, get_args(MatmulDtype), "matmul_dtype")
        self.matmul_dtype: MatmulDtype = matmul_dtype
        if sample_rate is not None and not 0 < sample_rate <= 1:
            raise ValueError(f"sample_rate must be in (0, 1] or None, got {sample_rate}")
        self.sample_rate = None if sample_rate is None else float(sample_rate)
        self.keep_per_class("margins", margins_of_classes(class_counts, margins, self.num_classes))
        if class_weights is not None:
            class_weights = per_class(class_weights, self.num_classes, "class_weights", negative=False)
        self.keep_per_class("class_weights", class_weights)
        self._buffer = ReusableBuffer()

    def keep_per_class(self, name: str, values: NDArray[np.float64] | None) -> None:
        """See ``Head``; margins are radians, from wherever they come."""
        if name == "margins":
            values = margins_of_classes(None, values, self.num_classes)
        super().keep_per_class(name, values)

    def train(self, mode: bool = True) -> Self:
        """As in ``torch.nn.Module``; ``eval()`` gives the memory of the gradient back at once."""
        if not mode:
            self._buffer.release()
        return super().train(mode)

    # --- the loss ----------------------------------------------------------------------------------

    # The blocks and the reused buffer cannot be traced: compiled code calls this as it stands.
    @torch.compiler.disable  # type: ignore[untyped-decorator]
    def forward(self, embeddings: Tensor, labels: Tensor) -> Tensor:
        """Loss of embeddings (B, D), of any length, with their classes (B,).

        Raises:
            TypeError: If embeddings are not floating point, or labels not integers.
            ValueError: If shapes do not fit, a label is out of range, the head has no margins, or a value is
                not finite (see ``check_embeddings``). On CUDA values are checked by a device-side assertion.
        """
        if self.margins is None:
            raise ValueError(
                "this head has neither class_counts nor margins, so only cosine and predict work: give one "
                "of them to SubCenterArcFaceDynamic, such as margins=0.3"
            )
        batch, checked = self._batch(embeddings, labels)
        unit, labels = self._unit(embeddings, batch), batch.gather(checked)
        targets, weight = self._targets(labels, unit.dtype)
        matmul_dtype = resolve_matmul_dtype(self.matmul_dtype, unit, self.weight)
        softmax = MarginSoftmax(
            self.sub_centers, self.scale, self.label_smoothing, matmul_dtype, self.processes, self._buffer
        )
        losses = softmax.losses(unit, weight, targets)  # (B of all processes,)
        if self.reduction == "none":
            return batch.scatter(losses)
        return losses.sum() if self.reduction == "sum" else losses.sum() / targets.weights.sum()

    def _targets(self, labels: Tensor, dtype: torch.dtype) -> tuple[Targets, Tensor]:
        """Targets among the classes that this step computes on this process, and the centers of these."""
        assert self.margins is not None
        weight: Tensor = self.weight
        rows = self._rows_here(labels)
        ones = weight.new_ones((), dtype=dtype)
        every = ones.expand(self.num_classes) if self.class_weights is None else self.class_weights.to(dtype)
        here = every[self.shard.start : self.shard.stop]
        if self.sample_rate is not None and self.training:
            classes = sample_classes(rows, len(self.shard), self.sample_rate)
            rows, here = rows_among(classes, rows), here[classes]
            k = torch.arange(self.sub_centers, device=classes.device)
            centers = (classes[:, None] * self.sub_centers + k).flatten()
            weight = F.embedding(centers, weight, sparse=True)  # (n * K, D)
        return Targets(rows, self.margins[labels].to(dtype), every[labels], here), weight

    def _rows_here(self, labels: Tensor) -> Tensor:
        """Row of each class in the shard of this process; -1 if it is on another."""
        rows = labels - self.shard.start
        return torch.where((rows >= 0) & (rows < len(self.shard)), rows, -1)

    def _batch(
        self,
        embeddings: Tensor,
        labels: Tensor | None = None,
        *,
        with_labels: bool = True,
        wrong: Exception | None = None,
        k: int = 0,
        always_finite: bool = False,
    ) -> tuple[DistributedBatch, Tensor]:
        """How many embeddings each process has, and the checked labels of this one.

        What is wrong on one process, or differs between them, is an error on all: they would wait for it.
        """
        size, checked, device = 0, torch.empty(0), self.weight.device
        gradient, bits = False, 0
        wait = self.processes.group is not None
        try:
            if wrong is not None:
                raise wrong
            self.check_embeddings(embeddings, wait=wait)
            if always_finite:
                check_finite(embeddings, wait=wait)
            size, bits = len(embeddings), self.compute_dtype(embeddings).itemsize * 8
            gradient = torch.is_grad_enabled() and embeddings.requires_grad
            if with_labels:
                checked = check_labels(labels, size, self.num_classes, device, wait=wait)
        except (TypeError, ValueError) as problem:
            wrong = problem
        must_match = {
            "bits of the dtype": bits,
            "embeddings that need a gradient": int(gradient),
            "weights that need a gradient": int(torch.is_grad_enabled() and self.weight.requires_grad),
            "k": k,
        }
        return DistributedBatch.exchange(self.processes, size, device, wrong, must_match), checked

    def _unit(self, embeddings: Tensor, batch: DistributedBatch) -> Tensor:
        """Embeddings of all processes at length 1."""
        return unit_vectors(batch.gather(embeddings.to(self.compute_dtype(embeddings))))

    # --- cosines and predictions -------------------------------------------------------------------

    @torch.compiler.disable  # type: ignore[untyped-decorator]
    def cosine(self, embeddings: Tensor) -> Tensor:
        """Cosine with the nearest center of each class: (B, D) -> (B, C), float32 at least, with gradient.

        Raises:
            TypeError: If embeddings are not floating point.
            ValueError: If their shape does not fit, or a value is not finite.

        Examples:
            >>> head = lz.SubCenterArcFaceDynamic(512, 10)
            >>> head.cosine(torch.randn(4, 512)).shape
            torch.Size([4, 10])
        """
        batch, _ = self._batch(embeddings, with_labels=False)
        here = self._cosine_here(self._unit(embeddings, batch))
        return batch.scatter(batch.join_columns(here, self.shard, self.num_classes))

    def _cosine_here(self, unit: Tensor) -> Tensor:
        matmul_dtype = resolve_matmul_dtype(self.matmul_dtype, unit, self.weight)
        cosine: Tensor = NearestCosines.apply(unit, self.weight, self.sub_centers, matmul_dtype, self._buffer)
        return cosine

    @torch.no_grad()
    @torch.compiler.disable  # type: ignore[untyped-decorator]
    def predict(self, embeddings: Tensor, k: int = 5) -> BestClasses:
        """Best classes of each embedding, see ``Head.predict``; with a process group, of all shards."""
        if self.processes.group is None:
            found: BestClasses = super().predict(embeddings, k)
            return found
        wrong: ValueError | None = None
        try:
            k = min(positive_integer(k, "k"), self.num_classes)
        except ValueError as error:
            k, wrong = 0, error
        batch, _ = self._batch(embeddings, with_labels=False, wrong=wrong, k=k, always_finite=True)
        step = max(1, _BLOCK_VALUES // self.num_classes)  # rows of each process at a time
        parts = []
        for start in range(0, max(batch.sizes), step):  # as often on all processes
            sizes = [min(max(size - start, 0), step) for size in batch.sizes]
            block = DistributedBatch(self.processes, sizes)
            found = self._predict_sharded(self._unit(embeddings[start : start + step], block), k)
            parts.append([x[block.own] for x in found])
        return BestClasses(*(torch.cat(part) for part in zip(*parts)))

    def _predict_sharded(self, unit: Tensor, k: int) -> BestClasses:
        """Best classes of the shard, then of all shards."""
        here = top_classes(self._cosine_here(unit), min(k, len(self.shard)))
        missing = (0, k - here.classes.shape[1])  # a shard may have fewer classes than k
        classes = F.pad(here.classes + self.shard.start, missing, value=self.num_classes)
        cosines = F.pad(here.cosines, missing, value=-torch.inf)
        return best_of(self.processes.gather_columns(classes), self.processes.gather_columns(cosines), k)

    def outliers(
        self,
        embeddings: Tensor,
        labels: Tensor,
        *,
        angle: float = OUTLIER_ANGLE,
        reference: Reference = "nearest",
    ) -> Outliers:
        """Images far from the centers of their class: wrong labels, interiors, bad crops.

        Args:
            embeddings: (N, D), of the training images by the model that was trained with this head.
            labels: Their classes (N,).
            angle: How far, in radians; 75 degrees unless told otherwise. With 0 all are listed.
            reference: Far from which center: the ``"nearest"`` of the class, so from all of them; or the
                ``"dominant"`` one, to which most images of the class are nearest, as in Deng et al. 2020.
                That also lists wrong labels, and other views of the landmark, that have a center of their
                own.

        Returns:
            ``indices`` of these images, and their ``cosines`` with that center, farthest first.

        Raises:
            TypeError: If embeddings are not floating point, or labels not integers.
            ValueError: If shapes do not fit, a label or the angle is out of range, or a value is not finite.

        Examples:
            >>> head = lz.SubCenterArcFaceDynamic(2, 2, sub_centers=1)
            >>> _ = head.load_state_dict({"weight": torch.tensor([[1.0, 0.0], [0.0, 1.0]])})
            >>> photos = torch.tensor([[9.0, 1.0], [8.0, 2.0], [0.0, 5.0]])
            >>> head.outliers(photos, torch.tensor([0, 0, 0])).indices
            tensor([2])
        """
        wrong: ValueError | None = None
        if not 0 <= angle <= math.pi:
            wrong = ValueError(f"angle must be in radians, in [0, pi], got {angle}: math.radians(75)")
        if reference not in get_args(Reference):
            wrong = ValueError(f"reference must be one of {get_args(Reference)}, got {reference!r}")
        own, batch, labels = self._own_cosines(embeddings, labels, wrong)
        if reference == "dominant":
            usage = CenterUsage.count(own, labels, self.num_classes)
            cosine = own.gather(1, usage.dominant[labels][:, None])[:, 0]
        else:
            cosine = own.amax(dim=1)
        return find_outliers(batch.scatter(cosine), angle)

    def center_usage(self, embeddings: Tensor, labels: Tensor) -> CenterUsage:
        """How many images of each class are nearest to each of its centers.

        Args:
            embeddings: (N, D), as for ``outliers``; the results of several batches can be added.
            labels: Their classes (N,).

        Returns:
            ``counts`` (C, K), with ``shares`` (C, K) and the ``dominant`` center of each class (C,).

        Raises:
            TypeError, ValueError: As ``forward``.
        """
        own, _, labels = self._own_cosines(embeddings, labels)
        return CenterUsage.count(own, labels, self.num_classes)

    @torch.no_grad()
    @torch.compiler.disable  # type: ignore[untyped-decorator]
    def _own_cosines(
        self, embeddings: Tensor, labels: Tensor, wrong: Exception | None = None
    ) -> tuple[Tensor, DistributedBatch, Tensor]:
        """Cosines (N, K) with the centers of their class, and labels (N,), of the images of all processes."""
        batch, checked = self._batch(embeddings, labels, wrong=wrong, always_finite=True)
        unit, labels = self._unit(embeddings, batch), batch.gather(checked)
        rows = self._rows_here(labels)
        step = max(1, _BLOCK_VALUES // (self.sub_centers * self.embedding_dim))
        blocks = zip(torch.split(unit, step), torch.split(rows.clamp(min=0), step))
        own = torch.cat([own_cosines(x, self.weight, row, self.sub_centers) for x, row in blocks])
        return self.processes.sum(torch.where(rows[:, None] >= 0, own, 0.0)), batch, labels

    def extra_repr(self) -> str:
        """Show what cannot be seen in the shapes."""
        given = self._per_class["margins"]
        margins = "none" if given is None else f"{given.min():.3g} to {given.max():.3g}"
        shard = "" if self.processes.group is None else f", shard={self.shard}"
        return (
            f"embedding_dim={self.embedding_dim}, num_classes={self.num_classes}, "
            f"sub_centers={self.sub_centers}, scale={self.scale:g}, margins={margins}{shard}"
        )
