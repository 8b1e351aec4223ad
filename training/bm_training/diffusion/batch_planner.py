"""Plans for many robots at once, with planning latency. Torch twin of bm_core's Planner and of the policy that runs it.

Plans begin every `steps_per_token` control steps, for all robots together. A plan from the state at step t takes effect
at step t + latency; until then the plan before runs on, and what it will have run by then is kept in the new one.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from bm_core.diffusion.layout import TokenLayout
from bm_core.diffusion.requests import cold_request, warm_request
from bm_core.diffusion.sampler import Guidance, PlanRequest
from bm_core.diffusion.spec import DiffusionSpec
from bm_core.diffusion.state import state_slices
from bm_core.errors import ConfigError
from bm_core.g1 import CONTROL_DT
from bm_training.diffusion.batch_history import BatchHistory
from bm_training.diffusion.sampler import TorchDenoiser, draw_noise, torch_sampler
from bm_training.rotations import quat_from_yaw, quat_rotate, yaw_from_quat
from bm_training.tracking.robot_view import RobotView


@dataclass(frozen=True, kw_only=True)
class BatchPlannerConfig:
    """How plans are made and when they arrive."""

    latency: int = 1
    """Control steps (20 ms) between the state that a plan starts from and its first action that is run."""
    is_warm: bool = True
    """Start from the last plan; else from noise, with the committed actions kept."""
    seed: int = 0


def latency_steps(latency_ms: float, layout: TokenLayout) -> int:
    """Control steps of --latency-ms. ConfigError for broken ones, and for more than what a plan is trained for."""
    steps = latency_ms / (1000.0 * CONTROL_DT)
    longest = _longest_latency(layout)
    if not 0.0 <= steps <= longest or abs(steps - round(steps)) > 1e-6:
        raise ConfigError(
            f"--latency-ms {latency_ms:g}: whole control steps of {1000 * CONTROL_DT:.0f} ms are needed, "
            f"at most {1000 * CONTROL_DT * longest:.0f} ms"
        )
    return round(steps)


def _longest_latency(layout: TokenLayout) -> int:
    """Control steps after which enough of a plan is left to be run."""
    return (layout.supervised - 1) * layout.steps_per_token - 1


@dataclass(frozen=True, kw_only=True)
class _BatchPlan:
    step: int
    states: Tensor
    actions: Tensor
    """(E, n, step_width) of control steps `step`, `step` + 1, ..."""
    tokens: Tensor
    """(E, N, A)"""
    present: Tensor
    """(E, 13)"""


class BatchPlanner:
    """The planner of E robots: `observe`, `act`, once a control step each, in this order."""

    def __init__(
        self,
        spec: DiffusionSpec,
        denoise: TorchDenoiser,
        robots: int,
        device: str | torch.device,
        config: BatchPlannerConfig,
    ) -> None:
        """ConfigError if the latency is longer than what a plan is trained for."""
        layout = spec.layout
        self.spec, self.config, self._layout, self._denoise = spec, config, layout, denoise
        longest = _longest_latency(layout)
        if not 0 <= config.latency <= longest:
            raise ConfigError(f"planning latency of {config.latency} steps: must be 0..{longest}")
        self._sampler = torch_sampler(spec, device)
        self._generator = torch.Generator(device=device).manual_seed(config.seed)
        self.history = BatchHistory(layout, spec.representation, robots, device)
        self._step, self._plans = 0, deque[_BatchPlan]()
        self.num_plans = 0
        """Made so far."""

    def observe(self, robot: RobotView, guide: Callable[[Tensor], Guidance | None] | None = None) -> None:
        """Take in the state of this control step, and plan if it is time. `guide` gets the present's root (E, 13)."""
        self.history.add_state(robot)
        if self._step % self._layout.steps_per_token == 0 and self.history.is_full:
            self._plans.append(self._plan(None if guide is None else guide(self.history.present)))
            self.num_plans += 1
        while len(self._plans) > 1 and self._plans[1].step + self.config.latency <= self._step:
            self._plans.popleft()

    def watch(self, robot: RobotView) -> None:
        """Take in a state without planning, while another policy acts."""
        self.history.add_state(robot)

    def act(self) -> Tensor | None:
        """(E, step_width) the action of this control step; None while the first plan has not arrived."""
        if not self._plans or self._plans[0].step + self.config.latency > self._step:
            return None
        plan = self._plans[0]
        return plan.actions[:, self._step - plan.step]

    def advance(self, action: Tensor) -> None:
        """What was applied at this control step, (E, step_width), whoever chose it."""
        self.history.add_action(action)
        self._step += 1

    # -- parts

    def _plan(self, guidance: Guidance | None) -> _BatchPlan:
        layout = self._layout
        request = self._request(*self.history.tokens())
        noise = draw_noise(self._sampler, len(request.states), layout.tokens, self._generator)
        states, tokens = self._sampler.sample(self._denoise, request, noise, guidance)
        supervised = tokens[:, layout.present : layout.present + layout.supervised]
        return _BatchPlan(
            step=self._step,
            states=states,
            actions=supervised.reshape(len(tokens), -1, layout.step_width),
            tokens=tokens,
            present=self.history.present.clone(),
        )

    def _request(self, states: Tensor, actions: Tensor) -> PlanRequest:
        """As bm_core's Planner; every plan follows the one before by one token."""
        spec, layout, settings = self.spec, self._layout, self.spec.sampler
        recalled = {"history_action_level": settings.history_action_level}
        if not self._plans:
            return cold_request(layout, states, actions, spec.levels, **recalled)
        last = self._plans[-1]
        levels = (settings.warm_state_level, settings.warm_action_level)
        return warm_request(
            layout,
            states,
            actions,
            reframe(last.states, last.present, self.history.present, state_slices(spec.representation).root),
            last.tokens,
            spec.levels,
            *(levels if self.config.is_warm else (spec.levels,) * 2),
            committed=spec.kept_tokens(self.config.latency),
            **recalled,
        )


def reframe(tokens: Tensor, old: Tensor, new: Tensor, root: slice) -> Tensor:
    """State tokens (E, N, D) seen from another present; torch twin of bm_core's reframe. old, new (E, 13)."""
    old_yaw, new_yaw = yaw_from_quat(old[:, 3:7]), yaw_from_quat(new[:, 3:7])
    turn = quat_from_yaw(old_yaw - new_yaw)[:, None]
    moved = torch.cat([old[:, :2] - new[:, :2], torch.zeros_like(old[:, :1])], dim=-1)
    shift = quat_rotate(quat_from_yaw(-new_yaw), moved)[:, None]
    pos, rot6d, lin_vel, ang_vel = tokens[..., root].split([3, 6, 3, 3], dim=-1)
    columns = rot6d.unflatten(-1, (3, 2)).mT
    turned = quat_rotate(turn[:, :, None], columns).mT.flatten(-2)
    parts = [quat_rotate(turn, pos) + shift, turned, quat_rotate(turn, lin_vel), quat_rotate(turn, ang_vel)]
    return torch.cat([tokens[..., : root.start], *parts], dim=-1)
