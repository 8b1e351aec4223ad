"""What closed loops are asked, and the score they get (docs/guidance.md), for many robots at once.

The rules and numbers of the joystick task are those of bm_sim2real.diffusion_tasks.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from bm_core.g1 import CONTROL_DT
from bm_sim2real.diffusion_tasks.velocity_rules import JOYSTICK, SEGMENT_S, FollowRule, random_commands
from bm_sim2real.statistics import wilson_interval
from bm_training.require import require
from bm_training.rotations import quat_from_yaw, quat_rotate, yaw_from_quat

PATH_SPEED = 5.0 / 15.0
"""m/s along the pelvis's path, that Walk + Perturb asks for on the whole: 5 m in 15 s."""


@dataclass(frozen=True, kw_only=True)
class TrialConfig:
    """One task; every robot gets its own kicks and, in `velocity`, its own commands."""

    name: str
    """walk-perturb, joystick or velocity"""
    seconds: float = 15.0
    """Of walk-perturb"""
    kick: float | None = None
    """m/s, largest; planar, once a second. None: 0.5 in walk-perturb, no kicks otherwise."""
    segments: int = 4
    """Random commands a robot, of velocity"""
    seed: int = 0

    def __post_init__(self) -> None:
        require(CONTROL_DT <= self.seconds < math.inf, "seconds", self.seconds, "at least a control step, 0.02 s")
        require(self.kick is None or 0.0 <= self.kick < math.inf, "kick", self.kick, "a number of m/s, at least 0")


class Trial:
    """The course of a task, (E,) robots wide."""

    def __init__(self, config: TrialConfig, robots: int, device: str | torch.device) -> None:
        self._config, self._robots, self._device = config, robots, device
        self._generator = torch.Generator(device=device).manual_seed(config.seed)
        self._segment_steps = round(SEGMENT_S / CONTROL_DT)
        self.commands = self._commands()
        """(S, E, 3) m/s, m/s, rad/s; None: unguided"""
        self.kick_limit = config.kick if config.kick is not None else 0.5 * (config.name == "walk-perturb")
        seconds = config.seconds if self.commands is None else SEGMENT_S * len(self.commands)
        self.steps = round(seconds / CONTROL_DT)

    def command(self, step: int) -> Tensor | None:
        """(E, 3) at a control step."""
        if self.commands is None:
            return None
        return self.commands[min(step // self._segment_steps, len(self.commands) - 1)]

    def kick(self, step: int) -> Tensor | None:
        """(E, 2) m/s just before a control step."""
        if self.kick_limit == 0.0 or step == 0 or step % round(1.0 / CONTROL_DT) != 0:
            return None
        draw = torch.rand(self._robots, 2, generator=self._generator, device=self._device)
        angle, size = 2.0 * math.pi * draw[:, 0], self.kick_limit * draw[:, 1]
        return torch.stack([size * angle.cos(), size * angle.sin()], dim=-1)

    def _commands(self) -> Tensor | None:
        if self._config.name == "walk-perturb":
            return None
        if self._config.name == "joystick":
            given = torch.tensor([command for _, command in JOYSTICK], device=self._device)
            return given[:, None].expand(-1, self._robots, -1)
        count = self._config.segments
        points = torch.tensor(random_commands(count * self._robots, self._config.seed), device=self._device)
        return points.reshape(count, self._robots, 3)


class Score:
    """Sums over a trial; the device is asked once, at the end."""

    def __init__(self, trial: Trial, root: Tensor) -> None:
        """`root` (E, 13) at the start."""
        robots, segments = len(root), 0 if trial.commands is None else len(trial.commands)
        self._trial, self._rule = trial, FollowRule()
        self._segment_steps = round(SEGMENT_S / CONTROL_DT)
        self._window = round(self._rule.window_s / CONTROL_DT)
        self.fallen = torch.zeros(robots, dtype=torch.bool, device=root.device)
        """(E,) by the gate's rule, so far."""
        self._fallen_low = self.fallen.clone()
        self._upright_steps = torch.zeros(robots, device=root.device)
        self._path = torch.zeros(robots, device=root.device)
        self._velocity = torch.zeros(segments, robots, 3, device=root.device)
        self._last = root

    def add(self, step: int, root: Tensor, fallen: Tensor, fallen_low: Tensor) -> None:
        """After control step `step`: root states (E, 13), falls (E,) by both rules."""
        self.fallen = self.fallen | fallen
        self._fallen_low = self._fallen_low | fallen_low
        is_up = ~self.fallen
        self._upright_steps += is_up
        self._path += torch.where(is_up, (root[:, :2] - self._last[:, :2]).norm(dim=-1), 0.0)
        segment, within = divmod(step, self._segment_steps)
        if self._trial.commands is not None and within >= self._segment_steps - self._window:
            self._velocity[segment] += planar_velocity(root) / self._window
        self._last = root

    def rows(self) -> dict[str, list[Any]]:
        """One list a quantity, over the robots."""
        found = {"fallen": self.fallen, "fallen_low": self._fallen_low, "seconds": self._upright_steps * CONTROL_DT}
        found["path_m"] = self._path
        commands = self._trial.commands
        if commands is None:
            asked = PATH_SPEED * CONTROL_DT * self._trial.steps
            found["success"] = ~self.fallen & (self._path >= asked)
        else:
            error = (self._velocity - commands).abs()
            floor = torch.tensor(self._rule.floor, device=error.device)
            follows = (error <= torch.maximum(self._rule.share * commands.abs(), floor)).all(-1) & ~self.fallen
            speed = commands[..., :2].norm(dim=-1)
            relative = (self._velocity - commands)[..., :2].norm(dim=-1) / speed
            found |= {"success": follows.all(0), "follows": follows.T, "velocity": self._velocity.transpose(0, 1)}
            found["velocity_error"] = torch.where(speed > 0.0, relative, float("nan")).T
            found["yaw_rate_error"] = error[..., 2].T
        return {name: values.tolist() for name, values in found.items()}

    def summary(self) -> dict[str, Any]:
        """Rates with Wilson intervals, path and velocity error."""
        rows = self.rows()
        robots = len(rows["success"])
        successes, falls = sum(rows["success"]), sum(rows["fallen"])
        minutes = sum(rows["seconds"]) / 60.0
        summary: dict[str, Any] = {
            "runs": robots,
            "success_rate": successes / robots,
            "success_interval": wilson_interval(successes, robots),
            "fall_rate": falls / robots,
            "fall_rate_low_head": sum(rows["fallen_low"]) / robots,
            "falls_per_minute": falls / max(minutes, 1e-9),
            "path_m": _median(rows["path_m"]),
        }
        if self._trial.commands is not None:
            errors = torch.tensor(rows["velocity_error"])[~torch.tensor(rows["fallen"])]
            follows = torch.tensor(rows["follows"], dtype=torch.float32).mean(0)
            summary["velocity_error"] = float(errors.nanmean()) if len(errors) else float("nan")
            turns = torch.tensor(rows["yaw_rate_error"])[~torch.tensor(rows["fallen"])]
            summary["yaw_rate_error"] = float(turns.mean()) if len(turns) else float("nan")
            summary["follows"] = follows.tolist()
        return summary


def planar_velocity(root: Tensor) -> Tensor:
    """(E, 13) -> (E, 3) m/s forward and left, rad/s, in the pelvis's yaw frame."""
    turned = quat_rotate(quat_from_yaw(-yaw_from_quat(root[:, 3:7])), root[:, 7:10])
    return torch.cat([turned[:, :2], root[:, 12:13]], dim=-1)


def _median(values: list[float]) -> float:
    return float(torch.tensor(values).median())
