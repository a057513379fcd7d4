"""A model from its class and ``cfg.args``, and the check that a saved one comes back as it was."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from landmarkzoo._utils.registering import arguments_of, own_arguments
from landmarkzoo.hub.model_files import differences, plain_state_dict, through_json
from landmarkzoo.layers import Neck

if TYPE_CHECKING:
    from landmarkzoo.models.descriptor_model import DescriptorModel

# The argument that every model takes: of a class that does not name it, `build` sets the neck.
NORMALIZE_POOLED = "normalize_pooled"


def build(architecture: type[DescriptorModel], args: Mapping[str, Any]) -> DescriptorModel:
    """A model of a class from ``cfg.args``, also where ``whiten_neck`` has added ``normalize_pooled``."""
    args = dict(args)
    normalize = NORMALIZE_POOLED not in arguments_of(architecture) and args.pop(NORMALIZE_POOLED, False)
    model = architecture(**args)
    if normalize:
        normalize_pooled_features(model)
    return model


def build_to_look_at(architecture: type[DescriptorModel], args: Mapping[str, Any]) -> DescriptorModel:
    """A model like ``build``, for its names and shapes only: without weights where possible."""
    args = dict(args)
    if "pretrained_backbone" in arguments_of(architecture):
        args["pretrained_backbone"] = False
    with torch.random.fork_rng(devices=[]):
        with suppress(Exception), torch.device("meta"):
            return build(architecture, args)
        # A class that computes with its weights while it is built needs real ones. This does not stand in an
        # `except`, where Python 3.11 raises a KeyError for "got multiple values for keyword argument".
        with torch.device("cpu"):
            return build(architecture, args)


def normalize_pooled_features(model: DescriptorModel) -> None:
    """From now on L2-normalise the pooled features before the neck; ``model.cfg`` says so.

    Raises:
        TypeError: If the neck is not a ``landmarkzoo.layers.Neck``.
    """
    if not isinstance(model.neck, Neck):
        raise TypeError(
            f"{NORMALIZE_POOLED} needs a neck of landmarkzoo, lz.layers.Neck, got {type(model.neck).__name__}"
        )
    model.neck.normalize_input = True
    model.cfg = replace(model.cfg, args={**model.cfg.args, NORMALIZE_POOLED: True})


def check_comes_back(model: DescriptorModel) -> None:
    """Raise if a saved model could not be built again from its class and ``cfg``.

    Raises:
        TypeError: If an argument is a module, or JSON cannot hold it.
        ValueError: If ``cfg`` says something else than the model is.
    """
    kind, args = type(model), model.cfg.args
    _check_names(kind, args)
    _check_values(kind, args)
    try:
        again = build_to_look_at(kind, args)
    except Exception as error:
        shown = ", ".join(f"{name}={value!r}" for name, value in args.items())
        raise ValueError(
            f"a saved {kind.__name__} could not be loaded, as {kind.__name__}(**cfg.args) fails with "
            f"{type(error).__name__}: {error}. cfg.args are {shown}. {_advice(kind)}"
        ) from error
    problems = differences(plain_state_dict(model), again.state_dict())
    if problems:
        more = f", and {len(problems) - 3} more" if len(problems) > 3 else ""
        raise ValueError(
            f"a saved {kind.__name__} would not come back the same, as {kind.__name__}(**cfg.args) has other "
            f"weights than this model, in which {', '.join(problems[:3])}{more}. Was the model changed after "
            f"it was built? Otherwise: {_advice(kind)}"
        )
    if model.cfg.embedding_dim != model.embedding_dim:
        raise ValueError(
            f"cfg.embedding_dim is {model.cfg.embedding_dim}, but this {kind.__name__} gives descriptors of "
            f"size {model.embedding_dim}: write lz.ModelCfg(..., embedding_dim=self.embedding_dim)"
        )


def _check_values(kind: type[DescriptorModel], args: Mapping[str, Any]) -> None:
    """Raise if a file cannot hold an argument, or would give another one back."""
    modules = {name: value for name, value in args.items() if isinstance(value, nn.Module)}
    if modules:
        given = " and ".join(f"{name}={type(value).__name__}(...)" for name, value in modules.items())
        raise TypeError(
            f"this {kind.__name__} was given a module, {given}, which cannot be built again from a file. "
            f"To save it, write a subclass of {kind.__name__} that makes its modules from numbers and "
            "names, and register it by lz.register_architecture"
        )
    for name, value in args.items():
        try:
            back = through_json(value)
        except (TypeError, ValueError) as error:
            back = error
        if repr(back) != repr(value):
            cause = f" ({back})" if isinstance(back, Exception) else f", which would come back as {back!r}"
            raise TypeError(
                f"the argument {name} of this {kind.__name__} is {value!r}{cause}: config.json holds "
                "numbers, strings, booleans, None, tuples, and dictionaries whose keys are strings"
            )


def _check_names(kind: type[DescriptorModel], args: Mapping[str, Any]) -> None:
    """Raise if ``args`` lack an argument of the class, or have one that it does not take."""
    own, _ = own_arguments(_initialised_by(kind))
    missing = [name for name in own if name not in args and name != "pretrained_backbone"]
    known = {*arguments_of(kind), NORMALIZE_POOLED} - {"pretrained_backbone"}
    unknown = [name for name in args if name not in known]
    problems = [f"lacks {', '.join(missing)}, which {kind.__name__} takes"] if missing else []
    if unknown == ["pretrained_backbone"]:
        problems.append(
            "has pretrained_backbone, which is not a part of a saved model: let "
            f"{kind.__name__}.__init__ name it as an argument"
        )
    elif unknown:
        problems.append(f"has {', '.join(unknown)}, which {kind.__name__} does not take")
    if problems:
        raise ValueError(
            f"cfg.args {' and '.join(problems)}: a saved {kind.__name__} would not come back the same. "
            f"{_advice(kind)}"
        )


def _advice(kind: type[DescriptorModel]) -> str:
    """The line that a class is to write."""
    owner = _initialised_by(kind)
    own, passes_on = own_arguments(owner)
    wanted = [f"{name!r}: {name}" for name in own if name != "pretrained_backbone"]
    if passes_on is not None:
        wanted.append(f"**{passes_on}")
    return (
        f"cfg.args are the arguments of {kind.__name__} itself, without those that it sets for its parent: "
        f"at the end of {owner.__name__}.__init__ write self.cfg = dataclasses.replace(self.cfg, "
        f"args={{{', '.join(wanted)}}})"
    )


def _initialised_by(kind: type) -> type:
    return next(parent for parent in kind.__mro__ if "__init__" in vars(parent))
