"""The zoo by name: the models of landmarkzoo, of installed plug-ins, and your own."""

from __future__ import annotations

import fnmatch
import re
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from torch import nn

from landmarkzoo._utils.plugins import load_plugins, plugin_in_loading
from landmarkzoo._utils.registering import arguments_of
from landmarkzoo._utils.suggestions import did_you_mean
from landmarkzoo.metrics import Score
from landmarkzoo.models.descriptor_model import ARCHITECTURES, DescriptorModel
from landmarkzoo.models.model_cfg import ModelCfg
from landmarkzoo.models.rebuilding import NORMALIZE_POOLED, build_to_look_at

_PAPER = "Henkel 2021, arXiv 2110.03786"
_DINOV2 = "Oquab et al. 2023, arXiv 2304.07193"
_DINOV3 = "Siméoni et al. 2025, arXiv 2508.10104"
_SIGLIP2 = "Tschannen et al. 2025, arXiv 2502.14786"
_LITE_INPUT: dict[str, Any] = {"mean": (0.5, 0.5, 0.5), "std": (0.5, 0.5, 0.5)}


def _table_1(
    recognition: tuple[float, float] | None = None, retrieval: tuple[float, float] | None = None
) -> tuple[Score, ...]:
    """Scores of table 1 as the paper states them: (private, public) of each track."""
    data = "Google Landmark {} 2021, {} leaderboard, as published (hidden test set, not re-run)"
    tracks = (("GAP", "Recognition", recognition), ("mAP@100", "Retrieval", retrieval))
    return tuple(
        Score(metric, value, data.format(track, board), of_paper=True)
        for metric, track, values in tracks
        for value, board in zip(values or (), ("private", "public"))
    )


def _dolg(backbone: str, size: int, dilations: tuple[int, ...], **fields: Any) -> ModelCfg:
    stem_stride = fields.pop("stem_stride", 2)
    args = {"backbone": backbone, "dilations": dilations, "stem_stride": stem_stride}
    return ModelCfg("DOLG", args, input_size=(3, size, size), paper=_PAPER, **fields)


def _hybrid(cnn: str, transformer: str, size: int, level: int, **fields: Any) -> ModelCfg:
    args = {"cnn": cnn, "transformer": transformer, "image_size": size, "cnn_level": level}
    args["stem_stride"] = fields.pop("stem_stride", 2)
    return ModelCfg("HybridSwin", args, input_size=(3, size, size), paper=_PAPER, **fields)


def _global(backbone: str, size: int, pool: str, neck: str, **fields: Any) -> ModelCfg:
    args = {"backbone": backbone, "pool": pool, "neck": neck, **fields.pop("args", {})}
    return ModelCfg("GlobalDescriptor", args, input_size=(3, size, size), **fields)


# No landmark weights can be loaded by name yet: `weights`, `training_data` and `license` are None in all
# entries. The scores are those of the paper's own weights.
_MODELS: dict[str, ModelCfg] = {
    # the paper's table 1
    "dolg_efficientnet_b5": _dolg(
        "tf_efficientnet_b5.ns_jft_in1k",
        768,
        dilations=(6, 12, 18),
        scores=_table_1(recognition=(0.476, 0.497), retrieval=(0.478, 0.464)),
    ),
    "dolg_efficientnet_b6": _dolg(
        "tf_efficientnet_b6.ns_jft_in1k",
        768,
        dilations=(3, 6, 9),
        scores=_table_1(recognition=(0.476, 0.479), retrieval=(0.474, 0.454)),
    ),
    "dolg_efficientnet_b7": _dolg(
        "tf_efficientnet_b7.ns_jft_in1k",
        448,
        dilations=(3, 6, 9),
        stem_stride=1,
        scores=_table_1(recognition=(0.465, 0.484), retrieval=(0.470, 0.458)),
    ),
    "hybrid_efficientnet_b3_swin_base_224": _hybrid(
        "tf_efficientnet_b3.ns_jft_in1k",
        "swin_base_patch4_window7_224",
        896,
        level=16,
        scores=_table_1(recognition=(0.462, 0.487), retrieval=(0.481, 0.454)),
    ),
    "hybrid_efficientnet_b5_swin_base_224": _hybrid(
        "tf_efficientnet_b5.ns_jft_in1k",
        "swin_base_patch4_window7_224",
        448,
        level=16,
        stem_stride=1,
        scores=_table_1(recognition=(0.462, 0.482), retrieval=(0.476, 0.443)),
    ),
    "hybrid_efficientnet_b6_swin_base_384": _hybrid(
        "tf_efficientnet_b6.ns_jft_in1k",
        "swin_base_patch4_window12_384",
        384,
        level=8,
        stem_stride=1,
        scores=_table_1(recognition=(0.467, 0.492), retrieval=(0.487, 0.462)),
    ),
    "efficientnet_b3": _global(
        "tf_efficientnet_b3.ns_jft_in1k",
        768,
        pool="avg",
        neck="fc-silu",
        paper=_PAPER,
        scores=_table_1(recognition=(0.463, 0.487)),
    ),
    "efficientnet_b6": _global(
        "tf_efficientnet_b6.ns_jft_in1k",
        512,
        pool="avg",
        neck="fc-silu",
        paper=_PAPER,
        scores=_table_1(recognition=(0.470, 0.484), retrieval=(0.454, 0.441)),
    ),
    "efficientnet_b5_gem": _global(
        "tf_efficientnet_b5.ns_jft_in1k",
        704,
        pool="gem",
        neck="fc-bn",
        args={"pool_trainable": False},
        paper=_PAPER,
        scores=_table_1(retrieval=(0.459, 0.428)),
    ),
    # small ones for laptops and tests
    "dolg_efficientnet_lite0": _dolg("tf_efficientnet_lite0.in1k", 224, (3, 6, 9), **_LITE_INPUT),
    "dolg_efficientnet_b0": _dolg("tf_efficientnet_b0.ns_jft_in1k", 224, (3, 6, 9)),
    "efficientnet_lite0_gem": ModelCfg(
        "GlobalDescriptor", {"backbone": "tf_efficientnet_lite0.in1k"}, paper=_PAPER, **_LITE_INPUT
    ),
    "hybrid_efficientnet_b0_swin_tiny_224": _hybrid(
        "tf_efficientnet_b0.ns_jft_in1k", "swin_tiny_patch4_window7_224", 448, level=8
    ),
    # strong frozen ones: pretrained_backbone=True gives all their weights
    "dinov2_vit_small": _global(
        "vit_small_patch14_dinov2.lvd142m", 224, "cls", "none", embedding_dim=384, paper=_DINOV2
    ),
    "dinov2_vit_base": _global(
        "vit_base_patch14_dinov2.lvd142m", 224, "cls", "none", embedding_dim=768, paper=_DINOV2
    ),
    "dinov3_vit_small": _global(
        "vit_small_patch16_dinov3.lvd1689m", 256, "cls", "none", embedding_dim=384, paper=_DINOV3
    ),
    "siglip2_vit_base": _global(
        "vit_base_patch16_siglip_gap_224.v2_webli",
        224,
        "avg",
        "none",
        embedding_dim=768,
        paper=_SIGLIP2,
        mean=(0.5, 0.5, 0.5),
        std=(0.5, 0.5, 0.5),
    ),
}


