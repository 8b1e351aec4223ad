"""The device that a command computes on."""

from __future__ import annotations

from bm_core.errors import ConfigError


def usable_device(device: str | None) -> str:
    """`device`, or without one a GPU where there is one, else the CPU. ConfigError for one that torch cannot use."""
    import torch

    chosen = device or ("cuda:0" if torch.cuda.is_available() else "cpu")
    try:
        torch.zeros(1, device=chosen)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise ConfigError(f"--device {chosen}: {reason}; give cpu, or cuda:N of a GPU of this machine") from error
    return chosen
