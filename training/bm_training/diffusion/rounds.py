"""Closed-loop data: the diffusion policy runs, the tracker takes over from its states, survivors become episodes.

An episode begins with what the policy did (a window's history) and goes on with what the tracker did about it. Frames
that the policy ran carry the applied action as their label; no window is asked for those, because its present comes
after them.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from bm_core.diffusion.guidance.settings import GuidanceSpec
from bm_core.diffusion.guidance.steering import guidance_of, joystick_costs
from bm_core.diffusion.sampler import Guidance
from bm_core.errors import ConfigError
from bm_core.g1 import CONTROL_DT, G1
from bm_training.diffusion.batch_history import root_state
from bm_training.diffusion.batch_planner import BatchPlanner
from bm_training.diffusion.decoders import ActionDecoder
from bm_training.diffusion.frame_rows import as_rollouts, frame_row
from bm_training.diffusion.reference_match import ReferenceMatch
from bm_training.diffusion.rollout_file import ROOT_WIDTH, Rollouts
from bm_training.diffusion.stage import Stage, safe_action
from bm_training.require import require

_JOINTS = len(G1.joint_names)


@dataclass(frozen=True, kw_only=True)
class RoundConfig:
    """Lengths in control steps."""

    walk_in: int = 25
    """Tracker alone, after a start in a reference state."""
    run: int = 200
    """The diffusion policy"""
    takeovers: int = 2
    """Episodes from each run, from different moments of it."""
    before_fall: tuple[int, int] = (15, 50)
    """A robot that fell is taken over from a moment so long before (0.3 to 1 s)."""
    steps: int = 125
    """Of an episode, the policy's part included."""
    survive: int = 250
    """From the takeover; else the episode is dropped."""
    guided: float = 0.5
    """Share of the robots that follow random velocities while the policy runs."""
    command_steps: int = 75
    """Between two of them."""
    kick: float = 0.5
    """m/s, largest; planar, at random moments, once a second on average."""

    def __post_init__(self) -> None:
        if self.run <= self.before_fall[1] or not 1 <= self.before_fall[0] <= self.before_fall[1]:
            raise ConfigError(f"rounds: run {self.run} must be longer than before_fall {self.before_fall}")
        if not 1 <= self.steps <= self.survive:
            raise ConfigError(f"rounds: steps {self.steps} must be 1..survive ({self.survive})")
        require(0.0 <= self.guided <= 1.0, "guided", self.guided, "a share, 0 to 1")
        require(0.0 <= self.kick < math.inf, "kick", self.kick, "a number of m/s, at least 0")


@dataclass(kw_only=True)
class RoundCount:
    """What happened so far."""

    robot_minutes: float = 0.0
    """Of the policy"""
    unguided: int = 0
    """Runs"""
    guided: int = 0
    unguided_falls: int = 0
    guided_falls: int = 0
    takeovers: int = 0
    survived: int = 0
    takeovers_before_falls: int = 0
    survived_before_falls: int = 0

    @property
    def falls_per_minute(self) -> float:
        return (self.unguided_falls + self.guided_falls) / max(self.robot_minutes, 1e-9)


