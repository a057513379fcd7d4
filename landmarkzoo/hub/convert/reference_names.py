"""Parameter names of the authors' code (Henkel 2021), and those of this package for the same tensors."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ReferenceNames:
    """Where the tensors of one architecture of the authors' code go.

    Attributes:
        prefixes: Pairs of (their prefix, our prefix); the first that a name starts with counts.
        signature: A name that every checkpoint of this architecture has and no other one.
        arguments: Arguments with which our architecture computes what their code computes.
        unneeded: Pairs of (pattern of their names, why no model needs them).
    """

    prefixes: tuple[tuple[str, str], ...]
    signature: str
    arguments: dict[str, str]
    unneeded: tuple[tuple[str, str], ...] = ()


HEAD = "head.weight"
PATCH_PROJECTION = "backbone.patch_embed.proj.weight"

REFERENCE_NAMES = {
    "DOLG": ReferenceNames(
        prefixes=(
            ("backbone.", "backbone."),
            ("mam.d0.", "multi_atrous.branches.0."),
            ("mam.d1.", "multi_atrous.branches.1."),
            ("mam.d2.", "multi_atrous.branches.2."),
            ("mam.conv1.", "multi_atrous.project."),
            ("attention2d.conv1.", "spatial_attention.project."),
            ("attention2d.bn.", "spatial_attention.norm."),
            ("attention2d.conv2.", "spatial_attention.score."),
            ("conv_g.", "global_project."),
            ("bn_g.", "global_norm."),
            ("global_pool.", "global_pool."),
            ("neck.", "neck."),
        ),
        signature="mam.conv1.weight",
        arguments={"projection": "reference"},
    ),
    "HybridSwin": ReferenceNames(
        prefixes=(
            ("backbone.patch_embed.backbone.", "cnn."),
            ("backbone.patch_embed.proj.", "project."),
            # timm 0.4.12 merges patches at the end of a stage, timm from 0.9 on at the start of the next one.
            ("backbone.layers.0.downsample.", "transformer.layers.1.downsample."),
            ("backbone.layers.1.downsample.", "transformer.layers.2.downsample."),
            ("backbone.layers.2.downsample.", "transformer.layers.3.downsample."),
            ("backbone.layers.", "transformer.layers."),
            ("backbone.norm.", "transformer.norm."),
            ("neck.", "neck."),
        ),
        signature=PATCH_PROJECTION,
        arguments={"aggregation": "avg"},
        unneeded=(
            (r"global_pool\.p", "their hybrid makes a GeM and then averages"),
            (
                r"backbone\.layers\.\d+\.blocks\.\d+\.(attn_mask|attn\.relative_position_index)",
                "derived, computed when a model is made",
            ),
        ),
    ),
}


def our_name(theirs: str, names: ReferenceNames) -> str | None:
    """The name of this package, or ``None`` where no prefix fits.

    Examples:
        >>> our_name("backbone.layers.0.downsample.norm.bias", REFERENCE_NAMES["HybridSwin"])
        'transformer.layers.1.downsample.norm.bias'
    """
    return _renamed(theirs, names.prefixes)


def their_name(ours: str, names: ReferenceNames) -> str:
    """The name of the authors' code for one of ours; ours where they have no such thing.

    Examples:
        >>> their_name("spatial_attention.norm.bias", REFERENCE_NAMES["DOLG"])
        'attention2d.bn.bias'
    """
    back = tuple((new, old) for old, new in names.prefixes)
    return _renamed(ours, back) or ours


def _renamed(name: str, prefixes: tuple[tuple[str, str], ...]) -> str | None:
    for old, new in prefixes:
        if name.startswith(old):
            return new + name.removeprefix(old)
    return None