def register_model(name: str, cfg: ModelCfg, *, exist_ok: bool = False) -> None:
    """Give a model a name of your own.

    Everything that takes a name then knows it: ``create_model``, ``list_models``, the command line.
    It is valid in this process. An installed package registers its models in every process by an entry point
    of the group ``landmarkzoo.models``, which names a module or a function that calls this. These are loaded
    first; one of their models whose name is taken is left out with a warning.

    Args:
        name: Letters, digits, ``_`` and ``-``. A dot would be a tag of weights.
        cfg: The model as data. That of a model that was built by hand is ``model.cfg``. If its ``weights``
            name a repository of the Hub, ``create_model(name, pretrained=True)`` loads them. Where it leaves
            ``embedding_dim`` out, that of the model is filled in. A cfg that you write from nothing has the
            defaults of ``ModelCfg``, 224 px and ImageNet's mean and std, whatever its backbone wants:
            ``model.cfg`` has those of the backbone.
        exist_ok: Replace another model of that name. The same one can always be registered again.

    Raises:
        TypeError: If ``name`` or ``cfg`` is of another type, or an argument of the model is a module.
        ValueError: If the name is not valid or is taken, the architecture is not registered or cannot be
            built from the arguments, or ``cfg.embedding_dim`` contradicts the model.

    Examples:
        >>> cfg = lz.GlobalDescriptor("resnet18", pool="avg", embedding_dim=128).cfg
        >>> lz.register_model("my_resnet", cfg)
        >>> lz.create_model("my_resnet").embedding_dim
        128
    """
    if not isinstance(name, str) or not isinstance(cfg, ModelCfg):
        raise TypeError(
            f"register_model takes a name and a lz.ModelCfg, got {type(name).__name__} and "
            f"{type(cfg).__name__}; the cfg of a model is model.cfg"
        )
    if not re.fullmatch(r"[A-Za-z0-9_-]+", name):
        raise ValueError(
            f"{name!r} cannot be the name of a model: it is made of letters, digits, _ and -; a dot is for "
            "the tag of weights, colons and slashes are for saved models"
        )
    load_plugins()  # first, so that who comes first does not depend on what was asked before
    cfg = replace(cfg, name=None)  # models created from it get the name that create_model was given
    if _MODELS.get(name) == cfg:
        return
    architecture = find_architecture(cfg.architecture)
    check_arguments(architecture, cfg.args)
    for argument, value in cfg.args.items():
        if isinstance(value, nn.Module):
            raise TypeError(
                f"{argument} is a module, {type(value).__name__}, which all models of that name would share: "
                "write a subclass of lz.GlobalDescriptor that makes it, and lz.register_architecture"
            )
    cfg = _completed(name, architecture, cfg)
    if _MODELS.get(name, cfg) == cfg or exist_ok:
        _MODELS[name] = cfg
        return
    clash = f"there is a model {name!r} already: use another name, or exist_ok=True to replace it"
    plugin = plugin_in_loading()
    if plugin is None:
        raise ValueError(clash)
    warnings.warn(f"{plugin}: its model {name!r} is left out, {clash}", stacklevel=2)


