"""Rolls a teacher out with noise on its actions and keeps what was survived. Isaac Lab side of `bm collect`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from bm_core.g1 import G1
from bm_training.diffusion.action_noise import ActionNoise, ActionNoiseConfig
from bm_training.diffusion.batch_history import root_state
from bm_training.diffusion.latent_actions import gravity_of
from bm_training.diffusion.reanchored_command import ReanchoredCommand, push_and_reanchor
from bm_training.diffusion.rollout_file import Rollouts
from bm_training.diffusion.window_keeper import KeeperConfig, WindowKeeper
from bm_training.tracking.actions import DelayedJointPosition, joint_action
from bm_training.tracking.command import motion_command
from bm_training.tracking.env_cfg import TaskConfig, TrackingEnvCfg, tracking_env_cfg
from bm_training.tracking.vec_env import TrackingVecEnv

if TYPE_CHECKING:
    from isaaclab.envs import ManagerBasedRLEnv

    from bm_training.diffusion.latent_model import ActionAutoencoder
    from bm_training.diffusion.teacher import TeacherCheckpoint


class NoisyJointPosition(DelayedJointPosition):
    """Adds noise to the target, not to the action: the teacher goes on seeing its own clean last action."""

    noise: Tensor | None = None
    """(E, 29) network units, of the next control step."""

    def recall(self, action: Tensor) -> None:
        """Make `action` (E, 29) the one that was applied last: its target still stands while the next one is late."""
        self._target = self.default_joint_pos + self._scale * action
        self._is_new.zero_()

    def process_actions(self, actions: Tensor) -> None:
        """As its parent's, with the noise on the target."""
        super().process_actions(actions)
        if self.noise is not None:
            self._target = self._target + self._scale * self.noise


def collection_env_cfg(task: TaskConfig, rollout_s: float = 20.0) -> TrackingEnvCfg:
    """The tracking task with pushes, delay and randomisation: clean observations, noisy actions, a moving reference."""
    cfg = tracking_env_cfg(task)
    cfg.episode_length_s = rollout_s
    cfg.commands.motion.class_type = ReanchoredCommand
    cfg.events["push"].func = push_and_reanchor
    cfg.actions.joint_pos.class_type = NoisyJointPosition
    cfg.observations["policy"].enable_corruption = False
    return cfg


class Collector:
    """E robots that follow clips."""

    def __init__(
        self,
        env: ManagerBasedRLEnv,
        teacher: TeacherCheckpoint,
        noise: ActionNoiseConfig,
        keeper: KeeperConfig,
        seed: int,
        latent: ActionAutoencoder | None = None,
    ) -> None:
        """With `latent` its decoder drives the robots, and z takes the place of the actions in what is kept."""
        device = str(env.device)
        self._env = TrackingVecEnv(env)
        self._actor = teacher.actor(self._env, device)
        motion, action = motion_command(env), joint_action(env)
        assert isinstance(motion, ReanchoredCommand) and isinstance(action, NoisyJointPosition)
        self._motion, self._action = motion, action
        generator = torch.Generator(device=device).manual_seed(seed)
        self._noise = ActionNoise(noise, env.num_envs, generator)
        self._latent = latent
        width = len(G1.joint_names) if latent is None else latent.config.latent
        self._keeper = WindowKeeper(keeper, env.num_envs, width, device)
        self.frames = 0
        """Control steps of single robots so far."""
        self._falls = torch.zeros((), dtype=torch.int64, device=device)

    @property
    def falls(self) -> int:
        """Rollouts that ended by losing the reference."""
        return int(self._falls)

    @torch.inference_mode()
    def step(self) -> Rollouts | None:
        """One control step of all robots; the episodes that are now kept, if any."""
        action, label, applied = self._choose()
        robot = self._motion.robot
        state = root_state(robot), robot.joint_pos, robot.joint_vel
        self._keeper.add(*state, label, applied, self._motion.jolted, self._motion.motion_id)
        self._motion.jolted.zero_()
        _, _, dones, extras = self._env.step(action)
        ended = dones.bool()
        failed = ended & ~extras["time_outs"]
        self._noise.reset(ended)
        self.frames += len(ended)
        self._falls += failed.sum()
        return self._keeper.advance(ended, failed)

    def _choose(self) -> tuple[Tensor, Tensor, Tensor]:
        """Joint actions (E, 29) without their noise, and what is kept as label and as applied."""
        observations, noise = self._env.get_observations(), self._noise.step()
        self._action.noise = noise
        if self._latent is None:
            action = self._actor(observations).clone()
            return action, action, action + noise
        # The noise is on the joints, behind the decoder: z stays clean, and the decoder answers what the noise did.
        felt = self._latent.proprioception(observations["policy"], gravity_of(self._motion.robot))
        z, _ = self._latent.encode(self._latent.reference(observations["policy"]))
        return self._latent.decode(z, felt), z, z
