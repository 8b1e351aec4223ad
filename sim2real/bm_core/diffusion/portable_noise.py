"""Normal numbers that are the same on every NumPy: for recordings that must replay years later."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bm_core.diffusion.sampler import Sampler, SamplerNoise

_UNIT = 2.0**-53


def portable_noise(sampler: Sampler, seed: int, tokens: int) -> SamplerNoise:
    """Noise of a whole loop for one plan, float32 values in float64 arrays.

    NumPy promises equal raw numbers of a bit generator for ever, but not equal normal ones: Box-Muller makes them here.
    """
    bits, passes = np.random.PCG64(seed), sampler.action_passes or sampler.passes
    return SamplerNoise(
        states=_normal(bits, (sampler.passes + 1, 1, tokens, sampler.state_codec.model_width)),
        actions=_normal(bits, (passes + 1, 1, tokens, sampler.action_codec.model_width)),
    )


def _normal(bits: np.random.PCG64, shape: tuple[int, ...]) -> NDArray[np.float64]:
    count = int(np.prod(shape))
    raw = np.asarray(bits.random_raw(2 * count), dtype=np.uint64) >> np.uint64(11)
    uniform = (raw.astype(np.float64) + 0.5) * _UNIT
    normal = np.sqrt(-2.0 * np.log(uniform[:count])) * np.cos(2.0 * np.pi * uniform[count:])
    return normal.astype(np.float32).astype(np.float64).reshape(shape)
