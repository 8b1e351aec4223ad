"""The robot as the task sees it: target bodies and joints, read once after each change. Env frame, link origins, wxyz.

The only place where Isaac Lab's xyzw quaternions come in and where env origins are taken off.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
import warp as wp
from torch import Tensor

from bm_core.g1 import ANCHOR_BODY, ROOT_BODY
from bm_training.rotations import quat_wxyz_from_xyzw, quat_xyzw_from_wxyz
from bm_training.tracking.bilinear_rotations import matrix_from_quat

if TYPE_CHECKING:
    from isaaclab.assets import Articulation


class RobotView:
    """Cached reading of an articulation; `invalidate` after physics, a reset or a push."""

    def __init__(self, asset: Articulation, env_origins: Tensor, body_names: Sequence[str]) -> None:
        """`body_names`: the B target bodies, in the order of every (E, B, ...) below."""
        self.asset = asset
        self._origins = env_origins
        indices = [asset.body_names.index(name) for name in body_names]
        self._bodies = torch.tensor(indices, device=env_origins.device)
        self.anchor = list(body_names).index(ANCHOR_BODY)
        self.root = list(body_names).index(ROOT_BODY)
        self._is_fresh = False
        self._rotations: Tensor | None = None
        self.derived: dict[str, Tensor] = {}
        """What others computed from this reading; forgotten with it."""

    def invalidate(self) -> None:
        """The simulation state has changed."""
        self._is_fresh = False
        self.derived.clear()

    @property
    def body_pos(self) -> Tensor:
        """(E, B, 3) m."""
        self._refresh()
        return self._body_pos

    @property
    def body_quat(self) -> Tensor:
        """(E, B, 4) wxyz."""
        self._refresh()
        return self._body_quat

    @property
    def body_lin_vel(self) -> Tensor:
        """(E, B, 3) m/s of link origins, world axes."""
        self._refresh()
        return self._body_vel[..., :3]

    @property
    def body_ang_vel(self) -> Tensor:
        """(E, B, 3) rad/s, world axes."""
        self._refresh()
        return self._body_vel[..., 3:]

    @property
    def body_matrix(self) -> Tensor:
        """(E, B, 3, 3) orientation of the target bodies; computed at first use after a change."""
        self._refresh()
        if self._rotations is None:
            self._rotations = matrix_from_quat(self._body_quat)
        return self._rotations

    @property
    def joint_pos(self) -> Tensor:
        """(E, 29) rad, live."""
        return self.asset.data.joint_pos.torch

    @property
    def joint_vel(self) -> Tensor:
        """(E, 29) rad/s, live."""
        return self.asset.data.joint_vel.torch

    def write(self, env_ids: Tensor, root_pos: Tensor, root_quat: Tensor, root_vel: Tensor, joints: Tensor) -> None:
        """Put robots into a state.

        env_ids (n,); root_pos (n, 3) m in the env frame; root_quat (n, 4) wxyz; root_vel (n, 6): linear of the link
        origin and angular, world axes; joints (2, n, 29): rad, rad/s.
        """
        pose = torch.cat([root_pos + self._origins[env_ids], quat_xyzw_from_wxyz(root_quat)], dim=-1)
        ids = env_ids.int()
        self.asset.write_root_link_pose_to_sim_index(root_pose=pose, env_ids=ids)
        # Joints before velocities: the velocity of a link origin needs the pose of the tree.
        self.asset.write_joint_position_to_sim_index(position=joints[0].contiguous(), env_ids=ids)
        self.asset.write_joint_velocity_to_sim_index(velocity=joints[1].contiguous(), env_ids=ids)
        self.asset.write_root_link_velocity_to_sim_index(root_velocity=root_vel.contiguous(), env_ids=ids)
        self.invalidate()

    def write_masked(self, mask: Tensor, root_pos: Tensor, root_quat: Tensor, root_vel: Tensor, joints: Tensor) -> None:
        """As `write`, for the environments of `mask` (E,); everything else has E rows, too: no list for the host."""
        chosen = wp.from_torch(mask, dtype=wp.bool)
        pose = torch.cat([root_pos + self._origins, quat_xyzw_from_wxyz(root_quat)], dim=-1)
        self.asset.write_root_link_pose_to_sim_mask(root_pose=pose, env_mask=chosen)
        self.asset.write_joint_position_to_sim_mask(position=joints[0].contiguous(), env_mask=chosen)
        self.asset.write_joint_velocity_to_sim_mask(velocity=joints[1].contiguous(), env_mask=chosen)
        self.asset.write_root_link_velocity_to_sim_mask(root_velocity=root_vel.contiguous(), env_mask=chosen)
        self.invalidate()

    def push(self, mask: Tensor, change: Tensor) -> None:
        """As `add_root_velocity`, for the environments of `mask` (E,); `change` (E, 6)."""
        velocity = self.asset.data.root_link_vel_w.torch + change
        self.asset.write_root_link_velocity_to_sim_mask(
            root_velocity=velocity, env_mask=wp.from_torch(mask, dtype=wp.bool)
        )
        self.invalidate()

    def add_root_velocity(self, env_ids: Tensor, change: Tensor) -> None:
        """Kick the roots: `change` (n, 6), m/s of the link origin and rad/s, world axes."""
        velocity = self.asset.data.root_link_vel_w.torch[env_ids] + change
        self.asset.write_root_link_velocity_to_sim_index(root_velocity=velocity, env_ids=env_ids.int())
        self.invalidate()

    def _refresh(self) -> None:
        if self._is_fresh:
            return
        pose = self.asset.data.body_link_pose_w.torch[:, self._bodies]
        self._body_vel = self.asset.data.body_link_vel_w.torch[:, self._bodies]
        self._body_pos = pose[..., :3] - self._origins[:, None]
        self._body_quat = quat_wxyz_from_xyzw(pose[..., 3:])
        self._rotations = None
        self._is_fresh = True
