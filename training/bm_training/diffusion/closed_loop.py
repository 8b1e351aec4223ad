"""One closed loop: the tracker walks the robots in, then plans take over."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from bm_core.diffusion.guidance.settings import GuidanceSpec
from bm_core.diffusion.guidance.steering import guidance_of, joystick_costs
from bm_core.diffusion.sampler import Guidance
from bm_core.diffusion.spec import DiffusionSpec
from bm_training.diffusion.batch_history import root_state
from bm_training.diffusion.batch_planner import BatchPlanner
from bm_training.diffusion.decoders import ActionDecoder
from bm_training.diffusion.stage import Stage, safe_action
from bm_training.diffusion.trial import Score, Trial
from bm_training.diffusion.walk_clip import STARTS

WALK_IN = 50
"""Control steps that the tracker walks before the plans take over."""


@dataclass(frozen=True, kw_only=True)
class LoopResult:
    """What a trial gave."""

    score: Score
    seconds: float
    """Wall time of the trial, without the walk-in"""
    robot_steps: int
    plans: int
    """Batches"""


@torch.inference_mode()
def run_trial(
    stage: Stage,
    planner: BatchPlanner,
    decoder: ActionDecoder,
    trial: Trial,
    guidance: GuidanceSpec,
    is_baseline: bool = False,
) -> LoopResult:
    """All robots through one trial. The stage's library is `steady_walk`; in a baseline the tracker follows it on."""
    generator = torch.Generator(device=stage.device).manual_seed(trial.steps)
    frame = torch.randint(STARTS, (stage.num_robots,), generator=generator, device=stage.device)
    stage.begin(torch.zeros_like(frame), frame)
    for _ in range(WALK_IN):
        planner.watch(stage.robot)
        planned, action = decoder.encode(stage)
        planner.advance(planned)
        stage.step(action)
    score = Score(trial, root_state(stage.robot))
    started = time.monotonic()
    for step in range(trial.steps):
        kick = trial.kick(step)
        if kick is not None:
            stage.kick(kick)
        planned = None
        if not is_baseline:
            planner.observe(stage.robot, _guide(planner.spec, trial.command(step), guidance))
            planned = planner.act()
        if planned is None:
            planned, action = decoder.encode(stage)
        else:
            planned = safe_action(planned, score.fallen)
            action = safe_action(decoder.decode(planned, stage), score.fallen)
        planner.advance(planned)
        stage.step(action)
        score.add(step, root_state(stage.robot), *stage.fallen())
    if stage.device.startswith("cuda"):
        torch.cuda.synchronize()
    seconds = time.monotonic() - started
    return LoopResult(score=score, seconds=seconds, robot_steps=trial.steps * stage.num_robots, plans=planner.num_plans)


def _guide(spec: DiffusionSpec, command: Tensor | None, settings: GuidanceSpec) -> Any:
    if command is None:
        return None

    def guide(_present: Tensor) -> Guidance:
        costs = joystick_costs(command[:, :2], command[:, 2], settings)
        return guidance_of(costs, settings, spec.layout, spec.representation)

    return guide
