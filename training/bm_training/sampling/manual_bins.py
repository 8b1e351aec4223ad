"""Bin probabilities by hand, from a YAML file: one weight for a whole clip, or one for each of its bins.

walk: 1.0
cartwheel: [0, 0, 5, 5, 1]

Clips that are not named are never drawn. Weights are relative; durations do not count.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from bm_core.errors import ConfigError
from bm_core.strict_yaml import read_yaml
from bm_training.sampling.bins import BinTable


def read_bin_weights(file: Path, names: Sequence[str], bins: BinTable) -> Tensor:
    """(B,) float64. ConfigError names file, clip and what is allowed."""
    document = read_yaml(file)
    if not isinstance(document, dict) or not document:
        raise ConfigError(f"{file}: must be lines of the form  walk: 1.0  or  kick: [0, 2, 1]")
    unknown = [str(name) for name in document if name not in names]
    if unknown:
        raise ConfigError(f"{file}: no clip {unknown[0]!r} in this run; clips: {', '.join(names[:20])}")
    weights = torch.zeros(bins.num_bins, dtype=torch.float64)
    for name, given in document.items():
        motion = list(names).index(name)
        first, num = int(bins.motion_first_bin[motion]), int(bins.motion_num_bins[motion])
        weights[first : first + num] = _values(f"{file}: {name}", given, num)
    if float(weights.sum()) == 0.0:
        raise ConfigError(f"{file}: all weights are 0; at least one must be positive")
    return weights


def _values(where: str, given: Any, num: int) -> Tensor:
    values = given if isinstance(given, list) else [given] * num
    if len(values) != num:
        raise ConfigError(f"{where}: {len(values)} weights, but the clip has {num} bins; give one number or {num}")
    for value in values:
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0.0 <= value < float("inf"):
            raise ConfigError(f"{where}: {value!r}: must be a number >= 0")
    return torch.tensor(values, dtype=torch.float64)
