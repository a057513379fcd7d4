"""What PyTorch wraps around a model: torch.compile, DataParallel and the like."""

from __future__ import annotations

from torch import nn
from torch.nn.parallel import DistributedDataParallel
from torch.optim.swa_utils import AveragedModel

_HOLDERS = (nn.DataParallel, DistributedDataParallel, AveragedModel)


def unwrapped(model: nn.Module) -> nn.Module:
    """The model inside ``torch.compile``, ``DataParallel``, ``DistributedDataParallel``, ``AveragedModel``.

    They may be nested in any order. A model that is not wrapped is given back as it is.

    Examples:
        >>> from landmarkzoo.models.wrappers import unwrapped
        >>> model = lz.create_model("efficientnet_lite0_gem")
        >>> unwrapped(torch.nn.DataParallel(torch.compile(model))) is model
        True
    """
    while True:
        # torch.compile's class is not imported for a comparison: that would take a second.
        if "_orig_mod" in model._modules:
            model = model._modules["_orig_mod"]  # type: ignore[assignment]
        elif isinstance(model, _HOLDERS):
            model = model.module
        else:
            return model
