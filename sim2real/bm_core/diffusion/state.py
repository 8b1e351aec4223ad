"""State tokens: a robot's trajectory relative to its present, and back.

Body-Pos (99): 14 target bodies, position (42) and velocity (42) less those of the root in each token's own yaw frame;
root xy relative to the present in its yaw frame and absolute z (3); root rotation relative to the present's yaw, as 6D
(6); root linear and angular velocity, not differenced, in the present's yaw frame (6).
Joint-Rot (73, the ablation of BeyondMimic v3): joint positions (29) and velocities (29), then the same root part.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from bm_core.diffusion.trajectory import PresentFrame, RobotTrajectory
from bm_core.g1 import G1, TARGET_BODIES
from bm_core.rotations import (
    quat_conjugate,
    quat_from_matrix,
    quat_from_yaw,
    quat_multiply,
    quat_rotate,
    rot6d_from_quat,
    yaw_quat,
)

Array = NDArray[np.floating]

ROOT_WIDTH = 15
NUM_BODIES = len(TARGET_BODIES)
NUM_JOINTS = len(G1.joint_names)


class StateRepresentation(str, Enum):
    """What a state token says beside the root."""

    BODY_POS = "body_pos"
    JOINT_ROT = "joint_rot"


@dataclass(frozen=True)
class StateSlices:
    """Where each quantity lies in a token. `first`, `second`: positions and velocities of the bodies, or joints."""

    first: slice
    second: slice
    root_pos: slice
    root_rot6d: slice
    root_lin_vel: slice
    root_ang_vel: slice

    @property
    def root(self) -> slice:
        """The whole root part, at the end."""
        return slice(self.root_pos.start, self.root_ang_vel.stop)

    @property
    def width(self) -> int:
        """Numbers in a state token."""
        return self.root_ang_vel.stop


def state_slices(representation: StateRepresentation) -> StateSlices:
    """The places of a representation."""
    half = 3 * NUM_BODIES if representation is StateRepresentation.BODY_POS else NUM_JOINTS
    edges = np.cumsum([0, half, half, 3, 6, 3, 3]).tolist()
    return StateSlices(*(slice(start, stop) for start, stop in zip(edges[:-1], edges[1:], strict=True)))


def encode_states(
    trajectory: RobotTrajectory,
    present: PresentFrame,
    representation: StateRepresentation = StateRepresentation.BODY_POS,
) -> Array:
    """State tokens (..., N, 99 | 73) of N instants, relative to `present` (...). Joint-Rot needs the joints."""
    if representation is StateRepresentation.BODY_POS:
        local = encode_bodies(trajectory)
    else:
        assert trajectory.joint_pos is not None and trajectory.joint_vel is not None
        local = np.concatenate([trajectory.joint_pos, trajectory.joint_vel], axis=-1)
    return np.concatenate([local, encode_root(trajectory, present)], axis=-1)


def encode_bodies(trajectory: RobotTrajectory) -> Array:
    """The part of Body-Pos that no present frame enters, (..., N, 84)."""
    to_own_yaw = quat_conjugate(yaw_quat(trajectory.root_quat_w))[..., None, :]
    pos = quat_rotate(to_own_yaw, trajectory.body_pos_w - trajectory.root_pos_w[..., None, :])
    vel = quat_rotate(to_own_yaw, trajectory.body_lin_vel_w - trajectory.root_lin_vel_w[..., None, :])
    flat = (*pos.shape[:-2], 3 * NUM_BODIES)
    return np.concatenate([pos.reshape(flat), vel.reshape(flat)], axis=-1)


def encode_root(trajectory: RobotTrajectory, present: PresentFrame) -> Array:
    """The root part, (..., N, 15)."""
    to_present = quat_from_yaw(-np.asarray(present.yaw))[..., None, :]
    offset = trajectory.root_pos_w - _on_floor(present)
    return np.concatenate(
        [
            quat_rotate(to_present, offset),
            rot6d_from_quat(quat_multiply(to_present, trajectory.root_quat_w)),
            quat_rotate(to_present, trajectory.root_lin_vel_w),
            quat_rotate(to_present, trajectory.root_ang_vel_w),
        ],
        axis=-1,
    )


def decode_states(
    tokens: Array, present: PresentFrame, representation: StateRepresentation = StateRepresentation.BODY_POS
) -> RobotTrajectory:
    """State tokens (..., N, 99 | 73) -> the trajectory in the world; exact inverse of `encode_states`.

    Rotations that a model predicted are made orthonormal (Gram-Schmidt). Body-Pos gives no joints.
    """
    places = state_slices(representation)
    from_present = quat_from_yaw(present.yaw)[..., None, :]
    root_quat = quat_multiply(from_present, quat_from_rot6d(tokens[..., places.root_rot6d]))
    root_pos = quat_rotate(from_present, tokens[..., places.root_pos]) + _on_floor(present)
    root_lin_vel = quat_rotate(from_present, tokens[..., places.root_lin_vel])
    root_ang_vel = quat_rotate(from_present, tokens[..., places.root_ang_vel])
    first, second = tokens[..., places.first], tokens[..., places.second]
    if representation is StateRepresentation.JOINT_ROT:
        return RobotTrajectory.from_joints(root_pos, root_quat, root_lin_vel, root_ang_vel, first, second)
    own_yaw = yaw_quat(root_quat)[..., None, :]
    bodies = (*tokens.shape[:-1], NUM_BODIES, 3)
    return RobotTrajectory(
        root_pos_w=root_pos,
        root_quat_w=root_quat,
        root_lin_vel_w=root_lin_vel,
        root_ang_vel_w=root_ang_vel,
        body_pos_w=quat_rotate(own_yaw, first.reshape(bodies)) + root_pos[..., None, :],
        body_lin_vel_w=quat_rotate(own_yaw, second.reshape(bodies)) + root_lin_vel[..., None, :],
    )


def reframe(
    tokens: Array,
    old: PresentFrame,
    new: PresentFrame,
    representation: StateRepresentation = StateRepresentation.BODY_POS,
) -> Array:
    """The same states seen from another present, for starts from the last plan. (..., N, D) -> (..., N, D)."""
    places = state_slices(representation)
    turn = quat_from_yaw(np.asarray(old.yaw) - np.asarray(new.yaw))[..., None, :]
    shift = quat_rotate(quat_from_yaw(-np.asarray(new.yaw))[..., None, :], _on_floor(old) - _on_floor(new))
    columns = tokens[..., places.root_rot6d].reshape(*tokens.shape[:-1], 3, 2)
    columns = np.swapaxes(quat_rotate(turn[..., None, :], np.swapaxes(columns, -1, -2)), -1, -2)
    return np.concatenate(
        [
            tokens[..., : places.root.start],
            quat_rotate(turn, tokens[..., places.root_pos]) + shift,
            columns.reshape(*tokens.shape[:-1], 6),
            quat_rotate(turn, tokens[..., places.root_lin_vel]),
            quat_rotate(turn, tokens[..., places.root_ang_vel]),
        ],
        axis=-1,
    )


def quat_from_rot6d(rot6d: Array) -> Array:
    """(..., 6) of rot6d_from_quat, also inexact ones -> (..., 4): the first column is kept, the second made normal."""
    columns = rot6d.reshape(*rot6d.shape[:-1], 3, 2)
    x = columns[..., 0] / np.linalg.norm(columns[..., 0], axis=-1, keepdims=True)
    y = columns[..., 1] - np.sum(x * columns[..., 1], axis=-1, keepdims=True) * x
    y = y / np.linalg.norm(y, axis=-1, keepdims=True)
    return quat_from_matrix(np.stack([x, y, np.cross(x, y)], axis=-1))


def _on_floor(present: PresentFrame) -> Array:
    """(..., 1, 3): z = 0, because the height of the root is absolute in a state."""
    pos_xy = np.asarray(present.pos_xy)
    return np.concatenate([pos_xy, np.zeros_like(pos_xy[..., :1])], axis=-1)[..., None, :]
