"""In which dtype embeddings and centers are multiplied."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from landmarkzoo.layers.precision import has_bfloat16

MatmulDtype = Literal["auto", "float32", "bfloat16"]

_LARGE = 2**22  # values of the weight from which products in bfloat16 are worth their rounding


def matmul_dtype(choice: MatmulDtype, unit: Tensor, weight: Tensor) -> torch.dtype:
    """Dtype for the products of embeddings (B, D) with centers (C * K, D).

    Args:
        choice: ``"float32"`` means that of the embeddings, which is float32 or float64.
        unit: The embeddings.
        weight: The centers.

    Examples:
        >>> matmul_dtype("auto", torch.ones(1, 2), torch.ones(3, 2))
        torch.float32
    """
    if choice == "auto":
        low = torch.is_autocast_enabled(unit.device.type) and weight.numel() >= _LARGE
        choice = "bfloat16" if low and has_bfloat16(unit.device) else "float32"
    return torch.bfloat16 if choice == "bfloat16" and unit.dtype == torch.float32 else unit.dtype
