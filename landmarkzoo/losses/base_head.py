"""What all heads have in common: centers of classes, predictions, and what a file of a head holds.

A new head is a file beside this one: a registered subclass of ``Head`` with ``__init__``, ``cosine`` and
``forward``. ``cosface.py`` is the short example.
"""

from __future__ import annotations

import inspect
import json
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, ClassVar, NamedTuple, TypeVar

import torch
from torch import Tensor, nn
from torch import distributed as dist

from landmarkzoo._utils.plugins import load_plugins
from landmarkzoo._utils.registering import arguments_of, is_same_class
from landmarkzoo._utils.suggestions import did_you_mean
from landmarkzoo.losses.fixed_numbers import FixedNumbers
from landmarkzoo.losses.head_checks import check_embeddings, check_finite, positive_integer

_PREDICT_VALUES = 2**24  # cosines at a time
_MIN_NORM = 1e-12
_HEADS: dict[str, type[Head]] = {}
_reading: ContextVar[bool] = ContextVar("_reading", default=False)

HeadT = TypeVar("HeadT", bound="Head")


def register_head(head_class: type[HeadT]) -> type[HeadT]:
    """Decorator for a class of heads: lets them be saved and loaded, by the name of the class.

    To load such a head, import the module that registers it first. An installed package saves its users that
    import by an entry point of the group ``landmarkzoo.models``, which names the module. A class that is
    defined again, as in a notebook, replaces the one before: heads that were made of that one are no longer
    saved, until ``head.__class__`` is the new class.

    Raises:
        TypeError: If it is not a subclass of ``Head``, or does not define ``cosine`` and ``forward``.
        ValueError: If another class of this name is registered.

    Examples:
        >>> @lz.losses.register_head
        ... class WiderCosFace(lz.losses.CosFace):
        ...     '''CosFace with another default.'''
        ...     def __init__(self, *args, margin=0.5, **kwargs):
        ...         super().__init__(*args, margin=margin, **kwargs)
    """
    if not (isinstance(head_class, type) and issubclass(head_class, Head)):
        raise TypeError(f"register_head takes a subclass of lz.losses.Head, got {head_class!r}")
    name = head_class.__name__
    if inspect.isabstract(head_class):
        missing = ", ".join(sorted(head_class.__abstractmethods__))
        raise TypeError(f"{name} must define {missing} before it is registered")
    there = _HEADS.get(name)
    if there is not None and not is_same_class(there, head_class):
        where = f"{there.__module__}.{there.__qualname__}"
        raise ValueError(f"a head called {name} is registered already, {where}: choose another name")
    _HEADS[name] = head_class
    return head_class


def registered_head(name: str) -> type[Head]:
    """The registered class of heads of a name; of an unknown one, plug-ins are asked first.

    Raises:
        ValueError: If no class of that name is registered.

    Examples:
        >>> registered_head("CosFace")
        <class 'landmarkzoo.losses.cosface.CosFace'>
    """
    if name not in _HEADS:
        load_plugins()
    if name not in _HEADS:
        raise ValueError(
            f"its head is a {name}, which is not registered.{did_you_mean(name, _HEADS)} Import the module "
            "that registers it (lz.losses.register_head), or upgrade landmarkzoo. Registered are "
            f"{', '.join(sorted(_HEADS))}"
        )
    return _HEADS[name]


class BestClasses(NamedTuple):
    """Best classes of each embedding, best first.

    Attributes:
        classes: (B, k), int64.
        cosines: (B, k), with the nearest center of each.
    """

    classes: Tensor
    cosines: Tensor


