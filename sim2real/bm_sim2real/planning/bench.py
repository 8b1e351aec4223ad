"""How long passes and whole plans take on this machine."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bm_core.diffusion.bundle import DiffusionBundle
from bm_core.diffusion.guidance.goal import GuidanceGoal
from bm_core.diffusion.guidance.steering import GoalSteering
from bm_core.diffusion.planner import Planner, Steering
from bm_core.diffusion.spec import SamplerSpec
from bm_sim2real.planning.denoiser import OnnxDenoiser
from bm_sim2real.planning.policy import PilotConfig
from bm_sim2real.timing import percentiles

_WARM_UP = 3


@dataclass(frozen=True, kw_only=True)
class PlanTiming:
    """ms as p50, p95, p99 and max; cpu_p50 and cpu_p99 in CPU time, which others on the machine change less."""

    full_pass: dict[str, float]
    """States and the supervised actions."""
    states_pass: dict[str, float]
    plan: dict[str, float]
    """A warm plan, kinematics of the history included."""
    guided_plan: dict[str, float]
    """The same, told to walk at a velocity."""
    precision: str
    """Of the weights."""
    sampler: SamplerSpec
    """Settings that were timed."""


def time_plans(path: str | Path, config: PilotConfig, plans: int = 100, steering: Steering | None = None) -> PlanTiming:
    """Replays the histories of the bundle's golden trace. `steering` for guided plans; default: a velocity."""
    bundle = DiffusionBundle.read(path)
    denoiser = OnnxDenoiser(path, bundle.contract.spec, provider=config.provider, threads=config.threads)
    bundle.prove(denoiser)
    return PlanTiming(
        precision=bundle.contract.precision,
        sampler=config.sampler(bundle.contract.spec.sampler),
        full_pass=_timed(_passes(bundle, denoiser, is_full=True), plans),
        states_pass=_timed(_passes(bundle, denoiser, is_full=False), plans),
        plan=_timed(_plans(bundle, denoiser, config, None), plans),
        guided_plan=_timed(_plans(bundle, denoiser, config, steering or _walking(bundle)), plans),
    )


def plan_latency_s(path: str | Path, config: PilotConfig, plans: int = 60) -> float:
    """p95 of a guided plan."""
    bundle = DiffusionBundle.read(path)
    denoiser = OnnxDenoiser(path, bundle.contract.spec, provider=config.provider, threads=config.threads)
    return 1e-3 * _timed(_plans(bundle, denoiser, config, _walking(bundle)), plans)["p95"]


def _walking(bundle: DiffusionBundle) -> Steering:
    """What the joystick asks for: a velocity, under the bundle's own guidance settings."""
    spec = bundle.contract.spec
    return GoalSteering(
        goal=GuidanceGoal(velocity=(0.5, 0.0, 0.2)),
        settings=bundle.contract.guidance,
        layout=spec.layout,
        representation=spec.representation,
    )


def _plans(
    bundle: DiffusionBundle, denoiser: OnnxDenoiser, config: PilotConfig, steering: Steering | None
) -> Callable[[int], None]:
    from dataclasses import replace

    spec, trace = bundle.contract.spec, bundle.trace
    planner = Planner(replace(spec, sampler=config.sampler(spec.sampler)), denoiser, is_warm=config.is_warm)
    histories, step = [trace.history(i) for i in range(trace.num_plans)], spec.layout.steps_per_token

    def run(index: int) -> None:
        planner.plan(histories[index % len(histories)], step=index * step, committed=step, steering=steering)

    return run


def _passes(bundle: DiffusionBundle, denoiser: OnnxDenoiser, *, is_full: bool) -> Callable[[int], None]:
    spec, rng = bundle.contract.spec, np.random.default_rng(0)
    tokens = spec.layout.tokens
    states, actions = (
        rng.normal(size=(1, tokens, codec.model_width)) for codec in (spec.state_codec, spec.action_codec)
    )
    levels = rng.integers(spec.levels + 1, size=(1, tokens))
    return lambda index: denoiser(states, actions if is_full else None, levels, levels if is_full else None) and None


def _timed(run: Callable[[int], None], count: int) -> dict[str, float]:
    seconds, cpu_seconds = [], []
    for index in range(_WARM_UP + count):
        begun, cpu_begun = time.perf_counter(), time.process_time()
        run(index)
        cpu_seconds.append(time.process_time() - cpu_begun)
        seconds.append(time.perf_counter() - begun)
    kept, cpu = seconds[_WARM_UP:], percentiles(cpu_seconds[_WARM_UP:], 1e3)
    p95 = 1e3 * float(np.percentile(kept, 95))
    return {**percentiles(kept, 1e3), "p95": p95, "cpu_p50": cpu["p50"], "cpu_p99": cpu["p99"]}
