"""Which reference frame a robot in any state is nearest to: where a tracker can pick it up."""

from __future__ import annotations

import torch
from torch import Tensor

from bm_core.errors import ConfigError
from bm_core.g1 import G1
from bm_training.diffusion.windows import encode_root
from bm_training.tracking.motion_library import MotionLibrary

_ROBOTS = 256
"""Compared at a time: with 150 min of reference 0.5 GB."""
_SPEED_S = 0.15
"""s: a joint or pelvis that is 1 m/s or rad/s off counts like one that is 0.15 m or rad off."""
_ARM = 0.2
"""Weight of arms, which swing differently in every clip and do not carry the robot."""
_LEGS = ("hip", "knee", "ankle", "waist")
_ROOT = 2.0
"""Weight of the pelvis: height, tilt, velocity."""


class ReferenceMatch:
    """Nearest frames of a motion library by posture, gait phase and velocity, wherever and whichever way it faces."""

    def __init__(self, library: MotionLibrary, ahead: int) -> None:
        """`ahead`: control steps that a clip must go on after the frame. ConfigError if none is that long."""
        device = library.device
        length, start = library.motion_length, library.motion_start
        motion = torch.repeat_interleave(torch.arange(library.num_motions, device=device), length)
        frame = torch.arange(library.num_frames, device=device) - start[motion]
        usable = frame + ahead < length[motion]
        if not bool(usable.any()):
            raise ConfigError(f"no clip goes on for {ahead} frames; give longer ones")
        self._motion, self._frame = motion[usable], frame[usable]
        weights = [1.0 if any(part in name for part in _LEGS) else _ARM for name in G1.joint_names]
        self._joint_weight = torch.tensor(weights, device=device)
        root = library.root_index
        parts = (library.body_pos_w, library.body_quat_w, library.body_lin_vel_w, library.body_ang_vel_w)
        state = torch.cat([part[usable][:, root] for part in parts], dim=-1)
        self._features = self._of(state, library.joint_pos[usable], library.joint_vel[usable])
        self._half_square = 0.5 * self._features.square().sum(-1)

    def nearest(self, root: Tensor, joint_pos: Tensor, joint_vel: Tensor) -> tuple[Tensor, Tensor]:
        """States (E, 13), (E, 29) rad, (E, 29) rad/s -> motion (E,) and frame (E,)."""
        found = []
        for part in self._of(root, joint_pos, joint_vel).split(_ROBOTS):
            found.append((part @ self._features.T - self._half_square).argmax(-1))
        best = torch.cat(found)
        return self._motion[best], self._frame[best]

    def _of(self, root: Tensor, joint_pos: Tensor, joint_vel: Tensor) -> Tensor:
        """(n, 72): joints, then height, tilt and twist of the pelvis in its own yaw frame."""
        own = encode_root(root[:, None], root)[:, 0]
        # 6D rotations hold the matrix row by row: the last row is the pelvis's view of up.
        pelvis = torch.cat([own[:, 2:3], own[:, 7:9], _SPEED_S * own[:, 9:]], dim=-1)
        joints = self._joint_weight * joint_pos, _SPEED_S * self._joint_weight * joint_vel
        return torch.cat([*joints, _ROOT * pelvis], dim=-1)
