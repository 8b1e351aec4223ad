"""What a tracker is asked to follow: frames of body poses at the control rate, aligned with where the robot stands.

Timing (as in training): before a control step the policy sees frame k, its target for the *end* of that step. A robot
started on frame s therefore sees s + 1 first. Source: whole_body_tracking's step order (commands.py).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from bm_core.body_state import BodyState
from bm_core.errors import ClipError
from bm_core.g1 import ANCHOR_BODY, G1
from bm_core.rotations import (
    matrix_from_quat,
    quat_conjugate,
    quat_from_yaw,
    quat_multiply,
    yaw_from_quat,
)

if TYPE_CHECKING:
    from bm_core.motion import MotionClip

Array = NDArray[np.float64]

_ANCHOR = G1.body_index[ANCHOR_BODY]
_KEPT_FRAMES = 64
"""A control step asks for the frames of its window, all but the farthest of which earlier steps asked for as well."""


class ReferenceFrame(BodyState):
    """One frame of a reference."""


class Reference(Protocol):
    """Anything a tracker can follow: a clip, a standing pose, a stop, a plan."""

    @property
    def num_frames(self) -> int:
        """Frames until the reference ends, at the control rate."""
        ...

    def frame(self, k: int) -> ReferenceFrame:
        """Frame k, clamped to 0 .. num_frames - 1. The arrays are the caller's to read, not to change."""
        ...


def motion_name(reference: Reference) -> str:
    """Name of the clip that a reference plays, or leads to; empty for plans, which have no name to go by."""
    return getattr(reference, "motion_name", "")


class MotionReference:
    """A motion clip as a reference, at first in the clip's own world frame."""

    def __init__(self, clip: MotionClip) -> None:
        if tuple(clip.joint_names) != G1.joint_names or tuple(clip.body_names) != G1.body_names:
            raise ClipError(f"{clip.name}: joints or bodies are not in the order of {G1.name}; read it with load_clip")
        if len(clip.joint_pos) == 0:
            raise ClipError(f"{clip.name}: no frames")
        self.clip = clip
        self.motion_name = clip.name
        self._joint_pos = np.ascontiguousarray(clip.joint_pos, dtype=np.float64)
        self._joint_vel = np.ascontiguousarray(clip.joint_vel, dtype=np.float64)
        self._body_pos = np.ascontiguousarray(clip.body_pos_w, dtype=np.float64)
        self._body_quat = np.ascontiguousarray(clip.body_quat_w, dtype=np.float64)
        self._body_lin_vel = np.ascontiguousarray(clip.body_lin_vel_w, dtype=np.float64)
        self._body_ang_vel = np.ascontiguousarray(clip.body_ang_vel_w, dtype=np.float64)
        self._set_transform(0.0, np.zeros(3))

    @property
    def num_frames(self) -> int:
        return len(self._joint_pos)

    def align(self, anchor_pos_w: Array, anchor_quat_w: Array, frame: int) -> None:
        """Move the whole reference so that the torso of `frame` stands over the robot's torso, facing its way.

        Only x, y and yaw change: the floor stays the floor. `anchor_pos_w` (3,) m and `anchor_quat_w` (4,) are the
        robot's torso_link. The yaw is the one after which `retarget_bodies` turns by nothing at this frame; for a torso
        that lies flat the difference of two headings would be noise.
        """
        k = self._clamp(frame)
        pos, quat = self._body_pos[k, _ANCHOR], self._body_quat[k, _ANCHOR]
        # Zero heading of Q Rz(-yaw), Q = R_robot R_ref^T: its x axis has no y, so Q10 cos(yaw) = Q11 sin(yaw).
        relative = matrix_from_quat(quat_multiply(np.asarray(anchor_quat_w), quat_conjugate(quat)))
        yaw = float(np.arctan2(relative[1, 0], relative[1, 1]))
        shift = np.asarray(anchor_pos_w, dtype=np.float64) - matrix_from_quat(quat_from_yaw(yaw)) @ pos
        shift[2] = 0.0
        self._set_transform(yaw, shift)

    def frame(self, k: int) -> ReferenceFrame:
        """Frame k after alignment, clamped to the clip's ends. Its arrays are shared: read only."""
        k = self._clamp(k)
        known = self._frames.get(k)
        if known is not None:
            return known
        if len(self._frames) >= _KEPT_FRAMES:
            del self._frames[next(iter(self._frames))]  # the oldest
        found = self._frames[k] = self._aligned(k)
        return found

    def _aligned(self, k: int) -> ReferenceFrame:
        turn = self._rotation_t
        return ReferenceFrame(
            joint_pos=self._joint_pos[k],
            joint_vel=self._joint_vel[k],
            body_pos_w=self._body_pos[k] @ turn + self._shift,
            body_quat_w=self._body_quat[k] @ self._left_t,
            body_lin_vel_w=self._body_lin_vel[k] @ turn,
            body_ang_vel_w=self._body_ang_vel[k] @ turn,
        )

    def _clamp(self, k: int) -> int:
        return min(max(int(k), 0), self.num_frames - 1)

    def _set_transform(self, yaw: float, shift: Array) -> None:
        quat = quat_from_yaw(yaw)
        self._frames: dict[int, ReferenceFrame] = {}
        self._shift = shift
        # Transposed, so that rows of bodies are multiplied from the right: one matmul instead of 30 products.
        self._rotation_t = np.ascontiguousarray(matrix_from_quat(quat).T)
        self._left_t = quat_multiply(quat, np.eye(4))


def retarget_bodies(frame: ReferenceFrame, anchor_pos_w: Array, anchor_quat_w: Array) -> tuple[Array, Array]:
    """The body targets p_b*, R_b* for a robot whose torso is at the given pose: drift in x, y and yaw is forgiven.

    R_D = Rz(yaw(R_anchor R_anchor_ref^T)), p_D = (p_anchor.xy, p_anchor_ref.z);
    R_b* = R_D R_b_ref, p_b* = p_D + R_D (p_b_ref - p_anchor_ref). The torso's own global target stays the reference's.
    Returns positions (30, 3) m and orientations (30, 4). Source: BeyondMimic, same in v3, v4 and whole_body_tracking.
    """
    anchor_ref = frame.anchor_pos_w
    yaw = yaw_from_quat(quat_multiply(np.asarray(anchor_quat_w), quat_conjugate(frame.anchor_quat_w)))
    turn = quat_from_yaw(yaw)
    origin = np.array([anchor_pos_w[0], anchor_pos_w[1], anchor_ref[2]])
    pos = origin + (frame.body_pos_w - anchor_ref) @ matrix_from_quat(turn).T
    return pos, np.asarray(quat_multiply(turn, frame.body_quat_w), dtype=np.float64)