def _completed(name: str, architecture: type[DescriptorModel], cfg: ModelCfg) -> ModelCfg:
    """The cfg with the size of the descriptors, where it leaves it at its default; checked otherwise."""
    try:
        model = build_to_look_at(architecture, cfg.args)
    except Exception as error:
        raise ValueError(
            f"{name!r} cannot be registered, as {cfg.architecture}(**cfg.args) fails with "
            f"{type(error).__name__}: {error}. cfg.args must be the arguments of {cfg.architecture} itself, "
            "without those that it sets for its parent"
        ) from error
    size = model.embedding_dim
    if cfg.embedding_dim not in (size, ModelCfg.embedding_dim):  # the default may just be left as it is
        raise ValueError(
            f"{name!r} cannot be registered: cfg.embedding_dim is {cfg.embedding_dim}, but the model gives "
            f"descriptors of size {size}"
        )
    return replace(cfg, embedding_dim=size)


def list_models(filter: str | Iterable[str] = "*", *, pretrained: bool = False) -> list[str]:
    """Sorted names of the registered models.

    Args:
        filter: Wildcard such as ``"dolg*"``, or several; a name is listed if one of them matches.
        pretrained: Only models whose landmark weights can be loaded by name.

    Examples:
        >>> lz.list_models("dolg*lite*")
        ['dolg_efficientnet_lite0']
    """
    if not isinstance(filter, Iterable):
        raise TypeError(f"filter must be a wildcard, such as 'dolg*', or several, got {filter!r}")
    load_plugins()
    filters = [filter] if isinstance(filter, str) else list(filter)
    return sorted(
        name
        for name, cfg in list(_MODELS.items())
        if (cfg.weights is not None or not pretrained)
        and any(fnmatch.fnmatchcase(name, pattern or "*") for pattern in filters)
    )


def is_model(name: str) -> bool:
    """Whether a model of this name is registered.

    Examples:
        >>> lz.is_model("dolg_efficientnet_b5"), lz.is_model("resnet50")
        (True, False)
    """
    load_plugins()
    return name in _MODELS


def get_model_cfg(name: str) -> ModelCfg:
    """The registered model as data.

    Args:
        name: A name of ``list_models``.

    Raises:
        TypeError: If the name is not a string.
        ValueError: If no model has that name; near misses are named.

    Examples:
        >>> lz.get_model_cfg("dolg_efficientnet_b7").input_size
        (3, 448, 448)
    """
    if not isinstance(name, str):
        raise TypeError(
            f"a model is named by a string, such as 'dolg_efficientnet_b5', got {type(name).__name__}; see "
            "lz.list_models()"
        )
    load_plugins()
    base, _, tag = name.partition(".")
    if base not in _MODELS:
        near = did_you_mean(base, _MODELS)
        raise ValueError(
            f"landmarkzoo has no model {name!r}.{near} See lz.list_models() or landmarkzoo models."
        )
    if tag:
        raise ValueError(
            f"{name!r}: there are no weights with the tag {tag!r}, nor with any other yet; the model "
            f"itself is {base!r}"
        )
    return replace(_MODELS[base], name=base)


def find_architecture(name: str) -> type[DescriptorModel]:
    """The registered class of that name.

    Raises:
        ValueError: If no class of that name is registered.

    Examples:
        >>> find_architecture("DOLG") is lz.DOLG
        True
    """
    if name not in ARCHITECTURES:
        load_plugins()
    if name not in ARCHITECTURES:
        raise ValueError(
            f"the architecture {name!r} is not registered; there are {', '.join(ARCHITECTURES)}."
            f"{did_you_mean(name, ARCHITECTURES)} If it is of another package, import the module that "
            f"registers it first; in your own code call lz.register_architecture({name}). If it is of a "
            "newer landmarkzoo, upgrade."
        )
    return ARCHITECTURES[name]


def check_arguments(architecture: type[DescriptorModel], arguments: Mapping[str, Any]) -> None:
    """Raise if a class does not take all of these arguments.

    Raises:
        ValueError: With the arguments that it takes.
    """
    known = [name for name in arguments_of(architecture) if name != "pretrained_backbone"]
    if NORMALIZE_POOLED not in known:
        known.append(NORMALIZE_POOLED)  # which every model takes: `build` sets the neck
    for_timm = " or ".join(name for name in known if name.endswith("_args"))
    for_timm = for_timm and f" Arguments of a timm model go into {for_timm}."
    for argument in arguments:
        if argument == "num_classes" and argument not in known:
            raise ValueError(
                "num_classes: a landmarkzoo model ends in a descriptor; classes belong to the head, "
                "which is built beside it with model.embedding_dim inputs and num_classes outputs"
            )
        if argument not in known:
            raise ValueError(
                f"{architecture.__name__} has no argument {argument!r}.{did_you_mean(argument, known)} "
                f"It takes: {', '.join(known)}.{for_timm}"
            )
