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
from landmarkzoo.models.descriptor_model import ARCHITECTURES, DescriptorModel
from landmarkzoo.models.model_cfg import ModelCfg
from landmarkzoo.models.packaged_weights import packaged_folder
from landmarkzoo.models.published_entries import PUBLISHED
from landmarkzoo.models.rebuilding import NORMALIZE_POOLED, build_to_look_at
from landmarkzoo.models.zoo_entries import OURS

# name -> tag of its weights -> model. The tag is "" where a name has weights of one kind, or none.
_MODELS: dict[str, dict[str, ModelCfg]] = {**{name: {"": cfg} for name, cfg in OURS.items()}, **PUBLISHED}


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
        exist_ok: Replace another model of that name, with all its tags. The same one can always be registered
            again.

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
    known = _MODELS.get(name)
    if known is not None and _first(known) == cfg:
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
    if known is None or _first(known) == cfg or exist_ok:
        _MODELS[name] = {"": cfg}
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
        filter: Wildcard such as ``"dolg*"``, or several; a name is listed if one of them matches it, with
            its tag or without.
        pretrained: List the landmark weights that can be loaded by name, ``"name.tag"``, instead.

    Examples:
        >>> lz.list_models("dolg*lite*")
        ['dolg_efficientnet_lite0']
        >>> lz.list_models("gem_resnet50", pretrained=True)
        ['gem_resnet50.gl18', 'gem_resnet50.sfm120k']
    """
    if not isinstance(filter, Iterable):
        raise TypeError(f"filter must be a wildcard, such as 'dolg*', or several, got {filter!r}")
    load_plugins()
    patterns = [pattern or "*" for pattern in ([filter] if isinstance(filter, str) else filter)]

    def fits(name: str) -> bool:
        return any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)

    if not pretrained:
        return sorted(name for name in list(_MODELS) if fits(name))
    return sorted(
        _with_tag(name, tag)
        for name, tags in list(_MODELS.items())
        for tag, cfg in tags.items()
        if cfg.weights is not None and (fits(name) or fits(_with_tag(name, tag)))
    )


def is_model(name: str) -> bool:
    """Whether a model of this name is registered, with its tag if the name has one.

    Examples:
        >>> lz.is_model("dolg_efficientnet_b5"), lz.is_model("gem_resnet50.gl18"), lz.is_model("resnet50")
        (True, True, False)
    """
    load_plugins()
    base, dot, tag = str(name).partition(".")
    return base in _MODELS and (tag in _MODELS[base] if tag else not dot)


def get_model_cfg(name: str) -> ModelCfg:
    """The registered model as data.

    Args:
        name: ``"name"`` or ``"name.tag"``; a name without its tag is that of its first tag.

    Raises:
        TypeError: If the name is not a string.
        ValueError: If no model has that name, or it has no such tag; near misses are named.

    Examples:
        >>> lz.get_model_cfg("dolg_efficientnet_b7").input_size
        (3, 448, 448)
        >>> lz.get_model_cfg("gem_resnet50").name
        'gem_resnet50.sfm120k'
    """
    if not isinstance(name, str):
        raise TypeError(
            f"a model is named by a string, such as 'dolg_efficientnet_b5', got {type(name).__name__}; see "
            "lz.list_models()"
        )
    load_plugins()
    base, dot, tag = name.partition(".")
    if base not in _MODELS:
        near = did_you_mean(base, _MODELS)
        raise ValueError(
            f"landmarkzoo has no model {name!r}.{near} See lz.list_models() or landmarkzoo models."
        )
    tags = _MODELS[base]
    if not dot:
        tag = next(iter(tags))
    elif not tag or tag not in tags:
        known = [known for known in tags if known]
        there_are = (
            f"it has {', '.join(known)}.{did_you_mean(tag, known)}"
            if known
            else f"nor with any other; the model itself is {base!r}"
        )
        raise ValueError(f"{name!r}: there are no weights with the tag {tag!r}, {there_are}")
    return replace(tags[tag], name=_with_tag(base, tag))


def pretrained_cfg(name: str) -> ModelCfg:
    """The registered model whose landmark weights a name stands for, where they are asked for.

    Args:
        name: As for :func:`get_model_cfg`. A name alone is its entry, or where that has no weights its first
            tag that has.

    Raises:
        TypeError: As :func:`get_model_cfg`.
        ValueError: As :func:`get_model_cfg`.

    Examples:
        >>> pretrained_cfg("gem_resnet50").name, pretrained_cfg("efficientnet_lite0_gem").name
        ('gem_resnet50.sfm120k', 'efficientnet_lite0_gem.rendered')
        >>> pretrained_cfg("dolg_efficientnet_b7").weights is None
        True
    """
    cfg = get_model_cfg(name)
    if cfg.weights is not None or "." in name:
        return cfg
    first = next((tag for tag, tagged in _MODELS[name].items() if tagged.weights is not None), None)
    return cfg if first is None else get_model_cfg(_with_tag(name, first))


def _first(tags: Mapping[str, ModelCfg]) -> ModelCfg:
    return next(iter(tags.values()))


def _with_tag(name: str, tag: str) -> str:
    return f"{name}.{tag}" if tag else name


def without_weights(cfg: ModelCfg) -> ModelCfg:
    """The cfg of a registered model whose landmark weights are not those of its entry.

    Its name has no tag, and the scores are those of the authors' weights, which these are not; those of
    weights that lie in the package are left out.

    Examples:
        >>> cfg = without_weights(lz.get_model_cfg("gem_resnet50.gl18"))
        >>> cfg.name, cfg.weights, cfg.scores[0].of_paper
        ('gem_resnet50', None, True)
    """
    if cfg.weights is None and "." not in str(cfg.name):
        return cfg
    ours = packaged_folder(cfg.weights) is not None
    return replace(
        cfg,
        name=cfg.name and cfg.name.partition(".")[0],
        weights=None,
        training_data=None,
        license=None,
        scores=() if ours else tuple(replace(score, of_paper=True) for score in cfg.scores),
    )


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