class Head(FixedNumbers, ABC):
    """Base of heads: losses with centers of classes, which are saved and loaded with a model.

    A subclass makes ``weight``, keeps every argument of its ``__init__`` as an attribute of the same name,
    and defines ``cosine`` and ``forward``. It may have more parameters and buffers. Arguments ``device`` and
    ``dtype`` are optional; ``**kwargs`` go to the parent.

    Args:
        embedding_dim: Size D of the embeddings.
        num_classes: Number C of classes.

    Attributes:
        weight: Centers (C * K, D), rows c * K + k.
        sub_centers: K, the centers of each class: 1 unless the subclass sets another.
        check_values: Whether the loss and ``cosine`` raise if an embedding is not finite; see
            ``check_embeddings``.
        not_saved: Arguments of ``__init__`` that are not written to a file, so a loaded head is built without
            them.

    Raises:
        ValueError: If a size is not a positive integer.
    """

    not_saved: ClassVar[frozenset[str]] = frozenset({"process_group", "device", "dtype"})
    weight: nn.Parameter
    sub_centers: int = 1
    check_values: bool = True

    def __init__(self, embedding_dim: int, num_classes: int) -> None:
        super().__init__()
        self.embedding_dim = positive_integer(embedding_dim, "embedding_dim")
        self.num_classes = positive_integer(num_classes, "num_classes")

    @abstractmethod
    def forward(self, embeddings: Tensor, labels: Tensor) -> Tensor:
        """Loss of embeddings (B, D) with their classes (B,)."""

    @abstractmethod
    def cosine(self, embeddings: Tensor) -> Tensor:
        """Cosine with the nearest center of each class: (B, D) -> (B, C), float32 at least, with gradient."""

    @torch.no_grad()
    @torch.compiler.disable  # type: ignore[untyped-decorator]
    def predict(self, embeddings: Tensor, k: int = 5) -> BestClasses:
        """Best classes of each embedding.

        Args:
            embeddings: (N, D); any number, as they go through in blocks.
            k: How many classes; all if there are fewer.

        Returns:
            ``classes`` (N, k), int64, and ``cosines`` (N, k): best first, ties by the smaller class.

        Raises:
            TypeError: If embeddings are not floating point.
            ValueError: If their shape does not fit, a value is not finite, or k is not positive.

        Examples:
            >>> head = lz.losses.CosFace(512, 10)
            >>> classes, cosines = head.predict(torch.randn(4, 512), k=3)
            >>> classes.shape, cosines.shape
            (torch.Size([4, 3]), torch.Size([4, 3]))
        """
        k = min(positive_integer(k, "k"), self.num_classes)
        check_embeddings(embeddings, self.embedding_dim, self.weight.device)
        check_finite(embeddings)
        blocks = torch.split(embeddings, max(1, _PREDICT_VALUES // self.num_classes))
        parts = [top_classes(self.cosine(block), k) for block in blocks]
        return BestClasses(*(torch.cat(part) for part in zip(*parts)))

    @torch.no_grad()
    def reset_parameters(self) -> None:
        """Draw the centers uniformly from +-1 / sqrt(D)."""
        if not centers_come_from_a_file():
            self.weight.uniform_(-(self.embedding_dim**-0.5), self.embedding_dim**-0.5)

    def check_embeddings(self, embeddings: Tensor, *, wait: bool = False) -> None:
        """Check what ``cosine`` and ``forward`` are given.

        Values that are not finite are an error in float32 and float64 outside autocast. Inside autocast, and
        in half precision, they may be an overflow, for which ``torch.amp.GradScaler`` leaves out the step:
        the loss is then NaN, and so are the gradients. ``head.check_values = False`` gives that everywhere,
        for trainers that look at the loss themselves, or that call the head outside autocast.

        Args:
            embeddings: What the user gave.
            wait: Check values on CUDA at once as well, at the price of a host sync.

        Raises:
            TypeError: If they are not a floating point tensor.
            ValueError: If their shape or device is wrong, or a value is not finite. On CUDA, without
                ``wait``, values are checked by a device-side assertion.
        """
        check_embeddings(embeddings, self.embedding_dim, self.weight.device)
        half = embeddings.dtype.itemsize < 4 or torch.is_autocast_enabled(embeddings.device.type)
        if self.check_values and not half:
            check_finite(embeddings, wait=wait)

    def compute_dtype(self, embeddings: Tensor) -> torch.dtype:
        """In which dtype cosines and losses are computed: float32 at least."""
        both = torch.promote_types(embeddings.dtype, self.weight.dtype)
        return torch.promote_types(both, torch.float32)

    def extra_repr(self) -> str:
        """Show the arguments."""
        kept = {name: getattr(self, name) for name in self._saved_names() if hasattr(self, name)}
        return ", ".join(f"{name}={value}" for name, value in kept.items())

    # --- what a file holds, and who writes it ------------------------------------------------------

    def arguments(self) -> dict[str, Any]:
        """Arguments of ``__init__`` that a file holds as JSON, by name.

        Raises:
            TypeError: If one is not kept as an attribute, or JSON cannot hold it.
        """
        kind, arguments = type(self).__name__, {}
        for name in self._saved_names():
            if not hasattr(self, name):
                raise TypeError(
                    f"{kind} does not keep its argument {name}, so a saved head could not be built again: "
                    f"write self.{name} = {name} in its __init__"
                )
            arguments[name] = value = getattr(self, name)
            try:
                json.dumps(value)
            except (TypeError, ValueError) as error:
                raise TypeError(
                    f"the argument {name} of {kind} is a {type(value).__name__}, which a file cannot hold as "
                    "JSON: take numbers, strings, and lists or dictionaries of these. One number a class is "
                    "kept by self.keep_per_class. Another tensor is kept by self.register_buffer; then give "
                    f"{name} a default, and set not_saved = lz.losses.Head.not_saved | {{{name!r}}}"
                ) from error
        return arguments

    def _saved_names(self) -> list[str]:
        return [n for n in arguments_of(type(self)) if n not in self.not_saved and n not in self._per_class]

    @classmethod
    def build(
        cls: type[HeadT],
        arguments: Mapping[str, Any],
        *,
        process_group: dist.ProcessGroup | None,
        dtype: torch.dtype,
    ) -> HeadT:
        """Build a head from the arguments that a file holds, on the CPU; its centers are not drawn.

        Raises:
            ValueError: If there is a process group, and the head cannot be split over processes.
        """
        known, options = arguments_of(cls), dict(arguments)
        if "process_group" in known:
            options["process_group"] = process_group
        elif process_group is not None:
            raise ValueError(f"the classes of a {cls.__name__} cannot be split over a process_group")
        if "dtype" in known:
            options["dtype"] = dtype
        with _centers_from_a_file(), torch.device("cpu"):
            head = cls(**options)
        return head if head.weight.dtype == dtype else head.to(dtype)

    @property
    def shard(self) -> range:
        """The classes whose centers are on this process: all, unless they are split over processes."""
        return range(self.num_classes)

    @property
    def writes_files(self) -> bool:
        """Whether this process writes the files of the head: the first, where its classes are split."""
        return True

    def whole_weight(self) -> Tensor | None:
        """The centers of all classes (C * K, D) on the CPU of the process that writes; ``None`` on others."""
        return self.weight.detach().cpu().contiguous()

    def raise_together(self, error: Exception | None) -> None:
        """Raise an error on all processes that the classes are split over, if one of them has one."""
        if error is not None:
            raise error


@contextmanager
def _centers_from_a_file() -> Iterator[None]:
    token = _reading.set(True)
    try:
        yield
    finally:
        _reading.reset(token)


def centers_come_from_a_file() -> bool:
    """Whether a head is being read, so that random centers would be drawn for nothing."""
    return _reading.get()


def unit_vectors(x: Tensor) -> Tensor:
    """Vectors (B, D) at length 1, with gradient; zero vectors stay zero, with a finite gradient.

    Divided by their largest entry first, as squares of very small or large ones leave the float range. The
    gradient, which grows as vectors shrink, is that of entries of 1e-12 at least, as in ``F.normalize``.

    Examples:
        >>> unit_vectors(torch.tensor([[3e30, 4e30], [0.0, 0.0]]))
        tensor([[0.6000, 0.8000], [0.0000, 0.0000]])
    """
    largest = x.detach().abs().amax(dim=1, keepdim=True)
    divisor = torch.where(largest > 0, largest, 1.0)
    scaled = x / divisor.clamp(min=_MIN_NORM)
    x = scaled + (x.detach() / divisor - scaled.detach())  # the right value, with the gradient of `scaled`
    norms = torch.linalg.vector_norm(x, dim=1, keepdim=True)
    return x / torch.where(norms > 0, norms, 1.0)


def top_classes(cosines: Tensor, k: int) -> BestClasses:
    """The k largest of each row of (B, C); among equal ones the smaller class comes first.

    Examples:
        >>> top_classes(torch.tensor([[0.5, 0.9, 0.5]]), k=2).classes
        tensor([[1, 0]])
    """
    top = cosines.topk(k, dim=1)
    # topk takes any of those that tie with the k-th: rows with more than k of them are sorted in full.
    tied = (cosines >= top.values[:, -1:]).sum(dim=1) > k
    classes, values = best_of(top.indices, top.values, k)
    if tied.any():
        whole = cosines[tied].sort(dim=1, descending=True, stable=True)
        values[tied], classes[tied] = whole.values[:, :k], whole.indices[:, :k]
    return BestClasses(classes, values)


def best_of(classes: Tensor, cosines: Tensor, k: int) -> BestClasses:
    """The k best of candidates (B, n), ties by the smaller class.

    Examples:
        >>> best_of(torch.tensor([[7, 2, 4]]), torch.tensor([[0.5, 0.5, 0.9]]), k=2).classes
        tensor([[4, 2]])
    """
    classes, order = classes.sort(dim=1)
    cosines, order = cosines.gather(1, order).sort(dim=1, descending=True, stable=True)
    return BestClasses(classes.gather(1, order)[:, :k], cosines[:, :k])
