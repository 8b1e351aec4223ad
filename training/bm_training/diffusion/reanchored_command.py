"""The motion command of a collection: after a push the robot goes on from where it is, not back to where it was."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from bm_training.diffusion.reanchoring import ReferenceTransform
from bm_training.tracking import events
from bm_training.tracking.command import MotionCommand, MotionCommandCfg, motion_command
from bm_training.tracking.motion_library import MotionFrames, MotionWindow

if TYPE_CHECKING:
    from isaaclab.envs import ManagerBasedRLEnv


class ReanchoredCommand(MotionCommand):
    """A reference that follows the robot in xy and yaw, at moments that `reanchor` names."""

    def __init__(self, cfg: MotionCommandCfg, env: ManagerBasedRLEnv) -> None:
        super().__init__(cfg, env)
        self._transform = ReferenceTransform(self.num_envs, self.device)
        self.jolted = torch.zeros(self.num_envs, dtype=torch.bool, device=self.device)
        """(E,) pushed since it was last cleared."""

    @property
    def reference(self) -> MotionFrames:
        """The frame that each environment faces now, in the env frame, re-anchored."""
        if self._reference is None:
            self._reference = self._transform.frames(self.library.gather(self.motion_id, self.frame))
        return self._reference

    def window(self) -> MotionWindow:
        """Frames ahead of the present one, re-anchored alike."""
        return self._transform.window(super().window())

    def reanchor(self, env_ids: Tensor) -> None:
        """Move the reference onto the robots `env_ids`."""
        # What the robot has just reached is the frame before the one that it faces now.
        reached = self._transform.frames(self.library.gather(self.motion_id, self.frame - 1))
        anchor, robot = self.robot.anchor, self.robot
        self._transform.reanchor(
            env_ids,
            (robot.body_pos[env_ids, anchor], robot.body_quat[env_ids, anchor]),
            (reached.body_pos_w[env_ids, anchor], reached.body_quat_w[env_ids, anchor]),
        )
        self._reference = None

    def begin(self, env_ids: Tensor, motion_id: Tensor, frame: Tensor) -> None:
        """Put robots (n,) into the state of `frame` (n,) of clip `motion_id` (n,), and let them face the next one."""
        self._transform.reset(env_ids)
        self._set(env_ids, motion_id, frame)
        self._write_start(env_ids, motion_id, frame, motion_id, frame)

    def follow(self, env_ids: Tensor, motion_id: Tensor, frame: Tensor) -> None:
        """Robots (n,) where they are have just reached `frame` (n,): the reference is moved onto them."""
        self._transform.reset(env_ids)
        self._set(env_ids, motion_id, frame)
        self.robot.invalidate()
        self.reanchor(env_ids)

    def _set(self, env_ids: Tensor, motion_id: Tensor, frame: Tensor) -> None:
        self.motion_id[env_ids], self.frame[env_ids] = motion_id, frame + 1
        self._reference = None

    def _resample_command(self, env_ids: Sequence[int] | slice) -> None:
        self._transform.reset(self._indices(env_ids))
        super()._resample_command(env_ids)


def push_and_reanchor(env: ManagerBasedRLEnv, env_ids: Tensor, half_ranges: tuple[float, ...]) -> None:
    """The task's push, then the reference is put onto the robots that were pushed."""
    events.push(env, env_ids, half_ranges)
    command = motion_command(env)
    assert isinstance(command, ReanchoredCommand)
    command.reanchor(env_ids)
    command.jolted[env_ids] = True
