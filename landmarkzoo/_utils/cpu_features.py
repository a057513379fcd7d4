"""What the CPU computes in hardware."""

from __future__ import annotations

import torch


def has_native_bfloat16() -> bool:
    """Whether the CPU multiplies bfloat16 in hardware: by AVX512-BF16 or AMX. Without, it is slow.

    PyTorch is asked; one that cannot say, and a CPU that is not x86, count as having none.

    Examples:
        >>> has_native_bfloat16() in (True, False)
        True
    """
    names = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    return any(bool(getattr(torch.cpu, name, bool)()) for name in names)
