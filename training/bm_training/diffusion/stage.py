"""The simulator as closed loops need it: robots that nobody resets, put into given states, watched for falls."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from bm_core.g1 import ANCHOR_BODY
from bm_training.diffusion.collector import NoisyJointPosition, collection_env_cfg
from bm_training.diffusion.reanchored_command import ReanchoredCommand
from bm_training.rotations import quat_rotate
from bm_training.tracking.actions import joint_action
from bm_training.tracking.command import motion_command
from bm_training.tracking.env_cfg import TaskConfig, TrackingEnvCfg
from bm_training.tracking.robot_view import RobotView
from bm_training.tracking.vec_env import TrackingVecEnv

if TYPE_CHECKING:
    from isaaclab.envs import ManagerBasedRLEnv

    from bm_training.diffusion.teacher import TeacherCheckpoint

HEAD = (0.0, 0.0, 0.43)
"""m, in the frame of torso_link."""
LOWEST_HEAD = 0.2
"""m; the paper's fall"""
LOWEST_PELVIS = 0.45
"""m; the gate's, together with ground contact"""
_CONTACT_N = 1.0
_NEAR_GROUND = 0.25
"""m; a link that touches something and is lower than this touches the ground: hands brush thighs, too."""
_FEET = ("left_ankle_roll_link", "right_ankle_roll_link")


def stage_env_cfg(task: TaskConfig, is_randomised: bool) -> TrackingEnvCfg:
    """The tracking scene without pushes, rewards, terminations and noise; robots' friction and masses may vary."""
    cfg = collection_env_cfg(task)
    cfg.episode_length_s = 1.0e6
    cfg.rewards, cfg.terminations = {}, {}
    cfg.events = {name: term for name, term in cfg.events.items() if name != "push"} if is_randomised else {}
    motion = cfg.commands.motion
    motion.pose_noise = motion.velocity_noise = (0.0, 0.0, 0.0, 0.0, 0.0, 0.0)
    motion.joint_pos_noise = 0.0
    if not is_randomised:
        cfg.actions.joint_pos.default_joint_pos_range = 0.0
    return cfg


class Stage:
    """E robots on a floor, and the tracker that can take any of them over."""

    def __init__(self, env: ManagerBasedRLEnv, teacher: TeacherCheckpoint) -> None:
        self._env, self.device, self.num_robots = env, str(env.device), env.num_envs
        self._vec_env = TrackingVecEnv(env)
        self._actor = teacher.actor(self._vec_env, self.device)
        motion, action = motion_command(env), joint_action(env)
        assert isinstance(motion, ReanchoredCommand) and isinstance(action, NoisyJointPosition)
        self.motion, self.action = motion, action
        self._head = torch.tensor(HEAD, device=self.device)
        self._sensor: Any = env.scene["contact_forces"]
        asset = self.robot.asset
        names = list(getattr(self._sensor, "sensor_names", None) or self._sensor.body_names)
        others = [name for name in names if name not in _FEET]
        self._touching = torch.tensor([names.index(name) for name in others], device=self.device)
        self._links = torch.tensor([asset.body_names.index(name) for name in others], device=self.device)
        self._torso = asset.body_names.index(ANCHOR_BODY)
        self._all = torch.arange(self.num_robots, device=self.device)
        self._floor = env.scene.env_origins[:, 2]

    @property
    def robot(self) -> RobotView:
        """Readings in the env frame."""
        return self.motion.robot

    def begin(self, motion_id: Tensor, frame: Tensor) -> None:
        """All robots into the reference's state at `frame` (E,) of clip `motion_id` (E,), at rest relative to it."""
        self._env.reset()
        self.motion.begin(self._all, motion_id, frame)
        self._look()

    def place(self, root: Tensor, joint_pos: Tensor, joint_vel: Tensor, last_action: Tensor) -> None:
        """All robots into recorded states (E, 13), (E, 29), (E, 29), which action (E, 29) had led to."""
        self.robot.write(self._all, root[:, :3], root[:, 3:7], root[:, 7:], torch.stack([joint_pos, joint_vel]))
        self.action.recall(last_action)
        self._env.action_manager.action.copy_(last_action)

    def follow(self, motion_id: Tensor, frame: Tensor) -> None:
        """The tracker's reference: `frame` is what the robots have just reached, moved onto them in xy and yaw."""
        self.motion.follow(self._all, motion_id, frame)
        self._look()

    @property
    def observation(self) -> Tensor:
        """(E, O) what the tracker sees now."""
        return self._vec_env.get_observations()["policy"]

    def tracker_action(self) -> Tensor:
        """(E, 29) what the tracker does now."""
        return self._actor(self._vec_env.get_observations()).clone()

    def step(self, action: Tensor) -> None:
        """One control step with network actions (E, 29)."""
        self._env.step(action)

    def kick(self, change: Tensor) -> None:
        """Add (E, 2) m/s to the pelvis's planar velocity, world axes."""
        six = torch.cat([change, torch.zeros(self.num_robots, 4, device=self.device)], dim=-1)
        self.robot.add_root_velocity(self._all, six)
        self._look()

    def fallen(self) -> tuple[Tensor, Tensor]:
        """(E,) bool each: by the gate's rule, and by the paper's. A diverged simulation counts as both."""
        pose = self.robot.asset.data.body_link_pose_w.torch
        height = pose[:, self._links, 2] - self._floor[:, None]
        force = self._sensor.data.net_normal_forces_w.torch[:, self._touching].square().sum(-1)
        on_ground = ((force > _CONTACT_N**2) & (height < _NEAR_GROUND)).any(-1)
        pelvis = self.robot.body_pos[:, self.robot.root, 2]
        torso = self.robot.body_quat[:, self.robot.anchor]
        head = quat_rotate(torso, self._head.expand(self.num_robots, 3))[:, 2]
        head = head + self.robot.body_pos[:, self.robot.anchor, 2]
        # Comparisons with NaN are false: the good ones are asked for.
        return ~(pelvis >= LOWEST_PELVIS) | on_ground, ~(head >= LOWEST_HEAD)

    def _look(self) -> None:
        """The observation of a state that no step led to."""
        self.robot.invalidate()
        self._env.obs_buf = self._env.observation_manager.compute()


def safe_action(action: Tensor, fallen: Tensor) -> Tensor:
    """Robots that lie hold the default pose: their network sees states it never saw, and may ask for anything."""
    return torch.where(fallen[:, None], torch.zeros_like(action), action).nan_to_num().clamp(-_LARGEST, _LARGEST)


_LARGEST = 50.0
"""Network units; far beyond any joint."""