class Rounds:
    """Runs and takeovers of all robots of a stage together."""

    def __init__(
        self,
        stage: Stage,
        make_planner: Callable[[int], BatchPlanner],
        decoder: ActionDecoder,
        guidance: GuidanceSpec,
        config: RoundConfig,
        seed: int,
    ) -> None:
        """`make_planner(seed)`: a fresh one for every run."""
        self._stage, self._make_planner, self._decoder = stage, make_planner, decoder
        self._guidance, self.config = guidance, config
        self._match = ReferenceMatch(stage.motion.library, config.survive + 1)
        self._generator = torch.Generator(device=stage.device).manual_seed(seed)
        self._seed = seed
        self.count = RoundCount()

    @torch.inference_mode()
    def episodes(self) -> list[Rollouts]:
        """One run, and the survivors of each of its takeovers."""
        self._seed += 1
        planner = self._make_planner(self._seed)
        past = planner.spec.layout.present * planner.spec.layout.steps_per_token
        frames, actions, fell_at = self._run(planner)
        found = []
        for _ in range(self.config.takeovers):
            moment, is_before_fall = self._moments(fell_at, past)
            found.append(self._take_over(frames, actions, moment, past, is_before_fall))
        return [rollouts for rollouts in found if rollouts is not None]

    # -- the policy's part

    def _run(self, planner: BatchPlanner) -> tuple[Tensor, Tensor, Tensor]:
        """Frames (E, run, W), joint actions (E, run, 29), and the step of the fall (E,) or `run`."""
        stage, config, decoder = self._stage, self.config, self._decoder
        stage.begin(*stage.motion.sampler.sample(stage.num_robots))
        for _ in range(config.walk_in):
            planner.watch(stage.robot)
            planned, action = decoder.encode(stage)
            planner.advance(planned)
            stage.step(action)
        rows, actions = [], []
        fallen = torch.zeros(stage.num_robots, dtype=torch.bool, device=stage.device)
        fell_at = torch.full((stage.num_robots,), config.run, device=stage.device)
        is_guided = self._rand() < config.guided
        command = self._commands()
        for step in range(config.run):
            if step % config.command_steps == config.command_steps - 1:
                command = self._commands()
            jolted = self._kick()
            planner.observe(stage.robot, self._guide(planner, command, is_guided))
            planned = planner.act()
            if planned is None:
                planned, action = decoder.encode(stage)
            else:
                planned = safe_action(planned, fallen)
                action = safe_action(decoder.decode(planned, stage), fallen)
            rows.append(self._row(planned, planned, jolted))
            actions.append(action)
            planner.advance(planned)
            stage.step(action)
            fallen = fallen | stage.fallen()[0]
            fell_at = torch.where(fallen & (fell_at == config.run), step, fell_at)
        self._tally(fell_at, is_guided)
        return torch.stack(rows, dim=1), torch.stack(actions, dim=1), fell_at

    def _kick(self) -> Tensor:
        """(E,) who was kicked."""
        jolted = self._rand() < CONTROL_DT
        angle, size = 2.0 * math.pi * self._rand(), self.config.kick * self._rand() * jolted
        if self.config.kick > 0.0:
            self._stage.kick(torch.stack([size * angle.cos(), size * angle.sin()], dim=-1))
        return jolted

    def _commands(self) -> Tensor:
        """(E, 3), evenly over the ellipsoid in the joystick's range."""
        from bm_training.diffusion.coverage import LOWER, UPPER

        low, high = (torch.tensor(edge, dtype=torch.float32, device=self._stage.device) for edge in (LOWER, UPPER))
        shape = (self._stage.num_robots, 3)
        direction = torch.randn(shape, generator=self._generator, device=self._stage.device)
        unit = direction / direction.norm(dim=-1, keepdim=True) * self._rand()[:, None] ** (1 / 3)
        return 0.5 * (low + high) + 0.5 * (high - low) * unit

    def _guide(self, planner: BatchPlanner, command: Tensor, is_guided: Tensor) -> Callable[[Tensor], Guidance | None]:
        spec, settings = planner.spec, self._guidance

        def guide(_present: Tensor) -> Guidance:
            costs = joystick_costs(command[:, :2], command[:, 2], settings)
            given = guidance_of(costs, settings, spec.layout, spec.representation)
            return dataclasses.replace(given, gradient=lambda states: given.gradient(states) * is_guided[:, None, None])

        return guide

    def _tally(self, fell_at: Tensor, is_guided: Tensor) -> None:
        count, fell = self.count, fell_at < self.config.run
        count.robot_minutes += float(fell_at.sum()) * CONTROL_DT / 60.0
        count.guided += int(is_guided.sum())
        count.unguided += int((~is_guided).sum())
        count.guided_falls += int((fell & is_guided).sum())
        count.unguided_falls += int((fell & ~is_guided).sum())

    # -- the tracker's part

    def _moments(self, fell_at: Tensor, past: int) -> tuple[Tensor, Tensor]:
        """The step (E,) of the takeover and whether (E,) it is shortly before a fall; -1: too early to be of use."""
        first, last = self.config.before_fall
        anywhere = past + (self._rand() * (self.config.run - past)).long()
        before = fell_at - first - (self._rand() * (last - first + 1)).long()
        fell = fell_at < self.config.run
        moment = torch.where(fell, before, anywhere)
        return torch.where(moment >= past, moment, -1), fell

    def _take_over(
        self, frames: Tensor, actions: Tensor, moment: Tensor, past: int, is_before_fall: Tensor
    ) -> Rollouts | None:
        stage, config = self._stage, self.config
        usable, robots = moment >= 0, torch.arange(len(frames), device=frames.device)
        state = frames[robots, moment.clamp(min=0)]
        root, joint_pos, joint_vel = state[:, : ROOT_WIDTH + 2 * _JOINTS].split([ROOT_WIDTH, _JOINTS, _JOINTS], dim=-1)
        stage.place(root, joint_pos, joint_vel, actions[robots, (moment - 1).clamp(min=0)])
        motion, frame = self._match.nearest(root, joint_pos, joint_vel)
        stage.follow(motion, frame)
        rows, fallen = [], torch.zeros_like(usable)
        nobody = torch.zeros_like(usable)
        for step in range(config.survive):
            planned, action = self._decoder.encode(stage)
            if step < config.steps - past:
                rows.append(self._row(planned, planned, nobody))
            stage.step(safe_action(action, fallen))
            fallen = fallen | stage.fallen()[0]
        kept = usable & ~fallen
        self.count.takeovers += int(usable.sum())
        self.count.survived += int(kept.sum())
        self.count.takeovers_before_falls += int((usable & is_before_fall).sum())
        self.count.survived_before_falls += int((kept & is_before_fall).sum())
        which = kept.nonzero()[:, 0]
        if len(which) == 0:
            return None
        before = moment[which, None] - past + torch.arange(past, device=frames.device)
        episode = torch.cat([frames[which[:, None], before], torch.stack(rows, dim=1)[which]], dim=1)
        return as_rollouts(episode, motion[which])

    def _row(self, label: Tensor, applied: Tensor, jolted: Tensor) -> Tensor:
        """(E, W) one frame, before its step."""
        robot = self._stage.robot
        return frame_row(root_state(robot), robot.joint_pos, robot.joint_vel, label, applied, jolted)

    def _rand(self) -> Tensor:
        return torch.rand(self._stage.num_robots, generator=self._generator, device=self._stage.device)
