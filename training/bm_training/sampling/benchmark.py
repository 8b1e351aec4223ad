"""What a step of the adaptive sampler costs: the same for 5 motions and for 1000 (`bm bench training`)."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from bm_training.sampling.adaptive_sampler import AdaptiveSampler
from bm_training.sampling.config import AdaptiveSamplerConfig
from bm_training.sampling.episode_counter import EpisodeCounter

_FPS = 50.0


@dataclass(frozen=True, kw_only=True)
class BenchmarkRow:
    """Time of one operation for all environments, ms."""

    motions: int
    bins: int
    operation: str
    p50_ms: float
    p99_ms: float
    max_ms: float


def benchmark_sampler(
    *,
    num_motions: tuple[int, ...] = (5, 46, 1000),
    num_envs: int = 4096,
    repeats: int = 200,
    device: torch.device | str = "cpu",
) -> list[BenchmarkRow]:
    """Time `num_envs` draws, starts, steps and failures, and the end of an iteration, on clips of 2-20 s."""
    rows = []
    for motions in num_motions:
        lengths = np.random.default_rng(0).integers(100, 1001, size=motions).tolist()
        generator = torch.Generator(device).manual_seed(0)
        sampler = AdaptiveSampler(AdaptiveSamplerConfig(), lengths, [1.0] * motions, _FPS, generator)
        for operation, function in _operations(sampler, num_envs).items():
            p50, p99, slowest = percentiles(function, repeats, sampler.device)
            row = BenchmarkRow(
                motions=motions, bins=sampler.bins.num_bins, operation=operation, p50_ms=p50, p99_ms=p99, max_ms=slowest
            )
            rows.append(row)
    return rows


def _operations(sampler: AdaptiveSampler, num_envs: int) -> dict[str, Callable[[], object]]:
    counter = EpisodeCounter(sampler, num_envs)
    motion_id, frame = sampler.sample(num_envs)
    env_ids = torch.arange(num_envs, device=sampler.device)
    failed = torch.arange(num_envs, device=sampler.device) % 100 == 0
    return {
        "sample": lambda: sampler.sample(num_envs),
        "start": lambda: counter.start(env_ids, motion_id, frame),
        "step": lambda: counter.step(motion_id, frame + 1),
        "fail": lambda: counter.fail(failed),
        "end_iteration": sampler.end_iteration,
    }


def percentiles(function: Callable[[], object], repeats: int, device: torch.device) -> tuple[float, float, float]:
    """p50, p99 and maximum of its time, ms; waits for the device before and after each call."""

    def wait() -> None:
        if device.type == "cuda":
            torch.cuda.synchronize(device)

    for _ in range(10):  # the first calls allocate and, on a GPU, load kernels
        function()
    times_ms = np.empty(repeats)
    for i in range(repeats):
        wait()
        begin = time.perf_counter()
        function()
        wait()
        times_ms[i] = 1e3 * (time.perf_counter() - begin)
    p50, p99 = np.percentile(times_ms, [50, 99])
    return float(p50), float(p99), float(times_ms.max())
