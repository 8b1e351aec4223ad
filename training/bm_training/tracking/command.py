"""The motion command: which frame of which clip each environment follows, and the state it starts from.

Order within a control step (k: the frame that the policy saw before it)
    physics -> terminations and rewards against frame k, re-anchored at the robot's present torso
            -> resets (robot written to frame s, reference at s + 1) -> all others advance to k + 1 -> observation
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from isaaclab.managers import CommandTerm, CommandTermCfg
from isaaclab.utils import configclass
from torch import Tensor

from bm_core.g1 import END_EFFECTORS
from bm_training.rotations import quat_from_euler_xyz
from bm_training.sampling import (
    AdaptiveSampler,
    AdaptiveSamplerConfig,
    EpisodeCounter,
    StartStateConfig,
    StartStateSampler,
    start_state,
)
from bm_training.tracking.bilinear_rotations import quat_multiply
from bm_training.tracking.error_log import ErrorLog
from bm_training.tracking.errors import TrackingErrors, tracking_errors
from bm_training.tracking.motion_library import MotionFrames, MotionWindow
from bm_training.tracking.motion_set import TrainingMotions
from bm_training.tracking.robot_view import RobotView

if TYPE_CHECKING:
    from isaaclab.envs import ManagerBasedRLEnv

NAME = "motion"
"""Of the command term in the environment."""


def motion_command(env: ManagerBasedRLEnv) -> MotionCommand:
    """The environment's motion command."""
    return env.command_manager.get_term(NAME)  # type: ignore[return-value]


