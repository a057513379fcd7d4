"""What has to be known of a foreign layout, so that its checkpoints become models of ours."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

Arguments = Callable[[Mapping[str, Tensor], Mapping[str, Any], Mapping[str, Any]], tuple[dict[str, Any], str]]


def always(note: str, **theirs: Any) -> Arguments:
    """The ``arguments`` of a layout whose checkpoints all have the same ones; those of the user go before.

    Args:
        note: Where they come from.
        **theirs: Arguments of our architecture.

    Examples:
        >>> from landmarkzoo.hub.convert.layout import always
        >>> always("as in their code", neck="fc")({}, {}, {"embedding_dim": 8})
        ({'neck': 'fc', 'embedding_dim': 8}, 'as in their code')
    """

    def arguments(
        tensors: Mapping[str, Tensor], registered: Mapping[str, Any], given: Mapping[str, Any]
    ) -> tuple[dict[str, Any], str]:
        return {**theirs, **given}, note

    return arguments


def _nothing_unused(names: Collection[str], arguments: Mapping[str, Any]) -> dict[str, str]:
    return {}


def _as_they_are(tensors: Mapping[str, Tensor], arguments: Mapping[str, Any]) -> Mapping[str, Tensor]:
    return tensors


@dataclass(frozen=True)
class Layout:
    """A layout of checkpoints, as data. A new one is an instance in a file of its own, added to `LAYOUTS`.

    Attributes:
        name: What the registry calls it.
        architecture: Our architecture that computes what their code computes.
        signature: A name that every checkpoint of this layout has, and no checkpoint of another one.
        prefixes: Pairs of (their prefix, our prefix). The first one that a name starts with counts.
        arguments: Called with the tensors of a checkpoint, the arguments of the registered model and those
            that the user gave; returns the arguments to build the model with, those of the user among them,
            and a sentence on where they come from.
        head: Their name for the weight of the head, or ``None`` if there never is one.
        sub_centers: Centers that each class of the head has in their code.
        unused: Called with the names in a checkpoint and the arguments of our model; returns
            {name: why no model needs it}.
        converted: Called with the tensors of a checkpoint under their names and the arguments of our model;
            returns them under the same names, with the values that our model needs.
    """

    name: str
    architecture: str
    signature: str
    prefixes: tuple[tuple[str, str], ...]
    arguments: Arguments
    head: str | None = None
    sub_centers: int = 3
    unused: Callable[[Collection[str], Mapping[str, Any]], dict[str, str]] = _nothing_unused
    converted: Callable[[Mapping[str, Tensor], Mapping[str, Any]], Mapping[str, Tensor]] = _as_they_are

    def our_name(self, theirs: str) -> str | None:
        """The name in our model for one in a checkpoint, or ``None`` if no prefix fits.

        Examples:
            >>> from landmarkzoo.hub.convert.henkel import HYBRID
            >>> HYBRID.our_name("backbone.layers.0.downsample.norm.bias")
            'transformer.layers.1.downsample.norm.bias'
        """
        return _renamed(theirs, self.prefixes)

    def their_name(self, ours: str) -> str:
        """The name in a checkpoint for one in our model; ours if their code has no such tensor.

        Examples:
            >>> from landmarkzoo.hub.convert.henkel import DOLG
            >>> DOLG.their_name("spatial_attention.norm.bias")
            'attention2d.bn.bias'
        """
        return _renamed(ours, [(new, old) for old, new in self.prefixes]) or ours


def _renamed(name: str, prefixes: Collection[tuple[str, str]]) -> str | None:
    for old, new in prefixes:
        if name.startswith(old):
            return new + name.removeprefix(old)
    return None
