"""All reference clips in one flat table on the device: one gather by (motion, frame) a step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from bm_core.errors import ClipError, ConfigError
from bm_core.g1 import ANCHOR_BODY, ROOT_BODY, TARGET_BODIES

if TYPE_CHECKING:
    from bm_core.motion import MotionClip

_NUM_JOINTS = 29


@dataclass(frozen=True, kw_only=True)
class MotionFrames:
    """One reference frame per environment; B chosen bodies, world frame of the clip, link origins, quaternions wxyz.

    The fields are views of one gathered row; call `.contiguous()` where a simulator wants its own memory.
    """

    joint_pos: Tensor
    """(E, 29) rad."""
    joint_vel: Tensor
    """(E, 29) rad/s."""
    body_pos_w: Tensor
    """(E, B, 3) m."""
    body_quat_w: Tensor
    """(E, B, 4)."""
    body_lin_vel_w: Tensor
    """(E, B, 3) m/s."""
    body_ang_vel_w: Tensor
    """(E, B, 3) rad/s."""


@dataclass(frozen=True, kw_only=True)
class MotionWindow:
    """K future frames per environment: joints and anchor (torso_link), as the observation reference_window needs."""

    joint_pos: Tensor
    """(E, K, 29) rad."""
    anchor_pos_w: Tensor
    """(E, K, 3) m."""
    anchor_quat_w: Tensor
    """(E, K, 4) wxyz."""
    anchor_lin_vel_w: Tensor
    """(E, K, 3) m/s."""


class MotionLibrary:
    """M clips, F frames in all, as flat float32 tensors (60 minutes with 14 bodies: 0.17 GB)."""

    def __init__(
        self,
        clips: Sequence[MotionClip],
        weights: Sequence[float] | Tensor | None = None,
        device: torch.device | str = "cpu",
        body_names: Sequence[str] = TARGET_BODIES,
    ) -> None:
        """`weights` (M,), default 1 each. Raises ClipError or ConfigError when a clip or the weights do not fit."""
        if not clips:
            raise ConfigError("motion library: no clips; check the motion set")
        self.device = torch.device(device)
        self.body_names = tuple(body_names)
        self.anchor_index = self._index(ANCHOR_BODY)
        self.root_index = self._index(ROOT_BODY)
        self.names = [clip.name for clip in clips]
        self.fps = clips[0].fps
        self.motion_length = torch.tensor([clip.num_frames for clip in clips], device=self.device)
        self.motion_start = self.motion_length.cumsum(0) - self.motion_length
        self.motion_weight = torch.as_tensor(
            [1.0] * len(clips) if weights is None else weights, dtype=torch.float32, device=self.device
        )
        if self.motion_weight.shape != (len(clips),):
            raise ConfigError(f"motion library: {self.motion_weight.numel()} weights for {len(clips)} clips")
        self._table = torch.from_numpy(np.concatenate([self._rows(clip) for clip in clips])).to(self.device)
        flat = self._unpack(self._table)
        self.joint_pos, self.joint_vel = flat.joint_pos, flat.joint_vel
        self.body_pos_w, self.body_quat_w = flat.body_pos_w, flat.body_quat_w
        self.body_lin_vel_w, self.body_ang_vel_w = flat.body_lin_vel_w, flat.body_ang_vel_w

    @property
    def num_motions(self) -> int:
        return len(self.names)

    @property
    def num_frames(self) -> int:
        """F, over all clips."""
        return self._table.shape[0]

    @property
    def num_bytes(self) -> int:
        """Of the table."""
        return self._table.numel() * self._table.element_size()

    def clamped(self, motion_id: Tensor, frame: Tensor) -> Tensor:
        """`frame` held at the clip's first and last frame; shapes broadcast."""
        return torch.minimum(frame, self.motion_length[motion_id] - 1).clamp(min=0)

    def is_over(self, motion_id: Tensor, frame: Tensor) -> Tensor:
        """True (E,) where `frame` is the clip's last or beyond: the episode ends, as a truncation."""
        return frame >= self.motion_length[motion_id] - 1

    def gather(self, motion_id: Tensor, frame: Tensor) -> MotionFrames:
        """Reference at `frame` (E,) of `motion_id` (E,), clamped to the clip; one index_select."""
        return self._unpack(self._table[self._row(motion_id, frame)])

    def window(self, motion_id: Tensor, frame: Tensor, steps: Sequence[int] | Tensor) -> MotionWindow:
        """Frames `frame` + `steps` (K,) control steps, each clamped to the clip.

        Pass `steps` as a tensor of the library's device in a loop: a tuple is copied there on every call.
        """
        offsets = torch.as_tensor(steps, dtype=torch.int64, device=self.device)
        row = self._row(motion_id[:, None], frame[:, None] + offsets)
        anchor = self.anchor_index
        return MotionWindow(
            joint_pos=self.joint_pos[row],
            anchor_pos_w=self.body_pos_w[:, anchor][row],
            anchor_quat_w=self.body_quat_w[:, anchor][row],
            anchor_lin_vel_w=self.body_lin_vel_w[:, anchor][row],
        )

    def _row(self, motion_id: Tensor, frame: Tensor) -> Tensor:
        return self.motion_start[motion_id] + self.clamped(motion_id, frame)

    def _index(self, body: str) -> int:
        if body not in self.body_names:
            raise ConfigError(f"motion library: {body} is not among the chosen bodies; it is needed, add it")
        return self.body_names.index(body)

    def _rows(self, clip: MotionClip) -> np.ndarray:
        """(T, 58 + 13 B) float32: all of a frame side by side, so that a step needs one gather."""
        missing = [name for name in self.body_names if name not in clip.body_names]
        if missing:
            raise ClipError(f"{clip.name}: no body {missing[0]}; bodies: {', '.join(clip.body_names)}")
        bodies = [list(clip.body_names).index(name) for name in self.body_names]
        fields = (clip.body_pos_w, clip.body_quat_w, clip.body_lin_vel_w, clip.body_ang_vel_w)
        chosen = [field[:, bodies].reshape(clip.num_frames, -1) for field in fields]
        return np.concatenate([clip.joint_pos, clip.joint_vel, *chosen], axis=-1, dtype=np.float32, casting="same_kind")

    def _unpack(self, rows: Tensor) -> MotionFrames:
        num = len(self.body_names)
        sizes = [_NUM_JOINTS, _NUM_JOINTS, 3 * num, 4 * num, 3 * num, 3 * num]
        joint_pos, joint_vel, pos, quat, lin_vel, ang_vel = rows.split(sizes, dim=-1)
        return MotionFrames(
            joint_pos=joint_pos,
            joint_vel=joint_vel,
            body_pos_w=pos.unflatten(-1, (num, 3)),
            body_quat_w=quat.unflatten(-1, (num, 4)),
            body_lin_vel_w=lin_vel.unflatten(-1, (num, 3)),
            body_ang_vel_w=ang_vel.unflatten(-1, (num, 3)),
        )
