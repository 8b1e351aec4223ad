"""Closed loops inside a training run: reconstruction losses alone mislead."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from bm_core.diffusion.guidance.settings import GuidanceSpec
from bm_core.diffusion.spec import DiffusionSpec
from bm_core.g1 import CONTROL_DT
from bm_training.diffusion.batch_planner import BatchPlanner, BatchPlannerConfig
from bm_training.diffusion.closed_loop import run_trial
from bm_training.diffusion.decoders import ActionDecoder
from bm_training.diffusion.sampler import TorchDenoiser
from bm_training.diffusion.trial import Trial, TrialConfig
from bm_training.require import require

if TYPE_CHECKING:
    from bm_training.diffusion.model import TokenTransformer
    from bm_training.diffusion.stage import Stage

Gate = Callable[["TokenTransformer", DiffusionSpec, ActionDecoder], dict[str, float]]
"""Averaged network, its spec, its decoder -> scalars for the log."""


@dataclass(frozen=True, kw_only=True)
class GateConfig:
    """What is asked of the model every so often."""

    robots: int = 256
    seconds: float = 15.0
    """Of Walk + Perturb"""
    latency: int = 1
    """Control steps"""
    passes: int = 10
    """Of the network for a plan, from noise"""
    teacher: Path | None = None
    """Walks the robots in; None: the shipped one."""
    backend: str = "newton"
    seed: int = 0

    def __post_init__(self) -> None:
        require(self.robots >= 1, "gate_envs", self.robots, ">= 1 robot")
        require(CONTROL_DT <= self.seconds < math.inf, "gate_seconds", self.seconds, "at least a control step, 0.02 s")


@contextmanager
def simulated_gate(config: GateConfig, device: str) -> Iterator[Gate]:
    """A gate with its robots, for as long as the context lasts."""
    from bm_training.diffusion.simulated_env import simulated_env
    from bm_training.diffusion.stage import Stage, stage_env_cfg
    from bm_training.diffusion.task_setup import teacher_task
    from bm_training.diffusion.teacher import read_teacher
    from bm_training.diffusion.walk_clip import walk_motions

    teacher = read_teacher(config.teacher, device)
    task = teacher_task(
        teacher,
        walk_motions(),
        num_envs=config.robots,
        backend=config.backend,
        device=device,
        seed=config.seed,
        max_delay_ms=20.0,
    )
    cfg = stage_env_cfg(task, is_randomised=True)
    with simulated_env(cfg) as env:
        stage = Stage(env, teacher)
        yield lambda model, spec, decoder: _measure(stage, config, model, spec, decoder)


def _measure(
    stage: Stage, config: GateConfig, model: TokenTransformer, spec: DiffusionSpec, decoder: ActionDecoder
) -> dict[str, float]:
    denoiser = TorchDenoiser(model, is_bf16=stage.device.startswith("cuda"))
    settings = BatchPlannerConfig(latency=config.latency, is_warm=False, seed=config.seed)
    few = replace(spec, sampler=replace(spec.sampler, passes=config.passes))
    planner = BatchPlanner(few, denoiser, stage.num_robots, stage.device, settings)
    trial = Trial(
        TrialConfig(name="walk-perturb", seconds=config.seconds, seed=config.seed), stage.num_robots, stage.device
    )
    found = run_trial(stage, planner, decoder, trial, GuidanceSpec()).score.summary()
    return {f"gate/{name}": float(found[name]) for name in ("success_rate", "fall_rate", "path_m")}
