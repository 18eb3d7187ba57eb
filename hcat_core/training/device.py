"""The device of a training (``training.device``) and the precision of its matrix products."""

from __future__ import annotations

import torch

from hcat_core.errors import UsageError


def choose_device(name: str) -> torch.device:
    """The torch device of that name; ``auto`` is a GPU where there is one.

    Raises:
        UsageError: for a device that torch does not know or this machine does not have.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise UsageError(f"training.device: {name!r} is not available here: {reason}") from None
    return device


def refuse_precision(precision: str, device: torch.device) -> None:
    """Raise UsageError for bf16 on a processor that only emulates it, more slowly than float32."""
    if precision == "float32":
        return
    if device.type == "cuda":
        has = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        has = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    if not has:
        raise UsageError(f'training.precision: the {device} here has no bf16. Leave it at "float32".')


def matmul_precision(precision: str, device: torch.device) -> torch.autocast:
    """The context of a forward pass; weights and their gradients stay float32."""
    return torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16")