class MotionCommand(CommandTerm):
    """Reference frames, starts and errors of all environments."""

    cfg: MotionCommandCfg

    def __init__(self, cfg: MotionCommandCfg, env: ManagerBasedRLEnv) -> None:
        super().__init__(cfg, env)
        setup = cfg.setup()
        motions = setup.load_motions(self.device)
        self.library = motions.library
        self.robot = RobotView(env.scene[cfg.asset_name], env.scene.env_origins, self.library.body_names)
        self.generator = torch.Generator(device=self.device)
        self.generator.manual_seed(cfg.seed)
        self.sampler = AdaptiveSampler(
            setup.sampler,
            self.library.motion_length,
            self.library.motion_weight,
            self.library.fps,
            self.generator,
            self.library.names,
        )
        self.counter = EpisodeCounter(self.sampler, self.num_envs)
        self.starts = StartStateSampler(
            setup.start_state, self.library, motions.is_stand, motions.is_locomotion, self.generator
        )
        names = self.library.body_names
        self.end_effectors = torch.tensor([names.index(name) for name in END_EFFECTORS], device=self.device)
        self.motion_id = torch.zeros(self.num_envs, dtype=torch.int64, device=self.device)
        self.frame = torch.zeros_like(self.motion_id)
        self._window_steps = torch.tensor(cfg.reference_window or [0], device=self.device)
        limits = self.robot.asset.data.soft_joint_pos_limits.torch
        self._joint_lower, self._joint_upper = limits[..., 0], limits[..., 1]
        self.draw_starts: Callable[[Tensor], tuple[Tensor, Tensor]] = lambda mask: self.sampler.sample(len(mask))
        """Mask (E,) of environments -> motions and start frames, (E,) each; an evaluation puts its own plan here."""
        self.listeners: list[Callable[[TrackingErrors], None]] = [lambda errors: self.error_log.add(self, errors)]
        """Called with the errors of each step, before resets change anything."""
        self.episode_draw = torch.ones(self.num_envs, device=self.device)
        """(E,) uniform in [0, 1), drawn at each start where the configuration says so: what holds in a share of the
        episodes goes by it."""
        self._one_hot: dict[tuple[str, ...], Tensor] = {}
        self._scales: dict[tuple[float, ...], Tensor] = {}
        self._reference: MotionFrames | None = None
        self._errors: TrackingErrors | None = None
        self.error_log = ErrorLog(self.library.names, self.device)

    # -- what the other managers read

    @property
    def command(self) -> Tensor:
        """(E, 58): reference joint positions in rad and velocities in rad/s."""
        reference = self.reference
        return torch.cat([reference.joint_pos, reference.joint_vel], dim=-1)

    @property
    def reference(self) -> MotionFrames:
        """The frame that each environment faces now, in the env frame."""
        if self._reference is None:
            self._reference = self.library.gather(self.motion_id, self.frame)
        return self._reference

    def window(self) -> MotionWindow:
        """Frames ahead of the present one, by cfg.reference_window."""
        return self.library.window(self.motion_id, self.frame, self._window_steps)

    @property
    def errors(self) -> TrackingErrors:
        """After physics: errors against the frame that the policy saw. Evaluated once a step."""
        if self._errors is None:
            robot = self.robot
            robot.invalidate()
            self._errors = tracking_errors(
                self.reference, robot.anchor, robot.body_pos, robot.body_quat, robot.body_lin_vel, robot.body_ang_vel
            )
            for listener in self.listeners:
                listener(self._errors)
        return self._errors

    def one_hot(self, motions: tuple[str, ...]) -> Tensor:
        """(E, len(motions)) 1 where a clip of that name is followed, else 0."""
        table = self._one_hot.get(motions)
        if table is None:
            rows = [[float(name == motion) for motion in motions] for name in self.library.names]
            table = self._one_hot[motions] = torch.tensor(rows, device=self.device)
        return table[self.motion_id]

    def is_over(self) -> Tensor:
        """(E,) the frame just evaluated was its clip's last."""
        return self.library.is_over(self.motion_id, self.frame)

    # -- Isaac Lab's cycle

    def reset(self, env_ids: Sequence[int] | slice | None = None) -> dict[str, Tensor]:
        """Start new episodes; the ones that a real termination ended are counted as failures of their bin."""
        if self._errors is not None:  # inside a step, not at the very first reset
            self.counter.fail(self._env.termination_manager.terminated)
        return super().reset(env_ids)

    def _resample_command(self, env_ids: Sequence[int] | slice) -> None:
        ids = self._indices(env_ids)
        mask = torch.zeros(self.num_envs, dtype=torch.bool, device=self.device)
        mask[ids] = True
        motion_id, frame = (drawn[ids] for drawn in self.draw_starts(mask))
        state_motion, state_frame = self.starts.draw(motion_id, frame)
        self.motion_id[ids] = motion_id
        # The robot stands on `frame`; what it has to reach by the end of the next step is the one after.
        self.frame[ids] = frame + 1
        self._reference = None
        if self.cfg.has_episode_draw:
            self.episode_draw[ids] = torch.rand(len(ids), device=self.device)
        self.counter.start(ids, motion_id, frame)
        self._write_start(ids, motion_id, frame, state_motion, state_frame)

    def episode_state(self) -> dict[str, Tensor]:
        """Which frame each environment faces and what is counted for it, the tensors themselves."""
        own = {"motion_id": self.motion_id, "frame": self.frame, "draw": self.episode_draw}
        return own | self.counter.episode_state()

    def forget(self) -> None:
        """What was computed from the simulation's state is stale."""
        self._reference = self._errors = None
        self.robot.invalidate()

    def restart(self, mask: Tensor) -> None:
        """`reset` for the environments of `mask` (E,), without the host having to know which these are."""
        self.counter.fail(self._env.termination_manager.terminated)
        motion_id, frame = self.draw_starts(mask)
        state_motion, state_frame = self.starts.draw(motion_id, frame)
        self.motion_id = torch.where(mask, motion_id, self.motion_id)
        self.frame = torch.where(mask, frame + 1, self.frame)
        self._reference = None
        if self.cfg.has_episode_draw:
            self.episode_draw = torch.where(mask, torch.rand_like(self.episode_draw), self.episode_draw)
        self.counter.restart(mask, motion_id, frame)
        start = self._start(motion_id, frame, state_motion, state_frame, (self._joint_lower, self._joint_upper))
        self.robot.write_masked(mask, *start)

    def compute(self, dt: float) -> None:
        """Once a control step. Isaac Lab's would look for commands whose time is over; there are none."""
        self._update_command()

    def _update_metrics(self) -> None:
        pass

    def _update_command(self) -> None:
        # Episodes that were started in this very step already face the frame after their start.
        self.frame += (self._env.episode_length_buf > 0).long()
        self._reference = None
        self._errors = None
        self.robot.invalidate()
        self.counter.step(self.motion_id, self.frame)

    # -- starts

    def _write_start(
        self, ids: Tensor, motion_id: Tensor, frame: Tensor, state_motion: Tensor, state_frame: Tensor
    ) -> None:
        limits = self._joint_lower[ids], self._joint_upper[ids]
        self.robot.write(ids, *self._start(motion_id, frame, state_motion, state_frame, limits))

    def _start(
        self, motion_id: Tensor, frame: Tensor, state_motion: Tensor, state_frame: Tensor, limits: tuple[Tensor, Tensor]
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Root position, orientation, velocity (n, 6) and joints (2, n, 29) of (n,) starts, with the reset noise."""
        state = start_state(self.library, motion_id, frame, state_motion, state_frame)
        num = len(motion_id)
        pose_noise = self.uniform(num, self.cfg.pose_noise)
        velocity = torch.cat([state.root_lin_vel_w, state.root_ang_vel_w], dim=-1)
        joint_pos = state.joint_pos
        if self.cfg.joint_pos_noise > 0.0:
            noise = self.uniform(num, (self.cfg.joint_pos_noise,) * joint_pos.shape[-1])
            joint_pos = (joint_pos + noise).clamp(*limits)
        turn = quat_from_euler_xyz(pose_noise[:, 3], pose_noise[:, 4], pose_noise[:, 5])
        return (
            state.root_pos_w + pose_noise[:, :3],
            quat_multiply(turn, state.root_quat_w),
            velocity + self.uniform(num, self.cfg.velocity_noise),
            torch.stack([joint_pos, state.joint_vel]),
        )

    def uniform(self, num: int, half_ranges: tuple[float, ...]) -> Tensor:
        """(num, D) in +-half_ranges, from the global random state of torch."""
        scale = self._scales.get(half_ranges)
        if scale is None:  # copied to the GPU once: a copy a step would make the host wait
            scale = self._scales[half_ranges] = torch.tensor(half_ranges, device=self.device)
        return (2.0 * torch.rand(num, len(half_ranges), device=self.device) - 1.0) * scale

    def _indices(self, env_ids: Sequence[int] | slice) -> Tensor:
        if isinstance(env_ids, slice):
            return torch.arange(self.num_envs, device=self.device)[env_ids]
        return torch.as_tensor(env_ids, device=self.device).long()


@dataclass(frozen=True, kw_only=True)
class MotionSetup:
    """What the command needs beside numbers."""

    load_motions: Callable[[str], TrainingMotions]
    """Called once with the device."""
    sampler: AdaptiveSamplerConfig
    start_state: StartStateConfig


@configclass
class MotionCommandCfg(CommandTermCfg):
    """What is followed, and how starts are drawn. Noise: beyondmimic 1.8, half ranges of uniform distributions."""

    class_type: type = MotionCommand
    resampling_time_range: tuple[float, float] = (1.0e9, 1.0e9)
    """s; never within an episode: a clip's end is a truncation."""
    asset_name: str = "robot"
    setup: Callable[[], MotionSetup] = None  # type: ignore[assignment]
    """A function, because Isaac Lab rewrites the fields of every object that a config holds."""
    seed: int = 0
    """Of the generator that draws starts; must differ between ranks."""
    reference_window: tuple[int, ...] | None = None
    """Future frames for the observation of that name, control steps ahead."""
    has_episode_draw: bool = False
    """Whether an observation hides something in a share of the episodes."""
    pose_noise: tuple[float, float, float, float, float, float] = (0.05, 0.05, 0.01, 0.1, 0.1, 0.2)
    """x, y, z in m; roll, pitch, yaw in rad."""
    velocity_noise: tuple[float, float, float, float, float, float] = (0.5, 0.5, 0.2, 0.52, 0.52, 0.78)
    """m/s and rad/s, world axes."""
    joint_pos_noise: float = 0.1
    """rad; clipped to the soft limits."""
