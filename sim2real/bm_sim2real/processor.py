"""What the processor can do, as far as it decides how a network is run."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

CPU_INFO = Path("/proc/cpuinfo")

_FOR_SMALL_NUMBERS = ("amx_int8", "amx_bf16", "avx512_vnni", "avx_vnni", "avx512f", "avx2", "asimddp", "i8mm")
_EXACT_INT8_SUMS = {"amx_int8", "avx512_vnni", "avx_vnni"}


@lru_cache(maxsize=1)
def instruction_sets(cpu_info: Path = CPU_INFO) -> tuple[str, ...]:
    """Of those that make int8 and fp16 fast, what this processor has; empty where Linux does not tell."""
    try:
        text = cpu_info.read_text()
    except OSError:
        return ()
    flags = next((line.split() for line in text.splitlines() if line.startswith(("flags", "Features"))), [])
    return tuple(name for name in _FOR_SMALL_NUMBERS if name in flags)


def keep_int8_sums_exact(options: Any, available: tuple[str, ...] | None = None) -> None:
    """Set onnxruntime's SessionOptions so that int8 products do not saturate; `available`: default this processor's.

    Without VNNI or AMX, x86-64 adds products of signed weights in 16 bits, and the weights must be made unsigned. With
    them both are exact, but ONNX Runtime (1.31) has no AMX for unsigned ones: a planner's pass takes twice as long.
    """
    if not _EXACT_INT8_SUMS.intersection(instruction_sets() if available is None else available):
        options.add_session_config_entry("session.x64quantprecision", "1")
